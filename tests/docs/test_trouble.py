"""docs/TROUBLE.md has every text that an error, a status or the diagnostics can show, and none that they cannot."""

import re

import pytest
from pages import DOCS, ROOT, prose
from rust_texts import SOURCES, command_errors, errors, says, strings

TEXT = (DOCS / 'TROUBLE.md').read_text()
# So many letters of a text are its own; of a shorter text a quotation has to have this share. Otherwise "… is …" would be all of them.
LETTERS, SHARE = 16, 0.6
HOW = 'docs/TROUBLE.md groups texts by situation: add a row with these words and the way out, or put them beside others that have the same'


def quotes(text: str) -> list[str]:
    """What the tables quote: sentences, and errors of one word. The last column says what to do; its code spans are commands and names."""
    rows = [line.split('|')[1:-2] for line in prose(text).splitlines() if line.startswith('|')]
    spans = [span for row in rows for cell in row for span in re.findall(r'`([^`]+)`', cell)]
    return [span for span in spans if span in ERRORS or ' ' in span]


ERRORS = {**errors(), **command_errors()}
QUOTES = quotes(TEXT)


def letters(text: str) -> int:
    return len(re.findall(r'\w', text.replace('…', '')))


def covers(quote: str, text: str) -> bool:
    return letters(quote) >= min(LETTERS, SHARE * letters(text)) and says(quote, text)


@pytest.fixture(scope='module')
def everything():
    """Every string of the programs."""
    return {text for path in SOURCES for text in strings(path)}


def test_there_are_errors_and_quotations_to_compare():
    assert len(ERRORS) > 200 and len(QUOTES) > 200


def test_every_error_is_in_the_chapter():
    missing = [f'{where}: {text}' for text, where in ERRORS.items() if not any(covers(quote, text) for quote in QUOTES)]
    assert not missing, f'{HOW}:\n' + '\n'.join(missing)


def test_every_quotation_is_still_said(everything):
    gone = [quote for quote in QUOTES if quote not in KEYS and not any(says(quote, text) for text in everything)]
    assert not gone, gone


def constants(file: str, below: str = '') -> set[str]:
    text = (ROOT / file).read_text()
    return set(re.findall(r'^uint8 (\w+)=', text[text.index(below):] if below else text, re.MULTILINE))


def test_every_status_is_explained():
    statuses = constants('msg/ReasoningResult.msg') | constants('action/Follow.action') - {'FOLLOWING'}
    spatial = constants('msg/SegmentedObject.msg')
    assert 'OVERLOADED' in statuses and 'NO_TRANSFORM' in spatial
    for name in statuses | spatial:
        assert re.search(rf'^\| `{name}` \|', TEXT, re.MULTILINE), name


def test_every_message_of_the_diagnostics_is_explained():
    diagnostics, camera, managed = ROOT / 'src/ros/diagnostics.rs', ROOT / 'src/node/camera.rs', ROOT / 'src/ros/managed.rs'
    said = [text for function in ('headline', 'loading', 'without_model') for text in strings(diagnostics, function)]
    said = [text for text in said if text not in KEYS and (len(text.split()) > 2 or text in ('answering', 'disabled: …'))]
    said += [text for text in strings(camera, 'explain_no_image') if letters(text) > 21]
    said += [text for text in strings(managed) if text.startswith('the node is ')]
    said += [text for text in strings(ROOT / 'src/ros/qos.rs', 'describe') if len(text.split()) > 3]
    assert len(said) >= 15, said
    missing = [text for text in said if not any(covers(quote, text) for quote in [*QUOTES, 'answering'])]
    assert not missing, missing


def diagnostic_keys() -> list[str]:
    source = (ROOT / 'src/ros/diagnostics.rs').read_text()
    keys = re.findall(r'report\.value\(\s*(?:format!\(\s*)?"([^"]+)"', source)
    return [re.sub(r'\{[^}]*\}', '…', key) for key in keys]


KEYS = diagnostic_keys()


def test_every_value_of_the_diagnostics_is_explained():
    assert len(set(KEYS)) > 30
    missing = [key for key in KEYS if f'`{key}`' not in TEXT]
    assert not missing, missing
