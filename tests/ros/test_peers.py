"""Other programs on the graph are killed in the middle of what they do with the node: it goes on, and ends as always.

The node talks over UDP here. What becomes of Fast DDS's shared memory when a program that uses it is killed is not the node's to decide
(Fast DDS issues 5469 and 6485). Once in some dozens of runs a result that the node had published never arrived: its stacks showed no
thread in a call, and its messages in the memory that the killed reader had not released. Where a call does not return,
src/ros/stall.rs ends the node.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest
from action_msgs.msg import GoalStatus
from client import ANSWERED, said
from lisa_ros.msg import ReasoningResult
from pictures import rgb8

PEER = pathlib.Path(__file__).parent / 'peer.py'
PROFILE = str(pathlib.Path(__file__).with_name('udp_loopback.xml'))
UDP = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT', 'FASTRTPS_DEFAULT_PROFILES_FILE': PROFILE, 'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE}


@contextlib.contextmanager
def killed(process, golden, role: str, text: str = ''):
    """Another program; the block begins when it is in the middle of its role, and at its end it gets no chance to say goodbye."""
    peer = subprocess.Popen(
        [sys.executable, str(PEER), role, str(process.domain), str(golden.folder / 'image.png'), text],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))
    try:
        line = peer.stdout.readline()
        assert line == f'{role}: in the middle\n', f'the other program says {line!r}\n{process.log()}'
        yield
    finally:
        peer.kill()
        peer.wait()
        peer.stdout.close()


def answers(lisa, golden, times: int) -> None:
    """So many instructions and goals are answered, each once."""
    for _ in range(times):
        result = lisa.ask_stamped(golden.masked)
        assert result.status == ReasoningResult.SEGMENTED, said(result)
        status, result = lisa.outcome(lisa.goal(golden.masked))
        assert status == GoalStatus.STATUS_SUCCEEDED and result.status == ReasoningResult.SEGMENTED, said(result)
    told = [r.instruction_id for r in lisa.results]
    assert len(set(told)) == len(told), 'an instruction has more than one result'


def ends_well(process) -> None:
    code, seconds = process.end()
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'
    assert 'panicked' not in process.log(100), process.log(100)


def test_in_the_middle_of_its_goal(start, golden):
    process, lisa = start(environment=UDP)
    text = f'{golden.text_only} Really?'
    with killed(process, golden, 'goal', text):
        pass
    # Nobody waits for it any more; it was not cancelled, so it is answered.
    result = lisa.wait('result of the goal', lambda: next((r for r in lisa.results if r.instruction == text), None))
    assert result.status in ANSWERED, said(result)
    lisa.show(rgb8(golden.picture))
    answers(lisa, golden, 5)
    ends_well(process)


def test_in_the_middle_of_its_goal_and_the_node_ends(start, golden):
    process, _ = start(environment=UDP)
    with killed(process, golden, 'goal', golden.text_only):
        pass
    ends_well(process)


def test_in_the_middle_of_listening(start, golden):
    process, lisa = start(environment=UDP, mode='continuous', max_rate_hz=20.0)
    lisa.show(rgb8(golden.picture))
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED
    with killed(process, golden, 'listen'):
        pass
    lisa.set(mode='on_instruction')
    # More than any publisher keeps, which is 10, for a reader that acknowledges nothing any more.
    for _ in range(12):
        result = lisa.ask_stamped(golden.masked)
        assert result.status == ReasoningResult.SEGMENTED, said(result)
    ends_well(process)


@pytest.mark.parametrize('again', [True, False], ids=['another camera comes', 'none comes'])
def test_a_camera(start, golden, again):
    process, lisa = start(environment=UDP)
    with killed(process, golden, 'camera'):
        result = lisa.ask_stamped(golden.masked)
        assert result.status == ReasoningResult.SEGMENTED and result.header.frame_id == 'killed', said(result)
    # The newest frame stays the newest until there is a newer one.
    result = lisa.ask_stamped(golden.masked)
    assert result.status == ReasoningResult.SEGMENTED and result.header.frame_id == 'killed', said(result)
    if again:
        lisa.show(rgb8(golden.picture))
        result = lisa.ask_stamped(golden.masked)
        assert result.status == ReasoningResult.SEGMENTED and result.header.frame_id == 'camera', said(result)
    else:
        lisa.wait('word of its silence', lambda: any(
            'no image on /image' in d.status[0].message for d in lisa.diagnostics))
    ends_well(process)
