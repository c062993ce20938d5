"""A camera for the load test, in a process of its own: a picture, as 1280×720 rgb8, at 30 Hz. One line a frame: stamp, time of publication."""

import array
import pathlib
import signal
import sys
import time

import numpy as np
import rclpy
from pictures import read_png
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

WIDTH, HEIGHT, RATE = 1280, 720, 30.0


def main() -> None:
    seconds = float(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init()
    node = rclpy.create_node('load_camera')
    publisher = node.create_publisher(Image, 'image', qos_profile_sensor_data)
    image = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=WIDTH * 3)
    image.header.frame_id = 'load'
    picture = read_png(pathlib.Path(sys.argv[2]))
    rows, columns = np.arange(HEIGHT) * picture.shape[0] // HEIGHT, np.arange(WIDTH) * picture.shape[1] // WIDTH
    image.data = array.array('B', picture[rows][:, columns].tobytes())
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
    try:
        main()
    except (KeyboardInterrupt, RuntimeError):
        pass
