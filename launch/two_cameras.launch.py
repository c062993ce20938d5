"""Starts two LISA nodes, one a camera: ros2 launch lisa_ros two_cameras.launch.py model:=DIR.

Each node has a namespace, a model in memory and an answer of its own: /left/lisa/result, /right/lisa/result.
Arguments of lisa.launch.py that are not listed here keep their defaults.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

SHARE = pathlib.Path(__file__).parent.parent

# Given to both nodes. name, default, description
COMMON = [
    ('params_file', str(SHARE / 'config' / 'lisa.yaml'), 'Parameter file of both nodes.'),
    ('model', '', 'Model directory of both nodes. Empty: as in params_file.'),
    ('use_sim_time', '', 'Take the time from /clock: true or false. Empty: as in params_file.'),
    ('image_transport', '', 'raw or compressed. Empty: as in params_file.'),
    ('log_level', 'info', 'Log level of both nodes.'),
]

# Given to one of them: the prefix of the argument is the camera's.
EACH = [
    ('namespace', '{camera}', 'Namespace of the {camera} camera and its node.'),
    ('image_topic', 'camera/image_raw', 'Image topic of the {camera} camera; a relative one is in its namespace.'),
    ('camera_info_topic', 'camera/camera_info', 'Calibration of the {camera} camera.'),
    ('device', '', 'Where the {camera} model runs, for example cuda:0. Empty: as in params_file.'),
]


def generate_launch_description():
    actions = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in COMMON
    ]
    for camera in ('left', 'right'):
        arguments = {name: LaunchConfiguration(name) for name, _, _ in COMMON}
        for name, default, description in EACH:
            argument = f'{camera}_{name}'
            actions.append(DeclareLaunchArgument(
                argument,
                default_value=default.format(camera=camera),
                description=description.format(camera=camera),
            ))
            arguments[name] = LaunchConfiguration(argument)
        # In a group, so that one camera's arguments do not reach the other.
        actions.append(GroupAction([
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(pathlib.Path(__file__).parent / 'lisa.launch.py')),
                launch_arguments=arguments.items(),
            ),
        ]))
    return LaunchDescription(actions)
