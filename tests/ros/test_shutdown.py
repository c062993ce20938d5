"""SIGINT and SIGTERM end the node with exit code 0 within two seconds, whatever it is doing, and whoever waits is told."""

import contextlib
import os
import signal
import time

import pytest
from action_msgs.msg import GoalStatus
from client import ANSWERED, said, typed
from lisa_ros.msg import ReasoningResult
from pictures import rgb8
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import SetParameters

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# An impatient person, or a signal that a terminal and a launcher both deliver.
AGAIN = [(signal.SIGINT,), (signal.SIGINT,) * 50, (signal.SIGTERM, signal.SIGINT) * 5]


def ends_well(process, number=signal.SIGINT, again=()) -> None:
    code, seconds = process.end(number, again=again)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'
    assert 'panicked' not in process.log(100), process.log(100)


def taken(lisa, messages: int) -> None:
    """Returns when the node has taken so many messages that were sent before: it takes one whenever it serves a parameter."""
    for _ in range(2 * messages):
        lisa.get('mode')


class EndedFirst(Exception):
    """An answer was whole before the signal came: how long one takes is the machine's to say, and nothing was shown."""


def cut_short(scene) -> None:
    """Plays a scene with a long answer in it, again where the answer ended first."""
    for _ in range(5):
        with contextlib.suppress(EndedFirst):
            return scene()
    raise AssertionError('an answer of 1500 tokens ended first, five times')


def told(lisa, *names: str) -> None:
    """Each of the questions has one result, CANCELLED, and it says why."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end and not set(names) <= {r.instruction_id for r in lisa.results}:
        time.sleep(0.05)
    if any(r.instruction_id in names and r.status in ANSWERED for r in lisa.results):
        raise EndedFirst
    for name in names:
        results = [r for r in lisa.results if r.instruction_id == name]
        assert [r.status for r in results] == [ReasoningResult.CANCELLED], f'{name}: {list(map(said, results))}'
        assert 'shutting down' in results[0].error, said(results[0])


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_in_the_middle_of_an_answer(start, golden, number):
    def scene():
        process, lisa = start(max_new_tokens=1500)
        lisa.show(rgb8(golden.picture))
        name = lisa.send(golden.text_only)
        lisa.wait('first words', lambda: lisa.deltas_of(name))
        ends_well(process, number)
        told(lisa, name)

    cut_short(scene)


@pytest.mark.parametrize('again', AGAIN, ids=['once more', 'fifty times more', 'by turns'])
def test_more_signals_change_nothing(start, golden, again):
    def scene():
        process, lisa = start(max_new_tokens=1500)
        lisa.show(rgb8(golden.picture))
        names = [lisa.send(golden.text_only) for _ in range(4)]
        taken(lisa, len(names))
        lisa.wait('first words', lambda: lisa.deltas_of(names[0]))
        ends_well(process, again=again)
        told(lisa, *names)

    cut_short(scene)


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_while_it_waits(start, golden, number):
    process, _ = start()
    ends_well(process, number)


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
@pytest.mark.parametrize('after', [0.0, 0.05, 0.1, 0.4])
def test_while_it_starts(start, number, after):
    process = start(client=False)
    time.sleep(after)
    code, seconds = process.end(number, again=(number,))
    # Before it has installed its handlers, the signal's own end is as good.
    assert code in (0, -number) and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


def test_with_a_goal_and_a_queue(start, golden):
    def scene():
        process, lisa = start(max_new_tokens=1500)
        lisa.show(rgb8(golden.picture))
        running, waiting = lisa.goal(golden.text_only), lisa.goal(golden.masked)
        outcomes = [lisa.result_of(handle) for handle in (running, waiting)]
        names = [lisa.send(golden.masked) for _ in range(4)]
        taken(lisa, len(names))
        ends_well(process)
        told(lisa, *names)
        for outcome in outcomes:
            answer = lisa.future(outcome, 'result of a goal')
            if answer.status == GoalStatus.STATUS_SUCCEEDED:
                raise EndedFirst
            assert answer.status == GoalStatus.STATUS_ABORTED, answer.status
            assert answer.result.result.status == ReasoningResult.CANCELLED, said(answer.result.result)

    cut_short(scene)


def test_while_more_comes_than_it_has_places_for(start, golden):
    def scene():
        process, lisa = start(max_new_tokens=1500)
        lisa.show(rgb8(golden.picture))
        names = [lisa.send(golden.masked) for _ in range(2000)]
        lisa.wait('more than it can take', lambda: any(r.status == ReasoningResult.OVERLOADED for r in lisa.results))
        ends_well(process)
        told_of = [r for r in lisa.results if r.instruction_id in set(names)]
        if any(r.status in ANSWERED for r in told_of):
            raise EndedFirst
        assert len({r.instruction_id for r in told_of}) == len(told_of), 'an instruction has more than one result'
        # The one that was being answered, and those that waited behind it.
        assert {r.status for r in told_of} == {ReasoningResult.OVERLOADED, ReasoningResult.CANCELLED}

    cut_short(scene)


def test_while_nobody_reads_what_it_prints(start, slow_model):
    """A terminal stopped with Ctrl-S, or a pager: sooner or later every thread of the node stands in a line that it prints."""
    reader, writer = os.pipe()
    try:
        process, lisa = start(ready=False, output=writer, model=slow_model.folder)
        slow_model.wait_until_loading(process)
        service = lisa.node.create_client(SetParameters, f'{lisa.root}/set_parameters')
        assert service.wait_for_service(timeout_sec=60.0)
        fill(writer)
        asked = service.call_async(SetParameters.Request(parameters=[Parameter(name='max_new_tokens', value=typed(3))]))
        time.sleep(1.0)
        assert not asked.done(), 'the change is printed before it is answered, and nobody reads that'
        ends_well(process)
    finally:
        os.close(reader)
        os.close(writer)


def fill(pipe: int) -> None:
    """Leaves no room for one byte more."""
    # By a door of our own: whether a write waits is a property of what was opened, and the node's waits.
    filler = os.open(f'/proc/self/fd/{pipe}', os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, b'.' * size)
    os.close(filler)
