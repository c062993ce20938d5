#!/usr/bin/env python3
"""Checks lisa on a GPU, and measures it: one command, ten minutes at most, no network, one JSON.

    scripts/gpu_check.py [--lisa target/release/lisa] [--golden tests/golden/tiny] [--out gpu_check.json]

It takes a `lisa` that was built with the feature `cuda` and computes on the first GPU:
  golden   the reference's answers and masks in f32, f16 and bf16
  stages   LISA-7B's shape with random weights, in bf16, in blocks of 4 bits, and SAM ViT-H: seconds a stage, tokens a second beside
           what the memory can deliver, and memory of the GPU
  steady   100 answers in a row: whether the GPU's memory stays flat
A part that fails is named, and does not keep the others from running. The exit status is 1 where something failed.
Only Python's standard library is used.
"""

import argparse
import array
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Seconds for everything, and those that are kept for writing the result.
LIMIT = 590
# What the masks must have in common with the reference's. In 16 bits a pixel at the edge can change its side.
LEAST_IOU = {'f32': 0.999, 'f16': 0.98, 'bf16': 0.95}
# Growth of the GPU's memory over 100 answers, in MiB, that is no leak: the allocator keeps pieces of its own.
FLAT = 64


class Failed(Exception):
    """What went wrong, in words."""


def run(command, deadline):
    """The standard output of a program."""
    left = deadline - time.monotonic()
    if left <= 1:
        raise Failed('no time was left')
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f'{command[1]} was not done in {left:.0f} s') from None
    if done.returncode != 0:
        raise Failed((done.stderr.strip().splitlines() or ['it said nothing'])[-1])
    return done.stdout


def nvidia_smi(fields):
    """What nvidia-smi says of the first GPU; an empty list where there is none."""
    command = ['nvidia-smi', f'--query-gpu={fields}', '--format=csv,noheader,nounits', '--id=0']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [word.strip() for word in done.stdout.strip().split(',')]


