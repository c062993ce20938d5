"""Starts the LISA node on an Intel RealSense: ros2 launch lisa_ros realsense.launch.py target_frame:=base_link model:=DIR.

It is lisa.launch.py with the topics of realsense2_camera (4.55 and newer) as defaults and depth switched on, and takes all
arguments of that file. With camera:=true it starts the driver, too, as a component.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode

CAMERA = ['/', LaunchConfiguration('camera_namespace'), '/', LaunchConfiguration('camera_name')]

# name, default, description
ARGUMENTS = [
    ('camera', 'false', 'Start the driver realsense2_camera in a component container: true or false.'),
    ('camera_namespace', 'camera', 'Namespace of the driver.'),
    ('camera_name', 'camera', 'Name of the driver in it; the driver names its frames after it.'),
    ('camera_params_file', '', 'Parameter file of the driver, for example with its serial_no. Empty: none.'),
    ('image_topic', [*CAMERA, '/color/image_raw'], 'Image topic (sensor_msgs/Image).'),
    ('camera_info_topic', [*CAMERA, '/color/camera_info'], 'Topic of the colour camera\'s calibration.'),
    ('depth', 'true', 'Place objects in space: true, false, or compressedDepth.'),
    ('depth_topic', [*CAMERA, '/aligned_depth_to_color/image_raw'],
     'Depth topic. Without align_depth.enable it is <camera>/depth/image_rect_raw, which the node itself brings into the colour picture.'),
    ('depth_info_topic', [*CAMERA, '/aligned_depth_to_color/camera_info'],
     'Topic of the depth image\'s calibration; <camera>/depth/camera_info belongs to depth/image_rect_raw.'),
]


def start_camera(context):
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    if given['camera'] not in ('true', 'false'):
        raise ValueError(f"launch argument camera is '{given['camera']}'; accepted: true, false")
    if given['camera'] == 'false':
        return []
    parameters = [{'align_depth.enable': True, 'enable_sync': True}]
    if given['camera_params_file']:
        parameters.append(given['camera_params_file'])
    driver = ComposableNode(
        package='realsense2_camera',
        plugin='realsense2_camera::RealSenseNodeFactory',
        name=given['camera_name'],
        namespace=given['camera_namespace'],
        parameters=parameters,
    )
    return [ComposableNodeContainer(
        name='camera_container',
        namespace=given['camera_namespace'],
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
