"""A node under `ros2 run` and `ros2 launch`: every way to end it there, and the exit codes that come of it (the table in README.md)."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from client import ANSWERED, Client, said
from conftest import free_domain
from pictures import rgb8
from process import PROGRAM, ROOT
from test_lifecycle import Supervisor

LAUNCHER = pathlib.Path(__file__).parent / 'launcher.py'
LISA = ROOT / 'launch' / 'lisa.launch.py'
TWO = ROOT / 'launch' / 'two_cameras.launch.py'


class Launched:
    """The launcher and its nodes in a process group of their own, as at a terminal."""

    def __init__(self, log: pathlib.Path, *arguments):
        self.domain, self.path = free_domain(), log
        self.file = open(log, 'wb')
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=self.file,
            stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ, ROS_DOMAIN_ID=str(self.domain), PYTHONDONTWRITEBYTECODE='1'))

    def log(self, lines: int = 30) -> str:
        return '\n'.join(self.path.read_text(errors='replace').splitlines()[-lines:])

    def running(self) -> bool:
        return self.process.poll() is None

    def nodes(self) -> list[int]:
        """Process ids of the nodes that were started."""
        return [int(pid) for pid in re.findall(r'^started (\d+)$', self.log(1000), re.MULTILINE)]

    def wait_for(self, what: str, condition, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f'no {what} within {seconds} s\n{self.log()}'
            time.sleep(0.02)

    def wait_ready(self, nodes: int = 1) -> None:
        self.wait_for('node that is ready', lambda: self.log(1000).count('ready: ') >= nodes)

    def code(self) -> int:
        return self.process.wait(30.0)

    def ctrl_c(self) -> None:
        """The terminal sends it to everybody in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def close(self) -> None:
        try:
            # Whoever is left of the group, which is of our own making.
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.file.close()


@pytest.fixture
def launched(tmp_path):
    made = []

    def start(*arguments):
        made.append(Launched(tmp_path / f'log {len(made)}', *arguments))
        return made[-1]
    yield start
    for launcher in made:
        launcher.close()


@pytest.fixture
def run(launched, model):
    return launched('run', PROGRAM, '--ros-args', '-p', f'model:={model}', '-p', 'device:=cpu')


def launch(launched, model, *arguments):
    return launched('launch', *arguments, f'model:={model}')


def ended_well(launcher, nodes: int) -> None:
    assert launcher.code() == 0, launcher.log()
    log = launcher.log(1000)
    assert 'escalating' not in log and 'panicked' not in log and 'has died' not in log, log
    assert len(launcher.nodes()) == nodes, log


def test_run_and_ctrl_c(run):
    run.wait_ready()
    run.ctrl_c()
    ended_well(run, 1)


def test_run_and_ctrl_c_again_and_again(run):
    run.wait_ready()
    for _ in range(20):
        run.ctrl_c()
    ended_well(run, 1)


def test_run_and_the_node_is_terminated(run):
    run.wait_ready()
    os.kill(run.nodes()[0], signal.SIGTERM)
    ended_well(run, 1)


def test_run_and_the_node_is_killed(run):
    run.wait_ready()
    os.kill(run.nodes()[0], signal.SIGKILL)
    # sys.exit(-9), which a shell shows as 247.
    assert run.code() == 256 - signal.SIGKILL, run.log()


def test_run_without_a_model(launched, tmp_path):
    launcher = launched('run', PROGRAM, '--ros-args', '-p', f'model:={tmp_path}')
    assert launcher.code() == 1 and 'lisa.json' in launcher.log(), launcher.log()


@pytest.mark.parametrize('noninteractive', [False, True], ids=['at a terminal', 'without one'])
@pytest.mark.parametrize('path, nodes', [(LISA, 1), (TWO, 1)], ids=['lisa', 'two_cameras'])
def test_launch_and_ctrl_c(launched, model, noninteractive, path, nodes):
    # Without a terminal only launch is told, as by `kill -INT`.
    arguments = ['--noninteractive', path] if noninteractive else [path]
    launcher = launch(launched, model, *arguments)
    launcher.wait_ready(nodes)
    launcher.process.send_signal(signal.SIGINT) if noninteractive else launcher.ctrl_c()
    ended_well(launcher, nodes)
    assert launcher.log(1000).count('has finished cleanly') == nodes, launcher.log()


def test_launch_and_a_signal_that_comes_to_everybody_and_is_passed_on(launched, model):
    """systemd's way with KillSignal=SIGINT: the node is told twice."""
    launcher = launch(launched, model, '--noninteractive', LISA)
    launcher.wait_ready()
    launcher.ctrl_c()
    ended_well(launcher, 1)


def test_launch_while_the_model_loads(launched, slow_model):
    launcher = launch(launched, slow_model.folder, LISA)
    slow_model.wait_until_loading(launcher)
    launcher.ctrl_c()
    ended_well(launcher, 1)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT], ids=lambda n: n.name)
def test_launch_starts_a_node_again_that_ends_by_itself(launched, model, golden, number):
    launcher = launch(launched, model, LISA, 'respawn_delay:=0.1')
    launcher.wait_ready()
    os.kill(launcher.nodes()[0], number)
    launcher.wait_ready(2)
    assert ('has finished cleanly' if number == signal.SIGINT else 'has died, exit code -9') in launcher.log(1000), launcher.log()
    lisa = Client(launcher, launcher.domain)
    try:
        lisa.wait_ready()
        lisa.image_topic = 'camera/image_raw'
        lisa.show(rgb8(golden.picture))
        result = lisa.ask(golden.masked)
        assert result.status in ANSWERED, said(result)
    finally:
        lisa.close()
    launcher.ctrl_c()
    assert launcher.code() == 0 and len(launcher.nodes()) == 2, launcher.log()


def test_launch_does_not_start_a_node_again_that_was_shut_down(launched, model):
    launcher = launch(launched, model, LISA, 'respawn_delay:=0.1')
    launcher.wait_ready()
    lisa = Client(launcher, launcher.domain)
    try:
        supervisor = Supervisor(lisa)
        assert supervisor.change('shutdown')
        time.sleep(2.0)
        assert supervisor.state == 'finalized' and len(launcher.nodes()) == 1, launcher.log()
    finally:
        lisa.close()
    launcher.ctrl_c()
    ended_well(launcher, 1)
