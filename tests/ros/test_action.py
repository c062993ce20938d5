"""The action ~/segment: goal, feedback, result, cancellation, several goals."""

import threading
import time

from action_msgs.msg import GoalStatus
from client import ANSWERED, key, said
from lisa_ros.msg import ReasoningResult
from pictures import rgb8, smooth

LONG = 1200  # tokens: seconds of work, even for the tiny model


class Feedback:
    """Keeps what a goal says on its way."""

    def __init__(self):
        self.messages = []
        self.started = threading.Event()

    def __call__(self, message):
        self.messages.append(message.feedback)
        if message.feedback.tokens >= 2:
            self.started.set()


def test_a_goal_is_answered_with_feedback(lisa, golden):
    feedback = Feedback()
    handle = lisa.goal(golden.masked, feedback)
    # rclpy throws feedback away that comes after the goal's result: that is asked for last.
    answered = lisa.wait('result', lambda: next((r for r in lisa.results if r.instruction == golden.masked), None))
    lisa.wait('all of the feedback', lambda: ''.join(m.text_delta for m in feedback.messages) == answered.answer)
    status, result = lisa.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and result.status == ReasoningResult.SEGMENTED, said(result)
    assert result.instruction == golden.masked and key(result.header) in lisa.shown, said(result)
    stages = [m.stage for m in feedback.messages]
    assert {'generate', 'decode'} & set(stages), stages
    tokens = [m.tokens for m in feedback.messages]
    assert tokens == sorted(tokens), tokens


def test_an_object_comes_before_the_result_that_repeats_it(lisa, golden):
    feedback, before = Feedback(), len(lisa.results)
    handle = lisa.goal(golden.masked, feedback)
    answered = lisa.wait('result', lambda: next((r for r in lisa.results[before:] if r.instruction == golden.masked), None))
    assert len(answered.objects) == 1, said(answered)
    # What was published before the result on another topic may reach us behind it, but it was sent before.
    mine = lisa.wait('object', lambda: [o for _, o in lisa.objects if o.instruction_id == answered.instruction_id])
    assert [o.object for o in mine] == list(answered.objects)
    assert [key(o.header) for o in mine] == [key(answered.header)]
    lisa.wait('the object in the feedback', lambda: any(m.objects for m in feedback.messages))
    assert [o for m in feedback.messages for o in m.objects] == list(answered.objects)
    with_object = next(i for i, m in enumerate(feedback.messages) if m.objects)
    assert feedback.messages[with_object].tokens < answered_tokens(feedback), 'the mask is there while the text still comes'
    status, _ = lisa.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED


def answered_tokens(feedback):
    return max(m.tokens for m in feedback.messages)


def test_a_goal_brings_its_own_picture(lisa, golden):
    image = rgb8(golden.picture)
    image.header.frame_id, image.header.stamp.sec, image.header.stamp.nanosec = 'photo', 77, 88
    lisa.show(rgb8(smooth()))
    status, result = lisa.outcome(lisa.goal(golden.masked, image=image))
    assert status == GoalStatus.STATUS_SUCCEEDED, said(result)
    assert key(result.header) == (77, 88, 'photo') and result.status == ReasoningResult.SEGMENTED, said(result)


def test_a_goal_with_a_wrong_picture_is_aborted_in_words(lisa, golden):
    image = rgb8(golden.picture)
    image.encoding = '32FC7'
    status, result = lisa.outcome(lisa.goal(golden.masked, image=image))
    assert status == GoalStatus.STATUS_ABORTED and result.status == ReasoningResult.ERROR, said(result)
    assert '32FC7' in result.error, said(result)


def test_a_goal_bounds_its_answer(lisa, golden):
    _, result = lisa.outcome(lisa.goal(golden.masked, max_new_tokens=2))
    assert result.status == ReasoningResult.TEXT_ONLY and len(result.token_seconds) == 2, said(result)


def beside_a_long_answer(lisa, golden, act, times=1):
    """Calls `act` with the handle of a goal whose answer is being written, and with its feedback, until the answer was still being written
    after it so many times. How long an answer takes is the machine's to say; where it ended first, nothing was shown."""
    shown = 0
    for _ in range(10 * times):
        feedback = Feedback()
        handle = lisa.goal(golden.text_only, feedback, max_new_tokens=LONG)
        assert feedback.started.wait(60.0), f'no feedback with tokens\n{lisa.process.log()}'
        outcome = lisa.result_of(handle)

        def ended_first():
            return outcome.done() and outcome.result().status == GoalStatus.STATUS_SUCCEEDED

        try:
            act(handle, feedback)
            shown += not ended_first()
        except AssertionError:
            if not ended_first():
                raise
        lisa.cancel(handle)
        lisa.outcome(handle)
        if shown == times:
            return
    raise AssertionError(f'an answer of {LONG} tokens ended first, too often')


