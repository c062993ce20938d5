"""What the tests of `lisa serve` get: the program with lisa-mini, a picture of TableWorld, and a browser."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'scripts'))

import webdriver  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get('LISA_PROGRAM', ROOT / 'target' / 'release' / 'lisa'))
# No proxy stands between a program and itself.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Serving:
    """`lisa serve`, which a test may end and start again at the same address."""

    def __init__(self, *arguments: str, port: int = 0, environment: dict | None = None):
        self.arguments, self.environment = arguments, environment
        self.port = port
        self.start()

    def start(self) -> None:
        words = [PROGRAM, 'serve', '--model', ROOT / 'models' / 'lisa-mini', '--device', 'cpu', '--port', str(self.port), *self.arguments]
        environment = {name: value for name, value in os.environ.items() if name != 'LISA_WEB_TOKEN'} | (self.environment or {})
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        line = next((line for line in self.process.stdout if line.startswith('http://')), None)
        assert line, f'lisa serve ended with {self.process.wait()}'
        self.url = line.split('/ (')[0]
        self.port = int(self.url.rsplit(':', 1)[1])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self.process.stdout.close()

    def get(self, path: str) -> bytes:
        with OPENER.open(self.url + path, timeout=60) as response:
            return response.read()

    def ask(self, instruction: str, picture: pathlib.Path, **fields) -> dict:
        """An answer of the HTTP interface, past any page."""
        import base64
        question = {'instruction': instruction, 'image': base64.b64encode(picture.read_bytes()).decode(), **fields}
        request = urllib.request.Request(self.url + '/v1/segment', json.dumps(question).encode(), {'Content-Type': 'application/json'})
        with OPENER.open(request, timeout=120) as response:
            return json.load(response)

    def count(self, line: str) -> float:
        """The number of a line of /metrics; 0 where it is not there yet."""
        lines = self.get('/metrics').decode().splitlines()
        return next((float(own.rsplit(' ', 1)[1]) for own in lines if own.rsplit(' ', 1)[0] == line), 0.0)


@pytest.fixture(scope='session')
def serving():
    served = Serving()
    yield served
    served.stop()


@pytest.fixture(scope='session')
def tables(tmp_path_factory):
    """Eight pictures of a robot's table, with questions about them: (picture, questions)."""
    folder = tmp_path_factory.mktemp('tables')
    subprocess.run([PROGRAM, 'world', '--split', 'test', '--count', '8', '--seed', '20', '--out', folder, '--format', 'frames'],
                   check=True, stdout=subprocess.DEVNULL)
    scenes = sorted((folder / 'frames' / 'test').glob('*.json'))
    found = []
    for scene in scenes:
        dialogues = json.loads(scene.read_text())['dialogues']
        found.append((scene.with_name(f'{scene.stem}_rgb.png'), [dialogue['turns'][0]['question'] for dialogue in dialogues]))
    return found


@pytest.fixture(scope='session')
def found(serving, tables):
    """A picture and a question that lisa-mini answers with an object, whichever that is of the model that is there now."""
    for picture, questions in tables:
        for question in questions:
            answer = serving.ask(question, picture)
            if answer['objects']:
                return picture, question, answer
    raise AssertionError('lisa-mini finds nothing in eight pictures')


@pytest.fixture
def browse(tmp_path):
    """Opens browsers, which are closed when the test ends."""
    if reason := webdriver.missing():
        pytest.skip(reason)
    opened = []

    def open_browser(**options):
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(webdriver.Browser(folder, **options))
        return opened[-1]

    yield open_browser
    for browser in opened:
        browser.close()
