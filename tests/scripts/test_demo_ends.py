"""scripts/demo.sh with stand-ins for the programs that it starts: what it ends with, what it leaves in demo/, and that it leaves
no process behind, at whatever moment it is stopped."""

import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Stand-ins tell that they have begun with a file of their name. The node and the camera go on until they are ended.
BEGIN = 'touch begun/$$.{name}\n'
WORLD = 'if [ "$1" = world ]; then\n' + BEGIN.format(name='world') + '''
    {world}
    mkdir -p demo/world/frames/test && echo '{{}}' >demo/world/frames/test/000000036.json
    exit 0
fi
'''
GO_ON = 'while true; do sleep 0.05; done\n'
LISA = '#!/usr/bin/env bash\n' + WORLD + BEGIN.format(name='camera') + GO_ON
NODE = '#!/usr/bin/env bash\n{signals}\n' + BEGIN.format(name='node') + GO_ON
HEARS_NOTHING = "trap '' INT TERM"
# The shell starts what is in the background with SIGINT ignored, which a bash cannot undo; Python can.
SIGINT_NODE = '''#!/usr/bin/env python3
import os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: os._exit({code}))
pathlib.Path(f'begun/{{os.getpid()}}.node').touch()
while True:
    time.sleep(0.05)
'''
PERSON = '''
import os, pathlib, sys, time
pathlib.Path(f'begun/{{os.getpid()}}.person').touch()
while len({{p.suffix for p in pathlib.Path('begun').iterdir()}}) < 4:
    time.sleep(0.01)
pathlib.Path('demo/answers.json').write_text('new')
{then}
'''


class Checkout:
    """A folder with the real demo.sh and stand-ins for the rest; every process started from it holds a pipe's end."""

    def __init__(self, folder: pathlib.Path, world: str = '', node: str = SIGINT_NODE.format(code=0), then: str = 'time.sleep(600)'):
        self.folder = folder
        for name in ('scripts', 'target/release', 'begun'):
            (folder / name).mkdir(parents=True)
        for name in ('demo.sh', 'env.sh'):
            shutil.copy(ROOT / 'scripts' / name, folder / 'scripts' / name)
        # env.sh reads them.
        for name in ('msg', 'action'):
            (folder / name).symlink_to(ROOT / name)
        (folder / 'scripts' / 'demo.py').write_text(PERSON.format(then=then))
        for name, text in [('lisa', LISA.format(world=world)), ('lisa_node', node)]:
            program = folder / 'target' / 'release' / name
            program.write_text(text)
            program.chmod(0o755)
        # Of an earlier run.
        (folder / 'demo' / 'world').mkdir(parents=True)
        for name in ('overlay.png', 'answers.json', '9-old.png', 'world/old.json'):
            (folder / 'demo' / name).write_text('old')

    def start(self, **environment: str) -> subprocess.Popen:
        self.alive, held = os.pipe()
        # As a terminal does: a process group that Ctrl-C is sent to, with SIGINT not ignored, which a job runner may do.
        self.process = subprocess.Popen(
            [self.folder / 'scripts' / 'demo.sh'], pass_fds=[held], start_new_session=True, env={**os.environ, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(held)
        return self.process

    def wait_for(self, name: str) -> None:
        end = time.monotonic() + 60
        while not list((self.folder / 'begun').glob(f'*.{name}')):
            assert self.process.poll() is None and time.monotonic() < end, f'{name} was not started'
            time.sleep(0.01)

    def all_gone(self) -> bool:
        """Whether no process holds the pipe any more; waits a minute for it."""
        ready, _, _ = select.select([self.alive], [], [], 60)
        os.close(self.alive)
        return bool(ready)

    def left(self) -> set[str]:
        return {path.name for path in (self.folder / 'demo').glob('*') if path.suffix in ('.png', '.json')}


@pytest.fixture
def make_checkout(tmp_path):
    """Makes the test's Checkout; what is left of it when the test has failed ends with the test."""
    made = []

    def make(**parts) -> Checkout:
        made.append(Checkout(tmp_path, **parts))
        return made[-1]

    yield make
    for checkout in made:
        try:
            os.killpg(checkout.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end(process: subprocess.Popen) -> str:
    return process.communicate(timeout=60)[0]


def test_it_ends_with_zero_and_leaves_only_what_is_new(tmp_path, make_checkout):
    checkout = make_checkout(then='')
    process = checkout.start()
    output = end(process)
    assert process.returncode == 0, output
    assert 'ended cleanly' in output
    assert checkout.all_gone()
    assert checkout.left() == {'answers.json'}
    assert (tmp_path / 'demo' / 'answers.json').read_text() == 'new'
    assert not (tmp_path / 'demo' / 'world' / 'old.json').exists()


@pytest.mark.parametrize(('node', 'then', 'code', 'says'), [
    (SIGINT_NODE.format(code=0), 'sys.exit(1)', 1, ''),
    (SIGINT_NODE.format(code=3), '', 1, 'the node ended with exit code 3'),
    (NODE.format(signals=HEARS_NOTHING), '', 1, 'has not ended within 10 s of SIGINT'),
], ids=['conversation', 'node', 'node hangs'])
def test_it_fails_where_the_conversation_or_the_node_does(make_checkout, node, then, code, says):
    checkout = make_checkout(node=node, then=then)
    process = checkout.start()
    output = end(process)
    assert process.returncode == code and says in output, output
    assert 'ended cleanly' not in output
    assert checkout.all_gone()


@pytest.mark.parametrize('scene', ['19', '44', '-1', 'x', '20; echo'])
def test_a_scene_that_is_not_recorded_is_refused_before_anything_is_taken_away(make_checkout, scene):
    checkout = make_checkout()
    process = checkout.start(LISA_DEMO_SCENE=scene)
    assert 'has the scenes 20 to 43' in end(process)
    assert process.returncode == 2
    assert checkout.left() == {'overlay.png', 'answers.json', '9-old.png'}
    assert checkout.all_gone()


def test_a_scene_with_a_zero_in_front_is_a_scene(make_checkout):
    process = make_checkout(then='').start(LISA_DEMO_SCENE='038')
    end(process)
    assert process.returncode == 0


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize('moment', ['world', 'node', 'camera', 'person'])
def test_stopped_when_a_program_has_just_begun_it_leaves_none_behind(tmp_path, make_checkout, number, code, moment):
    checkout = make_checkout(world='sleep 0.5')
    process = checkout.start()
    checkout.wait_for(moment)
    os.killpg(process.pid, number)
    end(process)
    assert process.returncode in (code, -number)
    assert checkout.all_gone()
    assert not checkout.left() - {'answers.json'}
    assert 'old' not in {path.read_text() for path in (tmp_path / 'demo').glob('*.json')}


@pytest.mark.parametrize('seconds', [i / 20 for i in range(12)])
def test_stopped_at_any_moment_it_leaves_none_behind(make_checkout, seconds):
    checkout = make_checkout(node=NODE.format(signals=''))
    process = checkout.start()
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    end(process)
    assert process.returncode != 0
    assert checkout.all_gone()


def test_a_node_that_hears_no_signal_is_ended_all_the_same(make_checkout):
    checkout = make_checkout(node=NODE.format(signals=HEARS_NOTHING))
    process = checkout.start()
    checkout.wait_for('person')
    os.killpg(process.pid, signal.SIGINT)
    end(process)
    assert process.returncode == 130
    assert checkout.all_gone()
