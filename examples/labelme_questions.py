#!/usr/bin/env python3
"""Makes questions of LabelMe's files, in the layout that `lisa train` reads (ReasonSeg's):

    python3 labelme_questions.py photos kitchen --absent

`photos` holds pictures and the JSON that LabelMe has written beside each. Every label of a picture becomes one question; several shapes with
the same label are one mask. A label is asked for by its name; where a shape's description in LabelMe holds sentences, one a line, it is
asked for by these instead ("I want to drink something."). Shapes whose label begins with "ignore" are left out of every mask's score.

With --absent each picture is also asked for labels that it does not have, as often as for those that it has, and the answer refuses.
Only where everything of these labels that is visible is labelled.

Every fifth picture (--hold-out) is kept for validation: val/. Pictures are linked, or copied where that is not possible. Writes a new folder.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import sys

PICTURES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')


def picture_of(labels: pathlib.Path) -> pathlib.Path | None:
    """The picture beside a JSON, whatever the case of its ending."""
    beside = (file for file in labels.parent.iterdir() if file.stem == labels.stem and file.suffix.lower() in PICTURES)
    return next(beside, None)


def questions(shapes: list) -> dict:
    """Of each label its texts, whether they are sentences, and its shapes; "ignore" shapes go to all of them."""
    ignored = [shape for shape in shapes if shape['label'].lower().startswith('ignore')]
    found: dict = {}
    for shape in shapes:
        label = shape['label'].strip()
        if shape in ignored or not label:
            continue
        texts, own = found.setdefault(label, ([], []))
        texts += [line.strip() for line in (shape.get('description') or '').splitlines() if line.strip() and line.strip() not in texts]
        own.append(shape)
    return {label: (texts or [label], bool(texts), [*({**shape, 'label': 'target'} for shape in own), *ignored])
            for label, (texts, own) in found.items()}


def absent(labels: list, there: dict, number: int) -> list:
    """Labels that a picture lacks, as many as it has, others for each picture."""
    lacking = [label for label in labels if label not in there]
    start = number % len(lacking) if lacking else 0
    return (lacking[start:] + lacking[:start])[:len(there)]


def write(folder: pathlib.Path, split: str, photos: list, labels: list | None) -> tuple[int, int]:
    """The questions of one split; how many there are, and how many of them ask for what is not there."""
    place = folder / split
    place.mkdir(parents=True)
    together, refusals, asked = [], [], 0
    for number, (file, data, found) in enumerate(photos):
        items = [(label, {'text': texts, 'is_sentence': sentences, 'shapes': shapes}) for label, (texts, sentences, shapes) in found.items()]
        for label in absent(labels, found, number) if labels else []:
            items.append((label, {'text': [label], 'is_sentence': False, 'shapes': []}))
        # What is there and what is not is asked for in the same words. Without a question of its own a refusal would sometimes be asked for
        # a reason, and these labels never: the model would learn the words.
        for label, item in items:
            if not item['is_sentence']:
                item['question'] = f'Where is the {label}?'
        picture, names = picture_of(file), []
        for label, item in items:
            name = f'{file.stem}_{re.sub(r"[^A-Za-z0-9]+", "-", label)}_{len(names)}{picture.suffix.lower()}'
            names.append(name)
            sizes = {key: data[key] for key in ('imageHeight', 'imageWidth') if data.get(key)}
            (place / name).with_suffix('.json').write_text(json.dumps({**item, **sizes}, ensure_ascii=False))
            try:
                os.link(picture, place / name)
            except OSError:
                shutil.copy(picture, place / name)
            if not item['shapes']:
                refusals.append({'image': name, 'query': label, 'outputs': f'There is no {label} in this image.'})
        together.append(names)
        asked += len(names)
    for name, content in (('pictures', together), ('explanatory', refusals)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f'{split}.json').write_text(json.dumps(content, ensure_ascii=False))
    return asked, len(refusals)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', type=pathlib.Path, help='folder with pictures and LabelMe\'s JSON files')
    parser.add_argument('out', type=pathlib.Path, help='a new folder')
    parser.add_argument('--absent', action='store_true', help='ask for what is not there, too')
    parser.add_argument('--hold-out', type=int, default=5, metavar='N', help='every Nth picture is for validation; 0: none (%(default)s)')
    arguments = parser.parse_args()

    folder = arguments.out / 'reason_seg' / 'ReasonSeg'
    if folder.exists():
        sys.exit(f'labelme_questions: {folder} is there already; accepted: a new folder')
    photos = []
    for file in sorted(arguments.photos.glob('*.json')):
        data = json.loads(file.read_text(encoding='utf-8-sig'))
        found = questions(data.get('shapes', []))
        if picture_of(file) is None:
            sys.exit(f'labelme_questions: {file} has no picture beside it; accepted: a file of the same name that ends in {", ".join(PICTURES)}')
        if found:
            photos.append((file, data, found))
        else:
            print(f'labelme_questions: {file} has no labelled shape and is left out', file=sys.stderr)
    if not photos:
        sys.exit(f'labelme_questions: {arguments.photos} has no JSON of LabelMe with a shape in it')
    every = arguments.hold_out
    held = photos[every - 1::every] if every else []
    trained = [photo for photo in photos if photo not in held]
    labels = sorted({label for _, _, found in photos for label in found}) if arguments.absent else None
    for split, part in (('train', trained), ('val', held)):
        if part:
            asked, refused = write(folder, split, part, labels)
            s = '' if len(part) == 1 else 's'
            print(f'{split}: {asked} questions about {len(part)} picture{s}, {refused} of them about what is not there')
    return 0


if __name__ == '__main__':
    sys.exit(main())
