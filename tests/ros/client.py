"""A robot's other program: an rclpy node that shows the LISA node pictures, asks it things and keeps what it says."""

import collections
import threading
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lisa_ros.action import Follow, Segment
from lisa_ros.msg import Instruction, ReasoningResult, SegmentedObjectStamped, TextDelta
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters, SetParametersAtomically
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

ANSWERED = (ReasoningResult.SEGMENTED, ReasoningResult.TEXT_ONLY, ReasoningResult.EMPTY_MASK)
NAMES = ('SEGMENTED', 'TEXT_ONLY', 'EMPTY_MASK', 'NO_IMAGE', 'OVERLOADED', 'CANCELLED', 'ERROR')
STATUS = {getattr(ReasoningResult, name): name for name in NAMES}
# Generous: the machine that runs this may have two slow cores and other work.
PATIENCE = 60.0


def said(result: ReasoningResult) -> str:
    """One line for the message of an assertion."""
    stamp = result.header.stamp
    return (f'{STATUS.get(result.status, result.status)} id={result.instruction_id!r} stamp={stamp.sec}.{stamp.nanosec:09} '
            f'answer={result.answer[:60]!r} objects={len(result.objects)} error={result.error!r}')


def key(header) -> tuple[int, int, str]:
    return header.stamp.sec, header.stamp.nanosec, header.frame_id


