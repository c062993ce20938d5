"""SIGINT and SIGTERM end the node with exit code 0 within two seconds, whatever it is doing."""

import signal
import time

import pytest
from pictures import rgb8

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_in_the_middle_of_an_answer(start, golden, number):
    process, lisa = start(max_new_tokens=1500)
    lisa.show(rgb8(golden.picture))
    name = lisa.send(golden.text_only)
    lisa.wait('first words', lambda: lisa.deltas_of(name))
    code, seconds = process.end(number)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_while_it_waits(start, golden, number):
    process, _ = start()
    code, seconds = process.end(number)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
@pytest.mark.parametrize('after', [0.1, 0.4])
def test_while_it_starts(start, number, after):
    process = start(client=False)
    time.sleep(after)
    code, seconds = process.end(number)
    # Before it has installed its handlers, the signal's own end is as good.
    assert code in (0, -number) and seconds < 3.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


def test_with_a_goal_and_a_queue(start, golden):
    process, lisa = start(max_new_tokens=1500)
    lisa.show(rgb8(golden.picture))
    lisa.goal(golden.text_only)
    for _ in range(4):
        lisa.send(golden.masked)
    time.sleep(0.5)
    code, seconds = process.end(signal.SIGINT)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'
    assert 'panicked' not in process.log(100), process.log(100)
