#!/usr/bin/env python3
"""Makes the page of `make bench` from what was measured: scripts/bench_table.py bench/side_by_side.json

A ratio is our time by PyTorch's of the same cycle; below 1 we are faster. The page shows the middle of the cycles' ratios and, in
brackets, the least and the largest. Only Python's standard library is used.
"""

import json
import pathlib
import statistics
import sys

STAGES = {
    'clip': 'CLIP and projector',
    'prefill': 'prefill, {prompt} positions',
    'token': 'a token',
    'sam': 'SAM encoder',
    'decode': 'mask decoder',
    'postprocess': 'mask to the frame\'s size',
    'answer': 'answer of {tokens} tokens',
    'second_question': 'second question on the frame',
}
SHAPES = {
    'small': 'SAM ViT-B at 1024, CLIP ViT-L/14, a Llama of 12 layers of 1024',
    'sam-h': 'SAM ViT-H at 1024 and CLIP ViT-L/14',
    'lisa-mini': 'the model that comes with the project',
    'lisa-7b': 'the sizes of LISA-7B-v1',
}


def faster_attention(peers):
    """Which variant of the peers had the faster SAM, by medians."""
    times = {}
    for peer in peers:
        times.setdefault(peer['variant'], []).extend(peer['stages']['sam'])
    return min(times, key=lambda variant: statistics.median(times[variant]))


def best_of(peers, cycle, value):
    """The least value that a peer of the cycle has; None where none has any."""
    values = [value(peer) for peer in peers if peer['cycle'] == cycle]
    values = [found for found in values if found is not None]
    return min(values) if values else None


def our_stage(report, name):
    """Our measurements of a stage; None where the shape has no such stage."""
    return next((stage for stage in report['stages'] if stage['stage'] == name), None)


def peer_seconds(peer, name):
    times = peer['stages'].get(name)
    return statistics.median(times) if times else None


def pairs_of(entry, ours, peer):
    """Our value and the peers' best, cycle by cycle, of those cycles that have both."""
    pairs = []
    for cycle, report in enumerate(entry['ours']):
        found = ours(report), best_of(entry['peers'], cycle, peer)
        if None not in found:
            pairs.append(found)
    return pairs


def peaks(entry):
    """The fastest products and copies that either side has reached."""
    machines = [report['machine'] for report in [*entry['ours'], *entry['peers']] if report.get('machine')]
    best = {key: max((machine[key] for machine in machines), default=None) for key in ('gemm_gflops', 'copy_gbytes')}
    return best['gemm_gflops'], best['copy_gbytes']


def seconds(value):
    """A time in seconds with three significant figures."""
    if value >= 100:
        return f'{value:.0f}'
    return f'{value:.3g}' if value >= 1e-4 else f'{value:.1e}'


def ratio(pairs):
    """The middle ratio of the cycles, with the least and the largest where there are several."""
    ratios = sorted(ours / peer for ours, peer in pairs)
    text = f'{statistics.median(ratios):.2f}'
    return f'{text} ({ratios[0]:.2f}–{ratios[-1]:.2f})' if len(ratios) > 1 else text


def share(stage, ours, gemm, copy):
    """Our speed by what the machine can do."""
    if stage.get('gflop') and gemm:
        return f'{100 * stage["gflop"] / ours / gemm:.0f} % of products'
    if stage.get('gbytes') and copy:
        return f'{100 * stage["gbytes"] / ours / copy:.0f} % of copying'
    return ''


def row(name, pairs, write, more=''):
    """A line of a table."""
    if not pairs:
        return None
    ours, peer = (statistics.median(values) for values in zip(*pairs))
    return f'| {name} | {write(ours)} | {write(peer)} | {ratio(pairs)} | {more} |'


def gigabytes(value):
    return f'{value / 1e9:.2f}'


