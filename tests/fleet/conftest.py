"""What the tests of a night's recordings over several machines get: recordings, the program, and a Python with Ray."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get('LISA_PROGRAM', ROOT / 'target' / 'release' / 'lisa'))
# How `lisa` ends where a recording could not be measured and the report says so.
PARTLY = 3
EVAL = ['bag', 'eval', '--truth-topic', '/ground_truth/mask', '--max-new-tokens', '24', '--device', 'cpu']


def plain_environment(**more: str) -> dict:
    """Without ROS 2's Python, and without a proxy between this machine and itself."""
    left_out = ('PYTHONPATH', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV')
    environment = {name: value for name, value in os.environ.items() if name not in left_out and not name.lower().endswith('_proxy')}
    return environment | {'NO_PROXY': '127.0.0.1,localhost', 'LISA_PROGRAM': str(PROGRAM), **more}


@pytest.fixture(scope='session')
def fleet_python() -> pathlib.Path:
    """A Python with Ray and moto."""
    setup = subprocess.run([ROOT / 'scripts' / 'setup_fleet.sh', '--tests'], text=True, stderr=subprocess.PIPE)
    python = pathlib.Path(os.environ.get('LISA_FLEET_PYTHON', ROOT / '.fleet' / 'bin' / 'python3'))
    if setup.returncode != 0:
        pytest.skip(f'Ray cannot be installed here: {setup.stderr.strip().splitlines()[-1:]}')
    return python


class Night:
    """Recordings of two robots, one of them damaged."""

    def __init__(self, folder: pathlib.Path, bags: int):
        self.folder = folder
        self.bags = []
        for k in range(bags):
            made = folder / f'made{k}'
            subprocess.run([PROGRAM, 'world', '--split', 'test', '--seed', str(20 + 2 * k), '--count', '2', '--format', 'rosbag',
                            '--size', '96x72', '--out', made], check=True, stdout=subprocess.DEVNULL)
            bag = folder / f'r{k % 2}' / f'bag{k}'
            bag.parent.mkdir(exist_ok=True)
            next(path.parent for path in made.rglob('metadata.yaml')).rename(bag)
            self.bags.append(bag)
        cut = folder / 'r1' / 'cut.mcap'
        cut.write_bytes(b'\x89MCAP0\r\n')
        self.list = folder / 'night.txt'
        self.list.write_text(''.join(f'{path}\n' for path in [*self.bags[:1], cut, *self.bags[1:]]))

    def whole(self) -> dict:
        """The report of the run in one piece."""
        report = self.folder / 'whole.json'
        if not report.exists():
            run = subprocess.run([PROGRAM, *EVAL, '--from', self.list, '--json', report], stdout=subprocess.DEVNULL)
            assert run.returncode == PARTLY
        return timeless(report)

    def merged(self, parts: pathlib.Path) -> dict:
        """The report of the parts in a folder."""
        report = self.folder / 'merged.json'
        run = subprocess.run([PROGRAM, 'report', 'merge', *sorted(parts.glob('*.json')), '--json', report], stdout=subprocess.DEVNULL)
        assert run.returncode == PARTLY
        return timeless(report)


def timeless(report: pathlib.Path) -> dict:
    """A report without its times, which no two runs share."""
    def strip(value):
        if isinstance(value, dict):
            return {name: strip(field) for name, field in value.items() if name not in ('latency_ms', 'stages_ms')}
        return [strip(item) for item in value] if isinstance(value, list) else value
    return strip(json.loads(report.read_text()))


@pytest.fixture(scope='session')
def night(tmp_path_factory) -> Night:
    return Night(tmp_path_factory.mktemp('night'), 6)
