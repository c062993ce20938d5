"""Recordings on a graph: the sample bag through the node at two rates, against the answers without ROS 2; the player; the
recorder."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import free_domain
from launch_runner import described, run
from process import PROGRAM, ROOT

EVALUATE = ROOT / 'launch' / 'evaluate.launch.py'
BAG = ROOT / 'bags' / 'tableworld'
LISA = PROGRAM.parent / 'lisa'
TRUTH = '/ground_truth/mask'
INSTRUCTIONS = '/instruction_stamped'


def lisa(*arguments, code=0):
    """What `lisa` prints."""
    done = subprocess.run([LISA, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, f'{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}'
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope='module')
def bag():
    """What is in the sample bag."""
    return json.loads(lisa('bag', 'info', BAG, '--json'))


def count(bag, topic):
    [messages] = [t['messages'] for t in bag['topics'] if t['name'] == topic]
    return messages


@pytest.fixture(scope='module')
def offline(tmp_path_factory):
    """The sample bag's answers, without ROS 2: the bag with them, and the report."""
    folder = tmp_path_factory.mktemp('offline')
    lisa('bag', 'annotate', BAG, '--out', folder / 'answers', '--no-overlay')
    lisa('bag', 'eval', BAG, '--truth-topic', TRUTH, '--json', folder / 'report.json')
    return folder / 'answers', json.loads((folder / 'report.json').read_text())


@pytest.mark.parametrize('rate', ['1.0', '4.0'])
def test_played_to_the_node_a_bag_gives_the_same_masks(rate, bag, offline, tmp_path):
    answers, expected = offline
    out, log = tmp_path / 'report', tmp_path / 'launch.log'
    given = {'bag': str(BAG), 'out': str(out), 'rate': rate, 'drain': '2.0', 'player': 'lisa', 'device': 'cpu'}
    reason, codes = run(EVALUATE, given, free_domain(), log, 180.0)
    assert reason == f'the report is {out / "report.html"}' and set(codes.values()) == {0}, (reason, codes, log.read_text()[-3000:])

    report = json.loads((out / 'report.json').read_text())
    delivery = report['delivery']
    asked = count(bag, INSTRUCTIONS)
    # Every instruction without an answer is accounted for.
    accounted = sum(delivery[name] for name in ('answered', 'overloaded', 'no_image', 'cancelled', 'failed', 'dropped', 'other_frame'))
    assert delivery['asked'] == accounted == asked and delivery['unasked'] == 0
    assert delivery['failed'] == delivery['cancelled'] == delivery['dropped'] == delivery['other_frame'] == 0
    assert delivery['answered'] >= asked // 2, delivery
    assert report['latency_ms']['p50'] > 0 and delivery['frame_age_ms']['p50'] > 0
    # By their stamps, the answers equal those without ROS 2 in words, frames and every pixel.
    said = lisa('bag', 'eval', BAG, '--truth-topic', TRUTH, '--results', out / 'answers', '--against', answers,
                '--instruction-topic', INSTRUCTIONS)
    equal = delivery['answered']
    refused = asked - equal
    assert f'{equal} of {equal} answers are equal' in said, said
    rows = {row['id']: row for row in expected['instructions']}
    scored = [row for row in report['instructions'] if row['iou'] is not None]
    assert len(scored) == delivery['answered'] - delivery['without_truth'] and scored
    for row in scored:
        assert row['iou'] == rows[row['id']]['iou'] and row['answer'] == rows[row['id']]['answer'], row
    if refused == 0:
        assert (report['giou'], report['ciou']) == (expected['giou'], expected['ciou'])
    assert '<html' in (out / 'report.html').read_text()


