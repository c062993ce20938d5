"""examples/pick.py, and places in a recording that is played again and again: the shipped model, the sample recording, and its truth."""

import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from client import said
from geometry_msgs.msg import PoseStamped, TransformStamped
from lisa_ros.msg import ReasoningResult, SegmentedObject
from process import PROGRAM, ROOT
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from test_lifecycle import INACTIVE, Supervisor
from tf2_msgs.msg import TFMessage

sys.path.insert(0, str(ROOT / 'scripts'))

from demo_pick import MOST_MM, ROBOT, in_base, surface_centroid  # noqa: E402
from demo_pictures import read_png  # noqa: E402

LISA = PROGRAM.parent / 'lisa'
BAG = ROOT / 'bags' / 'tableworld'
SENSORS = ('/camera/image_raw/compressed', '/camera/depth/image', '/camera/camera_info', '/tf')
# The scene of the demo: second 16 of the recording. lisa-mini finds its green tissue box.
SCENE, SECOND = 36, 16
THING = 'Show me the green tissue box.'
# A depth image does not fit into the shared memory that Fast DDS has by default.
PROFILE = str(ROOT / 'config' / 'fastdds.xml')
ONE_MACHINE = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT', 'FASTRTPS_DEFAULT_PROFILES_FILE': PROFILE,
               'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    """Where the middle of the visible surface of the scene's tissue box is, in the frame `table`."""
    folder = tmp_path_factory.mktemp('world')
    subprocess.run([LISA, 'world', '--split', 'test', '--seed', str(SCENE), '--count', '1', '--format', 'frames', '--out', folder], check=True,
                   capture_output=True)
    [path] = folder.rglob('*.json')
    scene = json.loads(path.read_text())
    instances, depth = (read_png(path.with_name(scene['files'][name])) for name in ('instances', 'depth'))
    [number] = [i + 1 for i, thing in enumerate(scene['objects']) if (thing['category'], thing['colour']) == ('tissue box', 'green')]
    return surface_centroid(scene['camera'], depth, instances == number)


@pytest.fixture
def player():
    """Plays a part of the sample recording in a loop; ends with the test."""
    started = []

    def play(process, start, seconds, *more):
        started.append(subprocess.Popen(
            [LISA, 'bag', 'play', BAG, '--loop', '--start', str(start), '--duration', str(seconds), '--topics', *SENSORS, *more],
            env=dict(os.environ, ROS_DOMAIN_ID=str(process.domain), **ONE_MACHINE), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT))

    yield play
    for process in started:
        process.terminate()
        process.wait(30.0)


@pytest.fixture
def robot(start):
    """The node with the shipped model on the recording's topics."""
    def begin(**parameters):
        remaps = ('image/compressed:=camera/image_raw/compressed', 'depth:=camera/depth/image', 'camera_info:=camera/camera_info')
        arguments = [word for remap in remaps for word in ('-r', remap)]
        return start(environment=ONE_MACHINE, arguments=arguments, ready=parameters.get('autostart', True), **{
            'model': ROOT / 'models' / 'lisa-mini', 'image_transport': 'compressed', 'depth.transport': 'raw', 'max_new_tokens': 64,
            **parameters})
    return begin


def stand_before_the_table(lisa):
    """Says where the robot stands, as the demo does."""
    (x, y, z), turn = ROBOT
    mount = TransformStamped(child_frame_id='table')
    mount.header.frame_id = 'base_link'
    mount.transform.translation.x, mount.transform.translation.y, mount.transform.translation.z = x, y, z
    mount.transform.rotation.z, mount.transform.rotation.w = math.sin(turn / 2), math.cos(turn / 2)
    publisher = lisa.node.create_publisher(TFMessage, '/tf_static', LATCHED)
    publisher.publish(TFMessage(transforms=[mount]))
    return publisher


def pick(process, text):
    """examples/pick.py as a person runs it."""
    return subprocess.run([sys.executable, ROOT / 'examples' / 'pick.py', text], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, ROS_DOMAIN_ID=str(process.domain), **ONE_MACHINE))


def mm(place, true) -> float:
    return float(np.linalg.norm(np.array([place.x, place.y, place.z]) - true) * 1000.0)


