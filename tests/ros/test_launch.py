"""The launch files: every argument is described and does something, and the node accepts the command line they make."""

import importlib.util
import shutil
import subprocess

import pytest
from client import ANSWERED, key, said
from launch_double import evaluate
from pictures import rgb8
from process import ROOT

LISA = ROOT / 'launch' / 'lisa.launch.py'
TWO = ROOT / 'launch' / 'two_cameras.launch.py'
REALSENSE = ROOT / 'launch' / 'realsense.launch.py'
OAK = ROOT / 'launch' / 'oak.launch.py'
ALL = [LISA, TWO, REALSENSE, OAK]

OTHER = {
    'namespace': 'front', 'image_topic': '/usb/image_raw', 'camera_info_topic': '/usb/camera_info', 'params_file': '/mine.yaml',
    'model': '/models/lisa', 'device': 'cuda:1', 'use_sim_time': 'true', 'image_transport': 'compressed', 'rviz': 'true',
    'lifecycle': 'true', 'depth': 'true', 'depth_topic': '/usb/depth', 'depth_info_topic': '/usb/depth/camera_info', 'target_frame': 'base_link',
    'web.enable': 'true', 'web.port': '9000', 'log_level': 'debug', 'respawn': 'false', 'respawn_delay': '1.5',
}
# Of the files for cameras, besides those.
CAMERA = {'camera': 'true', 'camera_namespace': 'arm', 'camera_name': 'wrist', 'camera_params_file': '/camera.yaml'}


def outcome(path, given, folder):
    """Everything about the nodes that a launch file would start."""
    nodes, _ = evaluate(path, given)
    return [(n.package, n.executable, n.respawn, n.respawn_delay, n.command_line(folder), [
        p for p in n.parameters if isinstance(p, dict)], [vars(c) for c in getattr(n, 'components', [])]) for n in nodes]


@pytest.mark.parametrize('path', ALL, ids=lambda p: p.name)
def test_every_argument_is_described(path):
    _, arguments = evaluate(path, {})
    for argument in arguments:
        assert argument.description and argument.description[-1] == '.', argument.name
    names = [a.name for a in arguments]
    assert len(set(names)) == len(names)


def test_every_argument_changes_what_is_started(tmp_path):
    _, arguments = evaluate(LISA, {})
    assert {a.name for a in arguments} == set(OTHER)
    plain = outcome(LISA, {}, tmp_path)
    for argument in arguments:
        changed = outcome(LISA, {argument.name: OTHER[argument.name]}, tmp_path)
        assert changed != plain, f'{argument.name}:={OTHER[argument.name]} changes nothing'


def test_only_what_is_given_overrides_the_parameter_file():
    [node], _ = evaluate(LISA, {})
    assert node.parameters == [str(ROOT / 'config' / 'lisa.yaml')]
    [node], _ = evaluate(LISA, {'device': 'cpu'})
    assert node.parameters[1:] == [{'device': 'cpu'}]


@pytest.mark.parametrize('given, autostart', [('true', False), ('false', True)])
def test_a_supervisor_is_waited_for_where_the_argument_says_so(given, autostart):
    [node], _ = evaluate(LISA, {'lifecycle': given})
    assert node.parameters[1:] == [{'autostart': autostart}]


@pytest.mark.parametrize('name', ['rviz', 'respawn', 'use_sim_time', 'lifecycle', 'web.enable'])
def test_a_switch_that_is_neither_true_nor_false_is_refused(name):
    with pytest.raises(ValueError, match=f'{name} is .perhaps.; accepted: true, false'):
        evaluate(LISA, {name: 'perhaps'})


def test_two_cameras_share_a_node(tmp_path):
    given = {'right_namespace': '/robot2/arm', 'left_image_topic': '/l/image', 'model': '/m', 'depth': 'true'}
    [node], arguments = evaluate(TWO, given)
    assert node.parameters[1] == {'cameras': ['left', '/robot2/arm'], 'model': '/m', 'depth.transport': 'raw'}
    remaps = dict(node.remappings)
    assert remaps['left/image'] == '/l/image' and remaps['left/camera_info'] == 'left/camera/camera_info'
    assert remaps['/robot2/arm/image/compressed'] == '/robot2/arm/camera/image_raw/compressed'
    for argument in arguments:
        name = argument.name.removeprefix('left_').removeprefix('right_')
        assert outcome(TWO, {argument.name: OTHER[name]}, tmp_path) != outcome(TWO, {}, tmp_path), f'{argument.name} changes nothing'