def test_every_argument_of_the_evaluation_is_described_and_does_something(bag, tmp_path):
    other = {
        'bag': str(BAG), 'out': str(tmp_path / 'other'), 'truth_topic': '/truth', 'image_topic': '/camera/depth/image',
        'instruction_topic': INSTRUCTIONS, 'rate': '3.0', 'player': 'ros2', 'params_file': '/mine.yaml', 'model': '/models/lisa',
        'device': 'cuda:1', 'drain': '9.0', 'log_level': 'debug',
    }

    def outcome(given):
        processes, handlers, _ = described(EVALUATE, {'out': str(tmp_path / 'plain'), 'player': 'lisa', **given})
        report = [h.on_exit(type('Exit', (), {'returncode': 0})(), None) for h in handlers[1:2]]
        lines = [p.command(tmp_path) for p in processes] + [str(r[0].cmd) for r in report]
        parameters = [p for p in (tmp_path / 'launch_parameters_1',) if p.exists()]
        return lines, [p.read_text() for p in parameters]

    _, _, arguments = described(EVALUATE, {'out': str(tmp_path / 'plain')})
    assert {a.name for a in arguments} == set(other)
    assert all(a.description and a.description[-1] == '.' for a in arguments)
    plain = outcome({})
    # The bag that is given and the only topic with instructions are the defaults already.
    for argument in set(other) - {'bag', 'instruction_topic'}:
        assert outcome({argument: other[argument]}) != plain, argument


