"""The demo's judging and telling, with made-up answers: no ROS 2, no model."""

import json
import pathlib
import re
import sys
import typing

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'scripts'))

import demo  # noqa: E402
from demo_answers import (LEAST_IOU, QUESTIONS, Found, Question, Reply, box_of, faults, found_mask, judge, table,  # noqa: E402
                          true_mask)
from demo_ledger import Ledger  # noqa: E402
from demo_pictures import read_png  # noqa: E402

SHAPE = (40, 60)
# What stands on the made-up table: no scissors, and a tissue box of the wrong colour beside the right one.
SCENE = {'objects': [
    {'category': 'tissue box', 'colour': 'blue'},
    {'category': 'remote control', 'colour': 'black'},
    {'category': 'glasses', 'colour': 'red'},
    {'category': 'tissue box', 'colour': 'green'},
]}
BOXES = [(0, 0, 10, 10), (20, 5, 20, 10), (5, 25, 10, 10), (40, 25, 15, 10)]


def instances() -> np.ndarray:
    picture = np.zeros(SHAPE, np.uint8)
    for i, (x, y, width, height) in enumerate(BOXES):
        picture[y:y + height, x:x + width] = i + 1
    return picture


def marked(*boxes, label='thing') -> tuple[Found, ...]:
    return tuple(Found(label, 0.75, box, np.ones((box[3], box[2]), bool)) for box in boxes)


def segmented(*boxes) -> Reply:
    return Reply('SEGMENTED', 'It is [SEG].', '', marked(*boxes))


REFUSED = Reply('TEXT_ONLY', 'There is none.')
RIGHT = [segmented(BOXES[1]), segmented(BOXES[2]), segmented(BOXES[3]), REFUSED]


def picture(number: int) -> np.ndarray:
    """One that no other question has."""
    return np.random.default_rng(number).integers(0, 256, (*SHAPE, 3), np.uint8)


def run(folder: pathlib.Path, replies, without_overlay=()) -> tuple[int, list[dict]]:
    """The conversation with a node that gives these replies, up to the exit code; and answers.json."""
    asked = []

    def ask(name, text):
        asked.append(text)
        reply = replies[len(asked) - 1]
        shown = reply.status is not None and len(asked) not in without_overlay
        return reply, picture(len(asked)) if shown else None, [('total', 0.1)]

    entries, times = demo.interview(ask, SCENE, instances(), folder)
    demo.print_times(times)
    assert asked == [q.text for q in QUESTIONS][:len(asked)]
    code = demo.finish(entries, folder)
    return code, json.loads((folder / 'answers.json').read_text())


def test_every_question_has_a_picture_of_its_own_and_the_first_right_one_is_the_overlay(tmp_path):
    code, entries = run(tmp_path, RIGHT)
    assert code == 0
    for number, entry in enumerate(entries, 1):
        assert re.fullmatch(rf'{number}-[a-z0-9-]+\.png', entry['picture'])
        assert (read_png(tmp_path / entry['picture']) == picture(number)).all()
    assert (tmp_path / 'overlay.png').read_bytes() == (tmp_path / entries[0]['picture']).read_bytes()
    written = {*(e['picture'] for e in entries), 'overlay.png', 'answers.json'}
    assert {path.name for path in tmp_path.iterdir()} == written


def test_answers_json_says_all_of_each_question(tmp_path):
    _, entries = run(tmp_path, [segmented((20, 5, 10, 10)), *RIGHT[1:]])
    assert [e['text'] for e in entries] == [q.text for q in QUESTIONS]
    assert entries[0] == {
        'text': 'Change the TV channel.', 'status': 'SEGMENTED', 'answer': 'It is [SEG].', 'error': '',
        'objects': [{'label': 'thing', 'score': 0.75, 'box': {'x': 20, 'y': 5, 'width': 10, 'height': 10}}],
        'truth_box': {'x': 20, 'y': 5, 'width': 20, 'height': 10}, 'iou': 0.5, 'right': True,
        'picture': '1-change-the-tv-channel.png'}
    # Nothing is true there to overlap with.
    assert entries[3]['truth_box'] is None and entries[3]['iou'] is None and entries[3]['right'] is True


