"""A browser by the WebDriver protocol (W3C), with nothing but Python's standard library: chromedriver speaks JSON over HTTP."""

import base64
import json
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

# The name under which an element stands in JSON, as the standard has it.
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
KEYS = {'enter': '\ue007', 'escape': '\ue00c', 'tab': '\ue004', 'space': '\ue00d'}


def missing() -> str | None:
    """What of a browser is not installed, with the way out."""
    browser = next((name for name in ('chromium', 'chromium-browser', 'google-chrome') if shutil.which(name)), None)
    if browser is None:
        return 'no chromium is installed (on Debian: apt-get install chromium chromium-driver)'
    if shutil.which('chromedriver') is None:
        return 'no chromedriver is installed (on Debian: apt-get install chromium-driver)'
    return None


class Failed(Exception):
    """What the browser could not do."""


class Browser:
    """A headless Chromium with a window of a given size, its own profile, and no access to anything but what it is asked for."""

    def __init__(self, folder: pathlib.Path, width: int = 1280, height: int = 800, dark: bool = False, phone: bool = False):
        self.log = folder / 'chromedriver.log'
        # Port 0 is any free one; the driver says which.
        self.driver = subprocess.Popen(['chromedriver', '--port=0'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        port = next((line.rstrip().rstrip('.').split()[-1] for line in self.driver.stdout if 'started successfully on port' in line), None)
        if port is None:
            raise Failed(f'chromedriver did not start (exit status {self.driver.wait()})')
        self.base = f'http://127.0.0.1:{port}'
        arguments = ['--headless=new', '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage', f'--window-size={width},{height}',
                     f'--user-data-dir={folder / "profile"}', '--hide-scrollbars', '--no-proxy-server']
        # In a container the tests run as root, for whom Chromium starts without its sandbox only.
        arguments.append('--no-sandbox')
        options = {'args': arguments}
        if phone:
            options['mobileEmulation'] = {'deviceMetrics': {'width': width, 'height': height, 'pixelRatio': 2, 'touch': True}}
        session = self._call('POST', '/session', {'capabilities': {'alwaysMatch': {
            'goog:chromeOptions': options, 'goog:loggingPrefs': {'browser': 'ALL'}}}})
        self.session = f'/session/{session["sessionId"]}'
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.call('POST', '/goog/cdp/execute', {'cmd': 'Emulation.setEmulatedMedia', 'params': {'features': [scheme]}})

    def _call(self, method: str, path: str, body: dict | None = None):
        data = None if method == 'GET' else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {'Content-Type': 'application/json'}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as response:
                return json.load(response)['value']
        except urllib.error.HTTPError as error:
            raise Failed(json.load(error)['value']['message'].splitlines()[0]) from None

    def call(self, method: str, path: str, body: dict | None = None):
        return self._call(method, self.session + path, body)

    def go(self, url: str) -> None:
        self.call('POST', '/url', {'url': url})

    def reload(self) -> None:
        self.call('POST', '/refresh')

    def run(self, script: str, *arguments):
        """Runs a function's body in the page; returns what it returns."""
        return self.call('POST', '/execute/sync', {'script': script, 'args': list(arguments)})

    def find(self, selector: str) -> str:
        return self.call('POST', '/element', {'using': 'css selector', 'value': selector})[ELEMENT]

    def click(self, selector: str) -> None:
        self.call('POST', f'/element/{self.find(selector)}/click')

    def write(self, selector: str, text: str) -> None:
        """Types into an element, or gives a file's path to one that takes files."""
        self.call('POST', f'/element/{self.find(selector)}/value', {'text': text})

    def press(self, key: str) -> None:
        """Presses a key where the focus is."""
        key = KEYS.get(key, key)
        self.call('POST', '/actions', {'actions': [{'type': 'key', 'id': 'keyboard', 'actions': [
            {'type': 'keyDown', 'value': key}, {'type': 'keyUp', 'value': key}]}]})

    def click_at(self, x: int, y: int) -> None:
        """Clicks at a place of the window."""
        self.call('POST', '/actions', {'actions': [{'type': 'pointer', 'id': 'mouse', 'actions': [
            {'type': 'pointerMove', 'x': x, 'y': y}, {'type': 'pointerDown', 'button': 0}, {'type': 'pointerUp', 'button': 0}]}]})

    def text(self, selector: str) -> str:
        return self.run('return document.querySelector(arguments[0]).textContent', selector)

    def until(self, what: str, script: str, *arguments, seconds: float = 60):
        """Waits until a script returns something true, and returns that."""
        end = time.monotonic() + seconds
        while True:
            if value := self.run(script, *arguments):
                return value
            assert time.monotonic() < end, f'in vain: {what}\n{self.said()}\n{self.run("return document.body.innerText")}'
            time.sleep(0.05)

    def said(self) -> list:
        """What the page wrote to its console since it was last asked: errors, and what its security policy refused."""
        return [entry['message'] for entry in self.call('POST', '/se/log', {'type': 'browser'})]

    def screenshot(self, path: pathlib.Path) -> None:
        path.write_bytes(base64.b64decode(self.call('GET', '/screenshot')))

    def close(self) -> None:
        try:
            self._call('DELETE', self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(30)
            self.driver.stdout.close()