@pytest.mark.parametrize('given, said', [
    ({'player': 'rosbag'}, 'accepted: auto, ros2, lisa'),
    ({'bag': '/nowhere'}, '/nowhere'),
    ({'image_topic': '/front'}, "image_topic is '/front'; the bag has: "),
])
def test_a_wrong_argument_is_refused_before_anything_starts(given, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        described(EVALUATE, {'out': str(tmp_path / 'out'), **given})


def start(domain, *arguments, below=()):
    environment = dict(os.environ, ROS_DOMAIN_ID=str(domain))
    return subprocess.Popen([*below, LISA, 'bag', *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env=environment)


def finish(process, within=30.0):
    said, _ = process.communicate(timeout=within)
    return process.returncode, said


def test_what_is_played_is_recorded_byte_for_byte_at_its_own_pace(bag, tmp_path):
    domain = free_domain()
    topics = [f'{INSTRUCTIONS}=lisa_ros/msg/Instruction', '/camera/camera_info', '/clock']
    recorder = start(domain, 'record', *topics, '--out', tmp_path / 'copy', '--drain', '1')
    began = time.monotonic()
    player = start(domain, 'play', BAG, '--rate', '8', '--clock', '--wait-for', f'{INSTRUCTIONS}=1', '--wait-for', '/camera/camera_info')
    code, said = finish(player, 60.0)
    assert code == 0 and 'messages of' in said, said
    seconds = bag['duration_ns'] * 1e-9
    assert time.monotonic() - began > seconds / 8
    recorder.send_signal(signal.SIGINT)
    code, said = finish(recorder)
    assert code == 0 and 'messages' in said, said
    copy = json.loads(lisa('bag', 'info', tmp_path / 'copy', '--json'))
    assert count(copy, INSTRUCTIONS) == count(bag, INSTRUCTIONS)
    # The topic is best effort, as it was recorded: the graph may lose messages, but must not add any.
    assert 0 < count(copy, '/camera/camera_info') <= count(bag, '/camera/camera_info')
    assert count(copy, '/clock') > 10
    [recorded] = [t for t in copy['topics'] if t['name'] == INSTRUCTIONS]
    # Played eight times as fast, it cannot take less time than that; on a slow machine it may take more.
    took = copy['duration_ns'] * 1e-9
    assert 0.8 * seconds / 8 < took < seconds / 8 + 10.0, f'{took:.2f} s for {seconds:.2f} s at 8'
    assert recorded['type'] == 'lisa_ros/msg/Instruction'


def test_ctrl_c_ends_a_loop_and_a_recording(tmp_path):
    domain = free_domain()
    player = start(domain, 'play', BAG, '--loop', '--start', '1', '--duration', '0.5', '--topics', '/camera/camera_info')
    recorder = start(domain, 'record', '/camera/camera_info', '--out', tmp_path / 'infos')
    time.sleep(4.0)
    player.send_signal(signal.SIGINT)
    code, said = finish(player)
    assert code == 0 and 'stopped' in said, said
    recorder.send_signal(signal.SIGTERM)
    code, said = finish(recorder)
    assert code == 0, said
    # The same half second is played again and again.
    assert count(json.loads(lisa('bag', 'info', tmp_path / 'infos', '--json')), '/camera/camera_info') >= 2


def handled(process, number):
    """Whether it handles a signal itself, and whether it ignores it."""
    lines = (pathlib.Path('/proc') / str(process.pid) / 'status').read_text().splitlines()
    masks = {name: int(mask, 16) for name, _, mask in (line.partition(':') for line in lines) if name in ('SigCgt', 'SigIgn')}
    return tuple(bool(masks[name] >> (number - 1) & 1) for name in ('SigCgt', 'SigIgn'))


def test_nohup_keeps_a_recording_from_ending_with_its_terminal(tmp_path):
    recorder = start(free_domain(), 'record', '/nothing', '--out', tmp_path / 'out', '--drain', '0',
                     below=('env', '--default-signal=INT,TERM', 'nohup'))
    while not handled(recorder, signal.SIGTERM)[0]:
        assert recorder.poll() is None, recorder.communicate()
        time.sleep(0.01)
    assert handled(recorder, signal.SIGHUP) == (False, True)
    recorder.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert recorder.poll() is None
    recorder.send_signal(signal.SIGINT)
    code, said = finish(recorder)
    assert code in (0, 1) and 'panicked' not in said, said


@pytest.mark.parametrize('heard', ['by a full disk', 'by nobody'])
def test_lines_that_are_lost_cost_no_recording(heard, tmp_path):
    if heard == 'by a full disk':
        out, err = subprocess.DEVNULL, os.open('/dev/full', os.O_WRONLY)
    else:
        # `2>&1 | head -1`, once head has gone.
        reader, err = os.pipe()
        os.close(reader)
        out = err
    domain = free_domain()
    environment = dict(os.environ, ROS_DOMAIN_ID=str(domain), RUST_LOG='debug')

    def bag_command(*arguments):
        return subprocess.Popen([LISA, 'bag', *map(str, arguments)], stdout=out, stderr=err, env=environment)

    recorder = bag_command('record', f'{INSTRUCTIONS}=lisa_ros/msg/Instruction', '/never', '--out', tmp_path / 'copy', '--drain', '1')
    player = bag_command('play', BAG, '--rate', '8', '--topics', INSTRUCTIONS, '--wait-for', INSTRUCTIONS)
    assert player.wait(60.0) == 0
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(30.0) == 0
    os.close(err)
    assert (tmp_path / 'copy' / 'metadata.yaml').is_file()
    copy = json.loads(lisa('bag', 'info', tmp_path / 'copy', '--json'))
    assert count(copy, INSTRUCTIONS) > 0 and copy['notes'] == []


@pytest.mark.parametrize('arguments, said', [
    (('play', '/nowhere'), '/nowhere'),
    (('play', BAG, '--rate', '0'), 'accepted: a number from 0.01 to 100'),
    (('play', BAG, '--topics', '/nothing'), '/nothing'),
    (('play', BAG, '--start', '1000'), 'has no message to play after 1000 s'),
    (('play', BAG, '--wait-for', INSTRUCTIONS, '--wait', '0.5'), f'nobody listens to {INSTRUCTIONS} after 0.5 s (0 of 1)'),
    (('record', 'result', '--out', 'OUT'), 'it does not begin at the root, with a slash; accepted: '),
    (('record', '/x=no_such/msg/Type', '--out', 'OUT'), 'no_such/msg/Type'),
])
def test_what_cannot_be_done_is_said_in_a_line(arguments, said, tmp_path):
    out = tmp_path / 'never'
    process = start(free_domain(), *(out if argument == 'OUT' else argument for argument in arguments))
    code, output = finish(process)
    assert code != 0 and said in output and 'panicked' not in output, output
    assert not out.exists(), f'{out} was begun'