class Memory:
    """Samples the GPU's used memory, in MiB, while something runs."""

    def __init__(self, used=lambda: nvidia_smi('memory.used'), period=0.5):
        self.used, self.period, self.samples, self.done = used, period, [], threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(self.period):
            for number in self.used():
                self.samples.append(float(number))

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def peak(self):
        return max(self.samples, default=None)

    def growth(self):
        """From the middle of the run to its end: what is loaded and kept at first does not count."""
        later = self.samples[len(self.samples) // 2:]
        return max(later) - later[0] if later else None


def tensors(path):
    """The f32 and i64 tensors of a safetensors file: name to (shape, numbers)."""
    data = pathlib.Path(path).read_bytes()
    length, = struct.unpack_from('<Q', data)
    header = json.loads(data[8:8 + length])
    read = {}
    for name, entry in header.items():
        kind = {'F32': 'f', 'I64': 'q'}.get(entry.get('dtype'))
        if name == '__metadata__' or kind is None:
            continue
        begin, end = (8 + length + at for at in entry['data_offsets'])
        numbers = array.array(kind)
        numbers.frombytes(data[begin:end])
        if sys.byteorder == 'big':
            numbers.byteswap()
        read[name] = entry['shape'], numbers
    return read


def iou(ours, reference):
    """Of the positive logits; 1 where neither has one."""
    both = sum(a > 0 and b > 0 for a, b in zip(ours, reference))
    either = sum(a > 0 or b > 0 for a, b in zip(ours, reference))
    return both / either if either else 1.0


def golden(lisa, folder, device, deadline):
    """The reference's cases in each number type: whether the words are the same, and the least mask IoU."""
    expected = json.loads((folder / 'expected.json').read_text())
    reference = tensors(folder / 'expected.safetensors')
    results = {}
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        clip = next(path.parent for path in sorted(folder.glob('*/preprocessor_config.json')))
        checkpoint = next(path.parent for path in sorted(folder.glob('*/tokenizer.*')))
        run([lisa, 'convert', '--lisa', checkpoint, '--clip', clip, '--out', place / 'model'], deadline)
        for dtype in LEAST_IOU:
            same, least = 0, 1.0
            for index, case in enumerate(expected['cases']):
                prompt, whole = (reference[f'case{index}.{what}_ids'] for what in ('input', 'output'))
                dump = place / 'dump.safetensors'
                dump.unlink(missing_ok=True)
                run([lisa, 'segment', '--model', place / 'model', '--device', device, '--dtype', dtype, '--image', folder / 'image.png',
                     '--instruction', case['instruction'], '--max-new-tokens', len(whole[1]) - len(prompt[1]), '--out', place / 'out',
                     '--dump', dump, '--json'], deadline)
                ours = tensors(dump)
                equal = ours['output_ids'][1] == whole[1]
                same += equal
                masks = reference.get(f'case{index}.mask_logits', ((0,), []))
                # Where a word differs, the masks are of other words and say nothing.
                if equal and case['n_masks']:
                    least = min(least, iou(ours['mask_logits'][1], masks[1]))
            cases = len(expected['cases'])
            results[dtype] = {'cases': cases, 'same_words': same, 'least_iou': least}
            # Random weights choose between words that are almost as likely, so that 16 bits may part from the reference.
            if (dtype == 'f32' and same < cases) or least < LEAST_IOU[dtype]:
                results[dtype]['failed'] = f'{same} of {cases} answers have the same words, the least mask IoU is {least:.4f}'
    return results


def bench(lisa, arguments, device, deadline, memory=Memory):
    with memory() as used:
        report = json.loads(run([lisa, 'bench', '--device', device, '--json', *arguments], deadline))
    stages = {stage['stage']: stage for stage in report['stages']}
    result = {
        'arguments': arguments,
        'seconds': {name: stage['seconds']['median'] for name, stage in stages.items()},
        'share_of_gpu': {name: stage['share'] for name, stage in stages.items() if stage.get('share')},
        'machine': report['machine'],
        'gpu_memory_mib': used.peak(),
    }
    if 'token' in stages:
        result['tokens_a_second'] = 1 / stages['token']['seconds']['median']
    return result, used


def stages(lisa, device, deadline):
    """Everything that is measured, by its name. A measurement that fails has its reason instead."""
    results = {}
    for name, arguments in {
        '7b_bf16': ['--shape', 'lisa-7b', '--dtype', 'bf16', '--cycles', '5'],
        '7b_q4_k': ['--shape', 'lisa-7b', '--dtype', 'bf16', '--quantize', 'q4_k', '--cycles', '5'],
        'sam_h': ['--shape', 'sam-h', '--dtype', 'bf16', '--cycles', '10'],
    }.items():
        try:
            results[name], _ = bench(lisa, arguments, device, deadline)
        except Failed as failed:
            results[name] = {'failed': str(failed)}
    bf16, small = (results[name].get('tokens_a_second') for name in ('7b_bf16', '7b_q4_k'))
    if bf16 and small:
        results['q4_k_tokens_by_bf16'] = small / bf16
    return results


def steady(lisa, device, deadline):
    """100 answers in a row."""
    result, used = bench(lisa, ['--shape', 'lisa-7b', '--dtype', 'bf16', '--cycles', '49'], device, deadline)
    growth = used.growth()
    result['memory_growth_mib'] = growth
    if growth is not None and growth > FLAT:
        result['failed'] = f'the memory grew by {growth:.0f} MiB'
    return result


def failures(result, path=()):
    """Every `failed` in the result, with its place."""
    if isinstance(result, dict):
        if 'failed' in result:
            yield '.'.join(path), result['failed']
        for name, value in result.items():
            yield from failures(value, (*path, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--lisa', type=pathlib.Path, default=ROOT / 'target/release/lisa')
    parser.add_argument('--golden', type=pathlib.Path, default=ROOT / 'tests/golden/tiny')
    parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('gpu_check.json'))
    parser.add_argument('--device', default='cuda', help='cuda, cuda:N, or cpu to try this script [default: cuda]')
    parser.add_argument('--only', choices=['golden', 'stages', 'steady'], help='one part alone')
    arguments = parser.parse_args()
    if not arguments.lisa.is_file():
        parser.error(f'there is no {arguments.lisa}; accepted: a lisa that was built with the feature cuda')
    deadline = time.monotonic() + LIMIT
    lisa = arguments.lisa.resolve()
    gpu = nvidia_smi('name,memory.total,driver_version')
    result = {'gpu': dict(zip(('name', 'memory_mib', 'driver'), gpu)), 'device': arguments.device}
    parts = {
        'golden': lambda: golden(lisa, arguments.golden, arguments.device, deadline),
        'stages': lambda: stages(lisa, arguments.device, deadline),
        'steady': lambda: steady(lisa, arguments.device, deadline),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            try:
                result[name] = part()
            except Failed as failed:
                result[name] = {'failed': str(failed)}
            # Written after each part, so that a run which is cut short leaves what it has.
            arguments.out.write_text(json.dumps(result, indent=1) + '\n')
    failed = list(failures(result))
    for place, reason in failed:
        print(f'{place}: {reason}', file=sys.stderr)
    print(f'{arguments.out}: {len(failed)} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
