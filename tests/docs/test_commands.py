"""The commands of the book run, in order, as somebody would type them, with lisa-mini and the built programs.

A remark above a block of code says what becomes of it; neither mdBook nor GitHub shows it:

    <!-- run -->                    in the foreground; it ends with exit code 0
    <!-- run, exit code 1 -->       with another exit code
    <!-- run in every terminal -->  it exports what all later blocks get
    <!-- run in the background -->  in another terminal, until the chapter ends
    <!-- not run: REASON -->        here the reason is that it needs what the tests lack: a camera, a GPU, a network, minutes
    <!-- file NAME -->              the block is a file of that name
    <!-- output -->                 what the last command prints has these lines; numbers may be others
    <!-- output in the background -->   the same of what the other terminals print, waited for
    <!-- output, an example -->     it depends on the model: only lines without a letter are compared

Port 8080 is replaced by one that is free.

A chapter runs in a temporary folder that looks like the repository's root; nothing is written into the repository. `ros2` is a double
(ros2_double.py), because the command is not among the packages that make test installs. What it does not know is marked `not run`.
"""

import fcntl
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest
from pages import DOCS, ROOT, blocks

CHAPTERS = ['QUICKSTART.md', 'CAMERA.md', 'MICROPHONE.md', 'OWN_PICTURES.md', 'EVALUATING.md', 'PLANNER.md', 'TROUBLE.md', 'SECURITY.md']
PROGRAMS = pathlib.Path(os.environ.get('LISA_PROGRAM', ROOT / 'target' / 'release' / 'lisa')).parent
REMARK = re.compile(r'run(?P<back> in the background)?(?P<every> in every terminal)?(, exit code (?P<code>\d+))?|not run: (?P<why>.+)'
                    r'|file (?P<file>[\w./-]+)|(?P<output>output)(?P<waited> in the background)?(?P<example>, an example)?')
# Seconds for one command, and for what other terminals have to print.
PATIENCE = 300.0


def remark(block):
    """The parts of a block's remark; of a block of another language that has none, nothing."""
    match = REMARK.fullmatch(block.remark)
    if match is None and block.language in ('sh', 'bash', 'console', 'text'):
        raise AssertionError(f'line {block.line}: a remark has to stand above the block, not "{block.remark}": {__doc__}')
    return match


def lacks(line: str, printed: str) -> bool:
    """Whether no printed line has the words of this one; a number stands for any number, … for anything."""
    parts = re.split(r'(…|-?\d+(?:\.\d+)?)', line.strip())
    pattern = ''.join({'…': '.*'}.get(part, r'-?[\d.]+' if part[-1:].isdigit() else re.escape(part)) for part in parts)
    return not any(re.fullmatch(pattern, other.strip()) for other in printed.splitlines())


