"""The page in a real browser: headless Chromium, driven by chromedriver (scripts/webdriver.py)."""

import threading

import pytest

READY = 'return document.getElementById("link").dataset.state === "ready"'
TURN = 'const turns = document.querySelectorAll(".turn"); return turns[turns.length - 1]'
ENDED = f'const turn = (() => {{ {TURN} }})(); return turn && !turn.querySelector(".writing") && turn.innerText'
# The runs of pixels, down the columns, in which two looks at the canvas differ, and how far from the expected mixture of
# picture and colour the differing ones are.
RUNS = '''
const [before, after, width, height] = [window.before, window.after, window.canvas.width, window.canvas.height];
const runs = [];
let value = false, length = 0;
for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
  const at = 4 * (y * width + x);
  const here = [0, 1, 2].some((c) => before[at + c] !== after[at + c]);
  if (here !== value) { runs.push(length); value = here; length = 0; }
  length++;
}
runs.push(length);
return runs;
'''
LOOK = '''
window.canvas = document.getElementById('canvas');
window[arguments[0]] = window.canvas.getContext('2d').getImageData(0, 0, window.canvas.width, window.canvas.height).data;
'''


def open_page(browser, serving):
    browser.go(serving.url + '/')
    browser.until('the server is ready', READY)


def show(browser, picture):
    """A picture, as somebody opens it."""
    browser.write('#file', str(picture))
    browser.until('the picture is there', 'return !document.getElementById("canvas").hidden')


def ask(browser, question):
    browser.write('#instruction', question)
    browser.press('enter')
    return browser.until('it is answered', ENDED)


def decode(counts):
    """COCO's run lengths from their letters (cocodataset/cocoapi, common/maskApi.c)."""
    runs, at = [], 0
    while at < len(counts):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(counts[at]) - 48
            value |= (bits & 31) << shift
            shift, at, more = shift + 5, at + 1, bool(bits & 32)
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def inside(runs):
    """The numbers of the pixels in runs of which the second, fourth, … are inside."""
    pixels, at = set(), 0
    for number, length in enumerate(runs):
        if number % 2:
            pixels.update(range(at, at + length))
        at += length
    return pixels


