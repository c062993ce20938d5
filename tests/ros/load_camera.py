"""A camera for the load test, in a process of its own: 1280×720 rgb8 at 30 Hz. One line a frame: stamp, time of publication."""

import array
import sys
import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

WIDTH, HEIGHT, RATE = 1280, 720, 30.0


def main() -> None:
    seconds = float(sys.argv[1])
    rclpy.init()
    node = rclpy.create_node('load_camera')
    publisher = node.create_publisher(Image, 'image', qos_profile_sensor_data)
    image = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=WIDTH * 3)
    image.header.frame_id = 'load'
    image.data = array.array('B', bytes(range(250)) * (WIDTH * HEIGHT * 3 // 250) + bytes(WIDTH * HEIGHT * 3 % 250))
    begin = time.monotonic()
    frame = 0
    while time.monotonic() - begin < seconds:
        image.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(image)
        print(image.header.stamp.sec, image.header.stamp.nanosec, time.time(), flush=True)
        frame += 1
        time.sleep(max(0.0, begin + frame / RATE - time.monotonic()))
    rclpy.shutdown()


if __name__ == '__main__':
    main()
