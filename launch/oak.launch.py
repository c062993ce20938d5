"""Starts the LISA node on a Luxonis OAK: ros2 launch lisa_ros oak.launch.py target_frame:=base_link model:=DIR.

It is lisa.launch.py with the topics of depthai_ros_driver 2 (Humble to Jazzy) as defaults and depth switched on, and takes all
arguments of that file. With camera:=true it starts the driver, too, as a component.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode

CAMERA = ['/', LaunchConfiguration('camera_name')]

# name, default, description
ARGUMENTS = [
    ('camera', 'false', 'Start the driver depthai_ros_driver in a component container: true or false.'),
    ('camera_name', 'oak', 'Name of the driver; its topics and frames are named after it.'),
    ('camera_params_file', '', 'Parameter file of the driver, for example with its camera.i_mx_id. Empty: none.'),
    ('image_topic', [*CAMERA, '/rgb/image_raw'], 'Image topic (sensor_msgs/Image).'),
    ('camera_info_topic', [*CAMERA, '/rgb/camera_info'], 'Topic of the colour camera\'s calibration.'),
    ('depth', 'true', 'Place objects in space: true, false, or compressedDepth.'),
    ('depth_topic', [*CAMERA, '/stereo/image_raw'], 'Depth topic, which the driver registers to the colour picture (stereo.i_align_depth).'),
    ('depth_info_topic', [*CAMERA, '/stereo/camera_info'], 'Topic of the depth image\'s calibration.'),
]


def start_camera(context):
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    if given['camera'] not in ('true', 'false'):
        raise ValueError(f"launch argument camera is '{given['camera']}'; accepted: true, false")
    if given['camera'] == 'false':
        return []
    name = given['camera_name']
    # The driver tells /tf where its sensors are in the frame that is named after it.
    parameters = [{
        'camera.i_pipeline_type': 'RGBD', 'stereo.i_align_depth': True, 'camera.i_publish_tf_from_calibration': True,
        'camera.i_tf_tf_prefix': name, 'camera.i_tf_base_frame': name, 'camera.i_tf_parent_frame': 'oak-d-base-frame',
    }]
    if given['camera_params_file']:
        parameters.append(given['camera_params_file'])
    driver = ComposableNode(package='depthai_ros_driver', plugin='depthai_ros_driver::Camera', name=name, parameters=parameters)
    return [ComposableNodeContainer(
        name=f'{name}_container',
        namespace='',
        package='rclcpp_components',
        executable='component_container',
        composable_node_descriptions=[driver],
        output='screen',
    )]


def generate_launch_description():
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    # What is declared here is set already when lisa.launch.py declares its own.
    lisa = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(pathlib.Path(__file__).parent / 'lisa.launch.py')))
    return LaunchDescription([*declarations, OpaqueFunction(function=start_camera), lisa])
