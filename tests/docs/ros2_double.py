"""As much of the command `ros2` as the book uses, over DDS: the real one is not among the packages that make test installs.

`run` and `launch` are those of tests/ros (launcher.py): they start the built programs, by the shipped launch files. The others speak to
the node by the services and topics that the real command uses.
"""

import os
import sys
import time

import yaml

ROOT, PROGRAMS = sys.argv[1], sys.argv[2]
# Seconds until somebody must have been found on the graph.
PATIENCE = 30.0


def python(*words: str) -> None:
    os.execv(sys.executable, [sys.executable, *words])


class Graph:
    """A node of ours on the graph."""

    def __init__(self):
        import rclpy
        self.rclpy = rclpy
        rclpy.init(args=[])
        self.node = rclpy.create_node(f'ros2_double_{os.getpid()}')

    def wait(self, what: str, ready) -> None:
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end:
                sys.exit(f'ros2 (double): no {what} after {PATIENCE:.0f} s')
            self.rclpy.spin_once(self.node, timeout_sec=0.05)

    def call(self, name: str, kind, request):
        client = self.node.create_client(kind, name)
        self.wait(f'service {name}', client.service_is_ready)
        future = client.call_async(request)
        self.wait(f'response of {name}', future.done)
        return future.result()


def message_type(name: str):
    """The class of a type such as std_msgs/msg/String."""
    package, kind, name = name.split('/')
    return getattr(__import__(f'{package}.{kind}', fromlist=[name]), name)


def fill(message, values: dict):
    for name, value in values.items():
        old = getattr(message, name)
        setattr(message, name, fill(old, value) if isinstance(value, dict) else value)
    return message


def publish(topic: str, kind: str, values: str) -> None:
    graph = Graph()
    kind = message_type(kind)
    publisher = graph.node.create_publisher(kind, topic, 10)
    # As the real one with --once.
    graph.wait(f'subscriber of {topic}', lambda: publisher.get_subscription_count() > 0)
    message = fill(kind(), yaml.safe_load(values))
    print(f'publishing #1: {message}', flush=True)
    publisher.publish(message)
    time.sleep(0.5)


def echo(topic: str, field: str) -> None:
    graph = Graph()

    def kinds():
        return dict(graph.node.get_topic_names_and_types()).get(topic)

    graph.wait(f'topic {topic}', kinds)

    def show(message):
        for name in field.split('.'):
            message = getattr(message, name)
        print(f'{message}\n---', flush=True)

    graph.node.create_subscription(message_type(kinds()[0]), topic, show, 10)
    graph.rclpy.spin(graph.node)


def set_parameter(node: str, name: str, value: str) -> None:
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters
    given = yaml.safe_load(value)
    typed = ParameterValue()
    for kind, number, attribute in ((bool, ParameterType.PARAMETER_BOOL, 'bool_value'), (int, ParameterType.PARAMETER_INTEGER, 'integer_value'),
                                    (float, ParameterType.PARAMETER_DOUBLE, 'double_value'), (str, ParameterType.PARAMETER_STRING, 'string_value')):
        if isinstance(given, kind):
            typed.type = number
            setattr(typed, attribute, given)
            break
    request = SetParameters.Request(parameters=[Parameter(name=name, value=typed)])
    result = Graph().call(f'{node}/set_parameters', SetParameters, request).results[0]
    print('Set parameter successful' if result.successful else f'Setting parameter failed: {result.reason}')


def lifecycle_state(node: str) -> None:
    from lifecycle_msgs.srv import GetState
    state = Graph().call(f'{node}/get_state', GetState, GetState.Request()).current_state
    print(f'{state.label} [{state.id}]')


def call_service(name: str, kind: str, values: str) -> None:
    kind = message_type(kind)
    print(f'response:\n{Graph().call(name, kind, fill(kind.Request(), yaml.safe_load(values)))}')


def main(words: list[str]) -> None:
    match words:
        case ['run', 'lisa_ros', program, *arguments]:
            os.execv(f'{PROGRAMS}/{program}', [program, *arguments])
        case ['launch', 'lisa_ros', file, *arguments]:
            python(f'{ROOT}/tests/ros/launcher.py', 'launch', '--noninteractive', f'{ROOT}/launch/{file}', *arguments)
        case ['topic', 'pub', '--once', topic, kind, values]:
            publish(topic, kind, values)
        case ['topic', 'echo', topic, '--field', field]:
            echo(topic, field)
        case ['param', 'set', node, name, value]:
            set_parameter(node, name, value)
        case ['lifecycle', 'get', node]:
            lifecycle_state(node)
        case ['service', 'call', name, kind, values]:
            call_service(name, kind, values)
        case _:
            sys.exit(f'ros2 (double): tests/docs/ros2_double.py does not know: {" ".join(words)}')


if __name__ == '__main__':
    try:
        main(sys.argv[3:])
    except KeyboardInterrupt:
        sys.exit(130)
