"""Several cameras on one node: to its clients each is a node of its own, and no flood of one makes another wait for more than its share."""

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from client import ANSWERED, STATUS, Client, key, said
from lisa_ros.msg import ReasoningResult, SegmentedObject
from pictures import rgb8
from test_space import OK, Rig

TWO = {'cameras': '[left, right]'}


@pytest.fixture
def cameras(start):
    """A node with cameras, and a client in the namespace of each."""
    opened = []

    def begin(names=('left', 'right'), namespace='', **parameters):
        process = start(client=False, namespace=namespace, cameras=f'[{", ".join(names)}]', **parameters)
        for name in names:
            root = '' if name.startswith('/') else namespace
            opened.append(Client(process, process.domain, f'{root}/{name.strip("/")}'))
        for client in opened:
            client.wait_ready()
        return process, *opened
    yield begin
    for client in opened:
        client.close()


def test_each_camera_answers_about_its_own_picture_under_its_own_names(cameras, golden):
    process, left, right = cameras()
    dark = np.zeros_like(golden.picture)
    left.show(rgb8(golden.picture), frame_id='left_eye')
    right.show(rgb8(dark[:100, :120]), frame_id='right_eye')
    for client, eye, size in ((left, 'left_eye', golden.picture.shape[:2]), (right, 'right_eye', (100, 120))):
        result = client.ask(golden.masked)
        assert result.status in ANSWERED and result.header.frame_id == eye, said(result)
        assert key(result.header) in client.shown
        status, result = client.outcome(client.goal(golden.masked))
        assert status == GoalStatus.STATUS_SUCCEEDED and result.header.frame_id == eye, said(result)
        for mask in client.masks.values():
            assert (mask.height, mask.width) == size and mask.header.frame_id == eye
    # The same question about the same picture has the answer that a node of one camera gives.
    assert left.ask(golden.masked).objects, 'the golden answer has a mask'
    heard = {r.header.frame_id for r in left.results if r.header.frame_id}
    assert heard == {'left_eye'}, 'nothing of the other camera is published here'
    # The node's own names are free, and its parameters and states are there once.
    names = dict(left.node.get_topic_names_and_types())
    assert '/lisa/result' not in names and '/image' not in names
    assert {'/left/lisa/result', '/right/lisa/result', '/left/image', '/right/instruction'} <= set(names)
    services = dict(left.node.get_service_names_and_types())
    assert '/lisa/get_parameters' in services and '/left/lisa/get_parameters' not in services
    left.root = '/lisa'
    assert left.get('cameras') == [['left', 'right']]
    # Diagnostics have a status of each.
    both = left.wait('a status of each camera', lambda: next((m for m in left.diagnostics if len(m.status) == 2), None))
    assert [s.name.split(':')[0] for s in both.status] == ['left/lisa', 'right/lisa']


def test_one_camera_is_switched_off_and_forgets_without_the_other(cameras, golden):
    _, left, right = cameras()
    left.show(rgb8(golden.picture))
    right.show(rgb8(golden.picture))
    left.enable(False)
    refused = left.ask(golden.masked)
    assert refused.status == ReasoningResult.ERROR and '/left/lisa/enable' in refused.error, said(refused)
    assert right.ask(golden.masked).status in ANSWERED
    left.enable(True)
    # Conversations of the same name are two: only its own history makes an answer another.
    left.wait('a frame', lambda: left.ask(golden.masked).status in ANSWERED)
    alone = right.ask_stamped(golden.masked, conversation='table')
    left.ask_stamped(golden.text_only, conversation='table')
    left.ask_stamped(golden.masked, conversation='table')
    left.reset_conversation()
    fresh = left.ask_stamped(golden.masked, conversation='table')
    assert fresh.answer == alone.answer, 'it knows nothing of what was said before'
    right.camera.stop()


def test_a_flood_on_one_camera_does_not_make_another_wait_for_its_end(cameras, golden):
    process, left, right = cameras(max_new_tokens=400)
    left.show(rgb8(golden.picture))
    right.show(rgb8(golden.picture))
    order = []
    left._listen(ReasoningResult, 'lisa/result', lambda m: order.append(m.instruction_id))
    right._listen(ReasoningResult, 'lisa/result', lambda m: order.append(m.instruction_id))
    with left.changed:
        before = len(left.deltas)
    flood = [left.send(golden.masked) for _ in range(9)]
    # Its first answer is being written, and the others wait.
    left.wait('the first words', lambda: len(left.deltas) > before)
    asked = right.send(golden.masked)
    assert right.result(asked).status in ANSWERED
    with left.changed:
        answered = sum(1 for r in left.results if r.instruction_id in flood)
    results = [left.result(name, 120.0) for name in flood]
    assert {STATUS[r.status] for r in results} <= {'SEGMENTED', 'TEXT_ONLY', 'EMPTY_MASK'}, [said(r) for r in results]
    # First in, first out would have answered all nine before it.
    assert answered < 9, f'{answered} of nine were answered before the other camera'
    # A tenth on the one is one too many; the other's places are its own.
    flood = [left.send(golden.masked) for _ in range(12)]
    assert right.result(right.send(golden.masked)).status in ANSWERED
    ends = {STATUS[left.result(name, 120.0).status] for name in flood}
    assert 'OVERLOADED' in ends, ends


def test_absolute_names_are_robots_of_their_own_below_no_namespace(cameras, golden):
    _, near, far = cameras(('near', '/robot2/arm'), namespace='/station')
    assert (near.root, far.root) == ('/station/near/lisa', '/robot2/arm/lisa')
    far.show(rgb8(golden.picture))
    assert far.ask(golden.masked).status in ANSWERED


def test_each_camera_has_its_own_depth_and_all_have_the_same_transforms(cameras, golden):
    parameters = {'depth.transport': 'raw', 'mask_threshold': 0.01, 'image_reliability': 'reliable', 'target_frame': 'base_link'}
    _, left, right = cameras(**parameters)
    near, far = Rig(left, golden.picture), Rig(right, golden.picture, ('depth', 'info'))
    far.metres = 2.0

    def placed(client):
        result = client.ask_stamped(golden.masked)
        [found] = result.objects
        return found if found.spatial_status == OK else None
    # The mount comes on /tf with the left camera's pictures, and is waited for.
    at = [client.wait('a place', lambda: placed(client)).pose.pose.position.x for client in (left, right)]
    assert at == pytest.approx([1.0, 2.0], abs=0.01)
    assert near.metres == 1.0


@pytest.mark.parametrize('names, words', [('[a, a]', 'is [a, a]; accepted: up to 64'), ('[a-b]', 'accepted: up to 64'), ('left', 'a string; accepted')])
def test_names_that_are_none_end_the_node_with_the_reason(start, names, words):
    process = start(client=False, cameras=names)
    assert process.wait(30) == 1
    assert words in process.log()
