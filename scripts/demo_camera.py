"""A camera for the demo: replays a folder of JPEG frames as sensor_msgs/CompressedImage, for ever, until it is ended."""

import argparse
import pathlib
import signal
import sys

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clip', type=pathlib.Path, required=True, help='folder of .jpg frames, replayed in order of name')
    parser.add_argument('--topic', default='camera/image_raw/compressed')
    parser.add_argument('--rate', type=float, default=10.0, help='frames a second')
    arguments = parser.parse_args()
    frames = [path.read_bytes() for path in sorted(arguments.clip.glob('*.jpg'))]
    if not frames:
        sys.exit(f'no .jpg file in {arguments.clip}')

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init()
    node = Node('demo_camera')
    publisher = node.create_publisher(CompressedImage, arguments.topic, qos_profile_sensor_data)
    shown = 0

    def show() -> None:
        nonlocal shown
        message = CompressedImage(format='jpeg', data=frames[shown % len(frames)])
        message.header.stamp = node.get_clock().now().to_msg()
        message.header.frame_id = 'camera_optical_frame'
        publisher.publish(message)
        shown += 1

    node.create_timer(1.0 / arguments.rate, show)
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