class Shell:
    """The folder, the environment and the terminals of one chapter."""

    def __init__(self, folder: pathlib.Path, domain: int):
        self.folder, self.terminals = folder / 'lisa_ros', []
        self.folder.mkdir()
        # By name: somebody may have followed the book in the repository, and left there what the commands make.
        for name in ('bags', 'config', 'examples', 'launch', 'scripts', 'tests'):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / 'models').mkdir()
        (self.folder / 'models/lisa-mini').symlink_to(ROOT / 'models/lisa-mini')
        (self.folder / 'target').mkdir()
        (self.folder / 'target/release').symlink_to(PROGRAMS)
        programs = folder / 'bin'
        programs.mkdir()
        double = programs / 'ros2'
        double.write_text(f'#!/bin/sh\nexec {sys.executable} {DOCS.parent}/tests/docs/ros2_double.py {ROOT} {PROGRAMS} "$@"\n')
        double.chmod(0o755)
        for name in ('lisa', 'lisa_node', 'lisa_bag'):
            (programs / name).symlink_to(PROGRAMS / name)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(('LISA_WEB', 'RUST_LOG'))},
            'PATH': f'{programs}:{os.environ["PATH"]}', 'ROS_DOMAIN_ID': str(domain), 'LISA_NODE': str(PROGRAMS / 'lisa_node'),
            'HOME': str(folder), 'no_proxy': '*', 'PYTHONUNBUFFERED': '1',
        }
        self.printed = ''
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]

    def start(self, body: str, **streams):
        body = body.replace('8080', str(self.port)).replace('lisa serve', f'lisa serve --port {self.port}')
        return subprocess.Popen(['bash', '-euo', 'pipefail', '-c', body], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                start_new_session=True, **streams)

    def run(self, body: str, code: int) -> None:
        process = self.start(body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            self.printed = process.communicate(timeout=PATIENCE)[0]
        finally:
            end(process)
        assert process.returncode == code, f'exit code {process.returncode} of\n{body}\n{self.printed}\n{self.background()[-2000:]}'

    def export(self, body: str) -> None:
        exported = subprocess.run(['bash', '-euo', 'pipefail', '-c', f'{body}\nenv -0'], cwd=self.folder, env=self.environment,
                                  capture_output=True, text=True, check=True).stdout
        self.environment = dict(entry.split('=', 1) for entry in exported.split('\0') if entry)

    def run_in_background(self, body: str) -> None:
        log = self.folder.parent / f'terminal-{len(self.terminals)}.log'
        self.terminals.append((self.start(body, stdout=open(log, 'wb'), stderr=subprocess.STDOUT), log))
        process = self.terminals[-1][0]
        # A person looks whether the node is ready, and needs a moment to go to the next terminal.
        is_node = 'lisa_node' in body or 'ros2 launch lisa_ros' in body
        end_of_wait = time.monotonic() + PATIENCE
        while is_node and ' ready: ' not in log.read_text() and process.poll() is None and time.monotonic() < end_of_wait:
            time.sleep(0.1)
        time.sleep(3.0)
        assert process.poll() is None, f'it ended at once:\n{body}\n{log.read_text()}'

    def background(self) -> str:
        return ''.join(log.read_text(errors='replace') for _, log in self.terminals)

    def close(self) -> None:
        for process, _ in reversed(self.terminals):
            end(process)


def end(process) -> None:
    """Ends a terminal as Ctrl-C does, and with force where that does not help."""
    for number, seconds in ((signal.SIGINT, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        # A shell may have ended before what it started.
        time.sleep(0.2)


@pytest.fixture
def shell(tmp_path):
    # A domain that nobody on this machine has claimed; tests/ros claims its own in the same way.
    for domain in random.sample(range(1, 100), 99):
        with open(pathlib.Path(tempfile.gettempdir()) / f'lisa_ros_domain_{domain}', 'w') as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            made = Shell(tmp_path, domain)
            yield made
            made.close()
            return
    raise RuntimeError('every ROS domain is in use by a run of these tests')


def needs_ros(block_list) -> bool:
    return any('ros2 ' in block.body or 'lisa_node' in block.body for block in block_list if block.remark.startswith('run'))


@pytest.mark.parametrize('chapter', CHAPTERS)
def test_the_commands_of_a_chapter_run(chapter, shell):
    assert (PROGRAMS / 'lisa').exists(), f'{PROGRAMS}/lisa does not exist: run `make build`'
    found = blocks((DOCS / chapter).read_text())
    if needs_ros(found) and 'AMENT_PREFIX_PATH' not in os.environ:
        pytest.skip('no ROS 2 in the environment: source scripts/env.sh')
    prepare = PREPARED.get(chapter)
    if prepare:
        prepare(shell)
    for block in found:
        said = remark(block)
        if said is None or said['why']:
            continue
        where = f'docs/{chapter}, line {block.line}'
        if said['file']:
            (shell.folder / said['file']).write_text(block.body)
        elif said['output']:
            lines = [line for line in block.body.splitlines() if line.strip() and not (said['example'] and re.search(r'[^\W\d]', line))]
            until = time.monotonic() + (60.0 if said['waited'] else 0.0)
            while missing := [line for line in lines if lacks(line, shell.background() if said['waited'] else shell.printed)]:
                if time.monotonic() > until:
                    printed = shell.background() if said['waited'] else shell.printed
                    raise AssertionError(f'{where}: nothing like this was printed: {missing}\n{printed}')
                time.sleep(0.2)
        elif said['back']:
            shell.run_in_background(block.body)
        elif said['every']:
            shell.export(block.body)
        else:
            shell.run(block.body, int(said['code'] or 0))


def labelled_photos(shell) -> None:
    """photos/ as LabelMe leaves it: pictures of TableWorld for photographs, with a rectangle around each thing."""
    shell.run('lisa world --split train --count 6 --seed 70 --format frames --out world', 0)
    shell.run(f'{sys.executable} tests/docs/labelled_photos.py world/frames/train photos && rm -r world', 0)


# What a reader has before a chapter begins.
PREPARED = {'OWN_PICTURES.md': labelled_photos}


def test_every_page_with_commands_to_run_is_run():
    with_remarks = {page.name for page in DOCS.glob('*.md') if any(REMARK.fullmatch(block.remark) for block in blocks(page.read_text()))}
    assert with_remarks == set(CHAPTERS)


def test_numbers_may_differ_and_words_may_not():
    assert not lacks('total 73.5 ms, … at (193, 89)', 'x\n total 8.25 ms, box at (7, 9)\n')
    assert lacks('total 73.5 ms', 'total many ms')
    assert lacks('object 0', 'object 0 and more')


def test_a_block_without_a_remark_is_refused():
    [block] = blocks('```sh\nrm -rf /\n```\n')
    with pytest.raises(AssertionError, match='line 1: a remark'):
        remark(block)
    [block] = blocks('<!-- run -->\n```sh\ntrue\n```\n')
    assert remark(block) and not remark(block)['back']
