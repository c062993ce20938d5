"""A camera for the demo: replays a folder of pictures as sensor_msgs/CompressedImage, for ever, until it is ended."""

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
    parser.add_argument('--clip', type=pathlib.Path, required=True, help='folder of .jpg or _rgb.png frames, replayed in order of name')
    parser.add_argument('--topic', default='camera/image_raw/compressed')
    parser.add_argument('--rate', type=float, default=10.0, help='frames a second')
    arguments = parser.parse_args()
    paths = sorted([*arguments.clip.glob('*.jpg'), *arguments.clip.glob('*_rgb.png')])
    frames = [('png' if path.suffix == '.png' else 'jpeg', path.read_bytes()) for path in paths]
    if not frames:
        sys.exit(f'no .jpg and no _rgb.png file in {arguments.clip}')

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init()
    node = Node('demo_camera')
    publisher = node.create_publisher(CompressedImage, arguments.topic, qos_profile_sensor_data)
    shown = 0

    def show() -> None:
        nonlocal shown
        kind, data = frames[shown % len(frames)]
        message = CompressedImage(format=kind, data=data)
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
