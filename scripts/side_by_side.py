#!/usr/bin/env python3
"""Runs `lisa bench` and the scripts of benches/peers in turn, each in a process of its own, and writes what they measured.

Each cycle runs both once, and which of them is first alternates, so that a machine that slows down or speeds up meanwhile does not
favour one. After every process bench/side_by_side.json and bench/side_by_side.md are written anew; an interrupted run keeps what it has.

Started by scripts/bench.sh, with the Python that has PyTorch; only the standard library is used here.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import bench_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / 'benches' / 'peers'
# Frames that one process measures, by shape: enough for a steady median, few enough for a coffee break.
FRAMES = {'small': 2, 'sam-h': 1, 'lisa-mini': 20, 'lisa-7b': 1}
TRAINED = ('small', 'lisa-mini')


def output_of(words):
    """Runs a program; returns the JSON object that is the last line of its output."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def processor():
    """The processor's name, as the system has it."""
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit():
    """The commit that is measured, with a mark where files were changed since; None outside of a checkout."""
    words = ['git', 'describe', '--always', '--dirty', '--exclude=*']
    found = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return found.stdout.strip() or None


class Run:
    """Everything that is measured, and where it is written."""

    def __init__(self, options):
        self.options = options
        self.out = ROOT / 'bench'
        self.result = {
            'measured': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
            'commit': commit(),
            'processor': processor(),
            'cores': os.cpu_count(),
            'threads': options.threads,
            'shapes': {},
        }

    def say(self, words):
        print(f'bench: {words}', file=sys.stderr, flush=True)

    def write(self):
        self.out.mkdir(exist_ok=True)
        (self.out / 'side_by_side.json').write_text(json.dumps(self.result, indent=1) + '\n')
        (self.out / 'side_by_side.md').write_text(bench_table.page(self.result))

    def lisa(self, *words):
        return output_of([self.options.lisa, 'bench', '--json', '--threads', self.options.threads, *words])

    def peer(self, script, ours, *words):
        # A peer computes the shape that our output describes.
        file = ROOT / '.bench' / 'ours.json'
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(ours))
        return output_of([sys.executable, PEERS / script, '--ours', file, '--threads', self.options.threads, *words])

    def in_turn(self, entry, cycle, ours, peers):
        """Runs both sides once. The first cycle's first process is ours, because the peers take the shape from it."""
        def run_ours():
            entry['ours'].append(ours())
            self.write()

        def run_peers():
            for peer in peers:
                entry['peers'].append({'cycle': cycle, **peer(entry['ours'][-1])})
                self.write()

        for run in (run_ours, run_peers) if cycle % 2 == 0 else (run_peers, run_ours):
            run()

    def answers(self, shape):
        entry = self.result['shapes'].setdefault(shape, {})
        entry['answers'] = {'ours': [], 'peers': []}
        frames = FRAMES[shape]
        scratch = ROOT / '.bench'
        scratch.mkdir(exist_ok=True)
        attentions = ['sdpa', 'eager']
        for cycle in range(self.options.cycles):
            self.say(f'{shape}: answers, cycle {cycle + 1} of {self.options.cycles}')
            peers = [
                lambda ours, attention=attention: self.peer('answer.py', ours, '--cycles', frames, '--sam-attention', attention)
                for attention in attentions
            ]
            self.in_turn(entry['answers'], cycle, lambda: self.lisa('--shape', shape, '--cycles', frames, '--scratch', scratch), peers)
            # Both ways to compute SAM's attention are tried once, and the faster one goes on.
            attentions = [bench_table.faster_attention(entry['answers']['peers'])]

    def steps(self, shape):
        entry = self.result['shapes'].setdefault(shape, {})
        entry['training'] = {'ours': [], 'peers': []}
        scratch = ROOT / '.bench'
        scratch.mkdir(exist_ok=True)
        for cycle in range(self.options.cycles):
            self.say(f'{shape}: training steps, cycle {cycle + 1} of {self.options.cycles}')
            self.in_turn(
                entry['training'], cycle,
                lambda: self.lisa('--shape', shape, '--train', '--cycles', 1, '--scratch', scratch),
                [lambda ours: self.peer('lora.py', ours, '--cycles', 1)])

    def gguf(self):
        self.say('GGUF: SmolLM2-135M-Instruct by lisa, transformers and llama.cpp')
        words = [sys.executable, PEERS / 'gguf_check.py', '--lisa', self.options.lisa, '--threads', self.options.threads]
        self.result['gguf'] = output_of(words)
        self.write()


def main():
    parser = argparse.ArgumentParser(prog='scripts/bench.sh', description=__doc__.split('\n')[0])
    parser.add_argument('--lisa', type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument('--shapes', default='small,lisa-mini', metavar='NAME,…', help=f'of {", ".join(FRAMES)} (small,lisa-mini)')
    parser.add_argument('--cycles', type=int, default=3, help='how often both are run (3)')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='of each of them (one a core)')
    parser.add_argument('--no-train', action='store_true', help='leave the training steps out')
    parser.add_argument('--no-gguf', action='store_true', help='leave the GGUF file out')
    options = parser.parse_args()
    shapes = options.shapes.split(',')
    for shape in shapes:
        if shape not in FRAMES:
            parser.error(f'--shapes {shape}: accepted: {", ".join(FRAMES)}, joined by commas')
    for name in ('cycles', 'threads'):
        if getattr(options, name) < 1:
            parser.error(f'--{name} {getattr(options, name)}: accepted: 1 or more')

    run, begun = Run(options), time.monotonic()
    try:
        for shape in shapes:
            run.answers(shape)
            if shape in TRAINED and not options.no_train:
                run.steps(shape)
        if not options.no_gguf:
            run.gguf()
    except subprocess.CalledProcessError as error:
        run.say(f'{" ".join(error.cmd)} ended with status {error.returncode}')
        return 1
    except KeyboardInterrupt:
        run.say('interrupted; bench/side_by_side.json has what was measured until then')
        return 130
    print((run.out / 'side_by_side.md').read_text(), end='')
    run.say(f'{(time.monotonic() - begun) / 60:.0f} minutes; bench/side_by_side.json, bench/side_by_side.md')
    gguf = run.result.get('gguf')
    if gguf and not gguf['passed']:
        run.say('the GGUF file is read otherwise than by transformers')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