class Client:
    def __init__(self, process, domain: int, namespace: str = ''):
        self.process = process
        self.root = f'{namespace}/lisa'
        self.changed = threading.Condition()
        self.results: list[ReasoningResult] = []
        self.deltas: list[TextDelta] = []
        self.answers: list[String] = []
        # With the moment each came.
        self.objects: list[tuple[float, SegmentedObjectStamped]] = []
        self.masks: dict = {}
        self.overlays: dict = {}
        self.attention: dict = {}
        self.diagnostics: list[DiagnosticArray] = []
        self.shown: collections.OrderedDict = collections.OrderedDict()
        self.count = 0
        # When anything came from the node: a test that waits in vain says whether the node is silent or one message is missing.
        self.heard = time.monotonic()
        self.image_topic = 'image'

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node('independent_client', namespace=namespace or None, context=self.context)
        self.asked = self.node.create_publisher(String, 'instruction', 10)
        self.asked_stamped = self.node.create_publisher(Instruction, 'instruction_stamped', 10)
        self._listen(ReasoningResult, 'lisa/result', self.results.append)
        self._listen(TextDelta, 'lisa/answer_delta', self.deltas.append)
        self._listen(String, 'lisa/answer', self.answers.append)
        self._listen(SegmentedObjectStamped, 'lisa/object', lambda m: self.objects.append((time.monotonic(), m)))
        self._listen(Image, 'lisa/mask', lambda m: self.masks.__setitem__(key(m.header), m))
        self._listen(Image, 'lisa/overlay', lambda m: self.overlays.__setitem__(key(m.header), m))
        self._listen(DiagnosticArray, '/diagnostics', self.diagnostics.append)
        self.services: dict = {}
        # All of the feedback is kept until this program comes to it; ten messages are fewer than an answer has words.
        self.action = ActionClient(self.node, Segment, 'lisa/segment', feedback_sub_qos_profile=QoSProfile(depth=2000))
        self.follower = ActionClient(self.node, Follow, 'lisa/follow', feedback_sub_qos_profile=QoSProfile(depth=2000))
        self.camera = None
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _listen(self, kind, topic, keep):
        def on_message(message):
            with self.changed:
                keep(message)
                self.heard = time.monotonic()
                self.changed.notify_all()
        return self.node.create_subscription(kind, topic, on_message, 200)

    def watch_attention(self):
        """Subscribes to ~/attention, which is drawn only while somebody does. The node hears of it a little later."""
        return self._listen(Image, 'lisa/attention', lambda m: self.attention.__setitem__(key(m.header), m))

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except (ExternalShutdownException, KeyboardInterrupt):
            pass

    def close(self) -> None:
        self.stop_camera()
        self.executor.shutdown(timeout_sec=5.0)
        rclpy.shutdown(context=self.context)
        self.thread.join(5.0)

    # ---- waiting ----

    def wait(self, what: str, condition, seconds: float = PATIENCE):
        """The first true value of `condition()`; fails with the node's log when there is none in time."""
        end = time.monotonic() + seconds
        with self.changed:
            while not (value := condition()):
                left = end - time.monotonic()
                assert self.process.running(), f'the node ended while waiting for {what}\n{self.process.log()}'
                assert left > 0, (f'no {what} within {seconds:.0f} s; anything of the node {time.monotonic() - self.heard:.1f} s ago; '
                                  'results so far:\n'
                                  + '\n'.join(map(said, self.results[-5:])) + f'\n{self.process.log()}')
                self.changed.wait(min(left, 0.2))
            return value

    def wait_ready(self) -> None:
        """Until the node has answered something, whatever: then every topic is connected and the model is loaded."""
        for attempt in range(60):
            assert self.process.running(), f'the node ended at its start\n{self.process.log()}'
            name = f'ready {attempt}'
            self.asked_stamped.publish(Instruction(id=name, text='Are you there?'))
            end = time.monotonic() + 2.0
            with self.changed:
                while time.monotonic() < end and not any(r.instruction_id.startswith('ready') for r in self.results):
                    self.changed.wait(0.2)
                if any(r.instruction_id.startswith('ready') for r in self.results):
                    break
        else:
            raise AssertionError(f'the node has not answered anything\n{self.process.log()}')
        # The node's other publishers may find us a little later than the first.
        time.sleep(0.5)

    # ---- the camera ----

    def show(self, image, hz: float = 10.0, frame_id: str = 'camera', reliable: bool = True, stamp=None,
             heard: bool = True) -> None:
        """Publishes the picture again and again, each time with a new stamp (`stamp()`, where given), and waits until the
        node can have seen some; not where nobody can have `heard` it."""
        self.stop_camera()
        self.camera = Camera(self, image, hz, frame_id, reliable, stamp)
        end = time.monotonic() + PATIENCE
        while self.camera.frames < 3 or (heard and self.camera.publisher.get_subscription_count() == 0):
            assert time.monotonic() < end, f'the node does not listen to the camera\n{self.process.log()}'
            time.sleep(0.02)
        time.sleep(4 / hz)

    def stop_camera(self) -> None:
        if self.camera is not None:
            self.camera.stop()
            self.camera = None

    # ---- questions ----

    def ask(self, text: str) -> ReasoningResult:
        """A std_msgs/String and its result."""
        with self.changed:
            before = len(self.results)
        self.asked.publish(String(data=text))
        return self.wait(f'result for {text[:60]!r}', lambda: next(
            (r for r in self.results[before:] if r.instruction == text), None))

    def ask_stamped(self, text: str, conversation: str = '', stamp=None, frame_id: str = '') -> ReasoningResult:
        return self.result(self.send(text, conversation, stamp, frame_id))

    def send(self, text: str, conversation: str = '', stamp=None, frame_id: str = '') -> str:
        """A lisa_ros/Instruction; its id."""
        self.count += 1
        message = Instruction(id=f'question {self.count}', conversation_id=conversation, text=text)
        message.header.frame_id = frame_id
        if stamp is not None:
            message.header.stamp.sec, message.header.stamp.nanosec = stamp
        self.asked_stamped.publish(message)
        return message.id

    def result(self, name: str, seconds: float = PATIENCE) -> ReasoningResult:
        return self.wait(f'result of {name!r}', lambda: next((r for r in self.results if r.instruction_id == name), None), seconds)

    def deltas_of(self, name: str) -> list[TextDelta]:
        with self.changed:
            return [d for d in self.deltas if d.instruction_id == name]

    # ---- services ----

    def call(self, kind, name: str, request, seconds: float = PATIENCE):
        if name not in self.services:
            self.services[name] = self.node.create_client(kind, name)
        client = self.services[name]
        assert client.wait_for_service(timeout_sec=seconds), f'no service {name}\n{self.process.log()}'
        return self.future(client.call_async(request), f'response of {name}', seconds)

    def future(self, future, what: str, seconds: float = PATIENCE):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(seconds), f'no {what} within {seconds:.0f} s\n{self.process.log()}'
        return future.result()

    def enable(self, on: bool):
        return self.call(SetBool, f'{self.root}/enable', SetBool.Request(data=on))

    def reset_conversation(self):
        return self.call(Trigger, f'{self.root}/reset_conversation', Trigger.Request())

    def parameter_names(self) -> list[str]:
        return list(self.call(ListParameters, f'{self.root}/list_parameters', ListParameters.Request()).result.names)

    def describe(self, *names: str):
        return self.call(DescribeParameters, f'{self.root}/describe_parameters', DescribeParameters.Request(names=names)).descriptors

    def get(self, *names: str) -> list:
        values = self.call(GetParameters, f'{self.root}/get_parameters', GetParameters.Request(names=names)).values
        return [plain(v) for v in values]

    def set(self, atomically: bool = False, **parameters):
        """One SetParametersResult a parameter, or a single one when set atomically."""
        wanted = [Parameter(name=name, value=typed(value)) for name, value in parameters.items()]
        if atomically:
            request = SetParametersAtomically.Request(parameters=wanted)
            return self.call(SetParametersAtomically, f'{self.root}/set_parameters_atomically', request).result
        return self.call(SetParameters, f'{self.root}/set_parameters', SetParameters.Request(parameters=wanted)).results

    # ---- the action ----

    def goal(self, text: str, on_feedback=None, **fields):
        """Sends a goal; its handle once it is accepted."""
        assert self.action.wait_for_server(PATIENCE), f'no action server\n{self.process.log()}'
        goal = Segment.Goal(instruction=text, **fields)
        sent = self.sent(lambda: self.action.send_goal_async(goal, feedback_callback=on_feedback))
        handle = self.future(sent, 'answer to a goal')
        assert handle.accepted, f'the goal {text!r} was rejected\n{self.process.log()}'
        return handle

    def outcome(self, handle, seconds: float = PATIENCE):
        """(action status, ReasoningResult) of a goal."""
        answer = self.future(self.result_of(handle), 'result of a goal', seconds)
        return answer.status, answer.result.result

    def follow(self, text: str = '', on_feedback=None, **fields):
        """Sends a goal of ~/follow; its handle once it is accepted."""
        assert self.follower.wait_for_server(PATIENCE), f'no action server\n{self.process.log()}'
        goal = Follow.Goal(instruction=text, **fields)
        sent = self.sent(lambda: self.follower.send_goal_async(goal, feedback_callback=on_feedback))
        handle = self.future(sent, 'answer to a goal')
        assert handle.accepted, f'the goal {goal} was rejected\n{self.process.log()}'
        return handle

    def followed(self, handle, seconds: float = PATIENCE):
        """(action status, Follow.Result) of a goal of ~/follow."""
        answer = self.future(self.result_of(handle), 'result of a goal', seconds)
        return answer.status, answer.result

    def result_of(self, handle):
        """The future of a goal's result."""
        return self.sent(handle.get_result_async)

    def cancel(self, handle):
        """Takes a goal back; what the node answers to that."""
        return self.future(self.sent(handle.cancel_goal_async), 'answer to a cancel')

    def sent(self, send):
        """What `send` gives, called on the thread that spins. An action client notes a request only after it has sent it: on another
        thread the response may come in between, and is thrown away as nobody's."""
        return self.future(self.executor.create_task(send), 'turn of the thread that spins')


