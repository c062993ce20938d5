"""Pictures: every encoding, compression, reliability and clock, and pictures that are wrong."""

import array
import itertools
import time

import numpy as np
import pytest
from client import ANSWERED, key, said
from lisa_ros.msg import ReasoningResult
from pictures import ENCODINGS, compressed, encoded, pixels, rgb8, smooth
from process import ROOT
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

CLIP = sorted((ROOT / 'tests' / 'data' / 'clip').glob('*.jpg'))


def seen(lisa, golden) -> np.ndarray:
    """The frame as the node has understood it: an overlay that draws invisible masks."""
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED, said(result)
    assert key(result.header) in lisa.shown, said(result)
    return pixels(lisa.wait('~/overlay', lambda: lisa.overlays.get(key(result.header)))).astype(int)


@pytest.mark.parametrize('padding', [0, 12], ids=['tight rows', 'padded rows'])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_an_encoding_is_understood(lisa, golden, encoding, padding):
    lisa.set(overlay_alpha=0.0)
    image, picture = encoded(smooth(), encoding, padding)
    lisa.show(image)
    drawn = seen(lisa, golden)
    assert drawn.shape == picture.shape
    # The median, because outlines and labels may be drawn over some pixels.
    difference = np.median(np.abs(drawn - picture), axis=(0, 1))
    allowed = 8 if encoding.startswith('bayer') else 4 if encoding.startswith(('yuv', 'nv')) else 0
    assert (difference <= allowed).all(), f'{encoding}: colours are off by {difference}'