def answer_rows(entry):
    """The stages of an answer."""
    first = entry['ours'][0]
    gemm, copy = peaks(entry)
    for key, name in STAGES.items():
        stage = our_stage(first, key)
        if stage is None:
            continue
        pairs = pairs_of(entry, lambda report: our_stage(report, key)['seconds']['median'], lambda peer: peer_seconds(peer, key))
        if pairs:
            of = share(stage, statistics.median(ours for ours, _ in pairs), gemm, copy)
            yield row(name.format(**first), pairs, seconds, of)
    pairs = pairs_of(entry, lambda report: report['peak_rss'], lambda peer: peer['peak_rss'])
    yield row('peak RSS, GB', pairs, gigabytes)


def training_rows(entry):
    """Steps of each size, and their memory."""
    for index, batch in enumerate(entry['ours'][0]['batches']):
        size = batch['batch']
        pairs = pairs_of(
            entry, lambda report: report['batches'][index]['seconds']['median'],
            lambda peer: peer_seconds(peer['batches'][index], 'lora_step'))
        yield row(f'LoRA step, batch {size}', pairs, seconds)
        if 'kept' in entry['ours'][0]:
            pairs = pairs_of(
                entry, lambda report: report['kept'][index]['seconds']['median'],
                lambda peer: peer_seconds(peer['batches'][index], 'lora_step'))
            yield row(f'LoRA step, batch {size}, second epoch on: ours keeps what frozen encoders computed', pairs, seconds)
        pairs = pairs_of(entry, lambda report: report['batches'][index]['peak_rss'], lambda peer: peer['batches'][index]['peak_rss'])
        yield row(f'peak RSS of it, batch {size}, GB', pairs, gigabytes)


def table(shape, entry):
    """A shape's table; empty where nothing of it was measured on both sides yet."""
    rows, answers, training = [], entry.get('answers'), entry.get('training')
    if answers and answers['ours'] and answers['peers']:
        rows += answer_rows(answers)
    if training and training['ours'] and training['peers']:
        rows += training_rows(training)
    rows = [line for line in rows if line]
    if not rows:
        return ''
    head = ['| | ours, s | PyTorch, s | ours / PyTorch | of the machine |', '|---|---|---|---|---|']
    lines = [f'**{shape}**: {SHAPES.get(shape, "")}', '', *head, *rows, '']
    if answers and answers['peers']:
        gemm, copy = peaks(answers)
        peer = answers['peers'][0]
        # A build with CUDA takes more than one without.
        imported = f', of whose memory importing takes {gigabytes(peer["imported_rss"])} GB' if peer.get('imported_rss') else ''
        lines += [f'Products {gemm:.0f} GFLOP/s, copying {copy:.1f} GB/s; SAM\'s attention by {faster_attention(answers["peers"])}; '
                  f'torch {peer["torch"]}, transformers {peer["transformers"]}{imported}.', '']
    return '\n'.join(lines)


def gguf_lines(gguf):
    """What the check of the GGUF file found."""
    equal = 'equal' if gguf['greedy_equal'] else 'DIFFERENT'
    line = (f'GGUF, {gguf["file"]}: logits differ from transformers\' by {gguf["logits_error"]:.1e} of their size, {gguf["tokens"]} greedy '
            f'tokens {equal}; a token {seconds(gguf["token_seconds"])} s')
    if gguf.get('llama_cpp'):
        llama = gguf['llama_cpp']
        line += (f', {llama["token_seconds"] / gguf["token_seconds"]:.2f} of the speed of llama.cpp, which takes '
                 f'{seconds(llama["token_seconds"])} s and writes the same {llama["equal_tokens"]} first tokens')
    return [line + '.', '']


def page(result):
    """All of it as Markdown."""
    cycles = max((len(shape['answers']['ours']) for shape in result['shapes'].values() if 'answers' in shape), default=0)
    lines = [f'Measured {result["measured"]} at {result["commit"] or "no commit"} on {result["processor"]}, {result["threads"]} threads, '
             f'f32, random weights, interleaved cycles: {cycles}.', '']
    lines += [table(shape, entry) for shape, entry in result['shapes'].items()]
    if result.get('gguf'):
        lines += gguf_lines(result['gguf'])
    return '\n'.join(lines)


def main():
    if len(sys.argv) != 2:
        print(__doc__.split('\n')[0], file=sys.stderr)
        return 2
    print(page(json.loads(pathlib.Path(sys.argv[1]).read_text())), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
