"""The Python package rosbags at the other end of our bags.

    interop.py check MSG FOLDER    read every bag in FOLDER and compare it with what is known
    interop.py write MSG FOLDER    write the same messages, in every way the package has
    interop.py time  MSG BAG OUT   how long it takes to open a bag, to read and decode its images, and to write them to OUT

MSG is the folder of this package's message definitions.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

TIME = 1_700_000_000_500_000_000
INFINITE = QosTime(9_223_372_036, 854_775_807)


def store(folder):
    """The types of ROS 2 and those of this package."""
    types = get_typestore(Stores.ROS2_JAZZY)
    ours = {}
    for path in folder.glob("*.msg"):
        ours |= get_types_from_msg(path.read_text(), f"lisa_ros/msg/{path.stem}")
    types.register(ours)
    return types


def known(types):
    """One message of each type, by topic."""

    def make(name, *fields):
        return types.types[name](*fields)

    stamp = make("builtin_interfaces/msg/Time", 1_700_000_000, 500_000_000)
    header = make("std_msgs/msg/Header", stamp, "camera é")
    pixels = np.array([0, 1, 2, 253, 254, 255], np.uint8)
    image = make("sensor_msgs/msg/Image", header, 2, 3, "mono8", 0, 3, pixels)
    roi = make("sensor_msgs/msg/RegionOfInterest", 1, 2, 3, 4, True)
    info = make(
        "sensor_msgs/msg/CameraInfo", header, 2, 3, "plumb_bob", np.array([0.5, -0.25]),
        np.full(9, 1.0), np.full(9, 2.0), np.full(12, 3.0), 1, 2, roi,
    )
    transform = make(
        "geometry_msgs/msg/Transform",
        make("geometry_msgs/msg/Vector3", 0.0, 0.0, -1.5),
        make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0),
    )
    stamped = make("geometry_msgs/msg/TransformStamped", header, "tool", transform)
    pose = make(
        "geometry_msgs/msg/Pose",
        make("geometry_msgs/msg/Point", 1.0, 2.0, 0.5),
        make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0),
    )
    segmented = make(
        "lisa_ros/msg/SegmentedObject", 0, "cup", 0.75, roi, image, 7, 1,
        make("geometry_msgs/msg/PoseStamped", header, pose),
        make("geometry_msgs/msg/Vector3", 0.25, 0.125, 0.5), 0.75, 1234,
        make("geometry_msgs/msg/Point", 1.0, 2.0, 0.75),
        make("geometry_msgs/msg/Vector3", 0.0, 0.0, 1.0),
        make("geometry_msgs/msg/Vector3", 0.0, 1.0, 0.0), 0.125,
    )
    total = make("lisa_ros/msg/StageTime", "total", 1.5)
    return {
        "/image": image,
        "/compressed": make(
            "sensor_msgs/msg/CompressedImage", header, "png", np.array([1, 2, 3], np.uint8)
        ),
        "/info": info,
        "/text": make("std_msgs/msg/String", "change the TV channel"),
        "/clock": make("rosgraph_msgs/msg/Clock", stamp),
        "/tf": make("tf2_msgs/msg/TFMessage", [stamped]),
        "/instruction": make("lisa_ros/msg/Instruction", header, "7", "", "find the cup"),
        "/delta": make("lisa_ros/msg/TextDelta", header, "7", "", "It", 1, True),
        "/result": make(
            "lisa_ros/msg/ReasoningResult", header, "7", "", "find the cup", "It is [SEG].", 0, "",
            ["a note"], [segmented], [total], np.array([0.25, 0.5], np.float32),
        ),
    }


def check(folder, types):
    messages = known(types)
    bags = sorted(folder.iterdir())
    assert bags
    for path in bags:
        with Reader(path) as reader:
            assert reader.message_count == 2 * len(messages), path
            assert (reader.start_time, reader.duration) == (TIME, 1_000_000_001), path
            assert {c.topic for c in reader.connections} == set(messages), path
            for connection in reader.connections:
                message = messages[connection.topic]
                assert connection.msgtype == message.__msgtype__, path
                text = connection.msgdef.data
                # Parsed and hashed by them, the definition is that of the type.
                fields = get_types_from_msg(text, connection.msgtype)
                assert fields[connection.msgtype] == types.fielddefs[connection.msgtype], path
                if connection.digest:
                    assert connection.digest == types.hash_rihs01(connection.msgtype), path
                first, second = connection.ext.offered_qos_profiles
                assert first.reliability == QosReliability.BEST_EFFORT, path
                assert first.deadline == INFINITE, path
                assert second.durability == QosDurability.TRANSIENT_LOCAL, path
            count = 0
            for connection, stamp, data in reader.messages(reader.connections):
                read = types.deserialize_cdr(data, connection.msgtype)
                expected = messages[connection.topic]
                # Compared as bytes, as arrays have no truth.
                little = bytes(types.serialize_cdr(expected, connection.msgtype))
                assert bytes(types.serialize_cdr(read, connection.msgtype)) == little, path
                if data[1] == 1:
                    # They pad the end to four bytes.
                    assert little.startswith(bytes(data)), (path, connection.topic)
                assert stamp in (TIME, TIME + 1_000_000_000), path
                count += 1
            assert count == 2 * len(messages), path
        print(f"{path.name}: read by rosbags")


def write(folder, types):
    qos = Qos(
        QosHistory.KEEP_LAST, 7, QosReliability.BEST_EFFORT, QosDurability.TRANSIENT_LOCAL,
        INFINITE, INFINITE, QosLiveliness.AUTOMATIC, INFINITE, False,
    )
    none, by_file, by_message, storage = (
        CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE,
    )
    ways = [(StoragePlugin.MCAP, mode) for mode in (none, by_message, by_file, storage)]
    ways += [(StoragePlugin.SQLITE3, mode) for mode in (none, by_message, by_file)]
    for version in (8, 9):
        for plugin, mode in ways:
            path = folder / f"{plugin.name}_{mode.name}_{version}".lower()
            writer = Writer(path, version=version, storage_plugin=plugin)
            writer.set_compression(mode, CompressionFormat.ZSTD)
            with writer:
                for topic, message in known(types).items():
                    name = message.__msgtype__
                    connection = writer.add_connection(
                        topic, name, typestore=types, offered_qos_profiles=[qos]
                    )
                    little = types.serialize_cdr(message, name)
                    big = types.serialize_cdr(message, name, little_endian=False)
                    writer.write(connection, TIME, little)
                    writer.write(connection, TIME + 1_000_000_000, big)


def timed(path, types, out):
    """Prints the seconds that each stage takes, as JSON."""
    seconds = {}

    def images(reader):
        wanted = [c for c in reader.connections if c.msgtype == "sensor_msgs/msg/Image"]
        for connection, stamp, data in reader.messages(wanted):
            yield stamp, types.deserialize_cdr(data, connection.msgtype)

    start = time.perf_counter()
    with Reader(path) as reader:
        seconds["open"] = time.perf_counter() - start
        start = time.perf_counter()
        assert sum(len(image.data) for _, image in images(reader)) > 0
        seconds["read"] = time.perf_counter() - start
        try:
            import cv2
        except ImportError:
            cv2 = None
        for name, ending in (("png", "png"), ("jpeg", "jpg")) if cv2 else ():
            folder = out / name
            folder.mkdir()
            start = time.perf_counter()
            for stamp, image in images(reader):
                pixels = image.data.reshape(image.height, image.width, 3)
                # OpenCV's order of colours.
                pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
                assert cv2.imwrite(str(folder / f"{stamp}.{ending}"), pixels)
            seconds[name] = time.perf_counter() - start
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"    rosbags: {size // 1_000_000} MB of {name}", file=sys.stderr)
    print(json.dumps(seconds))


if __name__ == "__main__":
    command, definitions, *folders = sys.argv[1], *map(Path, sys.argv[2:])
    types = store(definitions)
    if command == "time":
        timed(folders[0], types, folders[1])
    else:
        {"check": check, "write": write}[command](folders[0], types)
