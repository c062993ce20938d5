"""Starts the LISA node on a camera: ros2 launch lisa_ros lisa.launch.py model:=DIR image_topic:=/camera/image_raw.

Parameters come from params_file; of them only those are overridden that are given as an argument. An empty
argument is one that was not given.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# launch/, config/ and rviz/ stand side by side, in the repository as in share/lisa_ros.
SHARE = pathlib.Path(__file__).parent.parent

# name, default, description
ARGUMENTS = [
    ('namespace', '', 'Namespace of the node and of its relative topics, one a camera.'),
    ('image_topic', 'camera/image_raw',
     'Image topic (sensor_msgs/Image). The compressed one is expected beside it, as <image_topic>/compressed.'),
    ('camera_info_topic', 'camera/camera_info', 'Topic of the camera\'s calibration (sensor_msgs/CameraInfo).'),
    ('depth', '', 'Place objects in space: true, false, or compressedDepth where depth comes compressed. Empty: as in params_file, which is false.'),
    ('depth_topic', 'camera/depth/image_raw',
     'Depth topic (sensor_msgs/Image). The compressed one is expected beside it, as <depth_topic>/compressedDepth.'),
    ('depth_info_topic', 'camera/depth/camera_info', 'Topic of the depth camera\'s calibration (sensor_msgs/CameraInfo).'),
    ('target_frame', '', 'Frame in which objects are placed. Empty: as in params_file, which is the camera\'s own.'),
    ('params_file', str(SHARE / 'config' / 'lisa.yaml'), 'Parameter file; config/lisa.yaml explains every parameter.'),
    ('model', '', 'Model directory, as `lisa convert` writes it. Empty: as in params_file, which is lisa-mini.'),
    ('device', '', 'Where the model runs: auto, cpu, cuda or cuda:N. Empty: as in params_file.'),
    ('use_sim_time', '', 'Take the time from /clock: true or false. Empty: as in params_file.'),
    ('image_transport', '', 'raw or compressed. Empty: as in params_file.'),
    ('lifecycle', '', 'Wait for a supervisor to configure and activate the node: true or false. Empty: as in params_file, which is false.'),
    ('web.enable', '', 'Serve a page for a browser (docs/WEB.md): true or false. Empty: as in params_file, which is false.'),
    ('web.port', '', 'Port of that page. Empty: as in params_file, which is 8080.'),
    ('rviz', 'false', 'Start RViz with camera, overlay and markers: true or false.'),
    ('log_level', 'info', 'Log level of the node: debug, info, warn, error or fatal.'),
    ('respawn', 'true', 'Start the node again when it ends by itself: true or false.'),
    ('respawn_delay', '5.0', 'Seconds to wait before that.'),
]


def is_true(name, text):
    if text.lower() not in ('true', 'false', '1', '0', 'yes', 'no', 'on', 'off'):
        raise ValueError(f"launch argument {name} is '{text}'; accepted: true, false")
    return text.lower() in ('true', '1', 'yes', 'on')


def start(context):
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}

    parameters = [given['params_file']]
    overrides = {name: given[name] for name in ('model', 'device', 'image_transport') if given[name]}
    if overrides.get('model'):
        overrides['model'] = str(pathlib.Path(overrides['model']).expanduser().absolute())
    if given['use_sim_time']:
        overrides['use_sim_time'] = is_true('use_sim_time', given['use_sim_time'])
    if given['lifecycle']:
        overrides['autostart'] = not is_true('lifecycle', given['lifecycle'])
    if given['depth']:
        compressed = given['depth'] == 'compressedDepth'
        overrides['depth.transport'] = 'compressedDepth' if compressed else 'raw' if is_true('depth', given['depth']) else 'off'
    if given['target_frame']:
        overrides['target_frame'] = given['target_frame']
    if given['web.enable']:
        overrides['web.enable'] = is_true('web.enable', given['web.enable'])
    if given['web.port']:
        overrides['web.port'] = int(given['web.port'])
    if overrides:
        parameters.append(overrides)

    image_topic = given['image_topic']
    nodes = [Node(
        package='lisa_ros',
        executable='lisa_node',
        name='lisa',
        namespace=given['namespace'],
        output='screen',
        parameters=parameters,
        remappings=[
            ('image', image_topic),
            ('image/compressed', f'{image_topic}/compressed'),
            ('camera_info', given['camera_info_topic']),
            ('depth', given['depth_topic']),
            ('depth/compressedDepth', f"{given['depth_topic']}/compressedDepth"),
            ('depth/camera_info', given['depth_info_topic']),
        ],
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=is_true('respawn', given['respawn']),
        respawn_delay=float(given['respawn_delay']),
    )]

    if is_true('rviz', given['rviz']):
        # The configuration names the topics of a node without a namespace; here they become this node's.
        namespace = given['namespace'].strip('/')
        root = f'/{namespace}' if namespace else ''
        camera = image_topic if image_topic.startswith('/') else f'{root}/{image_topic}'
        nodes.append(Node(
            package='rviz2',
            executable='rviz2',
            namespace=namespace,
            arguments=['-d', str(SHARE / 'rviz' / 'lisa.rviz')],
            remappings=[
                ('/camera/image_raw', camera),
                ('/lisa/overlay', f'{root}/lisa/overlay'),
                ('/lisa/attention', f'{root}/lisa/attention'),
                ('/lisa/markers', f'{root}/lisa/markers'),
                ('/lisa/object_points', f'{root}/lisa/object_points'),
            ],
            parameters=[{'use_sim_time': overrides.get('use_sim_time', False)}],
        ))
    return nodes


def generate_launch_description():
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start)])