@pytest.mark.parametrize(('reply', 'right'), [
    (segmented((20, 5, 10, 10)), True),               # IoU 0.5
    (segmented((20, 5, 9, 10)), False),               # IoU 0.45
    (segmented(BOXES[0]), False),                     # another thing
    (segmented(BOXES[1], (20, 20, 21, 10)), False),   # it and more than as much again
    (REFUSED, False),
    (Reply('EMPTY_MASK', 'It is [SEG].'), False),
])
def test_one_answer_may_be_wrong_and_is_said_to_be(tmp_path, capsys, reply, right):
    code, entries = run(tmp_path, [reply, *RIGHT[1:]])
    assert code == 0
    assert entries[0]['right'] is right
    assert f'{3 + right} of 4 answers are right' in capsys.readouterr().out
    shown = entries[0 if right else 1]['picture']
    assert (tmp_path / 'overlay.png').read_bytes() == (tmp_path / shown).read_bytes()


@pytest.mark.parametrize('reply', [Reply('NO_IMAGE', error='no frame has come'), Reply('ERROR', error='too long')])
def test_it_fails_where_the_first_question_is_not_answered(tmp_path, reply):
    assert run(tmp_path, [reply, *RIGHT[1:]])[0] == 1


def test_it_fails_where_two_answers_are_wrong_and_says_which(tmp_path, capsys):
    code, entries = run(tmp_path, [RIGHT[0], REFUSED, RIGHT[2], segmented(BOXES[2])])
    assert code == 1
    assert [e['right'] for e in entries] == [True, False, True, False]
    said = capsys.readouterr()
    assert '2 of 4 answers are right' in said.out
    for number in (1, 3):
        assert f'"{QUESTIONS[number].text}" was answered wrongly' in said.err
    assert '2 answers are wrong, 1 may be' in said.err


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_it_fails_where_an_overlay_is_missing(tmp_path, capsys, number):
    code, entries = run(tmp_path, RIGHT, without_overlay=[number])
    assert code == 1
    assert [e['picture'] is None for e in entries] == [i == number for i in range(1, 5)]
    assert (tmp_path / 'overlay.png').exists()
    assert f'"{QUESTIONS[number - 1].text}" has no picture' in capsys.readouterr().err


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_it_fails_where_a_result_is_missing_and_asks_nothing_more(tmp_path, capsys, number):
    code, entries = run(tmp_path, [*RIGHT[:number - 1], Reply(error='the node has ended')])
    assert code == 1
    assert [e['status'] is None for e in entries] == [i >= number for i in range(1, 5)]
    assert [e['right'] is None for e in entries] == [i >= number for i in range(1, 5)]
    assert f'"{QUESTIONS[number - 1].text}" has no result: the node has ended' in capsys.readouterr().err


def test_a_later_question_that_is_not_answered_fails_it(tmp_path):
    assert run(tmp_path, [*RIGHT[:2], Reply('ERROR', error='broken'), RIGHT[3]])[0] == 1


def test_in_a_scene_without_it_the_first_question_is_to_be_refused():
    nothing = np.zeros(SHAPE, bool)
    for reply, right in [(REFUSED, True), (segmented(BOXES[0]), False), (Reply('EMPTY_MASK'), False), (Reply('ERROR'), False)]:
        entry = judge(QUESTIONS[0], Reply(reply.status, objects=reply.objects, picture='x.png'), nothing)
        assert entry['right'] is right and entry['iou'] is None and entry['truth_box'] is None
        assert (faults([entry, entry]) == []) is right, reply


def test_an_overlay_of_another_size_is_no_picture_of_the_scene(tmp_path):
    with pytest.raises(ValueError, match='the overlay'):
        demo.interview(lambda name, text: (RIGHT[0], np.zeros((30, 30, 3), np.uint8), []), SCENE, instances(), tmp_path)


def test_the_truth_is_what_was_asked_for_and_all_of_it():
    green, any_colour = Question('', 'tissue box', 'green'), Question('', 'tissue box')
    assert box_of(true_mask(green, SCENE, instances())) == BOXES[3]
    assert true_mask(any_colour, SCENE, instances()).sum() == 10 * 10 + 15 * 10
    assert box_of(true_mask(Question('', 'scissors'), SCENE, instances())) is None
    # In the scene, and hidden: not in the picture.
    hidden = np.where(instances() == 4, 0, instances())
    assert not true_mask(green, SCENE, hidden).any()