def test_what_the_recording_shows_is_picked_where_it_is_and_what_it_does_not_show_is_refused(robot, player, truth):
    process, lisa = robot(target_frame='base_link')
    poses = []
    lisa.node.create_subscription(PoseStamped, 'pick_pose', poses.append, LATCHED)
    assert stand_before_the_table(lisa)
    player(process, SECOND, 0.25)
    lisa.wait('a place', lambda: any(o.spatial_status == SegmentedObject.SPATIAL_OK for o in lisa.ask(THING).objects))
    done = pick(process, THING)
    assert done.returncode == 0 and 'in base_link; open the gripper to' in done.stdout, (done, process.log())
    pose = lisa.wait('the pose', lambda: poses and poses[-1])
    off = mm(pose.pose.position, in_base(truth))
    # 7.8 mm with the model of today, whose mask leaves out some of its foot.
    assert pose.header.frame_id == 'base_link' and off < MOST_MM, (off, pose)
    assert pose.header.stamp.sec == 1_700_000_000 + SECOND, 'the pose is about the picture'
    # Against the surface: away from the robot, or down.
    turn = pose.pose.orientation
    into = (1 - 2 * (turn.y ** 2 + turn.z ** 2), 2 * (turn.x * turn.y + turn.z * turn.w), 2 * (turn.x * turn.z - turn.y * turn.w))
    assert into[0] - into[2] > 0.7, into
    refused = pick(process, 'Show me the scissors.')
    assert refused.returncode == 1 and refused.stderr.startswith('pick: ') and not refused.stdout, refused


class Loops:
    """Counts how often the recording's clock has gone back."""

    def __init__(self, lisa):
        self.count, self.last = 0, None
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        lisa.node.create_subscription(Clock, '/clock', self.tell, qos)

    def tell(self, message):
        now = message.clock.sec + message.clock.nanosec * 1e-9
        if self.last is not None and now < self.last - 1.0:
            self.count += 1
        self.last = now


def place_of_the_scene(lisa, loops, at_least, truth):
    """Asks about the newest frame until it is the scene's in the loop `at_least` or a later one; holds its place to the truth, and returns
    the loop. Every place on the way has the stamp of its own frame."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        result = lisa.ask_stamped(THING)
        for found in result.objects:
            if found.spatial_status == SegmentedObject.SPATIAL_OK:
                assert found.pose.header.stamp == result.header.stamp and found.pose.header.frame_id == 'table', found.pose.header
        loop = loops.count
        if result.header.stamp.sec == 1_700_000_000 + SECOND and loop >= at_least:
            assert result.status == ReasoningResult.SEGMENTED, said(result)
            [found] = result.objects
            # Topics find each other one after the other: in the first loop something may still be missing.
            if found.spatial_status == SegmentedObject.SPATIAL_OK:
                off = mm(found.grasp_point, truth)
                assert off < MOST_MM, (off, loop)
                return loop
            assert loop == 0, (list(result.notes), lisa.process.log())
        time.sleep(0.1)
    raise AssertionError(f'the scene has not come in loop {at_least}\n{lisa.process.log()}')


def test_a_recording_in_a_loop_keeps_its_places_and_stamps(robot, player, truth):
    process, lisa = robot(use_sim_time=True, target_frame='table', autostart=False)
    supervisor = Supervisor(lisa)
    assert supervisor.change('configure') and supervisor.change('activate')
    lisa.wait_ready()  # the topics of instructions are opened by `configure`, and found a little later
    loops = Loops(lisa)
    # Three seconds, one scene each, the one that is asked for in the middle.
    player(process, SECOND - 1, 3, '--clock')
    first = place_of_the_scene(lisa, loops, 0, truth)
    second = place_of_the_scene(lisa, loops, first + 1, truth)
    # While it is inactive, time goes back once more.
    assert supervisor.change('deactivate') and supervisor.state == INACTIVE
    lisa.wait('another loop', lambda: loops.count > second)
    assert supervisor.change('activate')
    place_of_the_scene(lisa, loops, second + 1, truth)
    assert 'went back' in process.said()
