#!/usr/bin/env python3
"""How many answers a second several cameras get, and how long each waits: one node for all of them against a node each.

    scripts/bench_cameras.py                              # 1, 2, 4 and 8 cameras, lisa-mini, 30 seconds each
    scripts/bench_cameras.py --cameras 1 8 --seconds 60 --model ~/models/lisa-7b --device cuda

Each camera publishes a picture of TableWorld and asks about it, by its stamp, and does so again as soon as it is answered, so that the model is
always busy and sees a new picture for every answer. Latency is from the publishing of the picture to the arrival of the result. Resident
memory is of all nodes together: RSS as each node sees it, PSS with pages that several share, such as mapped weights, counted once. Needs ROS 2, as tests/ros do: run it with .ros/bin/python3.
"""

import argparse
import array
import collections
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# On this machine only, with enough shared memory for pictures (README, "Large pictures over Fast DDS").
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'SYSTEM_DEFAULT'
for variable in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
    os.environ.setdefault(variable, str(ROOT / 'config' / 'fastdds.xml'))
# A domain of its own, so that nobody else's nodes are measured.
DOMAIN = int(os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 99))))

sys.path.insert(0, str(ROOT / 'scripts'))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cameras', type=int, nargs='+', default=[1, 2, 4, 8], metavar='N', help='numbers of cameras')
    parser.add_argument('--seconds', type=float, default=30.0, help='how long each is measured')
    parser.add_argument('--model', type=pathlib.Path, default=ROOT / 'models' / 'lisa-mini', help='model directory')
    parser.add_argument('--device', default='cpu', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--ways', nargs='+', choices=['shared', 'each'], default=['shared', 'each'], help='one node for all, or one each')
    parser.add_argument('--node', type=pathlib.Path, default=pathlib.Path(os.environ.get('LISA_NODE', ROOT / 'target/release/lisa_node')))
    parser.add_argument('--question', default='Show me the green tissue box.')
    parser.add_argument('--json', action='store_true', help='print JSON lines instead of a table')
    return parser.parse_args()


class Camera:
    """A simulated camera and the robot behind it: it shows pictures, asks, and notes how long each answer took."""

    def __init__(self, node, name, picture, question):
        from lisa_ros.msg import Instruction, ReasoningResult
        from sensor_msgs.msg import Image
        self.name, self.question, self.kind = name, question, Instruction
        self.pictures = node.create_publisher(Image, f'/{name}/image', 5)
        self.questions = node.create_publisher(Instruction, f'/{name}/instruction_stamped', 10)
        node.create_subscription(ReasoningResult, f'/{name}/lisa/result', self.result, 10)
        self.node = node
        height, width, _ = picture.shape
        self.image = Image(height=height, width=width, encoding='rgb8', step=3 * width, data=array.array('B', picture.tobytes()))
        self.image.header.frame_id = name
        self.asked, self.at, self.took, self.statuses = 0, None, [], collections.Counter()
        self.measuring = False

    def ask(self):
        self.asked += 1
        self.at = time.monotonic()
        self.image.header.stamp = self.node.get_clock().now().to_msg()
        self.pictures.publish(self.image)
        self.questions.publish(self.kind(header=self.image.header, id=f'{self.name} {self.asked}', text=self.question))

    def result(self, result):
        if result.instruction_id != f'{self.name} {self.asked}':
            return
        if self.measuring:
            self.statuses[result.status] += 1
            self.took.append(time.monotonic() - self.at)
        self.ask()


def nodes(args, names, way, folder):
    """The processes that serve these cameras."""
    base = [args.node, '--ros-args', '-p', f'model:={args.model}', '-p', f'device:={args.device}',
            '-p', 'image_reliability:=reliable']
    if way == 'shared':
        commands = [[*base, '-p', f'cameras:=[{", ".join(names)}]']]
    else:
        commands = [[*base, '-r', f'__ns:=/{name}'] for name in names]
    started = []
    for number, command in enumerate(commands):
        log = open(folder / f'{number}.log', 'wb')
        started.append(subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT))
    return started


