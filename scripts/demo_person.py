"""The person of the demo, a ROS 2 node: asks one question at a time, and hears everything that belongs to its answer."""

import math
import pathlib
import time
from typing import Callable

import numpy as np
import rclpy
from demo_answers import ANSWERED, Found
from demo_ledger import Ledger
from demo_pick import ROBOT
from geometry_msgs.msg import PoseStamped, TransformStamped
from lisa_ros.msg import Instruction, ReasoningResult, TextDelta
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

STATUS = {getattr(ReasoningResult, name): name for name in (
    'SEGMENTED', 'TEXT_ONLY', 'EMPTY_MASK', 'NO_IMAGE', 'OVERLOADED', 'CANCELLED', 'ERROR')}

# Seconds. A 7B model on a CPU takes minutes for an answer. What belongs to an answer comes with its result or soon after.
FOR_A_RESULT = 900.0
FOR_THE_REST = 10.0
FOR_THE_NODE = 120.0
FOR_A_FRAME = 60.0
FOR_AN_OVERLAY = 15.0
# A greeting that is not answered within this time is repeated this many times, because perhaps nobody heard it. After that
# the node counts as slow.
BETWEEN_GREETINGS = 5.0
LOST_GREETINGS = 2


class NodeEnded(Exception):
    """The node is not there any more."""


