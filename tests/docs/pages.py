"""What stands in a page of Markdown: its blocks of code with the remarks before them, its links, and the anchors of its headings."""

import pathlib
import re
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / 'docs'


@dataclass
class Block:
    """A fenced block of code. `remark` is the HTML comment right above it, which neither mdBook nor GitHub shows; '' without one."""

    line: int
    language: str
    remark: str
    body: str


def blocks(text: str) -> list[Block]:
    found, lines = [], text.splitlines()
    number = 0
    while number < len(lines):
        fence = re.match(r'(\s*)```(\w*)$', lines[number])
        if fence is None:
            number += 1
            continue
        remark = re.fullmatch(r'\s*<!-- (.*) -->', lines[number - 1]) if number else None
        end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == '```'), None)
        assert end is not None, f'line {number + 1}: the block of code has no end'
        indent = len(fence[1])
        body = ''.join(f'{line[indent:]}\n' for line in lines[number + 1:end])
        found.append(Block(number + 1, fence[2], remark[1] if remark else '', body))
        number = end + 1
    return found


def prose(text: str) -> str:
    """The page without its blocks of code, fenced or indented after an empty line."""
    text = re.sub(r'^(\s*)```.*?^\s*```$', '', text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r'(?<=\n\n)(?: {4}.*\n?|\n)+', '\n', text)


def links(text: str) -> list[str]:
    """The targets of links and pictures, without what stands in code."""
    text = re.sub(r'`[^`\n]*`', '', prose(text))
    return re.findall(r'\]\(([^()\s]+)\)', text)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub and mdBook make them."""
    found: set[str] = set()
    for heading in re.findall(r'^#{1,6} (.+)$', prose(text), re.MULTILINE):
        heading = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading)
        anchor = re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
        number, name = 0, anchor
        while name in found:
            number += 1
            name = f'{anchor}-{number}'
        found.add(name)
    return found
