#!/usr/bin/env python3
"""Makes the pictures of docs/WEB.md: the page with an answer, in light, in dark and on a phone.

    scripts/web_pictures.py [LISA]

LISA is the program (target/release/lisa). Needs chromium and chromedriver (scripts/setup_browser.sh). Shades are reduced, so that
no picture has more than 300 kB; Chromium does that too, for there may be no other program for pictures.
"""

import base64
import pathlib
import signal
import subprocess
import sys
import tempfile

import webdriver

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 300_000
SCENE = '20'
QUESTIONS = ('Give me the fruit in sweet pieces.', 'The soup is ready and I want to serve it.')
READY = 'return document.getElementById("link").dataset.state === "ready"'
LOOKS = {
    'web': {'width': 1280, 'height': 860},
    'web-dark': {'width': 1280, 'height': 860, 'dark': True},
    'web-phone': {'width': 390, 'height': 740, 'phone': True},
}
SHRINK = '''
const [file, most, room, ratio, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const [x, y, width, height] = room.map((length) => Math.round(length * ratio));
  const photograph = context.getImageData(x, y, width, Math.min(height, canvas.height - y));
  // Fewer shades of the photograph, down to where the file is small enough: PNG keeps flat areas small.
  for (const step of [1, 4, 8, 12, 16, 24]) {
    const fewer = photograph.data.map((value, i) => i % 4 === 3 ? value : Math.round(value / step) * step);
    context.putImageData(new ImageData(fewer, photograph.width), x, y);
    const made = canvas.toDataURL('image/png').split(',')[1];
    if (made.length * 3 / 4 <= most || step === 24) return done(made);
  }
};
image.src = 'data:image/png;base64,' + file;
'''


def picture(browser, url, table, path):
    browser.go(url)
    browser.until('the server is ready', READY)
    browser.write('#file', str(table))
    for number, question in enumerate(QUESTIONS):
        browser.write('#instruction', question)
        browser.press('enter')
        browser.until('it is answered', 'return document.querySelectorAll("#history li").length === arguments[0]', number + 1)
    browser.run('document.activeElement.blur(); scrollTo(0, 0)')
    room = browser.run('const {x, y, width, height} = document.getElementById("frame").getBoundingClientRect(); return [x, y, width, height]')
    ratio = browser.run('return devicePixelRatio')
    browser.screenshot(path)
    browser.go('about:blank')
    small = browser.call('POST', '/execute/async', {'script': SHRINK, 'args': [base64.b64encode(path.read_bytes()).decode(), MOST - 2000, room, ratio]})
    path.write_bytes(base64.b64decode(small))
    size = path.stat().st_size
    print(f'{path.relative_to(ROOT)}: {size} bytes')
    if size > MOST:
        sys.exit(f'{path} has more than {MOST} bytes')


def main():
    lisa = sys.argv[1] if len(sys.argv) > 1 else ROOT / 'target' / 'release' / 'lisa'
    if reason := webdriver.missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([lisa, 'world', '--split', 'test', '--count', '1', '--seed', SCENE, '--out', folder / 'tables', '--format', 'frames'],
                       check=True, stdout=subprocess.DEVNULL)
        table = next((folder / 'tables').rglob('*_rgb.png'))
        serving = subprocess.Popen([lisa, 'serve', '--model', ROOT / 'models' / 'lisa-mini', '--device', 'cpu', '--port', '0'], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            url = next(line.split(' (')[0] for line in serving.stdout if line.startswith('http://'))
            for name, look in LOOKS.items():
                (folder / name).mkdir()
                browser = webdriver.Browser(folder / name, **look)
                try:
                    picture(browser, url, table, ROOT / 'docs' / f'{name}.png')
                finally:
                    browser.close()
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.wait()


if __name__ == '__main__':
    main()
