"""/diagnostics: once a second, in words."""

import time

from client import said
from diagnostic_msgs.msg import DiagnosticStatus
from lisa_ros.msg import ReasoningResult
from pictures import rgb8, smooth


def latest(lisa):
    """The newest status of the node, as (status, everything it says in lower case)."""
    statuses = [s for d in lisa.diagnostics for s in d.status if s.name.startswith('lisa')]
    if not statuses:
        return None
    status = statuses[-1]
    words = ' '.join([status.message, *(f'{v.key} {v.value}' for v in status.values)]).lower()
    return status, words


def level(status) -> int:
    return status.level[0] if isinstance(status.level, bytes) else status.level


def test_once_a_second(lisa):
    count = len(lisa.diagnostics)
    time.sleep(5.0)
    came = len(lisa.diagnostics) - count
    assert 4 <= came <= 6, f'{came} diagnostics in 5 s'


def test_a_working_node_tells_about_itself(lisa, golden):
    lisa.ask(golden.masked)
    lisa.wait('diagnostic after the answer', lambda: latest(lisa) and 'generate' in latest(lisa)[1], 20.0)
    status, words = latest(lisa)
    assert level(status) == int.from_bytes(DiagnosticStatus.OK, 'big'), words
    for name in ('model', 'device', 'memory', 'image', 'dropped', 'queue', 'error', 'total'):
        assert name in words, f'{name} is not in: {words}'


def test_silence_is_explained(start):
    _, lisa = start()
    lisa.wait('diagnostic about images', lambda: latest(lisa) and 'no image' in latest(lisa)[1], 20.0)
    status, words = latest(lisa)
    assert level(status) > 0, words
    assert '/image' in words, f'the topic is not named: {words}'


def test_a_camera_that_stops_is_noticed(lisa, golden):
    lisa.ask(golden.masked)
    lisa.stop_camera()
    lisa.wait('diagnostic about images', lambda: 'no image' in latest(lisa)[1] and level(latest(lisa)[0]) > 0, 30.0)


def test_the_last_error_is_kept(lisa, golden):
    image = rgb8(smooth())
    image.encoding = '32FC7'
    lisa.show(image)
    result = lisa.ask_stamped(golden.masked)
    assert result.status != ReasoningResult.SEGMENTED, said(result)
    lisa.wait('diagnostic with the error', lambda: '32fc7' in latest(lisa)[1], 20.0)
