"""web.enable: the node's page and the HTTP interface beneath it, about the camera's frames."""

import json
import socket
import sys
import urllib.error
import urllib.request

import pytest
from client import STATUS
from pictures import rgb8
from process import ROOT

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
