"""While the model loads, however long that takes: parameters are served, the node can be ended, and a model that is none is named."""

import signal

import pytest
from client import ANSWERED, said
from lisa_ros.msg import ReasoningResult
from pictures import rgb8
from rcl_interfaces.msg import ParameterType

# One more than the node has places for what its topics and services bring.
FULL = 257
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def loading(start, slow_model):
    """A node in the middle of loading, and its client."""
    process, lisa = start(ready=False, model=slow_model.folder)
    slow_model.wait_until_loading(process)
    return process, lisa


def change_parameters(lisa, times: int) -> None:
    """So many changes, each of them answered, the last of them to max_new_tokens 3."""
    for left in reversed(range(times)):
        [result] = lisa.set(max_new_tokens=3 + left)
        assert result.successful, result.reason


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_a_signal_while_it_loads(loading, number):
    process, _ = loading
    code, seconds = process.end(number)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_a_signal_after_more_parameter_changes_than_places(loading, number):
    process, lisa = loading
    change_parameters(lisa, FULL)
    code, seconds = process.end(number)
    assert code == 0 and seconds < 2.0, f'exit code {code} after {seconds:.2f} s\n{process.log()}'


def test_parameters_are_served_all_the_while_and_what_was_set_counts(loading, slow_model, golden):
    process, lisa = loading
    change_parameters(lisa, 2 * FULL)
    assert lisa.get('max_new_tokens') == [3]
    assert lisa.describe('max_new_tokens')[0].type == ParameterType.PARAMETER_INTEGER
    slow_model.deliver()
    lisa.wait_ready()
    lisa.show(rgb8(golden.picture))
    result = lisa.ask(golden.text_only)
    assert result.status in ANSWERED and len(result.token_seconds) == 3, said(result)
    [result] = lisa.set(max_new_tokens=4)
    assert result.successful, result.reason
    assert len(lisa.ask(golden.text_only).token_seconds) == 4


def test_the_bound_of_the_queue_that_was_set_counts(loading, slow_model):
    _, lisa = loading
    [result] = lisa.set(max_pending=1)
    assert result.successful, result.reason
    slow_model.deliver()
    lisa.wait_ready()
    queue = lisa.wait('diagnostics of the queue', lambda: next(
        (v.value for d in lisa.diagnostics for v in d.status[0].values if v.key == 'queue'), None))
    assert queue.endswith(' of 1'), queue


@pytest.mark.parametrize('changes', [0, FULL])
def test_a_model_that_turns_out_to_be_none(loading, slow_model, changes):
    process, lisa = loading
    change_parameters(lisa, changes)
    slow_model.deliver(b'{ "version": ')
    assert process.wait(30.0) == 1, process.log()
    assert 'lisa.json' in process.log() and 'panicked' not in process.log(), process.log()
    assert not any(r.status != ReasoningResult.ERROR for r in lisa.results), 'a node without a model has answered'