class Person(Node):
    """Speaks with the node whose process is `node_pid`; `say` gets the pieces of an answer's text as they are written."""

    def __init__(self, node_pid: int, say: Callable[[str], None]) -> None:
        super().__init__('demo_person')
        self._node_pid = node_pid
        self._say = say
        self._listening_to = ''
        self._ledger = Ledger()
        self._instructions = self.create_publisher(Instruction, 'instruction_stamped', 10)
        self.create_subscription(ReasoningResult, 'lisa/result', self._on_result, 10)
        self.create_subscription(TextDelta, 'lisa/answer_delta', self._on_delta, 10)
        self.create_subscription(Image, 'lisa/overlay', self._on_overlay, 10)
        # Kept for who comes later, as pick.py sends it.
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._poses: list[PoseStamped] = []
        self.create_subscription(PoseStamped, 'pick_pose', self._poses.append, latched)
        self._stand_before_the_table(latched)

    def _stand_before_the_table(self, latched: QoSProfile) -> None:
        """Says where the robot stands; where the camera is, the recording says."""
        (x, y, z), turn = ROBOT
        mount = TransformStamped(child_frame_id='table')
        mount.header.frame_id = 'base_link'
        shift, rotation = mount.transform.translation, mount.transform.rotation
        shift.x, shift.y, shift.z = x, y, z
        rotation.z, rotation.w = math.sin(turn / 2), math.cos(turn / 2)
        self._static_transforms = self.create_publisher(TFMessage, '/tf_static', latched)
        self._static_transforms.publish(TFMessage(transforms=[mount]))

    def _on_result(self, message: ReasoningResult) -> None:
        self._ledger.heard_result(message.instruction_id, message)

    def _on_overlay(self, message: Image, about) -> None:
        self._ledger.saw_overlay(about['source_timestamp'], message)

    def _on_delta(self, message: TextDelta) -> None:
        if message.instruction_id == self._listening_to:
            self._say(message.delta)
        if message.done:
            self._ledger.heard_last_word(message.instruction_id)

    def _until(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Listens until the condition holds, for so long at most; returns whether it does."""
        end = time.monotonic() + seconds
        while not condition():
            if not _lives(self._node_pid):
                raise NodeEnded
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True

    def greet(self) -> str:
        """Greets the node until an answer comes with all that belongs to it; returns why none comes, or nothing.

        From then on nothing is lost: node and camera have found each other, and each topic has reached this side once. Until
        then a greeting may go unheard, be answered NO_IMAGE, or have an overlay that nobody was there to see. An overlay that
        never comes is left for the questions to find out.
        """
        if not self._until(FOR_THE_NODE, lambda: self._instructions.get_subscription_count() > 0):
            return f'the node does not listen to {self._instructions.topic_name} after {FOR_THE_NODE:.0f} s'
        count, unheard, reasons, end, answered = 0, 0, set(), None, None
        while end is None or time.monotonic() < end:
            count += 1
            name = f'hello {count}'
            self._say_to_the_node(name, 'Are you there?')
            patience = BETWEEN_GREETINGS if unheard < LOST_GREETINGS else FOR_A_RESULT
            if not self._until(patience, lambda: self._ledger.result(name) is not None):
                if patience == FOR_A_RESULT:
                    return f'the node has not answered for {FOR_A_RESULT:.0f} s'
                unheard += 1
                continue
            result = self._ledger.result(name)
            end = end or time.monotonic() + FOR_A_FRAME
            if STATUS[result.status] not in ANSWERED:
                reasons.add(f'{STATUS[result.status]}: {result.error}')
                self._until(0.2, lambda: False)
                continue
            answered = answered or time.monotonic()
            if self._until(1.0, lambda: self._is_complete(name)) or time.monotonic() > answered + FOR_AN_OVERLAY:
                return ''
        return f'the node has not answered about a frame for {FOR_A_FRAME:.0f} s: ' + '; '.join(sorted(reasons))

    def _say_to_the_node(self, name: str, text: str) -> None:
        self._ledger.asked(name, time.time_ns())
        self._instructions.publish(Instruction(id=name, text=text))

    def poses_until(self, is_over: Callable[[], bool]) -> list[PoseStamped] | None:
        """Listens until it is over; the poses that were published for a gripper meanwhile. None where the node has ended."""
        self._poses.clear()
        try:
            self._until(math.inf, is_over)
            self._until(0.5, lambda: bool(self._poses))
        except NodeEnded:
            return None
        return list(self._poses)

    def _is_complete(self, name: str) -> bool:
        return self._ledger.told(name) and self._ledger.overlay(name) is not None

    def ask(self, name: str, text: str) -> tuple[ReasoningResult | None, Image | None]:
        """Asks, and returns when everything has come: the result and the overlay, None in the place of what has not."""
        self._listening_to = name
        self._say_to_the_node(name, text)
        if not self._until(FOR_A_RESULT, lambda: self._ledger.result(name) is not None):
            return None, None
        result = self._ledger.result(name)
        if STATUS[result.status] in ANSWERED:
            self._until(FOR_THE_REST, lambda: self._is_complete(name))
        return result, self._ledger.overlay(name)


def _lives(pid: int) -> bool:
    """Whether that process runs; a zombie has ended. The state follows the name, which is in parentheses and may be anything."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return False
    return stat.rpartition(')')[2].split()[0] not in ('Z', 'X')


def objects_of(result: ReasoningResult) -> tuple[Found, ...]:
    """The objects of a result, their masks as arrays."""
    return tuple(
        Found(o.label, float(o.score), (o.roi.x_offset, o.roi.y_offset, o.roi.width, o.roi.height), _mono8(o.mask))
        for o in result.objects)


def _mono8(mask: Image) -> np.ndarray:
    """bool, (height, width)."""
    return np.frombuffer(bytes(mask.data), np.uint8).reshape(mask.height, mask.step)[:, :mask.width] > 0


def rgb8(picture: Image) -> np.ndarray:
    """uint8, (height, width, 3)."""
    if picture.encoding != 'rgb8':
        raise ValueError(f'the overlay is {picture.encoding}, not rgb8')
    rows = np.frombuffer(bytes(picture.data), np.uint8).reshape(picture.height, picture.step)
    return rows[:, :picture.width * 3].reshape(picture.height, picture.width, 3)


def times_of(result: ReasoningResult) -> list[tuple[str, float]]:
    """(stage, seconds), and last the mean of a token where there are any."""
    times = [(t.stage, t.seconds) for t in result.timings]
    if len(result.token_seconds):
        times.append(('per token', sum(result.token_seconds) / len(result.token_seconds)))
    return times
