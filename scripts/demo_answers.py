"""The demo's questions, what the scene says is right, and what is told of each answer: answers.json, a table, faults.

An answer is right where

- the thing is in the picture: its status is SEGMENTED, and the mask IoU with the true mask is at least 0.5. The answer's mask
  is the union of its objects' masks; the true mask is the visible pixels of everything in the scene that was asked for;
- the thing is not in the picture: it names no object, so its status is TEXT_ONLY. An EMPTY_MASK is no refusal: it claims that
  the thing is there.
"""

import dataclasses
import re

import numpy as np

# Least mask IoU of an answer that is right, the threshold of P@0.5.
LEAST_IOU = 0.5
# Of the four answers. A model may know less than we ask; one that errs twice here is not the one that comes with the project.
MOST_WRONG = 1
# Statuses of a question that the model has answered, rightly or not.
ANSWERED = ('SEGMENTED', 'TEXT_ONLY', 'EMPTY_MASK')

Box = tuple[int, int, int, int]  # x, y, width, height in pixels


@dataclasses.dataclass(frozen=True)
class Question:
    text: str
    category: str
    colour: str | None = None  # None: whatever colour it has
    pick: bool = False  # whether examples/pick.py is asked for it, too

    def asks_for(self, thing: dict) -> bool:
        return thing['category'] == self.category and self.colour in (None, thing['colour'])

    def slug(self) -> str:
        """Its first words as part of a file's name."""
        words, length = [], 0
        for word in re.findall(r'[a-z0-9]+', self.text.lower()):
            length += 1 + len(word)
            if words and length > 45:
                break
            words.append(word)
        return '-'.join(words)


# What is asked, and what in the scene answers it.
QUESTIONS = (
    Question('Change the TV channel.', 'remote control'),
    Question('I want to see the small letters. Please output segmentation mask and explain why.', 'glasses'),
    Question('Show me the green tissue box.', 'tissue box', 'green', pick=True),
    Question('Show me the scissors.', 'scissors', pick=True),
)


@dataclasses.dataclass(frozen=True)
class Found:
    """An object of an answer: `mask` is bool, (height, width) of `box`."""

    label: str
    score: float
    box: Box
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back for a question; `status` is None where no result came, `picture` a file's name, None where none was made."""

    status: str | None = None
    answer: str = ''
    error: str = ''
    objects: tuple[Found, ...] = ()
    picture: str | None = None


def true_mask(question: Question, scene: dict, instances: np.ndarray) -> np.ndarray:
    """bool, (height, width): the visible pixels of all that was asked for; none where it is not in the picture.

    `scene` and `instances` are what `lisa world --format frames` writes: pixel value i + 1 is the scene's object i.
    """
    numbers = [i + 1 for i, thing in enumerate(scene['objects']) if question.asks_for(thing)]
    return np.isin(instances, numbers)


def found_mask(shape: tuple[int, int], objects: tuple[Found, ...]) -> np.ndarray:
    """bool, `shape`: the union of the objects' masks. Raises ValueError where one does not lie in such a picture."""
    union = np.zeros(shape, bool)
    for found in objects:
        x, y, width, height = found.box
        if found.mask.shape != (height, width) or x + width > shape[1] or y + height > shape[0]:
            raise ValueError(f'the mask of {found.label!r}, {found.mask.shape[1]}x{found.mask.shape[0]}, with the box {found.box}, '
                             f'does not lie in the scene\'s picture of {shape[1]}x{shape[0]}')
        union[y:y + height, x:x + width] |= found.mask
    return union


def box_of(mask: np.ndarray) -> Box | None:
    """The tight box around a mask; None around nothing."""
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return None
    return int(xs.min()), int(ys.min()), int(xs.max() - xs.min() + 1), int(ys.max() - ys.min() + 1)


def judge(question: Question, reply: Reply, truth: np.ndarray) -> dict:
    """The question's entry in answers.json; `truth` is `true_mask`'s.

    `iou` is null where there is nothing true to overlap with, or no result; `right` is null where there is no result.
    """
    there = bool(truth.any())
    iou = right = None
    if reply.status is not None:
        found = found_mask(truth.shape, reply.objects)
        if there:
            iou = float((found & truth).sum() / (found | truth).sum())
            right = reply.status == 'SEGMENTED' and iou >= LEAST_IOU
        else:
            right = reply.status == 'TEXT_ONLY' and not reply.objects
    return {
        'text': question.text,
        'status': reply.status,
        'answer': reply.answer,
        'error': reply.error,
        'objects': [{'label': o.label, 'score': o.score, 'box': _named(o.box)} for o in reply.objects],
        'truth_box': _named(box_of(truth)),
        'iou': iou,
        'right': right,
        'picture': reply.picture,
    }


def faults(entries: list[dict]) -> list[str]:
    """Why the demo has failed, in words: anything that is missing, and more than `MOST_WRONG` answers that are not right, or whose
    picks are not. Empty: it has not."""
    found = []
    for entry in entries:
        name = f'"{entry["text"]}"'
        if entry['status'] is None:
            found.append(f'{name} has no result' + (f': {entry["error"]}' if entry['error'] else ''))
        elif entry['status'] not in ANSWERED:
            found.append(f'{name} was not answered, {entry["status"]}: {entry["error"]}')
        if entry['status'] is not None and entry['picture'] is None:
            found.append(f'{name} has no picture, because no overlay came')
    for entry in entries:
        if entry.get('pick') and entry['pick']['right'] is None:
            found.append(f'pick.py has neither picked nor refused "{entry["text"]}": {entry["pick"]["said"] or "it has said nothing"}')
    is_wrong = [entry for entry in entries if entry['status'] in ANSWERED and not entry['right']]
    picked_wrong = [entry for entry in entries if entry['right'] and entry.get('pick') and entry['pick']['right'] is False]
    wrong = is_wrong + picked_wrong
    if len(wrong) > MOST_WRONG:
        for entry in picked_wrong:
            found.append(f'"{entry["text"]}" was answered rightly and picked wrongly')
        for entry in is_wrong:
            why = f'its mask IoU is {entry["iou"]:.3f}, {LEAST_IOU} is needed' if entry['truth_box'] else 'what it asks for is not there'
            found.append(f'"{entry["text"]}" was answered wrongly: {entry["status"]}, {why}')
        found.append(f'{len(wrong)} answers are wrong, {MOST_WRONG} may be')
    return found


def table(entries: list[dict]) -> str:
    """The entries as lines of text for a terminal."""
    rows = [('', 'question', 'status', 'in the picture', 'mask IoU', 'right', 'picture')]
    for number, entry in enumerate(entries, 1):
        text = entry['text'] if len(entry['text']) <= 34 else entry['text'][:31] + '...'
        rows.append((
            str(number), text, entry['status'] or 'no result', 'yes' if entry['truth_box'] else 'no',
            '-' if entry['iou'] is None else f'{entry["iou"]:.2f}',
            {True: 'yes', False: 'NO', None: '-'}[entry['right']], entry['picture'] or 'none'))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join('  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _named(box: Box | None) -> dict | None:
    return box and dict(zip(('x', 'y', 'width', 'height'), box))
