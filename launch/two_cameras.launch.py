"""Starts one LISA node that serves two cameras with one model: ros2 launch lisa_ros two_cameras.launch.py model:=DIR.

To its clients each camera is a node of its own in a namespace: /left/instruction and /left/lisa/result, /right/instruction and
/right/lisa/result. Both share the model's time, half of it each while both ask. More cameras are more names in the parameter
`cameras`, and more remappings.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = pathlib.Path(__file__).parent.parent

CAMERAS = ('left', 'right')

# Of the node. name, default, description
COMMON = [
    ('params_file', str(SHARE / 'config' / 'lisa.yaml'), 'Parameter file; config/lisa.yaml explains every parameter.'),
    ('model', '', 'Model directory, as `lisa convert` writes it. Empty: as in params_file, which is lisa-mini.'),
    ('device', '', 'Where the model runs: auto, cpu, cuda or cuda:N. Empty: as in params_file.'),
    ('use_sim_time', '', 'Take the time from /clock: true or false. Empty: as in params_file.'),
    ('image_transport', '', 'raw or compressed. Empty: as in params_file.'),
    ('depth', '', 'Place objects in space: true, false, or compressedDepth where depth comes compressed. Empty: as in params_file, which is false.'),
    ('target_frame', '', 'Frame in which objects of both cameras are placed. Empty: as in params_file, which is the camera\'s own.'),
    ('log_level', 'info', 'Log level of the node: debug, info, warn, error or fatal.'),
    ('respawn', 'true', 'Start the node again when it ends by itself: true or false.'),
    ('respawn_delay', '5.0', 'Seconds to wait before that.'),
]

# Of one camera, whose name the argument begins with.
EACH = [
    ('namespace', '{camera}', 'Namespace of the {camera} camera\'s topics, services and actions.'),
    ('image_topic', 'camera/image_raw', 'Image topic of the {camera} camera; a relative one is in its namespace.'),
    ('camera_info_topic', 'camera/camera_info', 'Calibration of the {camera} camera.'),
    ('depth_topic', 'camera/depth/image_raw', 'Depth topic of the {camera} camera.'),
    ('depth_info_topic', 'camera/depth/camera_info', 'Calibration of the {camera} depth camera.'),
]


def is_true(name, text):
    if text.lower() not in ('true', 'false', '1', '0', 'yes', 'no', 'on', 'off'):
        raise ValueError(f"launch argument {name} is '{text}'; accepted: true, false")
    return text.lower() in ('true', '1', 'yes', 'on')


def remappings(namespace, given):
    """What the node calls the topics of a camera, and what they are called."""
    def full(topic):
        return topic if topic.startswith('/') else f'{namespace}/{topic}'

    topics = {
        'image': given['image_topic'],
        'image/compressed': f"{given['image_topic']}/compressed",
        'camera_info': given['camera_info_topic'],
        'depth': given['depth_topic'],
        'depth/compressedDepth': f"{given['depth_topic']}/compressedDepth",
        'depth/camera_info': given['depth_info_topic'],
    }
    return [(f'{namespace}/{name}', full(topic)) for name, topic in topics.items()]


def start(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    given = {name: value(name) for name, _, _ in COMMON}
    cameras = [{name: value(f'{camera}_{name}') for name, _, _ in EACH} for camera in CAMERAS]
    overrides = {'cameras': [camera['namespace'] for camera in cameras]}
    overrides.update({name: given[name] for name in ('model', 'device', 'image_transport', 'target_frame') if given[name]})
    if overrides.get('model'):
        overrides['model'] = str(pathlib.Path(overrides['model']).expanduser().absolute())
    if given['use_sim_time']:
        overrides['use_sim_time'] = is_true('use_sim_time', given['use_sim_time'])
    if given['depth']:
        compressed = given['depth'] == 'compressedDepth'
        overrides['depth.transport'] = 'compressedDepth' if compressed else 'raw' if is_true('depth', given['depth']) else 'off'
    return [Node(
        package='lisa_ros',
        executable='lisa_node',
        name='lisa',
        output='screen',
        parameters=[given['params_file'], overrides],
        remappings=[pair for camera in cameras for pair in remappings(camera['namespace'], camera)],
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=is_true('respawn', given['respawn']),
        respawn_delay=float(given['respawn_delay']),
    )]


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description) for name, default, description in COMMON]
    for camera in CAMERAS:
        arguments += [
            DeclareLaunchArgument(f'{camera}_{name}', default_value=default.format(camera=camera), description=description.format(camera=camera))
            for name, default, description in EACH
        ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
