"""~/attention: where the model looked, over the frame it looked at."""

import time

import numpy as np
from client import PATIENCE, key
from pictures import pixels, rgb8

IN_VAIN = 'where nothing is published'


def test_it_is_drawn_on_the_same_frame_for_whoever_comes(start, guided_model, golden):
    _, client = start(model=guided_model)
    client.show(rgb8(golden.picture))
    client.ask(golden.masked)
    assert not client.attention, 'nobody has subscribed'

    client.watch_attention()
    end = time.monotonic() + PATIENCE
    while not client.attention:
        assert time.monotonic() < end, f'nothing comes on ~/attention\n{client.process.log()}'
        client.ask(golden.masked)
        time.sleep(0.3)
    result = client.ask(golden.masked)
    heat = client.wait('~/attention', lambda: client.attention.get(key(result.header)))
    height, width, _ = golden.picture.shape
    assert (heat.encoding, heat.width, heat.height) == ('rgb8', width, height)
    drawn = pixels(heat)
    assert not np.array_equal(drawn, golden.picture), 'nothing is drawn'
    overlay = client.wait('~/overlay', lambda: client.overlays.get(key(result.header)))
    assert not np.array_equal(drawn, pixels(overlay)), 'it is the overlay'

    # Invisible heat leaves the frame.
    client.set(overlay_alpha=0.0)
    time.sleep(0.3)
    result = client.ask(golden.text_only)
    heat = client.wait('~/attention of an answer without a mask', lambda: client.attention.get(key(result.header)))
    assert np.array_equal(pixels(heat), golden.picture)

    client.set(publish_attention=False)
    time.sleep(0.3)
    seen = len(client.attention)
    client.ask(golden.masked)
    time.sleep(0.7)
    assert len(client.attention) == seen, 'publish_attention is false'
    assert IN_VAIN not in client.process.said()


def test_who_comes_while_the_node_repeats_itself_sees_it_too(start, guided_model, golden):
    _, client = start(model=guided_model, mode='continuous', max_rate_hz=10.0)
    client.show(rgb8(golden.picture))
    client.ask(golden.masked)
    client.watch_attention()
    # Nobody asks again: the node does.
    client.wait('~/attention of a repeat', lambda: client.attention)


def test_a_model_without_a_guided_head_says_once_that_nothing_will_come(start, golden):
    _, client = start()
    client.show(rgb8(golden.picture))
    client.watch_attention()
    client.wait('the warning', lambda: IN_VAIN in client.process.said())
    client.ask(golden.masked)
    time.sleep(2.5)
    assert not client.attention
    [line] = [line for line in client.process.said().splitlines() if IN_VAIN in line]
    assert '/lisa/attention' in line and 'guided head' in line, line
    said = {value.key: value.value for value in client.diagnostics[-1].status[0].values}
    assert said['guided head'].startswith('none: nothing is published on /lisa/attention'), said
