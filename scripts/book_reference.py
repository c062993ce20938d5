#!/usr/bin/env python3
"""Writes docs/REFERENCE.md, the reference of messages and parameters, from their sources: msg/, action/ and config/lisa.yaml.

    scripts/book_reference.py             after a change in one of them
    scripts/book_reference.py --check     1 where the file is not what would be written; tests/docs does the same

The words are those of the comments there; nothing is said twice by hand. Only Python's standard library is used.
"""

import pathlib
import re
import sys
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'REFERENCE.md'

HEAD = """\
# Messages and parameters

<!-- Made by scripts/book_reference.py from msg/, action/ and config/lisa.yaml: change those. -->

Topics, services and lifecycle transitions are listed in the project's README; what the numbers mean to a planner is in
[The planner's outputs](PLANNER.md).

"""
PARAMETERS = """\
## Parameters

Of the node, as in `config/lisa.yaml`, which is a file to copy. `ros2 param describe /lisa NAME` says the same of a running node. A value outside its
range is refused, with the reason. *set* says when: *running*, at any time, by `ros2 param set`; *configure*, while the node is unconfigured; *start*,
in a file or with `-p` only. QoS of every topic is a parameter, too: `qos_overrides.TOPIC.publisher.POLICY` or `….subscription.POLICY`, by the
topic's resolved name, read when the topic is opened.

"""
# What a parameter's comment says about when it may be set, and what stands for it in the table.
WHEN = {'At run time': 'running', 'At the start': 'start', 'When the node is configured': 'configure'}


@dataclass
class Parameter:
    """One parameter of config/lisa.yaml."""

    name: str
    default: str
    when: str
    words: str


@dataclass
class Part:
    """A message, or one of an action's three."""

    constants: list = field(default_factory=list)  # (declaration, words)
    fields: list = field(default_factory=list)  # (type, name, words); of a remark between them (None, None, words)


def parameters(text):
    """The parameters in their groups: [(group, [Parameter])]."""
    groups, comment = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r'    # -{4} (.+?) -{4,}$', line):
            groups.append((heading[1], []))
            comment = []
        elif remark := re.match(r'    # (.+)$', line):
            comment.append(remark[1])
        elif value := re.match(r'    ([\w.]+): (.*)$', line):
            words = ' '.join(comment)
            when = re.search(rf'({"|".join(WHEN)})[.;] ?', words)
            if when is None or not groups:
                raise SystemExit(f'config/lisa.yaml:{number}: the comment of {value[1]} does not say when it may be set: one of {", ".join(WHEN)}')
            groups[-1][1].append(Parameter(value[1], value[2].strip('"'), WHEN[when[1]], words.replace(when[0], '').strip()))
            comment = []
        elif not line.strip():
            comment = []
    return groups


def interface(text):
    """(what it is for, its parts) of a .msg or .action file; the parts of an action are goal, result and feedback."""
    head, parts, lines = [], [Part()], text.splitlines()
    while lines and lines[0].startswith('#'):
        head.append(lines.pop(0).lstrip('# '))
    for line in lines:
        code, _, words = line.partition('#')
        code, words = code.strip(), words.strip()
        part = parts[-1]
        if code == '---':
            parts.append(Part())
        elif '=' in code:
            part.constants.append((code.split(' ', 1)[1], words))
        elif code:
            kind, name = code.split()
            part.fields.append((kind, name, words))
        elif words:
            part.fields.append((None, None, words))
    return ' '.join(head), parts


def cell(text):
    """Text for a table: a bar would end the cell, and an angle bracket would begin HTML."""
    return text.replace('|', '\\|').replace('<', '&lt;')


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows]) + '\n\n'


def part_page(title, part):
    text = f'**{title}**\n\n' if title else ''
    if part.constants:
        text += table(('constant', ''), [(f'`{declaration}`', cell(words)) for declaration, words in part.constants])
    rows = []
    for kind, name, words in part.fields:
        rows.append(('', '', f'*{cell(words)}*') if kind is None else (f'`{name}`', f'`{kind}`', cell(words)))
    if rows:
        text += table(('field', 'type', ''), rows)
    return text if part.constants or part.fields else text + 'Nothing.\n\n'


def interface_page(path):
    head, parts = interface(path.read_text())
    kind = path.suffix[1:]
    titles = {'msg': [''], 'srv': ['Request', 'Response'], 'action': ['Goal', 'Result', 'Feedback']}[kind]
    if len(titles) != len(parts):
        raise SystemExit(f'{path}: {len(parts)} parts; a .{kind} has {len(titles)}')
    return f'### {path.stem}\n\n`lisa_ros/{kind}/{path.stem}`: {cell(head)}\n\n' + ''.join(map(part_page, titles, parts))


def page():
    """The whole page."""
    text = HEAD + PARAMETERS
    for group, rows in parameters((ROOT / 'config' / 'lisa.yaml').read_text()):
        default = '`""`'
        text += f'### {group}\n\n' + table(
            ('parameter', 'default', 'set', ''),
            [(f'`{p.name}`', f'`{p.default}`' if p.default else default, p.when, cell(p.words)) for p in rows])
    for title, folder in (('Messages', 'msg'), ('Services', 'srv'), ('Actions', 'action')):
        files = sorted((ROOT / folder).glob(f'*.{folder}'))
        if files:
            text += f'## {title}\n\n' + ''.join(map(interface_page, files))
    return text.rstrip('\n') + '\n'


def main():
    if sys.argv[1:] == ['--check']:
        if PAGE.read_text() != page():
            print(f'{PAGE.relative_to(ROOT)} is not what its sources say: run scripts/book_reference.py', file=sys.stderr)
            return 1
        return 0
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    PAGE.write_text(page())
    return 0


if __name__ == '__main__':
    sys.exit(main())
