"""What every test of the node gets: a model, node processes on ROS 2 graphs of their own, and an independent client."""

import fcntl
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# This machine only. Before rclpy is loaded, which reads it once.
if os.environ.get('ROS_DISTRO') == 'humble':
    os.environ['ROS_LOCALHOST_ONLY'] = '1'
else:
    os.environ.pop('ROS_LOCALHOST_ONLY', None)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

import pictures  # noqa: E402
from client import Client  # noqa: E402
from process import PROGRAM, ROOT, NodeProcess  # noqa: E402
from slow_model import SlowModel  # noqa: E402

# Every node has a domain of its own, so that no test hears the last words of another's node. Up to 101 is safe on every Linux.
_domains = itertools.cycle(random.sample(range(1, 100), 99))
_claims = []


def free_domain() -> int:
    """A domain that no other run of these tests on this machine has claimed; the claim ends with this process."""
    for domain in itertools.islice(_domains, 99):
        try:
            claim = open(pathlib.Path(tempfile.gettempdir()) / f'lisa_ros_domain_{domain}', 'w')
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        _claims.append(claim)
        # Ours are used again after a while: their nodes have long ended.
        if len(_claims) > 20:
            _claims.pop(0).close()
        return domain
    raise RuntimeError('every ROS domain is in use by a run of these tests')

# Few tokens, as in the golden data: the tiny model's answers mean nothing and end when they are made to.
DEFAULTS = {'max_new_tokens': 14, 'device': 'cpu'}


def pytest_sessionstart(session):
    if not PROGRAM.exists():
        pytest.exit(f'{PROGRAM} does not exist: run `make build`, or name a node with LISA_NODE=...', returncode=2)


@pytest.fixture(scope='session')
def golden():
    """The golden folder: its picture, its questions and what the reference answers.

    Random weights may name an object always or never; the tests need both, so our own folder stands in for one that lacks it.
    """
    own = ROOT / 'tests' / 'golden'
    given = pathlib.Path(os.environ.get('LISA_GOLDEN_DIR', own))
    # A folder of data, or one that holds such folders.
    folders = [folder for root in (given, own) for folder in (root, *sorted(root.iterdir())) if (folder / 'expected.json').is_file()]
    for folder in folders:
        cases = json.loads((folder / 'expected.json').read_text())['cases']
        if {0, 1} <= {c['n_masks'] for c in cases}:
            break
    return types.SimpleNamespace(
        folder=folder, picture=pictures.read_png(folder / 'image.png'), cases=cases,
        masked=next(c['instruction'] for c in cases if c['n_masks'] == 1),
        text_only=next(c['instruction'] for c in cases if c['n_masks'] == 0))


@pytest.fixture(scope='session')
def model(golden):
    """A model directory made of the golden checkpoint."""
    environment = dict(os.environ, LISA_GOLDEN_DIR=str(golden.folder))
    made = subprocess.run([ROOT / 'scripts' / 'tiny_model.sh'], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return pathlib.Path(made.stdout.strip())


@pytest.fixture(scope='module')
def guided_model(tmp_path_factory, model):
    """The same with a guided head: the weights are what they were, and their attention is shown."""
    guided = tmp_path_factory.mktemp('guided')
    for file in model.iterdir():
        (guided / file.name).symlink_to(file)
    config = json.loads((model / 'lisa.json').read_text())
    (guided / 'lisa.json').unlink()
    (guided / 'lisa.json').write_text(json.dumps({**config, 'guided_head': {'layer': 0, 'head': 0}}))
    return guided


@pytest.fixture
def slow_model(tmp_path, model):
    """The same, but opening it takes until the test says so."""
    (tmp_path / 'slow').mkdir()
    slow = SlowModel(tmp_path / 'slow', model)
    yield slow
    slow.close()


def _factory(tmp_path_factory, model):
    started = []

    def start(client=True, ready=True, namespace='', arguments=(), environment={}, output=None, **parameters):
        """A node; with `client` a client beside it, with `ready` only once it answers. Both, or the process alone."""
        domain = free_domain()
        log = tmp_path_factory.mktemp('node') / 'node.log'
        if namespace:
            arguments = (*arguments, '-r', f'__ns:={namespace}')
        process = NodeProcess(log, domain, {'model': model, **DEFAULTS, **parameters}, tuple(arguments), environment, output)
        process.domain = domain
        started.append(process)
        if not client:
            return process
        program = Client(process, domain, namespace)
        started.append(program)
        if ready:
            program.wait_ready()
        return process, program

    def end():
        for thing in reversed(started):
            thing.close() if isinstance(thing, Client) else thing.end()

    return start, end


@pytest.fixture
def start(tmp_path_factory, model):
    """Starts nodes that end with the test."""
    start, end = _factory(tmp_path_factory, model)
    yield start
    end()


@pytest.fixture(scope='module')
def _shared(tmp_path_factory, model):
    start, end = _factory(tmp_path_factory, model)
    yield start()
    end()


@pytest.fixture
def lisa(_shared, golden):
    """A node that the module's tests share, with the golden picture in front of it and its parameters as at the start."""
    process, client = _shared
    assert process.running(), f'an earlier test has ended the node\n{process.log()}'
    client.show(pictures.rgb8(golden.picture))
    yield client
    client.stop_camera()
    if process.running():
        client.set(mode='on_instruction', max_rate_hz=2.0, max_new_tokens=DEFAULTS['max_new_tokens'], max_pending=8,
                   temperature=0.0, mask_threshold=0.5, min_mask_area=1, sync_slop_s=0.1, overlay_alpha=0.5,
                   publish_overlay=True, publish_attention=True, clip_fit='model', unload_after=0.0)
        client.enable(True)
        client.reset_conversation()
