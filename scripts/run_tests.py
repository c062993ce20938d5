#!/usr/bin/env python3
"""Runs everything that is tested, part by part, to the end, and adds it up.

A part that fails does not keep the next one from running. What a part prints is kept in target/test/PART.log; the terminal
shows what is under way and what went wrong. The last line is always `N passed, N failed, N skipped`, over all parts, and the exit
status 1 where anything failed. A formatter, a lint or a build counts as one test.

Started by scripts/test.sh, which knows the environment; only Python's standard library is used.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / 'target' / 'test'
CARGO_TEST = ['cargo', 'test', '--release', '--locked', '--workspace', '--features', 'ros', '--no-fail-fast']
CLIPPY = ['cargo', 'clippy', '--release', '--locked', '--workspace', '--all-targets']
PYTEST = ['python3', '-m', 'pytest', '-p', 'no:cacheprovider', '-rs']


@dataclass(frozen=True)
class Command:
    """One program of a part, and how its output is counted: as `one` test, as `cargo` tests or as `pytest` tests."""

    words: tuple
    counted: str = 'one'
    may_be_empty: bool = False


@dataclass(frozen=True)
class Part:
    """What is run and judged together. `minutes` were measured on two cores."""

    name: str
    idea: str
    minutes: float
    commands: tuple


def cargo_test(*targets, may_be_empty=False, environment=()):
    # With --show-output the log also holds what passing tests printed: their numbers, and why one was skipped.
    words = (*CARGO_TEST, *targets, '--', '--show-output')
    return Command(('env', *environment, *words) if environment else words, 'cargo', may_be_empty)


def targets(*names):
    return [word for name in names for word in ('--test', name)]


PARTS = (
    Part('build', 'ROS 2 where there is none, interfaces, programs', 0.2, (
        Command(('scripts/setup_ros.sh',)), Command(('scripts/build.sh',)))),
    Part('format', 'cargo fmt --check', 0.1, (Command(('cargo', 'fmt', '--check')),)),
    Part('library', 'unit and property tests of the libraries', 4, (
        cargo_test('--lib', '--bins', *targets('products', 'attention')), cargo_test('--doc', may_be_empty=True))),
    Part('golden', 'numbers of the reference: answers, masks, losses, gradients; conversion; without our kernels, too', 3, (
        cargo_test(*targets('golden', 'convert')), cargo_test(*targets('golden'), environment=('LISA_KERNELS=plain',)))),
    Part('hub', 'lisa pull: downloads from a hub on loopback, with its faults', 0.2, (
        cargo_test(*targets('hub', 'pull')),)),
    Part('engine', 'queue, sessions, caches, cancellation; where a model looked', 1, (
        cargo_test(*targets('engine', 'looking_cli', 'cli_output', 'bench_cli')),)),
    Part('training', 'training end to end, on threads, killed and resumed; docs/TRAINING.md followed', 2, (
        cargo_test(*targets('train', 'train_features', 'train_cli', 'train_quantized', 'own_pictures')),)),
    Part('recordings', 'bags: readers, damage, interoperability with rosbags, replay', 2, (
        Command(('scripts/setup_rosbags.sh',)),
        cargo_test(*targets('bag', 'bag_cli', 'bag_cli_faults', 'bag_answers', 'bag_follow', 'replay', 'sample_bag')))),
    Part('fleet', 'a night\'s recordings over several processes; a Ray cluster of two nodes, a bucket, Slurm and Kubernetes by stand-ins', 4, (
        cargo_test(*targets('night')), Command((*PYTEST, 'tests/fleet'), 'pytest'))),
    Part('geometry', 'depth images, cameras, frames in time, objects in metres', 0.5, (
        cargo_test(*targets('decode', 'compressed', 'camera', 'camera_models', 'registration', 'points', 'chains', 'properties', 'pose',
                            'accuracy', 'rejection', 'support', 'metres')),)),
    Part('lints', 'clippy, with and without ROS 2; licences and sources of what we depend on', 3, (
        Command((*CLIPPY, '--features', 'ros', '--', '-D', 'warnings')),
        Command((*CLIPPY, '--', '-D', 'warnings')),
        Command((*PYTEST, 'tests/licences'), 'pytest'))),
    Part('web', 'the HTTP interface and its limits; the page in a real browser, docs/WEB.md followed', 1.5, (
        cargo_test(*targets('serve')), Command((*PYTEST, 'tests/web'), 'pytest'))),
    Part('book', 'docs/: links, the reference, the words of errors, and the commands of the chapters; mdBook builds it', 2.5, (
        Command((*PYTEST, 'tests/docs'), 'pytest'),)),
    Part('scripts', 'the scripts themselves: this summary, the demo\'s judgement', 0.2, (
        Command((*PYTEST, 'tests/scripts'), 'pytest'),)),
    Part('install', 'make install, cargo install and a Debian package: put there, used, removed without a trace', 1, (
        Command((*PYTEST, 'tests/install'), 'pytest'),)),
    # Last of what cargo builds, because the feature makes the libraries anew.
    Part('ranks', 'training by several processes over MPI: the model of one, deaths and Ctrl-C', 4, (
        Command(('scripts/setup_mpi.sh',)),
        Command((*CARGO_TEST[:-3], '--features', 'ros,mpi', '--test', 'mpi', '--', '--show-output', '--test-threads', '1'), 'cargo'))),
    Part('ros', 'the node over DDS, by an independent client', 15, (Command((*PYTEST, 'tests/ros'), 'pytest'),)),
)
# Parts whose numbers could depend on the order of summation.
NUMERIC = ('golden', 'engine', 'training')
GROUPS = {
    'all': tuple(part.name for part in PARTS),
    'numeric': ('build', *NUMERIC),
    'lint': ('build', 'format', 'lints'),
    'rust': ('build', 'library', 'golden', 'hub', 'engine', 'training', 'recordings'),
}


@dataclass
class Count:
    """Tests of a part or of all: how many passed, and the others by name."""

    passed: int = 0
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)  # (name, reason)

    def add(self, other, prefix=''):
        self.passed += other.passed
        self.failed += [prefix + name for name in other.failed]
        self.skipped += [(prefix + name, reason) for name, reason in other.skipped]

    def __str__(self):
        return f'{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped'


RESULT = re.compile(r'^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored')
FAILED = re.compile(r'^test (.+?) \.\.\. FAILED')
IGNORED = re.compile(r'^test (.+?) \.\.\. ignored(?:, (.*))?$')
SKIPPED = re.compile(r'^SKIPPED: (.+?): (.+)$')
CRASHED = re.compile(r'^\s*process didn\'t exit successfully: `(\S+)[^`]*` \((signal.*)\)')


def count_one(name, code):
    """A program that is one test."""
    return Count(passed=1) if code == 0 else Count(failed=[f'{name} (exit status {code})'])


def count_cargo(text, code, may_be_empty=False):
    """What `cargo test` printed. A test that cannot run here says `SKIPPED: name: reason` and returns; libtest calls that passed."""
    count = Count()
    announced = 0
    for line in text.splitlines():
        if match := RESULT.match(line):
            count.passed += int(match[1])
            announced += int(match[2])
        elif match := FAILED.match(line):
            count.failed.append(match[1])
        elif match := IGNORED.match(line):
            count.skipped.append((match[1], match[2] or 'no reason is given'))
        elif match := SKIPPED.match(line):
            count.skipped.append((match[1], match[2]))
            count.passed -= 1
        elif match := CRASHED.match(line):
            count.failed.append(f'{pathlib.Path(match[1]).name} crashed ({match[2]})')
    if len(count.failed) < announced:
        count.failed += ['a test whose name is in the log'] * (announced - len(count.failed))
    if code != 0 and not count.failed:
        count.failed.append(f'cargo test did not run (exit status {code})')
    if code == 0 and not count.passed and not count.skipped and not may_be_empty:
        count.failed.append('no test ran')
    return count


def count_pytest(report, code):
    """A pytest run by its JUnit report, or by its exit status where it wrote none."""
    count = Count()
    cases = []
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter('testcase')) if report.is_file() else []
    except xml.etree.ElementTree.ParseError as error:
        # A disk that became full, or a pytest that was killed while it wrote.
        count.failed.append(f'the report of pytest cannot be read: {error}')
    for case in cases:
        name = f'{case.get("classname")}::{case.get("name")}'
        skipped = case.find('skipped')
        if case.find('failure') is not None or case.find('error') is not None:
            count.failed.append(name)
        elif skipped is not None:
            count.skipped.append((name, skipped.get('message') or 'no reason is given'))
        else:
            count.passed += 1
    if code != 0 and not count.failed:
        count.failed.append(f'pytest ended early (exit status {code})')
    if code == 0 and not count.passed and not count.skipped:
        count.failed.append('no test ran')
    return count


class Terminal:
    """Shows of a part's output what a person who waits wants to see; all of it goes to the log."""

    SHOWN = re.compile(r'^\s*(Compiling|Checking|Running|Doc-tests|Finished|error|warning|test result|Diff in|build:|setup:)'
                       r'|^test .* FAILED|^SKIPPED|^tests/|^FAILED|^ERROR|^=+ .* =+$')
    # What a failed part says last is where its reason stands.
    LAST_LINES = 60

    def __init__(self, counted):
        self.everything = counted == 'one'

    def show(self, line):
        if self.everything or self.SHOWN.match(line):
            print(line, flush=True)


