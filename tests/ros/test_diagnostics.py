"""/diagnostics: once a second, in words."""

import re

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
    lisa.wait('six diagnostics', lambda: len(lisa.diagnostics) >= count + 6)
    # By the node's own stamps: when we hear of them depends on the machine.
    stamps = [d.header.stamp.sec + d.header.stamp.nanosec * 1e-9 for d in lisa.diagnostics[count:count + 6]]
    took = stamps[-1] - stamps[0]
    assert stamps == sorted(stamps) and 4.0 <= took <= 10.0, f'six diagnostics in {took:.2f} s'


def test_a_working_node_tells_about_itself(lisa, golden):
    lisa.ask(golden.masked)
    lisa.wait('diagnostic after the answer', lambda: latest(lisa) and 'generate' in latest(lisa)[1], 20.0)
    status, words = latest(lisa)
    assert level(status) == int.from_bytes(DiagnosticStatus.OK, 'big'), words
    for name in ('model', 'device', 'memory', 'image', 'dropped', 'queue', 'error', 'total'):
        assert name in words, f'{name} is not in: {words}'
    values = {v.key: v.value for v in status.values}
    assert all(values.values()), f'a key without a value: {values}'
    memory = re.fullmatch(r'(\d+) MiB', values['memory'])
    # What the node says of itself, and what the system says of it.
    resident = lisa.process.rss() / 2**20
    assert memory and 0.5 * resident < int(memory[1]) < 2 * resident, f'{values["memory"]}, and {resident:.0f} MiB by /proc'
    assert float(values['latency total'].removesuffix(' s')) > 0.0, values['latency total']
    assert re.fullmatch(r'0 of \d+', values['queue']), values['queue']
    assert int(values['frames received']) > 0 and int(values['results segmented']) > 0, values


def test_silence_is_explained(start):
    _, lisa = start()
    lisa.wait('diagnostic about images', lambda: latest(lisa) and 'no image' in latest(lisa)[0].message, 20.0)
    status, words = latest(lisa)
    assert level(status) > 0, words
    assert '/image' in status.message, f'the topic is not named: {status.message}'


def test_a_camera_that_stops_is_noticed(lisa, golden):
    lisa.ask(golden.masked)
    # In the message: what was amiss before the camera came is still told as the last error.
    lisa.wait('diagnostic of a working node', lambda: latest(lisa) and 'no image' not in latest(lisa)[0].message, 20.0)
    lisa.stop_camera()
    lisa.wait('diagnostic about images', lambda: 'no image' in latest(lisa)[0].message and level(latest(lisa)[0]) > 0, 30.0)


def test_the_last_error_is_kept(lisa, golden):
    image = rgb8(smooth())
    image.encoding = '32FC7'
    assert '32fc7' not in latest(lisa)[1]
    lisa.show(image)
    result = lisa.ask_stamped(golden.masked)
    assert result.status in (ReasoningResult.ERROR, ReasoningResult.NO_IMAGE), said(result)
    lisa.wait('diagnostic with the error', lambda: '32fc7' in latest(lisa)[1], 20.0)
