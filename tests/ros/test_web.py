"""web.enable: the node's page and the HTTP interface beneath it, about the camera's frames."""

import base64
import json
import math
import socket
import sys
import time
import urllib.error
import urllib.request

import pytest
from client import STATUS
from pictures import rgb8
from process import ROOT
from test_space import FOCAL, OK, Rig

sys.path.insert(0, str(ROOT / 'scripts'))

import webdriver  # noqa: E402

SECRET = 'correct-horse-battery'
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


class Web:
    """A client of the node's HTTP interface."""

    def __init__(self, port: int, token: str = ''):
        self.url = f'http://127.0.0.1:{port}'
        self.headers = {'Authorization': f'Bearer {token}'} if token else {}

    def call(self, path: str, question: dict | None = None):
        """Status and body; JSON as what it says."""
        data = None if question is None else json.dumps(question).encode()
        request = urllib.request.Request(self.url + path, data, {**self.headers, **({'Content-Type': 'application/json'} if data else {})})
        try:
            with OPENER.open(request, timeout=60) as response:
                status, kind, body = response.status, response.headers['Content-Type'], response.read()
        except urllib.error.HTTPError as error:
            status, kind, body = error.code, error.headers['Content-Type'], error.read()
        return status, json.loads(body) if kind == 'application/json' else body

    def is_there(self) -> bool:
        try:
            return self.call('/healthz')[0] == 200
        except OSError:
            return False


def test_a_question_of_the_page_is_about_the_newest_frame_and_is_not_published(start, golden):
    port = free_port()
    _, client = start(**{'web.enable': True, 'web.port': port})
    web = Web(port)
    client.wait('the page', web.is_there)
    assert b'<title>LISA</title>' in web.call('/')[1]
    assert web.call('/v1/model')[1]['camera'] is True
    client.show(rgb8(golden.picture))
    client.wait('a frame', lambda: web.call('/v1/camera')[0] == 200)
    status, answer = web.call('/v1/segment', {'instruction': golden.masked})
    assert status == 200, answer
    height, width, _ = golden.picture.shape
    assert (answer['picture']['width'], answer['picture']['height']) == (width, height)
    # The same question asked over ROS has the same answer, and it is the only result.
    result = client.ask(golden.masked)
    assert answer['status'] == STATUS[result.status] and answer['answer'] == result.answer
    assert [item['area'] for item in answer['objects']] == [int((mask := bytes(item.mask.data)).count(255)) for item in result.objects]
    assert web.call(f'/v1/pictures/{answer["picture"]["id"]}')[1].startswith(b'\xff\xd8')


@pytest.fixture
def placing(start, golden):
    """A node with a page and a depth camera, which sends with every picture what `sends` names (test_space.Rig)."""
    def begin(sends, **parameters):
        port = free_port()
        _, client = start(**{'web.enable': True, 'web.port': port, 'depth.transport': 'raw', 'mask_threshold': 0.01,
                             'image_reliability': 'reliable', **parameters})
        web = Web(port)
        client.wait('the page', web.is_there)
        rig = Rig(client, golden.picture, sends)
        client.wait('a frame', lambda: web.call('/v1/camera')[0] == 200)
        return client, web, rig
    return begin


def only(status, answer):
    assert status == 200 and len(answer['objects']) == 1, answer
    return answer['objects'][0]


def events(web, question):
    """The server-sent events of an answer, as pairs of a name and what it carries."""
    lines = web.call('/v1/segment?stream=true', question)[1].decode().splitlines()
    pairs = zip(lines, lines[1:])
    return [(name[6:].strip(), json.loads(data[5:])) for name, data in pairs if name.startswith('event:') and data.startswith('data:')]


def test_an_object_of_the_page_has_its_place_where_there_is_depth(placing, golden):
    client, web, rig = placing(('depth', 'info', 'tf'), target_frame='base_link')
    question = {'instruction': golden.masked}
    # Topics are found a little later than the node says that it is ready; what is missing until then is named.
    answer = client.wait('a place', lambda: next(
        (a for a in [web.call('/v1/segment', question)[1]] if a['objects'] and 'pose' in a['objects'][0]), None))
    found = answer['objects'][0]
    pose = found['pose']
    assert pose['frame_id'] == 'base_link' and 'not_located' not in found
    # The wall is 1 m before the camera, whose axis is the robot's x.
    assert pose['position']['x'] == pytest.approx(1.0, abs=0.005)
    left, width = found['box']['x'] - 0.5 - rig.k[2], found['box']['width']
    assert -(left + width) / FOCAL - 0.01 <= pose['position']['y'] <= -left / FOCAL + 0.01
    turn = pose['orientation']
    assert math.hypot(*(turn[axis] for axis in 'xyzw')) == pytest.approx(1.0)
    assert 0.0 < found['size']['y'] <= width / FOCAL + 0.01 and found['depth_coverage'] == pytest.approx(1.0)
    # It is the place that the topics have: the same question about the same picture, by its stamp.
    stamp = pose['stamp']['sec'], pose['stamp']['nanosec']
    assert (*stamp, 'camera') in client.shown, 'the stamp is that of a picture'
    result = client.ask_stamped(golden.masked, stamp=stamp)
    if result.objects and result.objects[0].spatial_status == OK:
        there = result.objects[0].pose.pose.position
        assert [pose['position'][axis] for axis in 'xyz'] == pytest.approx([there.x, there.y, there.z], abs=1e-6)
    # As it is written, too, and about the kept picture once its depth image is long forgotten.
    client.stop_camera()
    time.sleep(1.5)
    streamed = events(web, {**question, 'picture': answer['picture']['id']})
    [early] = [data for name, data in streamed if name == 'object']
    [(_, last)] = [(name, data) for name, data in streamed if name == 'done']
    assert early == last['objects'][0] and early['pose'] == pose, (early, pose)
    # A picture of one's own has no place.
    image = base64.b64encode((golden.folder / 'image.png').read_bytes()).decode()
    own = only(*web.call('/v1/segment', {**question, 'image': image}))
    assert 'pose' not in own and 'not_located' not in own