def run_command(command, log, arguments, environment, shown):
    """Runs it with the package's environment; returns its exit status and what it printed."""
    # env.sh is read again each time: the build part makes what it looks for.
    words = ['bash', '-c', 'source scripts/env.sh && exec "$@"', 'bash', *command.words, *arguments]
    lines = []
    child = subprocess.Popen(words, cwd=ROOT, env=environment, text=True, errors='replace', stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log.write(f'$ {" ".join(command.words)}\n')
    try:
        for line in child.stdout:
            log.write(line)
            log.flush()
            lines.append(line)
            shown.show(line.rstrip('\n'))
        return child.wait(), ''.join(lines)
    except BaseException:
        # The terminal has interrupted the child as well; this is for one that was interrupted otherwise, or that goes on while
        # its output cannot be kept.
        child.stdout.close()
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.terminate()
            child.wait()
        raise


def run_part(part, title, arguments, environment):
    """Runs all programs of a part, each whatever became of the one before."""
    count = Count()
    with open(LOGS / f'{title}.log', 'w') as log:
        for number, command in enumerate(part.commands):
            report = LOGS / f'{title}-{number}.xml'
            report.unlink(missing_ok=True)
            extra = [f'--junitxml={report}', *arguments] if command.counted == 'pytest' else []
            shown = Terminal(command.counted)
            code, text = run_command(command, log, extra, environment, shown)
            if command.counted == 'cargo':
                found = count_cargo(text, code, command.may_be_empty)
            elif command.counted == 'pytest':
                found = count_pytest(report, code)
            else:
                found = count_one(' '.join(command.words), code)
            count.add(found)
            if found.failed and not shown.everything:
                print('\n'.join(['…', *text.splitlines()[-Terminal.LAST_LINES:]]), flush=True)
    return count


def announce(parts, threads):
    """Says what will happen and how long it takes, before anything does."""
    turns = max(1, len(threads))
    minutes = sum(part.minutes * (turns if part.name != 'build' else 1) for part in parts)
    print(f'test: {len(parts)} parts, about {max(1, round(minutes))} minutes on two cores; the first time 12 more and 9 GB, to compile everything')
    for part in parts:
        print(f'  {part.name:<11} {part.minutes:>4} min  {part.idea}')
    if threads:
        print(f'  each with {", ".join(map(str, threads))} threads for the numbers (RAYON_NUM_THREADS)')
    print(flush=True)


def summarise(results, interrupted):
    """Prints the parts, what failed and what was skipped, and the closing line; returns the exit status."""
    total = Count()
    print('\n== summary')
    for title, count, seconds in results:
        total.add(count, f'{title}: ')
        word = 'FAILED' if count.failed else 'passed'
        place = f'   {os.path.relpath(LOGS / title, ROOT)}.log' if count.failed else ''
        print(f'  {word}  {title:<16} {str(count):<42} {seconds:5.0f} s{place}')
    for heading, lines in (
        ('failed', total.failed),
        ('skipped, and why', [f'{name}: {reason}' for name, reason in total.skipped]),
    ):
        if lines:
            print(f'{heading}:')
            print('\n'.join(f'  {line}' for line in lines))
    if interrupted:
        print(f'interrupted in {interrupted}; what came after it was not run')
    print(total, flush=True)
    if interrupted:
        return 130
    return 1 if total.failed else 0


def main():
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog='scripts/test.sh', description=__doc__.split('\n')[0])
    parser.add_argument('parts', nargs='*', default=['all'], metavar='PART',
                        help=f'one of: {", ".join([*GROUPS, *names])} (all)')
    parser.add_argument('--threads', default='', metavar='N,…', help='run each part once for each number of threads')
    parser.add_argument('--no-build', action='store_true', help='the build part is known to be done')
    parser.add_argument('--pytest', default='', metavar='WORDS', help='more arguments for pytest, such as "-k shutdown"')
    options = parser.parse_args()
    wanted = set()
    for name in options.parts:
        if name not in GROUPS and name not in names:
            parser.error(f'"{name}" is not one of: {", ".join([*GROUPS, *names])}')
        wanted.update(GROUPS.get(name, (name,)))
    if not re.fullmatch(r'([1-9]\d*(,[1-9]\d*)*)?', options.threads):
        parser.error(f'--threads {options.threads}: it takes numbers of 1 or more with commas between them, such as 1,2,3')
    threads = [int(word) for word in options.threads.split(',') if word]
    parts = [part for part in PARTS if part.name in wanted and not (options.no_build and part.name == 'build')]

    announce(parts, threads)
    LOGS.mkdir(parents=True, exist_ok=True)
    turns = [(part, part.name, None) for part in parts if not threads or part.name == 'build']
    turns += [(part, f'{part.name}-{n}-threads', n) for n in threads for part in parts if part.name != 'build']
    results = []
    begun = time.monotonic()
    # Whoever ends this program wants to know how far it came, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    title = 'nothing'
    try:
        for part, title, count in turns:
            environment = dict(os.environ, PYTHONDONTWRITEBYTECODE='1')
            if count:
                environment['RAYON_NUM_THREADS'] = str(count)
            print(f'\n== {title}: {part.idea} ({time.monotonic() - begun:.0f} s so far)', flush=True)
            started = time.monotonic()
            try:
                found = run_part(part, title, options.pytest.split(), environment)
            except Exception as error:
                # A full disk under the log, say: the other parts may still have a place.
                found = Count(failed=[f'it could not be run to its end: {error}'])
                print(f'test: {title}: {error}', flush=True)
            results.append((title, found, time.monotonic() - started))
    except KeyboardInterrupt:
        return summarise(results, title)
    return summarise(results, None)


if __name__ == '__main__':
    sys.exit(main())