def memory(processes):
    """Resident memory of all processes together in MiB: as each sees it, and with shared pages counted once."""
    totals = {'Rss': 0, 'Pss': 0}
    for process in processes:
        for line in pathlib.Path(f'/proc/{process.pid}/smaps_rollup').read_text().splitlines():
            name, _, rest = line.partition(':')
            if name in totals:
                totals[name] += int(rest.split()[0])
    return totals['Rss'] / 1024, totals['Pss'] / 1024


def measure(args, number, way, picture):
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    names = [f'camera{n}' for n in range(number)]
    with tempfile.TemporaryDirectory() as folder:
        processes = nodes(args, names, way, pathlib.Path(folder))
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=DOMAIN)
        node = rclpy.create_node('bench_cameras', context=context)
        cameras = [Camera(node, name, picture, args.question) for name in names]
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def spin():
            try:
                executor.spin()
            except ExternalShutdownException:
                pass
        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        try:
            # Until each camera has had an answer: then every topic is connected and every model is loaded.
            end = time.monotonic() + 300
            while not all(camera.asked > 3 for camera in cameras):
                for camera in cameras:
                    # A question that came before its node did is lost.
                    if camera.at is None or time.monotonic() - camera.at > 10:
                        executor.create_task(camera.ask)
                dead = [p for p in processes if p.poll() is not None]
                if dead or time.monotonic() > end:
                    raise SystemExit(f'no answers; the first node says:\n{(pathlib.Path(folder) / "0.log").read_text()[-2000:]}')
                time.sleep(0.5)
            for camera in cameras:
                camera.measuring = True
            began = time.monotonic()
            time.sleep(args.seconds)
            for camera in cameras:
                camera.measuring = False
            seconds = time.monotonic() - began
            rss, pss = memory(processes)
        finally:
            executor.shutdown(timeout_sec=5.0)
            rclpy.shutdown(context=context)
            thread.join(5.0)
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait(30)
    took = [time for camera in cameras for time in camera.took]
    counts = [len(camera.took) for camera in cameras]
    statuses = sum((camera.statuses for camera in cameras), collections.Counter())
    if not all(counts):
        raise SystemExit(f'a camera has had no answer in {seconds:.0f} s: {counts}')
    # Statuses from 3 on are refusals.
    if any(status > 2 for status in statuses):
        raise SystemExit(f'not every question was answered; how many results of each status: {dict(statuses)}')
    return {
        'cameras': number, 'way': way, 'answers_per_second': len(took) / seconds, 'median_s': statistics.median(took),
        'p95_s': statistics.quantiles(took, n=20, method='inclusive')[-1] if len(took) > 1 else took[0], 'worst_s': max(took),
        'fewest_and_most_of_a_camera': [min(counts), max(counts)], 'segmented': statuses[0] / len(took),
        'rss_mib': rss, 'pss_mib': pss,
    }


def main():
    args = arguments()
    from demo_pictures import read_png
    with tempfile.TemporaryDirectory() as folder:
        lisa = args.node.parent / 'lisa'
        subprocess.run([lisa, 'world', '--split', 'test', '--count', '1', '--seed', '36', '--out', folder, '--format', 'frames'], check=True,
                       stdout=subprocess.DEVNULL)
        [scene] = sorted((pathlib.Path(folder) / 'frames' / 'test').glob('*_rgb.png'))
        picture = read_png(scene)
    if not args.json:
        print('| cameras | nodes | answers/s | median s | p95 s | fewest and most of a camera | RSS MiB | PSS MiB |\n|---|---|---|---|---|---|---|---|')
    for number in args.cameras:
        for way in args.ways:
            row = measure(args, number, way, picture)
            if args.json:
                print(json.dumps(row), flush=True)
                continue
            few, most = row['fewest_and_most_of_a_camera']
            print(f'| {number} | {1 if way == "shared" else number} | {row["answers_per_second"]:.2f} | {row["median_s"]:.2f} | {row["p95_s"]:.2f} '
                  f'| {few}, {most} | {row["rss_mib"]:.0f} | {row["pss_mib"]:.0f} |', flush=True)


if __name__ == '__main__':
    main()