@pytest.mark.parametrize('sends, code', [(('info', 'tf'), 'NO_DEPTH'), (('depth', 'info'), 'NO_TRANSFORM'), (('depth', 'tf'), 'NO_CAMERA_INFO')])
def test_the_page_is_told_why_an_object_has_no_place(placing, golden, sends, code):
    client, web, _ = placing(sends, target_frame='base_link')

    def why():
        found = only(*web.call('/v1/segment', {'instruction': golden.masked}))
        assert 'pose' not in found
        return found['not_located'] if found['not_located']['code'] == code else None
    missing = client.wait(code, why)
    assert missing['reason'] and '\n' not in missing['reason']


def test_the_page_shows_where_an_object_is(placing, golden, tmp_path):
    if reason := webdriver.missing():
        pytest.skip(reason)
    client, web, _ = placing(('depth', 'info', 'tf'), target_frame='base_link')
    client.wait('a place', lambda: 'pose' in only(*web.call('/v1/segment', {'instruction': golden.masked})))
    browser = webdriver.Browser(tmp_path)
    try:
        browser.go(web.url + '/')
        browser.until('the live picture', 'return !document.getElementById("canvas").hidden')
        browser.write('#instruction', golden.masked)
        browser.press('enter')
        browser.until('the answer', 'return document.querySelectorAll("#history li").length === 1')
        place = 'return document.querySelector("#objects .more").textContent'
        assert ' m in base_link, ' in browser.run(place)
        # And again after a reload, out of the history.
        browser.go(web.url + '/')
        browser.until('the history', 'return document.querySelectorAll("#history li").length === 1')
        browser.click('#history button')
        browser.until('the object again', 'return document.querySelectorAll("#objects button").length === 1')
        assert ' m in base_link, ' in browser.run(place)
        assert browser.said() == []
    finally:
        browser.close()


def test_the_page_shows_the_camera_and_the_frame_that_was_asked_about(start, golden, tmp_path):
    if reason := webdriver.missing():
        pytest.skip(reason)
    port = free_port()
    _, client = start(**{'web.enable': True, 'web.port': port})
    client.wait('the page', Web(port).is_there)
    client.show(rgb8(golden.picture))
    browser = webdriver.Browser(tmp_path)
    try:
        browser.go(f'http://127.0.0.1:{port}/')
        height, width, _ = golden.picture.shape
        label = f'Picture, {width} by {height} pixels'
        browser.until('the live picture', 'return document.getElementById("canvas").getAttribute("aria-label").startsWith(arguments[0])', label)
        pressed = 'return document.getElementById("live").getAttribute("aria-pressed")'
        assert browser.run(pressed) == 'true'
        browser.write('#instruction', golden.masked)
        browser.press('enter')
        browser.until('the answer', 'return document.querySelectorAll("#history li").length === 1')
        assert browser.run('return document.querySelectorAll("#objects button").length') == 1
        # The frame stands still under its mask until the live picture is wanted again.
        assert browser.run(pressed) == 'false'
        browser.click('#live')
        browser.until('the live picture without a mask', 'return document.querySelectorAll("#objects button").length === 0')
        assert browser.said() == []
    finally:
        browser.close()


def test_a_node_that_is_disabled_refuses_with_the_reason(start, golden):
    port = free_port()
    _, client = start(**{'web.enable': True, 'web.port': port})
    web = Web(port)
    client.wait('the page', web.is_there)
    client.show(rgb8(golden.picture))
    client.wait('a frame', lambda: web.call('/v1/camera')[0] == 200)
    client.enable(False)
    status, refused = web.call('/v1/segment', {'instruction': golden.masked})
    assert status == 503 and 'disabled' in refused['error'], refused
    client.enable(True)
    client.wait('an answer', lambda: web.call('/v1/segment', {'instruction': golden.masked})[0] == 200)


def test_a_token_is_asked_for(start):
    port = free_port()
    process, client = start(environment={'LISA_WEB_TOKEN': SECRET}, **{'web.enable': True, 'web.port': port, 'web.address': '0.0.0.0'})
    client.wait('the page', Web(port).is_there)
    assert Web(port).call('/v1/model')[0] == 401
    assert Web(port, SECRET).call('/v1/model')[0] == 200
    assert SECRET not in process.said()


@pytest.mark.parametrize('given, words', [
    ({'web.address': '0.0.0.0'}, 'a token is needed'),
    ({'web.address': 'everywhere'}, 'accepted: an IP address'),
    ({'web.token': 'short'}, 'accepted: 16 to 256 letters'),
])
def test_what_cannot_be_served_ends_the_node_with_the_reason(start, given, words):
    process = start(client=False, **{'web.enable': True, 'web.port': free_port(), **given})
    assert process.wait(30) == 1
    assert words in process.log()