@pytest.mark.parametrize('path', [REALSENSE, OAK], ids=lambda p: p.name)
def test_a_cameras_file_is_that_of_the_node_with_other_defaults(path, tmp_path):
    [node], arguments = evaluate(path, {})
    assert node.parameters[1:] == [{'depth.transport': 'raw'}]
    # Its own arguments and those of lisa.launch.py do what they say.
    for name, other in {**OTHER, **CAMERA, 'depth': 'compressedDepth'}.items():
        if name in OTHER or name in [argument.name for argument in arguments]:
            with_camera = {'camera': 'true'} if name == 'camera_params_file' else {}
            plain = outcome(path, with_camera, tmp_path)
            assert outcome(path, {**with_camera, name: other}, tmp_path) != plain, f'{name}:={other} changes nothing'


# As the drivers' own documents name them: realsense-ros 4.55 README "Published Topics", depthai-ros 2.10 (branch jazzy) utils.hpp.
@pytest.mark.parametrize('path, given, topics, plugin', [
    (REALSENSE, {}, ('/camera/camera/color/image_raw', '/camera/camera/color/camera_info', '/camera/camera/aligned_depth_to_color/image_raw',
                     '/camera/camera/aligned_depth_to_color/camera_info'), 'realsense2_camera::RealSenseNodeFactory'),
    (REALSENSE, {'camera_namespace': 'robot1', 'camera_name': 'D455_1'},
     ('/robot1/D455_1/color/image_raw', '/robot1/D455_1/color/camera_info', '/robot1/D455_1/aligned_depth_to_color/image_raw',
      '/robot1/D455_1/aligned_depth_to_color/camera_info'), 'realsense2_camera::RealSenseNodeFactory'),
    (OAK, {}, ('/oak/rgb/image_raw', '/oak/rgb/camera_info', '/oak/stereo/image_raw', '/oak/stereo/camera_info'),
     'depthai_ros_driver::Camera'),
], ids=['realsense', 'another realsense', 'oak'])
def test_the_topics_are_the_drivers(path, given, topics, plugin):
    container, node = evaluate(path, {**given, 'camera': 'true'})[0]
    remaps = dict(node.remappings)
    assert (remaps['image'], remaps['camera_info'], remaps['depth'], remaps['depth/camera_info']) == topics
    assert remaps['depth/compressedDepth'] == f'{topics[2]}/compressedDepth'
    [driver] = container.components
    assert (container.package, driver.plugin) == ('rclcpp_components', plugin)
    # <namespace>/<name> of the driver is what its topics begin with.
    assert topics[0].startswith('/'.join(['', *filter(None, [driver.namespace, driver.name]), '']))


@pytest.mark.parametrize('path', [REALSENSE, OAK], ids=lambda p: p.name)
def test_a_driver_is_started_where_the_argument_says_so(path):
    assert len(evaluate(path, {})[0]) == 1
    with pytest.raises(ValueError, match='camera is .perhaps.; accepted: true, false'):
        evaluate(path, {'camera': 'perhaps'})


def test_the_node_accepts_the_command_line(start, golden, model, tmp_path):
    [node], _ = evaluate(LISA, {'namespace': 'front', 'image_topic': '/usb/image_raw', 'model': str(model), 'device': 'cpu'})
    _, lisa = start(namespace='/front', ready=False, arguments=node.command_line(tmp_path))
    lisa.wait_ready()
    lisa.image_topic = '/usb/image_raw'
    lisa.show(rgb8(golden.picture))
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED and key(result.header) in lisa.shown, said(result)
    assert lisa.get('model', 'device', 'clip_fit') == [str(model), 'cpu', 'model']


@pytest.mark.skipif(importlib.util.find_spec('launch_ros') is None or not shutil.which('ros2'), reason='there is no ros2 launch here')
@pytest.mark.parametrize('path', ALL, ids=lambda p: p.name)
def test_the_real_ros2_launch_shows_the_arguments(path):
    shown = subprocess.run(['ros2', 'launch', str(path), '--show-args'], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    _, arguments = evaluate(path, {})
    for argument in arguments:
        assert f"'{argument.name}':" in shown.stdout, shown.stdout
