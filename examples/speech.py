#!/usr/bin/env python3
"""Passes what a speech recogniser has understood to the node as instructions, and leaves out what was no sentence:

    ros2 launch whisper_bringup whisper.launch.py stream:=True silero_vad_params_file:=vad.yaml
    python3 speech.py /whisper/transcription --wake robot

The topic may be of any type with a field `text` (whisper_msgs/Transcription) or `data` (std_msgs/String); it may appear later. Sounds that
recognisers write in brackets are removed, and less than `--words` words are left out. With `--wake` only what begins with that word is
passed on, without it. Instructions are lisa_ros/Instruction on `instruction_stamped`, about the newest frame.
"""

import argparse
import re
import sys

import rclpy
import rclpy.utilities
from lisa_ros.msg import Instruction

# "[BLANK_AUDIO]", "(music)", "*coughs*", "♪": what Whisper writes for what is no speech.
SOUNDS = re.compile(r'\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪')


def understood(heard: str, words: int, wake: str) -> str | None:
    """The instruction in what was heard, or None where there is none."""
    text = ' '.join(SOUNDS.sub(' ', heard).split())
    if wake:
        called = re.match(rf'\W*{re.escape(wake)}\b[\s,.!:]*', text, re.IGNORECASE)
        if called is None:
            return None
        text = text[called.end():]
    return text if len(re.findall(r'\w+', text)) >= words else None


class Speech:
    def __init__(self, node, arguments):
        self.node, self.arguments, self.number = node, arguments, 0
        self.instructions = node.create_publisher(Instruction, 'instruction_stamped', 10)
        self.search = node.create_timer(0.5, self.find)
        node.get_logger().info(f'waiting for {arguments.topic}')

    def find(self) -> None:
        """Subscribes as soon as somebody publishes the topic: only then its type is known."""
        topic = self.node.resolve_topic_name(self.arguments.topic)
        types = dict(self.node.get_topic_names_and_types()).get(topic)
        if not types or not self.node.count_publishers(topic):
            return
        package, kind, name = types[0].split('/')
        message = getattr(__import__(f'{package}.{kind}', fromlist=[name]), name)
        field = next((field for field in ('text', 'data') if message.get_fields_and_field_types().get(field) == 'string'), None)
        if field is None:
            sys.exit(f'speech: {topic} is of type {types[0]}; accepted: a type with a string called text or data')
        self.node.create_subscription(message, topic, lambda heard: self.hear(getattr(heard, field)), 10)
        self.search.cancel()
        self.node.get_logger().info(f'listening to {topic} ({types[0]})')

    def hear(self, heard: str) -> None:
        text = understood(heard, self.arguments.words, self.arguments.wake)
        if text is None:
            return self.node.get_logger().info(f'left out: {heard!r}')
        self.number += 1
        self.instructions.publish(Instruction(id=f'speech-{self.number}', conversation_id=self.arguments.conversation, text=text))
        self.node.get_logger().info(f'asked: {text!r}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('topic', help='what the recogniser publishes')
    parser.add_argument('--wake', default='', metavar='WORD', help='the word that an instruction has to begin with (none)')
    parser.add_argument('--words', type=int, default=2, metavar='N', help='fewer words are left out (%(default)s)')
    parser.add_argument('--conversation', default='', metavar='NAME', help='the conversation that instructions belong to (each alone)')
    arguments = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])

    rclpy.init(args=sys.argv)
    node = rclpy.create_node('speech')
    speech = Speech(node, arguments)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    finally:
        del speech
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