class Camera:
    """A thread that publishes one picture with fresh stamps and notes every stamp it gave."""

    def __init__(self, client: Client, image, hz: float, frame_id: str, reliable: bool, stamp):
        compressed = isinstance(image, CompressedImage)
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=5, durability=DurabilityPolicy.VOLATILE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
        topic = f'{client.image_topic}/compressed' if compressed else client.image_topic
        self.node = client.node
        self.publisher = client.node.create_publisher(type(image), topic, qos)
        self.frames = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(client, image, hz, frame_id, stamp), daemon=True)
        self.thread.start()

    def _run(self, client, image, hz, frame_id, stamp) -> None:
        while not self.ended.wait(1 / hz):
            if stamp is None:
                image.header.stamp = client.node.get_clock().now().to_msg()
            else:
                image.header.stamp.sec, image.header.stamp.nanosec = stamp()
            image.header.frame_id = frame_id
            client.shown[key(image.header)] = time.time()
            self.publisher.publish(image)
            self.frames += 1

    def stop(self) -> None:
        self.ended.set()
        self.thread.join(5.0)
        self.node.destroy_publisher(self.publisher)


def typed(value) -> ParameterValue:
    if isinstance(value, bool):
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
    if isinstance(value, int):
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
    if isinstance(value, float):
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    if isinstance(value, list):
        return ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=value)
    return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)


def plain(value: ParameterValue):
    return {
        ParameterType.PARAMETER_BOOL: value.bool_value,
        ParameterType.PARAMETER_INTEGER: value.integer_value,
        ParameterType.PARAMETER_DOUBLE: value.double_value,
        ParameterType.PARAMETER_STRING: value.string_value,
        ParameterType.PARAMETER_STRING_ARRAY: list(value.string_array_value),
    }.get(value.type)