def test_a_question_is_answered_and_its_mask_lies_over_the_picture(browse, serving, found):
    picture, question, expected = found
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    said = ask(browser, question)
    assert question in said
    browser.run(LOOK, 'after')
    browser.click('#masks')
    browser.run(LOOK, 'before')
    # What was drawn is the mask, pixel by pixel; where the picture has the mask's own colour nothing changes.
    drawn, wanted = inside(browser.run(RUNS)), set()
    for item in expected['objects']:
        wanted |= inside(decode(item['mask']['counts']))
    assert drawn <= wanted
    assert len(drawn) > 0.98 * len(wanted)
    # In the middle of it the picture's colour and the object's are mixed half and half.
    height = expected['picture']['height']
    colour = (230, 159, 0)
    centre = next(p for p in sorted(drawn) if all(p + d in wanted for d in (1, -1, height, -height, 2, -2)))
    at = 4 * (centre % height * expected['picture']['width'] + centre // height)
    before, after = (browser.run('return [...window[arguments[0]].slice(arguments[1], arguments[1] + 3)]', name, at) for name in ('before', 'after'))
    assert all(abs(a - (b + c) / 2) <= 2 for a, b, c in zip(after, before, colour)), (before, after)
    # A blind person hears what is there.
    assert f'{len(expected["objects"])} marked' in browser.run('return document.getElementById("canvas").getAttribute("aria-label")')
    assert browser.said() == []


def test_an_object_is_highlighted_by_click_and_by_key(browse, serving, found):
    picture, question, expected = found
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    ask(browser, question)
    item = expected['objects'][0]
    pressed = 'return document.querySelector("#objects button").getAttribute("aria-pressed")'
    text = browser.text('#objects')
    assert f'{round(100 * item["score"])} %' in text and f'x {item["box"]["x"]}, y {item["box"]["y"]}' in text
    # A pixel of the mask, in the window.
    height = expected['picture']['height']
    pixels = sorted(inside(decode(item['mask']['counts'])))
    pixel = next(p for p in pixels[len(pixels) // 2:] if all(p + d in set(pixels) for d in (1, -1, height, -height)))
    x, y = browser.run('''
        const canvas = document.getElementById('canvas'), room = canvas.getBoundingClientRect();
        const fit = Math.min(room.width / canvas.width, room.height / canvas.height);
        return [room.left + (room.width - canvas.width * fit) / 2 + (arguments[0] + .5) * fit,
                room.top + (room.height - canvas.height * fit) / 2 + (arguments[1] + .5) * fit].map(Math.round)''', pixel // height, pixel % height)
    browser.click_at(x, y)
    assert browser.run(pressed) == 'true'
    browser.run('document.activeElement.blur()')
    browser.press('escape')
    assert browser.run(pressed) == 'false'
    browser.press('1')
    assert browser.run(pressed) == 'true'
    for key, box in (('m', 'masks'), ('a', 'attention')):
        was = browser.run('return document.getElementById(arguments[0]).checked', box)
        browser.press(key)
        assert browser.run('return document.getElementById(arguments[0]).checked', box) != was
    # The key for the question puts the cursor there, and no letter.
    browser.press('/')
    assert browser.run('return [document.activeElement.id, document.activeElement.value]') == ['instruction', '']
    assert browser.said() == []


def test_the_answer_is_written_as_it_comes_with_its_times(browse, serving, found):
    picture, question, _ = found
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    browser.run('''window.seen = new Set();
        new MutationObserver(() => document.querySelectorAll('.answer').forEach((answer) => window.seen.add(answer.textContent)))
          .observe(document.getElementById('talk'), {childList: true, subtree: true, characterData: true});''')
    ask(browser, question)
    # Beginning, middle, end.
    assert browser.run('return window.seen.size') >= 3
    stages = browser.run('return [...document.querySelectorAll("#times li span:first-child")].map((span) => span.textContent)')
    assert [name for name in ('queue', 'clip', 'prefill', 'generate', 'sam', 'decode') if name in stages] == \
        [name for name in stages if name not in ('preprocess', 'postprocess')]


def test_words_stay_words_in_any_language(browse, serving, tables):
    picture = tables[0][0]
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    for words in ('Wo ist die größte Schüssel – dort?', '<img src=x onerror="document.title=1"> & [SEG]'):
        said = ask(browser, words)
        assert words in said
    assert browser.run('return document.querySelectorAll("#talk img").length') == 0
    assert browser.run('return document.title') == 'LISA'
    assert browser.said() == []


def test_an_answer_is_stopped(browse, serving, tables):
    picture = tables[0][0]
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    cancelled = serving.count('lisa_requests_total{outcome="cancelled"}')
    # Others are answered first, so that there is time to press the button; one more try where the computer was faster.
    for _ in range(5):
        others = [threading.Thread(target=serving.ask, args=('Where is the bowl?', other)) for other, _ in tables[1:8]]
        for other in others:
            other.start()
        browser.write('#instruction', 'What is this?')
        browser.run('document.getElementById("ask").click(); document.getElementById("stop").click()')
        said = browser.until('it has ended', ENDED)
        for other in others:
            other.join()
        if 'Stopped.' in said:
            break
    assert 'Stopped.' in said
    browser.until('one can ask again', READY)
    assert not browser.run('return document.getElementById("ask").hidden')
    assert serving.count('lisa_requests_total{outcome="cancelled"}') <= cancelled + 5
    assert 'Stopped' not in ask(browser, 'Where is the bowl?')


def test_history_survives_a_reload(browse, serving, found, tables):
    picture, question, expected = found
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    ask(browser, question)
    other = next(table for table, _ in tables if table != picture)
    show(browser, other)
    ask(browser, 'What is this?')
    browser.reload()
    browser.until('the server is ready', READY)
    names = 'return [...document.querySelectorAll("#history button")].map((button) => button.getAttribute("aria-label"))'
    names = browser.run(names)
    assert len(names) == 2 and names[1].startswith(question)
    browser.click('#history li:nth-child(2) button')
    browser.until('its objects are there', 'return document.querySelectorAll("#objects button").length === arguments[0]', len(expected['objects']))
    # The server still has its picture, so that more can be asked about it.
    said = ask(browser, 'What is this?')
    assert 'What is this?' in said
    assert browser.run('return document.querySelector("#canvas").getAttribute("aria-label")').startswith('Picture, 640 by 480')
    assert browser.said() == []


@pytest.mark.parametrize('way', ['paste', 'drop'])
def test_a_picture_is_pasted_or_dropped(browse, serving, tables, way):
    browser = browse()
    open_page(browser, serving)
    browser.run('''
        const canvas = new OffscreenCanvas(320, 200), way = arguments[0];
        canvas.getContext('2d').fillRect(0, 0, 320, 200);
        canvas.convertToBlob().then((blob) => {
          const data = new DataTransfer();
          data.items.add(new File([blob], 'black.png', {type: 'image/png'}));
          document.dispatchEvent(way === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})
            : new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        });''', way)
    browser.until('it is there', 'return document.getElementById("canvas").getAttribute("aria-label").startsWith("Picture, 320 by 200")')
    assert 'What' in ask(browser, 'What is this?')


def test_no_picture_or_another_file_is_told(browse, serving, tmp_path):
    browser = browse()
    open_page(browser, serving)
    browser.write('#instruction', 'What is this?')
    browser.press('enter')
    browser.until('it says so', 'return document.getElementById("hint").textContent.includes("First a picture")')
    (tmp_path / 'notes.png').write_text('no picture')
    browser.write('#file', str(tmp_path / 'notes.png'))
    browser.until('it says so', 'return document.getElementById("hint").textContent.includes("no picture")')


def test_a_lost_server_is_shown_and_comes_back(browse, served_alone, tables):
    serving, picture = served_alone, tables[0][0]
    browser = browse()
    open_page(browser, serving)
    show(browser, picture)
    ask(browser, 'Where is the bowl?')
    serving.stop()
    browser.until('the loss is shown', 'return !document.getElementById("lost").hidden')
    browser.write('#instruction', 'Is it still there?')
    browser.press('enter')
    assert 'stays here' in browser.text('#hint')
    serving.start()
    browser.until('it is back', READY)
    assert browser.run('return document.getElementById("lost").hidden')
    # The new server has never seen the picture: it is sent again.
    browser.press('enter')
    browser.until('it is answered', ENDED)
    said = browser.run('return document.getElementById("talk").innerText')
    assert said.count('Is it still there?') == 1 and 'lost' not in said


def test_a_token_is_asked_for_once(browse, tmp_path):
    from conftest import Serving
    secret = 'correct-horse-battery'
    serving = Serving(environment={'LISA_WEB_TOKEN': secret})
    try:
        browser = browse()
        browser.go(serving.url + '/')
        browser.until('the dialog is there', 'return document.getElementById("token-dialog").open')
        browser.write('#token', 'wrong')
        browser.press('enter')
        browser.until('it says so', 'return !document.getElementById("token-wrong").hidden')
        browser.run('document.getElementById("token").value = ""')
        browser.write('#token', secret)
        browser.press('enter')
        browser.until('the server is ready', READY)
        browser.reload()
        browser.until('the server is ready', READY)
        # In the address it stands where nothing sends it, and not for long.
        other = browse()
        other.go(f'{serving.url}/#token={secret}')
        other.until('the server is ready', READY)
        assert secret not in other.run('return location.href')
    finally:
        serving.stop()


def test_everything_has_a_name_and_the_page_fits_a_phone(browse, serving, found):
    picture, question, _ = found
    browser = browse(width=360, height=740, phone=True)
    open_page(browser, serving)
    show(browser, picture)
    ask(browser, question)
    width, inner = browser.run('return [document.documentElement.scrollWidth, innerWidth]')
    assert width <= inner
    # What a screen reader says to each control, as the browser computes it.
    controls = browser.call('POST', '/elements', {'using': 'css selector', 'value': 'button, input, textarea, summary, canvas, img:not([alt=""])'})
    assert len(controls) > 10
    for control in controls:
        name = next(iter(control.values()))
        if browser.call('GET', f'/element/{name}/displayed'):
            label = browser.call('GET', f'/element/{name}/computedlabel')
            assert label, browser.run('return arguments[0].outerHTML', control)


def test_colours_follow_the_system_and_the_button(browse, serving):
    brightness = 'return Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))'
    light, dark = browse(dark=False), browse(dark=True)
    for browser in (light, dark):
        open_page(browser, serving)
    assert light.run(brightness) > 200 and dark.run(brightness) < 60
    for _ in range(2):
        light.click('#theme')
    assert light.text('#theme') == 'Dark' and light.run(brightness) < 60
    light.reload()
    assert light.run(brightness) < 60


@pytest.fixture
def served_alone():
    from conftest import Serving
    served = Serving()
    yield served
    if served.process.poll() is None:
        served.stop()
