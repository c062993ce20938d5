"""Objects in space: depth, calibrations and transforms go in over DDS, boxes, markers and points come out, and what is missing is named.

The model is the tiny one, whose masks are noise; with the lowest threshold they have an inside. The depth image is a wall at 1 m, so that
every point has z = 1."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from client import key, said
from geometry_msgs.msg import PoseStamped, TransformStamped
from lisa_ros.msg import ReasoningResult, SegmentedObject
from pictures import rgb8
from process import ROOT
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

OK = SegmentedObject.SPATIAL_OK
FOCAL = 100.0


class Rig:
    """A depth camera in the colour camera's frame, and its mount on a robot. It sends with every picture what `sends` names."""

    def __init__(self, lisa, picture, sends=('depth', 'info', 'tf')):
        self.lisa, self.sends = lisa, set(sends)
        self.height, self.width = picture.shape[:2]
        node = lisa.node
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.depth = node.create_publisher(Image, 'depth', 5)
        self.info = node.create_publisher(CameraInfo, 'camera_info', 5)
        self.tf = node.create_publisher(TFMessage, '/tf', 100)
        self.heard = {name: [] for name in ('detections', 'detections_3d', 'markers', 'object_points', 'label_info')}
        for name, kind in (('detections', Detection2DArray), ('detections_3d', Detection3DArray), ('markers', MarkerArray),
                           ('object_points', PointCloud2)):
            lisa._listen(kind, f'lisa/{name}', self.heard[name].append)
        node.create_subscription(LabelInfo, 'lisa/label_info', self.heard['label_info'].append, latched)
        self.metres, self.encoding, self.delay = 1.0, '16UC1', 0
        self.k = [FOCAL, 0.0, self.width / 2 - 0.5, 0.0, FOCAL, self.height / 2 - 0.5, 0.0, 0.0, 1.0]
        lisa.show(rgb8(picture), stamp=self.stamp)

    def stamp(self):
        """The stamp of the next picture, after everything that goes with it was sent."""
        now = self.lisa.node.get_clock().now()
        sec, nanosec = now.seconds_nanoseconds()
        if 'info' in self.sends:
            info = CameraInfo(width=self.width, height=self.height, distortion_model='plumb_bob', k=self.k)
            info.header.frame_id = 'camera'
            self.info.publish(info)
        if 'tf' in self.sends:
            mount = TransformStamped(child_frame_id='camera')
            mount.header.frame_id = 'base_link'
            mount.header.stamp = now.to_msg()
            # The camera looks along the robot's x axis, 0.5 m above its base.
            mount.transform.translation.z = 0.5
            turn = mount.transform.rotation
            turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
            self.tf.publish(TFMessage(transforms=[mount]))
        if 'depth' in self.sends:
            depth = Image(height=self.height, width=self.width, encoding=self.encoding)
            depth.header.frame_id = 'camera'
            depth.header.stamp = now.to_msg()
            kind = np.float32 if self.encoding == '32FC1' else np.uint16
            value = self.metres if self.encoding == '32FC1' else self.metres * 1000
            depth.step = self.width * kind().itemsize
            depth.data = np.full((self.height, self.width), value, kind).tobytes()
            self.depth.publish(depth)
        return sec, nanosec

    def of(self, topic, result):
        """The message on a topic about a result's picture."""
        return self.lisa.wait(f'{topic} of the picture', lambda: next(
            (m for m in self.heard[topic] if key(m.header) == key(result.header)), None))


@pytest.fixture
def robot(start, golden):
    def begin(sends=('depth', 'info', 'tf'), **parameters):
        process, lisa = start(**{'depth.transport': 'raw', 'mask_threshold': 0.01, 'image_reliability': 'reliable', **parameters})
        return process, lisa, Rig(lisa, golden.picture, sends)
    return begin


def only(result):
    assert result.status == ReasoningResult.SEGMENTED and len(result.objects) == 1, said(result)
    return result.objects[0]


def placed(lisa, golden):
    """A result whose object has its place. Topics are found a little later than the node says that it is ready, and a message that
    is lost comes again after seconds; what is missing until then is named, which other tests look at."""
    def ask():
        result = lisa.ask_stamped(golden.masked)
        return result if only(result).spatial_status == OK else None
    return lisa.wait('an object with a place', ask)


