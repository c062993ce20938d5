"""The texts of the Rust sources: what `#[error("…")]` says, and every string, with … for what is filled in."""

import pathlib
import re

from pages import ROOT

SOURCES = [*sorted((ROOT / 'src').rglob('*.rs')), *sorted(ROOT.glob('crates/*/src/**/*.rs'))]
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def plain(literal: str) -> str:
    """A string of the source as it is printed: escapes and line ends are resolved, what is filled in is …."""
    text = re.sub(r'\\\n\s*', '', literal)
    text = text.replace('\\"', '"').replace('\\n', '\n').replace('\\\\', '\\')
    text = text.replace('{{', '\x01').replace('}}', '\x02')
    text = re.sub(r'\{[^{}]*\}', '…', text)
    return text.replace('\x01', '{').replace('\x02', '}')


def without_tests(source: str) -> str:
    """What is compiled into the program: tests stand at the end of a file."""
    return re.split(r'^#\[cfg\(test\)\]\nmod \w+ \{', source, maxsplit=1, flags=re.MULTILINE)[0]


def errors() -> dict[str, str]:
    """Each text of an error and where it stands. Those without words of their own, such as "{0}", are not among them."""
    found = {}
    for path in SOURCES:
        source = path.read_text()
        for start in re.finditer(r'#\[error\(\s*"', source):
            text = plain(STRING.match(source, start.end() - 1)[1])
            if len(re.findall(r'\w', text.replace('…', ''))) >= 4:
                found[text] = f'{path.relative_to(ROOT)}:{source.count(chr(10), 0, start.start()) + 1}'
    return found


def strings(path: pathlib.Path, function: str | None = None) -> list[str]:
    """All strings of a file, or of one function in it."""
    source = without_tests(path.read_text())
    if function is not None:
        body = re.search(rf'^( *)(?:pub(?:\([^)]*\))? )?fn {function}\b.*?^\1\}}', source, re.MULTILINE | re.DOTALL)
        assert body is not None, f'{path}: no function {function}'
        source = body[0]
    source = re.sub(r'^\s*//.*$', '', source, flags=re.MULTILINE)
    return [plain(literal) for literal in STRING.findall(source)]


def says(quote: str, text: str) -> bool:
    """Whether the quoted words are the text or a part of it; … in the quote stands for anything."""
    parts = [re.escape(part) for part in quote.split('…')]
    return re.search('.*'.join(parts), text, re.DOTALL) is not None


def command_errors() -> dict[str, str]:
    """What the command `lisa` says by itself when it fails: the texts of `bail!`, `anyhow!`, `ensure!` and `context` in the programs."""
    found = {}
    for path in [*sorted((ROOT / 'src/cli').rglob('*.rs')), ROOT / 'src/main.rs', *sorted((ROOT / 'src/bin').glob('*.rs'))]:
        source = without_tests(path.read_text())
        for start in re.finditer(r'(?:\b(?:bail|anyhow|ensure)!\(|\bcontext\(|\bwith_context\(\|\| format!\()[^";]*?(?=")', source):
            text = plain(STRING.match(source, start.end())[1])
            if len(re.findall(r'\w', text.replace('…', ''))) >= 4:
                found[text] = f'{path.relative_to(ROOT)}:{source.count(chr(10), 0, start.start()) + 1}'
    return found
