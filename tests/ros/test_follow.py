"""The action ~/follow: an object is named once and found again in every new frame. The model is the tiny one, whose weights are random:
it names an object for the golden question, and the picture stays the same, so that the object does."""

import pytest
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from builtin_interfaces.msg import Duration
from client import key
from lisa_ros.action import Follow
from lisa_ros.msg import ReasoningResult, SegmentedObject
from pictures import rgb8, smooth
from test_action import LONG, Feedback
from test_space import placed, robot  # noqa: F401  (a fixture)

FOLLOWING = Follow.Feedback.FOLLOWING


class Seen:
    """Keeps what is told of a goal, frame by frame."""

    def __init__(self, lisa):
        self.lisa = lisa
        self.frames = []

    def __call__(self, message):
        with self.lisa.changed:
            self.frames.append(message.feedback)
            self.lisa.changed.notify_all()

    def wait(self, count: int):
        return self.lisa.wait(f'feedback about {count} frames', lambda: len(self.frames) >= count and self.frames[:])

    def more(self, count: int = 3):
        return self.wait(len(self.frames) + count)


def told(result) -> str:
    return f'status={result.status} error={result.error!r} frames={result.frames} dropped={result.frames_dropped}'


def stamps(frames) -> list[tuple[int, int]]:
    return [(f.header.stamp.sec, f.header.stamp.nanosec) for f in frames]


@pytest.fixture
def followed(lisa, golden):
    """A goal that is being followed, and what is told of it."""
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)
    seen.wait(1)
    yield handle, seen
    lisa.cancel(handle)
    lisa.followed(handle)


def test_one_object_in_newer_and_newer_frames(lisa, golden, followed):
    handle, seen = followed
    frames = seen.wait(6)
    assert stamps(frames) == sorted(set(stamps(frames))), stamps(frames)
    assert all(key(f.header) in lisa.shown for f in frames), 'a header that the camera did not send'
    whole = lisa.ask(golden.masked).objects[0]
    for frame in frames:
        assert frame.state == FOLLOWING and len(frame.objects) == 1, frame
        found = frame.objects[0]
        assert found.track_id == frames[0].objects[0].track_id > 0
        # The picture is the same, and so is what the mask decoder makes of it.
        assert (found.roi, found.mask.data, found.label) == (whole.roi, whole.mask.data, whole.label)
        assert found.mask.header == frame.header
        assert 0.0 <= frame.confidence <= 1.0 and frame.age_s >= 0.0
    # Of the first frame there is the score alone, and random weights may give 0.
    assert all(f.confidence == 1.0 for f in frames[1:]), 'it does not move'
    dropped = [f.frames_dropped for f in frames]
    assert dropped == sorted(dropped), dropped


def test_the_model_is_asked_once(lisa, golden):
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)
    seen.wait(4)
    assert len(lisa.cancel(handle).goals_canceling) == 1
    status, result = lisa.followed(handle)
    assert status == GoalStatus.STATUS_CANCELED and result.status == Follow.Result.CANCELLED, (status, told(result))
    assert result.times_asked == 1 and result.times_lost == 0 and result.frames >= 4, told(result)
    count = len(seen.frames)
    lisa.ask(golden.masked)
    assert len(seen.frames) == count, 'feedback after the result'
    assert lisa.cancel(handle).return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED


def test_a_duration_ends_it(lisa, golden):
    status, result = lisa.followed(lisa.follow(golden.masked, duration=Duration(nanosec=200_000_000)))
    assert status == GoalStatus.STATUS_SUCCEEDED and result.status == Follow.Result.SEGMENTED, (status, told(result))
    assert result.frames >= 1 and not result.error, told(result)


def test_an_object_of_an_earlier_result(lisa, golden):
    answered = lisa.ask(golden.masked)
    seen = Seen(lisa)
    handle = lisa.follow(on_feedback=seen, instruction_id=answered.instruction_id, object_index=0, rate_hz=50.0)
    frames = seen.wait(3)
    assert [o.mask.data for f in frames for o in f.objects] == [answered.objects[0].mask.data] * len(frames)
    lisa.cancel(handle)
    _, result = lisa.followed(handle)
    assert result.times_asked == 0, told(result)


@pytest.mark.parametrize('wrong, words', [
    (dict(instruction_id='nobody knows this'), ['nobody knows this', 'accepted:', 'instruction_id']),
    (dict(), ['names nothing', 'accepted: an instruction']),
    (dict(text='x', rate_hz=-1.0), ['rate_hz is -1', 'accepted:']),
    (dict(text='x', duration=Duration(sec=-1)), ['duration is negative', 'accepted:']),
])
def test_what_cannot_be_followed_is_refused_in_words(lisa, wrong, words):
    status, result = lisa.followed(lisa.follow(**wrong))
    assert status == GoalStatus.STATUS_ABORTED and result.status == Follow.Result.ERROR, (status, told(result))
    assert all(word in result.error for word in words), told(result)


def test_an_object_that_the_result_does_not_have(lisa, golden):
    answered = lisa.ask(golden.masked)
    _, result = lisa.followed(lisa.follow(instruction_id=answered.instruction_id, object_index=7))
    assert result.status == Follow.Result.ERROR and 'object_index is 7; accepted: 0 to 0' in result.error, told(result)