def test_a_goal_is_cancelled_in_the_middle_of_its_answer(lisa, golden):
    def cancelled(handle, feedback):
        reply = lisa.cancel(handle)
        began = time.monotonic()
        assert len(reply.goals_canceling) == 1, reply
        status, result = lisa.outcome(handle)
        took = time.monotonic() - began
        assert status == GoalStatus.STATUS_CANCELED and result.status == ReasoningResult.CANCELLED, (status, said(result))
        assert took < 2.0, f'{took:.2f} s until the cancelled goal ended'
        assert max(m.tokens for m in feedback.messages) < LONG

    beside_a_long_answer(lisa, golden, cancelled)
    status, result = lisa.outcome(lisa.goal(golden.masked))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.status == ReasoningResult.SEGMENTED, said(result)


def test_a_goal_is_cancelled_before_its_turn(lisa, golden):
    def cancelled(first, _):
        second = lisa.goal(golden.masked)
        assert len(lisa.cancel(second).goals_canceling) == 1
        status, result = lisa.outcome(second)
        assert status == GoalStatus.STATUS_CANCELED and result.status == ReasoningResult.CANCELLED, said(result)
        lisa.cancel(first)
        assert lisa.outcome(first)[0] == GoalStatus.STATUS_CANCELED

    beside_a_long_answer(lisa, golden, cancelled)


def test_cancelled_goals_leave_the_queue_at_once(lisa, golden):
    lisa.set(max_pending=2)

    def overloaded(*_):
        waiting = [lisa.goal(golden.text_only, max_new_tokens=LONG) for _ in range(2)]
        try:
            status, result = lisa.outcome(lisa.goal(golden.masked))
            assert status == GoalStatus.STATUS_ABORTED and result.status == ReasoningResult.OVERLOADED, said(result)
        finally:
            taken = [lisa.cancel(handle).goals_canceling for handle in waiting]
            ends = [lisa.outcome(handle) for handle in waiting]
        assert [len(goals) for goals in taken] == [1, 1]
        for status, result in ends:
            assert status == GoalStatus.STATUS_CANCELED and result.status == ReasoningResult.CANCELLED, said(result)
        # Neither goals nor instructions are refused for the sake of those that were taken back.
        goals.append(lisa.goal(golden.masked))
        names.append(lisa.send(golden.masked))

    goals, names = [], []
    beside_a_long_answer(lisa, golden, overloaded, times=3)
    for goal in goals:
        status, result = lisa.outcome(goal)
        assert status == GoalStatus.STATUS_SUCCEEDED and result.status == ReasoningResult.SEGMENTED, said(result)
    for name in names:
        assert lisa.result(name).status == ReasoningResult.SEGMENTED, said(lisa.result(name))
    told = [r.instruction_id for r in lisa.results]
    assert len(set(told)) == len(told), 'an instruction has more than one result'


def test_two_goals_at_once_both_get_their_own_answer(lisa, golden):
    texts = [golden.masked, golden.text_only]
    handles = [lisa.goal(text) for text in texts]
    for text, handle in zip(texts, handles):
        status, result = lisa.outcome(handle)
        assert status == GoalStatus.STATUS_SUCCEEDED and result.instruction == text, said(result)
        assert result.status in ANSWERED


def test_cancelling_a_finished_goal_changes_nothing(lisa, golden):
    handle = lisa.goal(golden.masked)
    status, result = lisa.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED, said(result)
    assert not lisa.cancel(handle).goals_canceling
    assert lisa.outcome(handle)[0] == GoalStatus.STATUS_SUCCEEDED, 'the result can be asked for twice'


def test_a_goal_without_a_picture_anywhere(start, golden):
    _, lisa = start()
    status, result = lisa.outcome(lisa.goal(golden.masked))
    assert status == GoalStatus.STATUS_ABORTED and result.status == ReasoningResult.NO_IMAGE, (status, said(result))
    assert result.error


def test_an_empty_goal_is_aborted_in_words(lisa, golden):
    status, result = lisa.outcome(lisa.goal(''))
    assert status == GoalStatus.STATUS_ABORTED and result.status == ReasoningResult.ERROR and result.error, (status, said(result))


def test_goals_share_a_conversation_with_instructions(lisa, golden):
    question = golden.cases[1]['instruction']
    _, alone = lisa.outcome(lisa.goal(question))
    lisa.ask_stamped(golden.masked, 'shared')
    _, second = lisa.outcome(lisa.goal(question, conversation_id='shared'))
    assert second.conversation_id == 'shared' and second.answer != alone.answer, said(second)
