"""scripts/fleet.py over a real Ray cluster of two nodes on loopback, of which a worker is killed in the middle."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from conftest import EVAL, PARTLY, PROGRAM, ROOT, plain_environment, timeless

SHARDS = 4


class Cluster:
    """Two nodes, each with one processor, in a folder of their own."""

    def __init__(self, python: pathlib.Path):
        self.python = python
        # Sockets lie in it, whose names may have about a hundred letters.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='r', dir='/tmp'))
        self.environment = plain_environment(RAY_USAGE_STATS_ENABLED='0', RAY_DEDUP_LOGS='0', RAY_worker_register_timeout_seconds='300')
        self.nodes = []
        head = self.start('--head', '--port=0', '--include-dashboard=false', f'--temp-dir={self.folder}')
        self.address = self.said(head, r"--address='([\d.]+:\d+)'")
        self.said(self.start(f'--address={self.address}'), r'Ray runtime started')

    def start(self, *words: str) -> pathlib.Path:
        log = self.folder / f'node{len(self.nodes)}.log'
        # Ray takes 127.0.0.1 for a slip and puts the machine's address in its place; all of 127/8 is loopback.
        words = [self.python.parent / 'ray', 'start', *words, f'--node-ip-address=127.0.0.{2 + len(self.nodes)}', '--num-cpus=1',
                 '--object-store-memory=80000000', '--disable-usage-stats', '--block']
        with open(log, 'w') as out:
            # A session of its own, so that everything a node has started goes with it.
            self.nodes.append(subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True))
        return log

    def said(self, log: pathlib.Path, pattern: str) -> str:
        deadline = time.monotonic() + 300
        while not (found := re.search(pattern, log.read_text())):
            assert time.monotonic() < deadline and all(node.poll() is None for node in self.nodes), log.read_text()
            time.sleep(0.2)
        return found[found.lastindex or 0]

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.send_signal(signal.SIGTERM)
        for node in reversed(self.nodes):
            try:
                node.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope='module')
def cluster(fleet_python):
    cluster = Cluster(fleet_python)
    yield cluster
    cluster.stop()


def working_on(parts: pathlib.Path) -> dict[int, int]:
    """The processes of `lisa` that make parts in this folder, and who started them."""
    found = {}
    for process in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            words = (process / 'cmdline').read_bytes().split(b'\0')
            parent = int((process / 'stat').read_text().rsplit(')', 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if words[0] == bytes(PROGRAM) and bytes(parts) in words:
            found[int(process.name)] = parent
    return found


def fleet(cluster: Cluster, parts: pathlib.Path, *more) -> subprocess.Popen:
    words = [cluster.python, ROOT / 'scripts' / 'fleet.py', '--address', cluster.address, '--shards', str(SHARDS), '--parts', parts,
             '--lisa', PROGRAM, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cluster.environment)


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster, night, tmp_path):
    parts, report, page = tmp_path / 'parts', tmp_path / 'night.json', tmp_path / 'night.html'
    run = fleet(cluster, parts, '--json', report, '--html', page, '--', *EVAL, '--from', night.list)
    deadline = time.monotonic() + 300
    while not (working := working_on(parts)):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.02)
    lisa, worker = next(iter(working.items()))
    os.kill(worker, signal.SIGKILL)
    said, _ = run.communicate(timeout=600)
    assert run.returncode == PARTLY, said
    assert f'{SHARDS} shards over 2 nodes, 2 processors' in said
    assert len(re.findall(r'fleet: shard \d/4 failed .* it is started again', said)) == 1, said
    assert f'{SHARDS} of {SHARDS} shards are done' in said
    # What the killed worker had started went with it.
    assert lisa not in working_on(parts)
    # Progress comes from the workers as they go.
    assert re.search(r'shard \d/4: 1 of \d: ', said), said
    assert sorted(path.name for path in parts.iterdir()) == [f'part-{k:05}-of-00004.json' for k in range(1, SHARDS + 1)]
    assert timeless(report) == night.whole()
    assert '<h2>By robot</h2>' in page.read_text()

    # The same command again finds everything done, and takes over what was lost.
    stamps = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    (parts / 'part-00002-of-00004.json').unlink()
    again = fleet(cluster, parts, '--json', report, '--', *EVAL, '--from', night.list)
    said, _ = again.communicate(timeout=600)
    assert again.returncode == PARTLY, said
    after = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    assert {name for name in after if after[name] != stamps[name]} == {'part-00002-of-00004.json'}
    assert timeless(report) == night.whole()


def test_a_shard_that_always_fails_is_named_and_the_others_are_done(cluster, night, tmp_path):
    parts = tmp_path / 'parts'
    parts.mkdir()
    # A file that is no part stands in the place of one, and is nobody's to overwrite.
    (parts / 'part-00003-of-00004.json').write_text('mine')
    run = fleet(cluster, parts, '--retries', '1', '--', *EVAL, '--from', night.list)
    said, _ = run.communicate(timeout=600)
    assert run.returncode == 1, said
    assert 'fleet: shards 3 failed 2 times' in said
    assert 'is no part of a run, and stays as it is' in said
    assert len(list(parts.iterdir())) == SHARDS
    assert (parts / 'part-00003-of-00004.json').read_text() == 'mine'