def test_an_answer_without_an_object_aborts_it(lisa, golden):
    answered = lisa.ask(golden.text_only)
    status, result = lisa.followed(lisa.follow(golden.text_only))
    assert status == GoalStatus.STATUS_ABORTED and result.status == Follow.Result.TEXT_ONLY, (status, told(result))
    # Its words as a string is written: quotation marks and the like are escaped.
    assert result.error.startswith('the model named no object: ') and answered.answer[:8] in result.error, told(result)


def test_instructions_are_answered_in_between(lisa, golden, followed):
    _, seen = followed
    before = len(lisa.results)
    for text in [golden.masked, golden.text_only] * 2:
        assert lisa.ask(text).status in (ReasoningResult.SEGMENTED, ReasoningResult.TEXT_ONLY)
        seen.more(1)
    frames = seen.more()
    assert len({o.track_id for f in frames for o in f.objects}) == 1
    assert len(lisa.results) == before + 4, 'following has no results on ~/result'


def test_frames_that_came_too_fast_are_counted(lisa, golden, followed):
    """While a long answer is written the engine is not the follower's, and the camera goes on."""
    _, seen = followed
    for _ in range(10):
        feedback = Feedback()
        other = lisa.goal(golden.text_only, feedback, max_new_tokens=LONG)
        assert feedback.started.wait(60.0), f'no feedback with tokens\n{lisa.process.log()}'
        lisa.outcome(other)
        if seen.more()[-1].frames_dropped > 0:
            return
    raise AssertionError('no frame was passed over while the engine was busy')


def test_two_goals_have_objects_of_their_own(lisa, golden, followed):
    _, first = followed
    second = Seen(lisa)
    handle = lisa.follow(golden.masked, second)
    ids = [{o.track_id for f in seen.more() for o in f.objects} for seen in (first, second)]
    assert all(len(one) == 1 for one in ids) and ids[0] != ids[1], ids
    lisa.cancel(handle)
    lisa.followed(handle)
    first.more()


def test_a_disabled_node_follows_nothing(lisa, golden):
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)
    seen.wait(1)
    lisa.enable(False)
    status, result = lisa.followed(handle)
    assert status == GoalStatus.STATUS_ABORTED and 'enable' in result.error, (status, told(result))


def test_what_is_doubted_is_asked_for_again(lisa, golden):
    """Another picture, and nothing less than the same mask or a perfect score is believed."""
    lisa.set(**{'follow.min_score': 1.0, 'follow.min_overlap': 1.0})
    try:
        seen = Seen(lisa)
        handle = lisa.follow(golden.masked, seen)
        frames = seen.wait(2)
        lisa.show(rgb8(smooth()))
        first = frames[0].objects[0].track_id
        seen.more(4)
        lisa.cancel(handle)
        _, result = lisa.followed(handle)
        assert result.times_asked >= 2, told(result)
        assert {o.track_id for f in seen.frames for o in f.objects} == {first}
    finally:
        lisa.set(**{'follow.min_score': 0.85, 'follow.min_overlap': 0.3})


def test_every_frame_says_where_the_object_is(robot, golden):  # noqa: F811
    """Depth, calibration and transforms come with every picture; the wall is 1 m before the camera, along the robot's x axis."""
    _, lisa, _ = robot(target_frame='base_link')
    placed(lisa, golden)
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)

    def with_place():
        return [f for f in seen.frames if any(o.spatial_status == SegmentedObject.SPATIAL_OK for o in f.objects)]

    lisa.wait('four frames with places', lambda: len(with_place()) >= 4)
    lisa.cancel(handle)
    _, result = lisa.followed(handle)
    lisa.wait(f'feedback about all {result.frames} frames', lambda: len(seen.frames) == result.frames)
    assert stamps(seen.frames) == sorted(set(stamps(seen.frames))), 'frames are newer and newer, whether they waited or not'
    for frame in with_place():
        [found] = frame.objects
        assert found.track_id > 0 and found.pose.header.stamp == frame.header.stamp
        assert found.pose.header.frame_id == 'base_link' and frame.header.frame_id == 'camera'
        assert abs(found.pose.pose.position.x - 1.0) < 0.005 and abs(found.grasp_point.x - 1.0) < 0.005
        sides = sorted([found.size.x, found.size.y, found.size.z])
        assert sides[0] < 0.01 < sides[1], f'the mask of a wall is flat: {sides}'
        assert found.depth_coverage == pytest.approx(1.0) and found.number_of_points > 0
    # A frame whose place is not known when the next one is answered does not wait for it, and says nothing wrong.
    for found in (o for f in seen.frames for o in f.objects if o.spatial_status != SegmentedObject.SPATIAL_OK):
        assert found.number_of_points == 0 and not found.pose.header.frame_id, found.spatial_status


def test_frames_without_depth_say_so_and_come_all_the_same(robot, golden):  # noqa: F811
    _, lisa, _ = robot(sends=('info', 'tf'))
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)
    frames = seen.wait(4)
    lisa.cancel(handle)
    lisa.followed(handle)
    assert {o.spatial_status for f in frames for o in f.objects} == {SegmentedObject.NO_DEPTH}
    assert stamps(frames) == sorted(set(stamps(frames))), stamps(frames)


def test_the_node_s_end_ends_it(start, golden):
    process, lisa = start()
    lisa.show(rgb8(golden.picture))
    seen = Seen(lisa)
    handle = lisa.follow(golden.masked, seen)
    seen.wait(1)
    outcome = lisa.result_of(handle)
    process.end()
    answer = lisa.future(outcome, 'result of a goal')
    assert answer.result.status == Follow.Result.CANCELLED and 'shutting down' in answer.result.error, told(answer.result)