def in_base(x, y, z):
    """From the optical frame into base_link: right is −y, down is −z, forward is x."""
    return z, -x, 0.5 - y


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_an_object_gets_its_place_on_every_topic(robot, golden, encoding):
    _, lisa, rig = robot(target_frame='base_link')
    rig.encoding = encoding
    result = placed(lisa, golden)
    found = only(result)
    assert found.pose.header.frame_id == 'base_link' and found.pose.header.stamp == result.header.stamp
    assert result.header.frame_id == 'camera', 'the header of the picture stays'
    # The wall is 1 m before the camera, and the box lies where the mask does.
    assert abs(found.pose.pose.position.x - 1.0) < 0.005 and abs(found.grasp_point.x - 1.0) < 0.005
    left, top = found.roi.x_offset - 0.5 - rig.k[2], found.roi.y_offset - 0.5 - rig.k[5]
    right, bottom = left + found.roi.width, top + found.roi.height
    corners = [in_base(x / FOCAL, y / FOCAL, 1.0) for x, y in ((left, top), (right, bottom))]
    (_, y1, z1), (_, y0, z0) = corners
    place = found.grasp_point
    assert y0 - 0.01 <= place.y <= y1 + 0.01 and z0 - 0.01 <= place.z <= z1 + 0.01, (place, corners)
    assert found.grasp_normal.x < -0.99, 'the wall faces the camera'
    area = np.count_nonzero(np.array(found.mask.data))
    assert found.depth_coverage == pytest.approx(1.0) and 0.9 * area <= found.number_of_points <= area
    turn = found.pose.pose.orientation
    assert math.hypot(turn.x, turn.y, turn.z, turn.w) == pytest.approx(1.0)

    flat = rig.of('detections', result)
    assert flat.header == result.header and len(flat.detections) == 1
    box = flat.detections[0].bbox
    assert (box.size_x, box.size_y) == (found.roi.width, found.roi.height)
    assert box.center.position.x == found.roi.x_offset + found.roi.width / 2 - 0.5
    deep = lisa.wait('boxes in space', lambda: next((m for m in rig.heard['detections_3d'] if m.header.stamp == result.header.stamp), None))
    assert deep.header.frame_id == 'base_link' and deep.detections[0].bbox.center == found.pose.pose
    assert deep.detections[0].bbox.size == found.size
    hypothesis = deep.detections[0].results[0].hypothesis
    assert hypothesis.score == pytest.approx(found.score)
    labels = lisa.wait('the labels', lambda: rig.heard['label_info'] and rig.heard['label_info'][-1])
    names = {str(c.class_id): c.class_name for c in labels.class_map}
    assert names[hypothesis.class_id] == found.label
    marked = lisa.wait('markers', lambda: next(
        (m for m in rig.heard['markers'] if m.markers and m.markers[0].header.stamp == result.header.stamp), None))
    assert [m.type for m in marked.markers] == [Marker.CUBE, Marker.TEXT_VIEW_FACING]
    assert marked.markers[0].pose == found.pose.pose and marked.markers[1].text == found.label
    cloud = lisa.wait('points', lambda: next(
        (c for c in rig.heard['object_points'] if c.header.stamp == result.header.stamp), None))
    assert cloud.header.frame_id == 'base_link' and cloud.width == found.number_of_points
    points = np.frombuffer(bytes(cloud.data), np.dtype('<f4')).reshape(-1, cloud.point_step // 4)
    assert np.allclose(points[:, 0], 1.0, atol=0.005), 'every point is on the wall'


def test_markers_go_with_the_object(robot, golden):
    _, lisa, rig = robot()
    lisa.wait('an object with a place', lambda: lisa.ask(golden.masked).objects[0].spatial_status == OK)
    assert lisa.ask_stamped(golden.text_only).status == ReasoningResult.TEXT_ONLY
    last = lisa.wait('that it is deleted', lambda: rig.heard['markers'] and rig.heard['markers'][-1].markers[0].action == Marker.DELETE)
    assert last
    lisa.wait('boxes of nothing', lambda: rig.heard['detections_3d'] and not rig.heard['detections_3d'][-1].detections)
    assert not rig.heard['detections'][-1].detections


@pytest.mark.parametrize('sends, status, word', [
    (('info', 'tf'), SegmentedObject.NO_DEPTH, 'NO_DEPTH'),
    (('depth', 'tf'), SegmentedObject.NO_CAMERA_INFO, 'NO_CAMERA_INFO'),
    (('depth', 'info'), SegmentedObject.NO_TRANSFORM, 'NO_TRANSFORM'),
])
def test_what_is_missing_is_named_and_the_mask_comes_all_the_same(robot, golden, sends, status, word):
    _, lisa, rig = robot(sends, target_frame='base_link')
    result = lisa.ask_stamped(golden.masked)
    found = only(result)
    assert found.spatial_status == status, (found.spatial_status, list(result.notes))
    assert any(note.startswith(word) for note in result.notes), list(result.notes)
    lisa.wait('word of it', lambda: any(word in d.status[0].message for d in lisa.diagnostics))
    # Once it comes, the next question has its place.
    rig.sends = {'depth', 'info', 'tf'}
    lisa.wait('a place', lambda: only(lisa.ask_stamped(golden.masked)).spatial_status == OK)


@pytest.mark.parametrize('spoil, status', [
    (lambda rig: setattr(rig, 'encoding', 'rgb8'), SegmentedObject.NO_DEPTH),
    (lambda rig: setattr(rig, 'k', [0.0] * 9), SegmentedObject.NO_CAMERA_INFO),
    (lambda rig: (setattr(rig, 'encoding', '32FC1'), setattr(rig, 'metres', float('nan'))), SegmentedObject.TOO_FEW_POINTS),
], ids=['an unknown encoding', 'K of zeros', 'NaN everywhere'])
def test_what_cannot_be_used_is_named_and_the_next_works(robot, golden, spoil, status):
    _, lisa, rig = robot()
    before = dict(vars(rig))
    lisa.wait('a place', lambda: only(lisa.ask_stamped(golden.masked)).spatial_status == OK)
    spoil(rig)
    lisa.wait('its name', lambda: only(lisa.ask_stamped(golden.masked)).spatial_status == status)
    rig.encoding, rig.metres, rig.k = before['encoding'], before['metres'], before['k']
    lisa.wait('a place', lambda: only(lisa.ask_stamped(golden.masked)).spatial_status == OK)


def test_without_a_depth_topic_nothing_is_said_of_space(start, golden):
    _, lisa = start()
    Rig(lisa, golden.picture)
    result = lisa.ask_stamped(golden.masked)
    found = only(result)
    assert found.spatial_status == SegmentedObject.SPATIAL_OFF and not result.notes
    assert found.pose.pose.orientation.w == 1.0, 'the identity, as in every message that nobody has filled'


def pick(process, *arguments):
    """examples/pick.py as a person runs it."""
    environment = dict(os.environ, ROS_DOMAIN_ID=str(process.domain))
    return subprocess.run([sys.executable, ROOT / 'examples' / 'pick.py', *arguments], env=environment, capture_output=True, text=True,
                          timeout=120)


def test_the_example_takes_the_pose_of_an_object_and_refuses_what_is_not_there(robot, golden):
    process, lisa, rig = robot(target_frame='base_link')
    poses = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    lisa.node.create_subscription(PoseStamped, 'pick_pose', poses.append, latched)
    truth = only(placed(lisa, golden))
    done = lisa.wait('a pose', lambda: (tried := pick(process, golden.masked)).returncode == 0 and tried)
    assert 'in base_link; open the gripper to' in done.stdout
    pose = lisa.wait('the pose', lambda: poses and poses[-1])
    assert pose.header.frame_id == 'base_link'
    at, true = pose.pose.position, truth.grasp_point
    # The same wall and the same mask: to a millimetre.
    assert math.dist((at.x, at.y, at.z), (true.x, true.y, true.z)) < 0.001
    # Its x axis goes into the wall, which is away from the robot.
    turn = pose.pose.orientation
    assert 1 - 2 * (turn.y ** 2 + turn.z ** 2) > 0.99, turn
    done = pick(process, golden.text_only)
    assert done.returncode == 1 and done.stderr.startswith('pick: ') and not done.stdout
    rig.sends = {'info', 'tf'}
    lisa.wait('that depth is missing', lambda: only(lisa.ask_stamped(golden.masked)).spatial_status == SegmentedObject.NO_DEPTH)
    done = pick(process, golden.masked)
    assert done.returncode == 1 and 'no depth image' in done.stderr, done.stderr
