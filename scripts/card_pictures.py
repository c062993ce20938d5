#!/usr/bin/env python3
"""The six pictures of a model card: of the first six scenes of the test range one question each, chosen by a rule and not by how it came out.

    scripts/card_pictures.py MODEL SEED

Scene number i is asked the i-th of the kinds below, or an explicit question where it has none of that kind. Writes
MODEL/pictures/1.jpg to 6.jpg, each with the predicted mask, the outline of the true one and, beside it, where the model looked; prints
the table's rows for MODEL/README.md.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

KINDS = ('explicit', 'reasoning', 'world-knowledge', 'several', 'explanatory', 'absent')


def visible(text: str) -> str:
    """A text for a cell of a table: in one line, without what would end the cell."""
    return ' '.join(text.split()).replace('|', '\\|')


def choose(cases: list[dict]) -> list[dict]:
    """One case of each scene; a case's name is SPLIT-SEED-KIND, or begins so."""
    scenes: dict[str, dict[str, dict]] = {}
    for case in cases:
        scene = '-'.join(case['name'].split('-')[:2])
        scenes.setdefault(scene, {}).setdefault(case['kind'], case)
    if len(scenes) != len(KINDS):
        raise SystemExit(f'{len(scenes)} scenes were asked about; {len(KINDS)} are needed')
    return [kinds.get(kind, kinds['explicit']) for kind, kinds in zip(KINDS, scenes.values())]


def row(number: int, case: dict) -> str:
    """A row of the card's table: picture, where it looked, what was asked and answered, how it came out."""
    if case['absent']:
        came_out = 'refused, rightly' if case['iou'] == 1.0 else 'should have been refused'
    else:
        came_out = f"IoU {case['iou']:.2f}"
    shown = [f'![](pictures/{number}.jpg)', f'![](pictures/{number}-attention.jpg)' if case['attention'] else '']
    words = [visible(case[part]) for part in ('question', 'answer')]
    return '| ' + ' | '.join([*shown, case['kind'], *words, came_out]) + ' |'


def main(model: str, seed: str) -> None:
    folder = pathlib.Path(model) / 'pictures'
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(['target/release/lisa', 'eval', 'world', '--model', model, '--split', 'test', '--seed', seed, '--count', str(len(KINDS)),
                        '--pictures', made], check=True, stdout=subprocess.DEVNULL)
        lines = (pathlib.Path(made) / 'cases.jsonl').read_text(encoding='utf-8').splitlines()
        chosen = choose([json.loads(line) for line in lines])
        folder.mkdir(exist_ok=True)
        for number, case in enumerate(chosen, 1):
            for part, name in (('picture', f'{number}.jpg'), ('attention', f'{number}-attention.jpg')):
                if case[part]:
                    (folder / name).write_bytes((pathlib.Path(made) / case[part]).read_bytes())
            print(row(number, case))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
