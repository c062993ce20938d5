"""What examples/labelme_questions.py makes of LabelMe's files; that `lisa train` reads it is followed in docs/OWN_PICTURES.md."""

import json
import subprocess
import sys

import pytest
from pages import ROOT

SCRIPT = ROOT / 'examples' / 'labelme_questions.py'


def shape(label, description=''):
    return {'label': label, 'description': description, 'points': [[1, 1], [5, 1], [5, 5]], 'shape_type': 'polygon'}


def photo(folder, name, *shapes, ending='jpg'):
    folder.mkdir(exist_ok=True)
    (folder / f'{name}.{ending}').write_bytes(name.encode())
    (folder / f'{name}.json').write_text(json.dumps({'shapes': shapes, 'imageHeight': 8, 'imageWidth': 9}))


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def items(folder, split):
    place = folder / 'reason_seg/ReasonSeg' / split
    found = {file.stem: json.loads(file.read_text()) for file in place.glob('*.json')}
    # Each question has its picture beside it.
    assert {file.stem for file in place.iterdir() if file.suffix != '.json'} == set(found)
    return found


def test_each_label_is_a_question_and_the_shapes_of_one_are_one_mask(tmp_path):
    spoon = shape('spoon', 'I want to stir.\nWhat is it to eat soup with?')
    photo(tmp_path / 'p', 'a', shape('mug'), shape('mug'), spoon, shape('ignore'), ending='JPG')
    done = run(tmp_path / 'p', tmp_path / 'out', '--hold-out', 0)
    assert done.returncode == 0 and done.stdout == 'train: 2 questions about 1 picture, 0 of them about what is not there\n', done
    mug, spoon = items(tmp_path / 'out', 'train').values()
    if mug['text'] != ['mug']:
        mug, spoon = spoon, mug
    assert (mug['text'], mug['is_sentence'], mug['question']) == (['mug'], False, 'Where is the mug?')
    assert [s['label'] for s in mug['shapes']] == ['target', 'target', 'ignore']
    assert spoon['text'] == ['I want to stir.', 'What is it to eat soup with?'] and spoon['is_sentence'] and 'question' not in spoon
    assert spoon['imageHeight'] == 8 and len(spoon['shapes']) == 2


def test_what_is_not_there_is_asked_for_as_often_and_refused(tmp_path):
    photo(tmp_path / 'p', 'a', shape('mug'))
    photo(tmp_path / 'p', 'b', shape('spoon'), shape('fork'))
    done = run(tmp_path / 'p', tmp_path / 'out', '--absent', '--hold-out', 2)
    assert done.returncode == 0, done
    train, val = items(tmp_path / 'out', 'train'), items(tmp_path / 'out', 'val')
    # The first picture has one thing, the second two; there is but one label that the second lacks.
    assert len(train) == 2 and len(val) == 3
    [absent] = [name for name, item in train.items() if not item['shapes']]
    [refusal] = json.loads((tmp_path / 'out/reason_seg/ReasonSeg/explanatory/train.json').read_text())
    assert refusal['image'] == f'{absent}.jpg' and refusal['outputs'].startswith('There is no ') and '[SEG]' not in refusal['outputs']
    assert all(item['question'].startswith('Where is the ') for item in train.values()), 'asked in the same words'
    [together] = json.loads((tmp_path / 'out/reason_seg/ReasonSeg/pictures/val.json').read_text())
    assert {name.split('.')[0] for name in together} == set(val)


@pytest.mark.parametrize('prepare, says', [
    (lambda p: p.mkdir(), 'has no JSON of LabelMe with a shape in it'),
    (lambda p: (photo(p, 'a', shape('mug')), (p / 'a.jpg').unlink()), 'has no picture beside it'),
    (lambda p: (photo(p, 'a', shape('mug')), run(p, p.parent / 'out')), 'is there already; accepted: a new folder'),
], ids=['nothing', 'no picture', 'twice'])
def test_what_cannot_be_used_is_said_in_a_line(tmp_path, prepare, says):
    prepare(tmp_path / 'p')
    done = run(tmp_path / 'p', tmp_path / 'out')
    assert done.returncode == 1 and says in done.stderr and len(done.stderr.splitlines()) == 1, done
