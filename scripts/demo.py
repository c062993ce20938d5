"""The person of the demo: asks the node, prints the answers as they are written and where the time went, saves the overlay."""

import argparse
import json
import os
import pathlib
import struct
import sys
import time
import zlib

import rclpy
from lisa_ros.msg import Instruction, ReasoningResult, TextDelta
from rclpy.node import Node
from sensor_msgs.msg import Image

# What is asked, and what in the scene answers it; nothing where it is not there.
QUESTIONS = [
    ('Change the TV channel.', ['remote control']),
    ('I want to see the small letters. Please output segmentation mask and explain why.', ['glasses']),
    ('Show me the green tissue box.', ['tissue box']),
    ('Show me the scissors.', []),
]
STATUS = {getattr(ReasoningResult, name): name for name in (
    'SEGMENTED', 'TEXT_ONLY', 'EMPTY_MASK', 'NO_IMAGE', 'OVERLOADED', 'CANCELLED', 'ERROR')}
ANSWERED = (ReasoningResult.SEGMENTED, ReasoningResult.TEXT_ONLY, ReasoningResult.EMPTY_MASK)


def visible(text: str) -> str:
    """A random model writes control characters, too; a terminal should not get them."""
    return ''.join(c if c.isprintable() else '\N{REPLACEMENT CHARACTER}' for c in text)


def png(message: Image) -> bytes:
    """An rgb8 image as a PNG file."""
    rows = b''.join(
        b'\0' + bytes(message.data[y * message.step:y * message.step + message.width * 3]) for y in range(message.height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', message.width, message.height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


class Person(Node):
    def __init__(self, node_pid: int) -> None:
        super().__init__('demo_person')
        self.node_pid = node_pid
        self.results: dict[str, ReasoningResult] = {}
        self.overlays: dict[tuple[int, int], Image] = {}
        self.asked = self.create_publisher(Instruction, 'instruction_stamped', 10)
        self.create_subscription(ReasoningResult, 'lisa/result', self.on_result, 10)
        self.create_subscription(TextDelta, 'lisa/answer_delta', self.on_delta, 10)
        self.create_subscription(Image, 'lisa/overlay', self.on_overlay, 10)

    def on_delta(self, message: TextDelta) -> None:
        if message.instruction_id != 'hello':
            print(visible(message.delta), end='', flush=True)

    def on_result(self, message: ReasoningResult) -> None:
        self.results[message.instruction_id] = message

    def on_overlay(self, message: Image) -> None:
        self.overlays[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def until(self, what: str, seconds: float, condition) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if not os.path.exists(f'/proc/{self.node_pid}/stat') or open(f'/proc/{self.node_pid}/stat').read().split()[2] == 'Z':
                sys.exit(f'demo: the node ended while waiting for {what}')
            if time.monotonic() > end:
                sys.exit(f'demo: no {what} within {seconds:.0f} s')
            rclpy.spin_once(self, timeout_sec=0.05)

    def wait_for_the_first_frame(self) -> None:
        """Until camera and node have found each other a question is answered NO_IMAGE, or not heard."""
        end = time.monotonic() + 60.0
        while not any(r.status in ANSWERED for r in self.results.values()):
            if time.monotonic() > end:
                errors = {r.error for r in self.results.values()}
                sys.exit(f'demo: the node has not answered about a frame for 60 s: {errors or "it says nothing"}')
            known = len(self.results)
            self.asked.publish(Instruction(id='hello', text='Are you there?'))
            retry = time.monotonic() + 5.0
            while len(self.results) == known and time.monotonic() < retry:
                rclpy.spin_once(self, timeout_sec=0.05)
            time.sleep(0.1)
            self.results = {k: r for k, r in self.results.items() if r.status in ANSWERED}

    def ask(self, name: str, question: str) -> ReasoningResult:
        print(f'\n  you   {question}\n  lisa  ', end='', flush=True)
        self.asked.publish(Instruction(id=name, text=question))
        self.until('result', 120.0, lambda: name in self.results)
        # What the node still has to say about this answer: the last words, the overlay.
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.05)
        result = self.results[name]
        objects = ', '.join(
            f'{o.label!r} {o.roi.width}x{o.roi.height} at {o.roi.x_offset},{o.roi.y_offset} score {o.score:.2f}'
            for o in result.objects)
        print(f'\n        {STATUS[result.status]}{": " + objects if objects else ""}{result.error and ": " + result.error}')
        return result


def overlap(a: list[int], b: list[int]) -> float:
    """Intersection over union of two boxes, each x, y, width, height."""
    width, height = (max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    both = width * height
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def compare(result: ReasoningResult, truth: list[dict]) -> float:
    """Says how well the boxes fit what the scene really holds; returns the worst fit."""
    worst = 1.0
    for thing in truth:
        found = [[o.roi.x_offset, o.roi.y_offset, o.roi.width, o.roi.height] for o in result.objects]
        best = max((overlap(box, thing['roi']) for box in found), default=0.0)
        print(f'        the {thing["colour"]} {thing["category"]} is there: box IoU {best:.2f}')
        worst = min(worst, best)
    if not truth and not result.objects:
        print('        rightly: there is none')
    return worst


def table(results: list[ReasoningResult]) -> None:
    stages = []
    for result in results:
        stages += [t.stage for t in result.timings if t.stage not in stages and t.stage != 'total']
    print('\n  milliseconds, - where a stage was not needed\n  stage           ' + ''.join(f'{f"question {i + 1}":>12}' for i in range(len(results))))
    for stage in [*stages, 'total']:
        cells = [next((f'{t.seconds * 1e3:.1f}' for t in r.timings if t.stage == stage), '-') for r in results]
        print(f'  {stage:<16}' + ''.join(f'{cell:>12}' for cell in cells))
    tokens = [
        f'{sum(r.token_seconds) / len(r.token_seconds) * 1e3:.1f}' if len(r.token_seconds) else '-' for r in results]
    print(f'  {"per token":<16}' + ''.join(f'{cell:>12}' for cell in tokens))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--node-pid', type=int, required=True)
    parser.add_argument('--truth', type=pathlib.Path, required=True, help="the scene's JSON, as `lisa world --format frames` writes it")
    parser.add_argument('--least', type=float, default=0.0, help='fail where the first box fits worse than that')
    parser.add_argument('--overlay', type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    rclpy.init()
    person = Person(arguments.node_pid)
    person.until('node', 120.0, lambda: person.asked.get_subscription_count() > 0 and person.count_publishers('lisa/result') > 0)
    person.wait_for_the_first_frame()
    objects = json.loads(arguments.truth.read_text())['objects']
    results, fits = [], []
    for i, (question, names) in enumerate(QUESTIONS):
        results.append(person.ask(f'demo {i + 1}', question))
        fits.append(compare(results[-1], [thing for thing in objects if thing['category'] in names]))
    table(results)

    for result in [r for r in results if r.objects] + results:
        overlay = person.overlays.get((result.header.stamp.sec, result.header.stamp.nanosec))
        if overlay is not None:
            arguments.overlay.write_bytes(png(overlay))
            print(f'\ndemo: what the node saw and marked for "{result.instruction}" is in {arguments.overlay}')
            break
    else:
        sys.exit('demo: no overlay came')
    if fits[0] < arguments.least:
        sys.exit(f'demo: "{QUESTIONS[0][0]}" found something else than the remote control')
    failed = [r for r in results if r.status not in ANSWERED]
    if failed:
        sys.exit(f'demo: not answered: {failed[0].error}')


if __name__ == '__main__':
    main()
