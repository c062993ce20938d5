"""The rule by which a card's pictures are chosen, on made-up cases: no model."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'scripts'))

from card_pictures import KINDS, choose, row  # noqa: E402


def case(scene: int, kind: str, **more) -> dict:
    return {'name': f'test-{scene}-{kind}', 'kind': kind, 'question': 'this | that', 'answer': 'It is [SEG].', 'iou': 0.25,
            'absent': kind == 'absent', 'attention': None} | more


def test_each_scene_is_asked_the_next_kind_and_what_it_lacks_is_asked_explicitly():
    cases = [case(scene, kind) for scene in range(1000, 1006) for kind in KINDS if (scene, kind) != (1003, 'several')]
    names = [chosen['name'] for chosen in choose(cases)]
    assert names == ['test-1000-explicit', 'test-1001-reasoning', 'test-1002-world-knowledge', 'test-1003-explicit',
                     'test-1004-explanatory', 'test-1005-absent']


def test_fewer_scenes_are_refused():
    with pytest.raises(SystemExit, match='6 are needed'):
        choose([case(1000, 'explicit')])


def test_a_row_keeps_to_its_cells_and_says_how_it_came_out():
    assert row(1, case(1000, 'explicit', attention='a.jpg')) == (
        '| ![](pictures/1.jpg) | ![](pictures/1-attention.jpg) | explicit | this \\| that | It is [SEG]. | IoU 0.25 |')
    assert row(6, case(1005, 'absent', iou=1.0)).endswith('| refused, rightly |')
    assert row(6, case(1005, 'absent', iou=0.0)).endswith('| should have been refused |')