@pytest.mark.parametrize('kind', ['png', 'jpeg'])
def test_compressed_images_are_understood(start, golden, kind):
    _, lisa = start(image_transport='compressed')
    data = (golden.folder / 'image.png').read_bytes() if kind == 'png' else CLIP[0].read_bytes()
    lisa.show(compressed(data, kind))
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED and key(result.header) in lisa.shown, said(result)
    if kind == 'png':
        assert result.status == ReasoningResult.SEGMENTED, said(result)

    for wrong in (data[:len(data) // 3], b'\xff\xd8\xff\xe0 not a JPEG', b''):
        lisa.show(compressed(wrong, kind))
        result = lisa.ask_stamped(golden.masked)
        assert result.status in (ReasoningResult.ERROR, ReasoningResult.NO_IMAGE) and result.error, said(result)
    lisa.show(compressed(data, kind))
    assert lisa.ask(golden.masked).status in ANSWERED


@pytest.mark.parametrize('publisher', ['best effort', 'reliable'])
@pytest.mark.parametrize('node', ['best_effort', 'reliable'])
def test_reliabilities_that_match_and_the_one_that_does_not(start, golden, publisher, node):
    _, lisa = start(image_reliability=node)
    match = (publisher, node) != ('best effort', 'reliable')
    lisa.show(rgb8(smooth()), reliable=publisher == 'reliable', heard=match)
    if match:
        result = lisa.ask(golden.masked)
        assert result.status in ANSWERED and key(result.header) in lisa.shown, said(result)
        return
    result = lisa.ask(golden.masked)
    assert result.status == ReasoningResult.NO_IMAGE and result.error, said(result)

    def explained():
        words = ' '.join(s.message + ' '.join(v.value for v in s.values) for d in lisa.diagnostics[-3:] for s in d.status).lower()
        return 'best effort' in words.replace('_', ' ') and 'reliable' in words

    lisa.wait('diagnostic that names both reliabilities', explained, 20.0)


def test_no_image_yet(start, golden):
    _, lisa = start()
    for ask in (lisa.ask, lisa.ask_stamped):
        result = ask(golden.masked)
        assert result.status == ReasoningResult.NO_IMAGE and 'image' in result.error, said(result)
        assert not result.objects
    lisa.show(rgb8(golden.picture))
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED


def bad(picture, **changes) -> Image:
    image = rgb8(picture)
    for name, value in changes.items():
        setattr(image, name, value)
    return image


BAD = {
    '0x0': lambda: Image(encoding='rgb8'),
    'no width': lambda: bad(smooth(), width=0, step=0, data=array.array('B')),
    'no data': lambda: bad(smooth(), data=array.array('B')),
    'truncated data': lambda: bad(smooth(), data=array.array('B', bytes(rgb8(smooth()).data)[:-100])),
    'step too small': lambda: bad(smooth(), step=7),
    'step of zero': lambda: bad(smooth(), step=0),
    'size that overflows': lambda: bad(smooth(), width=2**32 - 1, height=2**32 - 1, step=2**32 - 1),
    'unknown encoding': lambda: bad(smooth(), encoding='32FC7'),
    'no encoding': lambda: bad(smooth(), encoding=''),
    'encoding that needs even sides': lambda: bad(smooth(), encoding='nv12', width=95, height=63, step=95),
}


@pytest.mark.parametrize('what', BAD)
def test_a_wrong_image_is_named_and_the_next_one_works(lisa, golden, what):
    image = BAD[what]()
    lisa.show(image)
    result = lisa.ask_stamped(golden.masked)
    assert result.status in (ReasoningResult.ERROR, ReasoningResult.NO_IMAGE), said(result)
    assert len(result.error) > 10 and not result.objects, said(result)
    lisa.show(rgb8(golden.picture))
    result = lisa.ask_stamped(golden.masked)
    assert result.status == ReasoningResult.SEGMENTED, said(result)


def test_unknown_encodings_are_told_what_is_accepted(lisa, golden):
    lisa.show(BAD['unknown encoding']())
    error = lisa.ask_stamped(golden.masked).error
    assert '32FC7' in error and 'rgb8' in error and 'nv12' in error, error


@pytest.mark.parametrize('size', [(1, 1), (1, 400), (400, 1), (3, 2), (2000, 1500)])
def test_odd_sizes_are_pictures_too(lisa, golden, size):
    width, height = size
    lisa.show(rgb8(smooth(width, height)), hz=5.0)
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED, said(result)


def test_stamps_that_jump_are_copied_as_they_are(lisa, golden):
    stamps = [(0, 0), (2**31 - 1, 999_999_999), (1, 1), (2_000_000_000, 5), (1_000_000_000, 5), (0, 1), (-5, 0)]
    for stamp in stamps:
        lisa.show(rgb8(golden.picture), stamp=lambda: stamp, frame_id=f'jump {stamp}')
        result = lisa.ask(golden.masked)
        assert key(result.header) == (*stamp, f'jump {stamp}'), said(result)
        assert result.status == ReasoningResult.SEGMENTED, said(result)
    # A stamped question across the jumps: whatever it is answered, it is answered.
    result = lisa.ask_stamped(golden.masked, stamp=(2**31 - 1, 0))
    assert result.status in ANSWERED or result.error, said(result)
    lisa.show(rgb8(golden.picture))
    assert lisa.ask_stamped(golden.masked).status == ReasoningResult.SEGMENTED


def test_simulated_time(start, golden):
    _, lisa = start(use_sim_time=True)
    clock = lisa.node.create_publisher(Clock, '/clock', qos_profile_sensor_data)
    ticks = itertools.count(5000)
    lisa.node.create_timer(0.1, lambda: clock.publish(tick(next(ticks))))

    def tick(tenth):
        now = Clock()
        now.clock.sec, now.clock.nanosec = tenth // 10, tenth % 10 * 10**8
        return now

    frames = itertools.count(5010)
    lisa.show(rgb8(golden.picture), stamp=lambda: (lambda n: (n // 10, n % 10 * 10**8))(next(frames)))
    result = lisa.ask(golden.masked)
    assert result.status == ReasoningResult.SEGMENTED and 500 <= result.header.stamp.sec < 5000, said(result)
    lisa.stop_camera()
    wanted = list(lisa.shown)[-3]
    result = lisa.ask_stamped(golden.masked, stamp=wanted[:2])
    assert key(result.header) == wanted, said(result)
    count = len(lisa.diagnostics)
    lisa.wait('two more diagnostics', lambda: len(lisa.diagnostics) >= count + 2)
    stamp = lisa.diagnostics[-1].header.stamp
    assert 400 < stamp.sec < 5000, f'the node\'s time is {stamp.sec}, the clock\'s about 500'


def test_a_small_fraction_of_a_second_is_enough_for_the_newest_frame(lisa, golden):
    """The frame answered about is the one shown last, not one from a queue."""
    for n in range(5):
        lisa.show(rgb8(golden.picture), frame_id=f'scene {n}', hz=20.0)
        time.sleep(0.2)
        asked = time.time()
        result = lisa.ask(golden.text_only)
        assert result.header.frame_id == f'scene {n}', said(result)
        age = asked - lisa.shown[key(result.header)]
        assert age < 1.0, f'the frame was {age:.2f} s old'