def test_masks_count_by_pixel_and_lie_in_the_picture():
    corner = Found('', 1.0, (58, 38, 2, 2), np.array([[True, False], [True, True]]))
    beside = Found('', 1.0, (57, 39, 3, 1), np.array([[True, False, False]]))
    assert found_mask(SHAPE, (corner, beside, corner)).sum() == 4
    assert found_mask(SHAPE, (corner, beside)).sum() == 4
    for box, shape in [((59, 0, 2, 1), (1, 2)), ((0, 39, 1, 2), (2, 1)), ((0, 0, 2, 2), (1, 1))]:
        with pytest.raises(ValueError, match='does not lie'):
            found_mask(SHAPE, (Found('cup', 1.0, box, np.ones(shape, bool)),))


def test_the_table_has_a_line_for_each_question():
    truths = [true_mask(q, SCENE, instances()) for q in QUESTIONS]
    replies = [segmented((20, 5, 10, 10)), REFUSED, Reply(), segmented(BOXES[0])]
    entries = [judge(q, r, t) for q, r, t in zip(QUESTIONS, replies, truths)]
    lines = [re.split(r'\s{2,}', line.strip()) for line in table(entries).splitlines()]
    assert lines == [
        ['question', 'status', 'in the picture', 'mask IoU', 'right', 'picture'],
        ['1', 'Change the TV channel.', 'SEGMENTED', 'yes', '0.50', 'yes', 'none'],
        ['2', 'I want to see the small letters...', 'TEXT_ONLY', 'yes', '0.00', 'NO', 'none'],
        ['3', 'Show me the green tissue box.', 'no result', 'yes', '-', '-', 'none'],
        ['4', 'Show me the scissors.', 'SEGMENTED', 'no', '-', 'NO', 'none'],
    ]
    assert LEAST_IOU == 0.5


def test_nothing_of_an_earlier_conversation_survives(tmp_path):
    ours = ['1-change-the-tv-channel.png', '7-an-old-question.png', 'overlay.png', 'answers.json', '2-x.png.part']
    for name in [*ours, 'node.log', 'mine.png']:
        (tmp_path / name).write_text('old')
    demo.clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {'node.log', 'mine.png'}


class About(typing.NamedTuple):
    """A result or an overlay, as far as the ledger looks at it."""
    name: str
    header: int = 7


class TestLedger:
    """Which overlay is whose; nearly all of one frame. Numbers are moments of asking and of publishing."""

    @pytest.mark.parametrize('after_asking', [1, 9])
    def test_each_answer_has_the_overlay_that_was_published_for_it_before_its_result_or_after(self, after_asking):
        asked = [(10, 'a'), (20, 'b'), (30, 'c')]
        for order in (asked, asked[::-1]):
            ledger = Ledger()
            for moment, name in asked:
                ledger.asked(name, moment)
            for _, name in order:
                ledger.heard_result(name, About(f'result {name}'))
            for moment, name in order:
                ledger.saw_overlay(moment + after_asking, About(f'overlay {name}'))
            assert [ledger.overlay(name).name for name in 'abc'] == ['overlay a', 'overlay b', 'overlay c']
            assert ledger.result('b').name == 'result b'

    def test_a_missing_overlay_is_not_replaced_by_a_neighbours(self):
        ledger = Ledger()
        for moment, name in [(10, 'a'), (20, 'b'), (30, 'c')]:
            ledger.asked(name, moment)
            ledger.heard_result(name, About(name))
        ledger.saw_overlay(15, About('overlay a'))
        ledger.saw_overlay(35, About('overlay c'))
        assert ledger.overlay('b') is None

    def test_an_overlay_is_nobodys_until_the_result_is_there(self):
        ledger = Ledger()
        ledger.asked('a', 10)
        ledger.saw_overlay(15, About('overlay a'))
        assert ledger.overlay('a') is None
        ledger.heard_result('a', About('a'))
        assert ledger.overlay('a').name == 'overlay a'

    def test_overlays_of_other_people_and_other_frames_are_nobodys(self):
        ledger = Ledger()
        ledger.saw_overlay(5, About('of somebody before'))
        ledger.asked('a', 10)
        ledger.heard_result('a', About('a'))
        ledger.saw_overlay(12, About('of an earlier frame', header=6))
        assert ledger.overlay('a') is None
        ledger.saw_overlay(15, About('overlay a'))
        assert ledger.overlay('a').name == 'overlay a'
        assert ledger.overlay('b') is None and ledger.result('b') is None

    def test_it_knows_when_a_text_has_ended(self):
        ledger = Ledger()
        ledger.heard_last_word('a')
        assert ledger.told('a') and not ledger.told('b')
