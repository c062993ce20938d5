#!/usr/bin/env python3
"""Maps the shards of an evaluation over a Ray cluster, starts again what failed, and merges the parts.

  scripts/setup_fleet.sh
  .fleet/bin/python3 scripts/fleet.py --address auto --shards 64 --parts parts --html night.html --json night.json -- \\
      bag eval --from night.txt --truth-topic /truth --model models/lisa-7b

What follows -- are words of `lisa`, to which --shard and --parts are added. Each shard is one task of Ray and one process. The
folder of parts, the recordings, the model and lisa itself have to be there under the same names on every machine. A part that is there
and whole is not made again, so that the same command goes on where it was interrupted. Without --address Ray runs on this machine alone.

Exit status: 0, or 3 where recordings could not be measured, which the report names; 1 where a shard failed time and again.
"""

import argparse
import collections
import os
import pathlib
import shutil
import subprocess
import sys
import time

# Ray would otherwise report home, and show a line that two workers print only once. It reads these when it is imported.
os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
os.environ.setdefault('RAY_DEDUP_LOGS', '0')

import ray  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What `lisa` ends with where the part is whole and says what could not be measured.
PARTLY = 3
# What a shard that failed says in the end.
LAST_LINES = 8


def end_with_parent():
    """Lets the system end this process when the one that started it dies, so that a worker which is killed leaves nothing running."""
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def run_shard(words, number, of, parts):
    """Runs one shard to its end. What it prints goes to Ray's log, which the driver shows as it comes."""
    words = [*words, '--shard', f'{number}/{of}', '--parts', parts]
    last = collections.deque(maxlen=LAST_LINES)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors='replace', preexec_fn=end_with_parent)
    for line in process.stdout:
        last.append(line)
        print(f'shard {number}/{of}: {line}', end='', flush=True)
    code = process.wait()
    if code not in (0, PARTLY):
        raise RuntimeError(f'exit status {code}: {" | ".join(line.strip() for line in last)}')
    return ray.util.get_node_ip_address()


class Fleet:
    """The shards of a run: which are done, under way, and lost."""

    def __init__(self, words, options):
        self.words, self.options = words, options
        resources = {'num_cpus': options.cpus, 'num_gpus': options.gpus}
        # Ray would start a task again in silence; here it is counted and said.
        self.task = ray.remote(run_shard).options(max_retries=0, **resources)
        self.running = {}  # Ray's reference of a task: its shard
        self.failures = collections.Counter()
        self.done, self.lost = [], []
        self.begun = time.monotonic()

    def start(self, number):
        reference = self.task.remote(self.words, number, self.options.shards, str(self.options.parts))
        self.running[reference] = number

    def run(self):
        for number in range(1, self.options.shards + 1):
            self.start(number)
        while self.running:
            ended, _ = ray.wait(list(self.running), num_returns=1)
            for reference in ended:
                self.end(reference, self.running.pop(reference))

    def end(self, reference, number):
        shards = self.options.shards
        try:
            node = ray.get(reference)
        except ray.exceptions.RayError as error:
            # A worker or a machine that is gone, or a shard that ended with an error: the last line says which.
            why = str(getattr(error, 'cause', None) or error).strip().splitlines()
            self.failures[number] += 1
            again = self.failures[number] <= self.options.retries
            say(f'shard {number}/{shards} failed ({why[0] if why else type(error).__name__}), '
                f'{"it is started again" if again else "for the last time"}')
            if again:
                self.start(number)
            else:
                self.lost.append(number)
        else:
            self.done.append(number)
            say(f'{len(self.done)} of {shards} shards are done ({number}/{shards} on {node}, {time.monotonic() - self.begun:.0f} s so far)')


def say(text):
    print(f'fleet: {text}', flush=True)


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog=__doc__.split('\n', 1)[1])
    parser.add_argument('--address', help='of the cluster; "auto" is the one this machine belongs to (without it: this machine alone)')
    parser.add_argument('--shards', type=int, default=8, help='into how many the inputs are divided; several for each processor or GPU (8)')
    parser.add_argument('--parts', type=pathlib.Path, required=True, help='folder of the parts, on a disk that all machines share')
    parser.add_argument('--json', type=pathlib.Path, help='write the merged report as JSON')
    parser.add_argument('--html', type=pathlib.Path, help='write it as a page')
    parser.add_argument('--retries', type=int, default=3, help='how often a shard that failed is started again (3)')
    parser.add_argument('--cpus', type=float, default=1, help='processors that a shard takes (1)')
    parser.add_argument('--gpus', type=float, default=0, help='GPUs that a shard takes; 0.25 lets four share one (0)')
    parser.add_argument('--lisa', default=shutil.which('lisa') or ROOT / 'target' / 'release' / 'lisa', help='the program')
    own, words = (words[:words.index('--')], words[words.index('--') + 1:]) if '--' in words else (words, [])
    options = parser.parse_args(own)
    if options.shards < 1 or options.retries < 0:
        parser.error('--shards takes a number of 1 or more, --retries one of 0 or more')
    if 'eval' not in words[:2]:
        parser.error('after -- stand words of lisa, such as: -- bag eval --from night.txt --truth-topic /truth')
    options.parts = options.parts.resolve()
    return options, [str(options.lisa), *words]


def main():
    options, words = arguments(sys.argv[1:])
    options.parts.mkdir(parents=True, exist_ok=True)
    ray.init(address=options.address, include_dashboard=False if options.address is None else None, log_to_driver=True)
    nodes = sum(node['Alive'] for node in ray.nodes())
    say(f'{options.shards} shards over {nodes} {"node" if nodes == 1 else "nodes"}, {ray.cluster_resources().get("CPU", 0):.0f} processors')
    fleet = Fleet(words, options)
    try:
        fleet.run()
    except KeyboardInterrupt:
        for reference in fleet.running:
            ray.cancel(reference, force=True)
        say(f'interrupted; {len(fleet.done)} of {options.shards} parts are in {options.parts}, and the same command goes on from there')
        return 130
    finally:
        ray.shutdown()
    if fleet.lost:
        say(f'shards {", ".join(map(str, sorted(fleet.lost)))} failed {options.retries + 1} times; the others\' parts are in {options.parts}')
        return 1
    merge = [str(options.lisa), 'report', 'merge', *map(str, sorted(options.parts.glob(f'part-*-of-{options.shards:05}.json')))]
    for option in ('json', 'html'):
        if getattr(options, option):
            merge += [f'--{option}', str(getattr(options, option))]
    return subprocess.run(merge).returncode


if __name__ == '__main__':
    sys.exit(main())
