"""The demo's judging of examples/pick.py, with made-up poses: no ROS 2, no model."""

import math
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'scripts'))

import demo  # noqa: E402
import demo_pick  # noqa: E402
from demo_answers import QUESTIONS, faults  # noqa: E402
from demo_pick import in_base, judge, surface_centroid, told  # noqa: E402

# 0.5 m above the table, looking straight down: the camera's right is the table's right, and its down is towards the robot.
CAMERA = {'fx': 100.0, 'fy': 100.0, 'cx': 19.5, 'cy': 14.5, 'position': [0.0, 0.0, 0.5],
          'rotation': [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]}
TRUTH = np.array([0.7, 0.1, 0.05])
SAID = "'the cup' at (0.700, 0.100, 0.050) m in base_link; open the gripper to 45 mm or more"


def seen(left, top, width, height):
    mask = np.zeros((30, 40), bool)
    mask[top:top + height, left:left + width] = True
    return mask


def test_the_middle_of_a_flat_thing_is_where_it_lies_in_the_tables_frame():
    depth = np.full((30, 40), 500, np.uint16)
    # Columns 20 to 29 and rows 5 to 14 of pixels of 5 mm, and corners of pieces are half a pixel before their middles.
    middle = surface_centroid(CAMERA, depth, seen(20, 5, 10, 10))
    assert np.allclose(middle, [0.0225, 0.0275, 0.0], atol=0.004)
    assert surface_centroid(CAMERA, depth, seen(0, 0, 0, 0)) is None
    assert surface_centroid(CAMERA, np.zeros((30, 40), np.uint16), seen(20, 5, 10, 10)) is None


def test_a_piece_of_surface_counts_by_its_area_and_not_by_its_pixels():
    depth = np.full((30, 40), 500, np.uint16)
    # As many pixels of a thing that is twice as far away are four times the area.
    depth[:, 20:] = 1000
    left, right = surface_centroid(CAMERA, depth, seen(10, 5, 10, 10)), surface_centroid(CAMERA, depth, seen(20, 5, 10, 10))
    both = surface_centroid(CAMERA, depth, seen(10, 5, 20, 10))
    share = (both[2] - left[2]) / (right[2] - left[2])
    assert share == pytest.approx(0.8, abs=0.03), 'what lies between the two, edge-on to the camera, does not count'


def test_the_robot_looks_along_the_tables_y():
    (x, y, z), _ = demo_pick.ROBOT
    assert np.allclose(in_base(np.array([0.0, 0.0, 0.0])), [x, y, z])
    assert np.allclose(in_base(np.array([0.0, 0.2, 0.0])), [x + 0.2, y, z])
    assert np.allclose(in_base(np.array([0.3, 0.0, 0.1])), [x, y - 0.3, z + 0.1])


@pytest.mark.parametrize(('code', 'said', 'pose', 'frame', 'truth', 'right', 'word'), [
    (0, SAID, (0.70, 0.11, 0.05), 'base_link', TRUTH, True, 'right: 10.0 mm'),
    (0, SAID, (0.70, 0.15, 0.05), 'base_link', TRUTH, False, 'WRONG: 50.0 mm'),
    (0, SAID, (0.70, 0.11, 0.05), 'base_link', None, False, 'WRONG: it is not in the picture'),
    (0, SAID, (0.70, 0.11, 0.05), 'table', TRUTH, None, 'NO PICK'),
    (0, SAID, None, '', TRUTH, None, 'NO PICK'),
    (1, 'There is no cup.', None, '', None, True, 'right: it is not'),
    (1, 'There is no cup.', None, '', TRUTH, False, 'WRONG: it is in the picture'),
    (1, '', None, '', None, None, 'NO PICK: pick.py has said nothing'),
    (None, 'the node has ended', None, '', TRUTH, None, 'NO PICK: the node has ended'),
])
def test_what_is_there_is_picked_and_what_is_not_is_refused(code, said, pose, frame, truth, right, word):
    pick = judge('the cup', code, said, pose, frame, truth)
    assert pick['right'] is right and told(pick).startswith(word), (pick, told(pick))
    assert pick['gripper_mm'] == (45 if said == SAID else None)
    assert (pick['error_mm'] is None) == (code != 0 or pose is None or frame != 'base_link' or truth is None)


def entry(right, pick=None):
    made = {'text': 'x', 'status': 'SEGMENTED', 'error': '', 'objects': [], 'truth_box': {}, 'iou': 0.1, 'right': right, 'picture': 'x.png'}
    return made if pick is None else {**made, 'pick': {'right': pick, 'said': ''}}


def test_a_pick_counts_as_its_answer_does_and_one_that_is_missing_fails_the_demo():
    assert faults([entry(True, True), entry(True, False)]) == []
    assert faults([entry(False, False), entry(True)]) == [], 'who is not found cannot be picked: one fault, not two'
    assert any('picked wrongly' in fault for fault in faults([entry(False), entry(True, False)]))
    assert any('neither picked nor refused' in fault for fault in faults([entry(True, True), entry(True) | {
        'pick': {'right': None, 'said': ''}}]))


def test_the_things_are_picked_that_the_questions_name(capsys):
    entries = [{'text': question.text} for question in QUESTIONS]
    truths = [TRUTH, TRUTH, TRUTH, None]
    asked = []

    def run(text):
        asked.append(text)
        return (0, SAID, (0.7, 0.1, 0.05), 'base_link') if len(asked) == 1 else (1, 'There are none.', None, '')

    demo.pick_all(run, entries, truths)
    assert asked == [question.text for question in QUESTIONS if question.pick] == ['Show me the green tissue box.', 'Show me the scissors.']
    picks = [made.get('pick') for made in entries]
    assert [pick and pick['right'] for pick in picks] == [None, None, True, True]
    assert picks[2]['error_mm'] == pytest.approx(0.0, abs=1e-6) and math.isfinite(picks[2]['gripper_mm'])
    assert 'right: it is not in the picture' in capsys.readouterr().out
