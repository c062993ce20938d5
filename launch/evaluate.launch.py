"""Measures the node on a recording: ros2 launch lisa_ros evaluate.launch.py bag:=DIR out:=DIR.

Plays the bag against a node under /clock, records what it answers, and writes report.html and report.json: quality against
the recorded truth, latency, age of the frames, and what became of every instruction. Without a bag it takes the one that the
package ships. `lisa bag eval BAG --truth-topic T` gives the same masks without ROS 2.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import SignalProcess
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# launch/, config/, bags/ and models/ stand side by side, in the repository as in share/lisa_ros.
SHARE = pathlib.Path(__file__).parent.parent

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INSTRUCTION, RESULT = 'lisa_ros/msg/Instruction', 'lisa_ros/msg/ReasoningResult'

# name, default, description
ARGUMENTS = [
    ('bag', str(SHARE / 'bags' / 'tableworld'), 'Recording with images, instructions (lisa_ros/Instruction) and true masks.'),
    ('out', 'evaluation', 'Folder for report.html, report.json and the recorded answers; must not hold an earlier run.'),
    ('truth_topic', '/ground_truth/mask', 'Topic of the bag with the true masks. Empty: answers are counted and timed, not scored.'),
    ('image_topic', '', 'Topic of the bag with the images. Empty: the only camera there is.'),
    ('instruction_topic', '', 'Topic of the bag with the instructions. Empty: the only one there is.'),
    ('rate', '1.0', 'Recorded seconds a second.'),
    ('player', 'auto', 'ros2 (ros2 bag play), lisa (lisa bag play), or auto: ros2 where it is installed.'),
    ('params_file', str(SHARE / 'config' / 'lisa.yaml'), 'Parameter file of the node; config/lisa.yaml explains every parameter.'),
    ('model', '', 'Model directory. Empty: as in params_file, which is lisa-mini.'),
    ('device', '', 'Where the model runs: auto, cpu, cuda or cuda:N. Empty: as in params_file.'),
    ('drain', '5.0', 'Wait for late answers until none has come for so many seconds.'),
    ('log_level', 'info', 'Log level of the node: debug, info, warn, error or fatal.'),
]


def tool(name):
    """A program of this package: where ROS 2 installs it, on PATH, or where cargo builds it."""
    places = [SHARE.parent.parent / 'lib' / 'lisa_ros' / name, SHARE / 'target' / 'release' / name]
    for place in places:
        if place.is_file():
            return str(place)
    return shutil.which(name) or name


def has_ros2_bag():
    if shutil.which('ros2') is None:
        return False
    return subprocess.run(['ros2', 'bag', 'play', '--help'], capture_output=True, check=False).returncode == 0


def topic_of(topics, types, wanted, what, argument, leave_out=()):
    """The topic named, or the only one of these types; its type with it."""
    by_name = {topic['name']: topic['type'] for topic in topics}
    if wanted:
        if wanted not in by_name:
            raise ValueError(f"launch argument {argument} is '{wanted}'; the bag has: {', '.join(sorted(by_name))}")
        return wanted, by_name[wanted]
    found = [name for name, kind in by_name.items() if kind in types and not any(word in name for word in leave_out)]
    if len(found) != 1:
        raise ValueError(f"the bag has {len(found)} topics {what} ({', '.join(sorted(found)) or 'none'}): name one with {argument}:=TOPIC")
    return found[0], by_name[found[0]]


def start(context):
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    bag, out = pathlib.Path(given['bag']).expanduser(), pathlib.Path(given['out']).expanduser()
    if given['player'] not in ('auto', 'ros2', 'lisa'):
        raise ValueError(f"launch argument player is '{given['player']}'; accepted: auto, ros2, lisa")
    answers = out / 'answers'
    if answers.exists():
        raise ValueError(f'{answers} is there already, from an earlier run: remove it, or name another folder with out:=DIR')
    out.mkdir(parents=True, exist_ok=True)

    lisa, lisa_bag = tool('lisa'), tool('lisa_bag')
    described = subprocess.run([lisa, 'bag', 'info', str(bag), '--json'], capture_output=True, text=True, check=False)
    if described.returncode != 0:
        raise ValueError(described.stderr.strip() or f'{bag} cannot be read')
    topics = json.loads(described.stdout)['topics']
    image, image_type = topic_of(
        topics, (IMAGE, COMPRESSED), given['image_topic'], 'with images', 'image_topic', 
        ('depth', 'mask', 'truth', 'overlay', 'attention'))
    instruction, _ = topic_of(topics, (INSTRUCTION,), given['instruction_topic'], 'with instructions', 'instruction_topic')
    compressed = image_type == COMPRESSED

    # Fast DDS loses most large best-effort images unless its shared memory is larger than they are.
    profiles = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    environment = {name: str(SHARE / 'config' / 'fastdds.xml') for name in profiles if not set(profiles) & set(os.environ)}
    parameters = [given['params_file'], {
        'use_sim_time': True,
        'image_transport': 'compressed' if compressed else 'raw',
        **{name: given[name] for name in ('model', 'device') if given[name]},
    }]
    node = Node(
        package='lisa_ros', executable='lisa_node', name='lisa', output='screen', parameters=parameters,
        remappings=[('image/compressed' if compressed else 'image', image), ('instruction_stamped', instruction)],
        arguments=['--ros-args', '--log-level', given['log_level']],
        additional_env=environment,
    )
    recorder = ExecuteProcess(
        cmd=[lisa_bag, 'record', f'/lisa/result={RESULT}', f'{instruction}={INSTRUCTION}', '/clock',
             '--out', str(answers), '--drain', given['drain']],
        name='record', output='screen', additional_env=environment,
    )
    if given['player'] == 'ros2' or (given['player'] == 'auto' and has_ros2_bag()):
        play = ['ros2', 'bag', 'play', str(bag), '--rate', given['rate'], '--clock', '100', '--delay', '3']
    else:
        # The node and the recorder listen to instructions, the node to images.
        play = [lisa_bag, 'play', str(bag), '--rate', given['rate'], '--clock', '100',
                '--wait-for', f'{instruction}=2', '--wait-for', f'{image}=1', '--wait', '600']
    player = ExecuteProcess(cmd=play, name='play', output='screen', additional_env=environment)
    truth = ['--truth-topic', given['truth_topic']] if given['truth_topic'] else []
    report = ExecuteProcess(
        cmd=[lisa, 'bag', 'eval', str(bag), '--results', str(answers), '--topic', image, '--instruction-topic', instruction,
             *truth, '--html', str(out / 'report.html'), '--json', str(out / 'report.json')],
        name='report', output='screen',
    )

    ended = {'in order': False}

    def after_play(event, _):
        if event.returncode != 0:
            return [EmitEvent(event=Shutdown(reason=f'the player ended with exit code {event.returncode}'))]
        return [EmitEvent(event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(recorder)))]

    def after_record(event, _):
        if event.returncode != 0:
            return [EmitEvent(event=Shutdown(reason=f'the recorder ended with exit code {event.returncode}'))]
        return [report]

    def after_report(event, _):
        ended['in order'] = True
        said = f'the report is {out / "report.html"}' if event.returncode == 0 else 'no report could be written'
        return [LogInfo(msg=said), EmitEvent(event=Shutdown(reason=said))]

    def after_node(event, _):
        return [] if ended['in order'] else [EmitEvent(event=Shutdown(reason=f'the node ended with exit code {event.returncode}'))]

    return [
        node, recorder, player,
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=after_play)),
        RegisterEventHandler(OnProcessExit(target_action=recorder, on_exit=after_record)),
        RegisterEventHandler(OnProcessExit(target_action=report, on_exit=after_report)),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=after_node)),
    ]


def generate_launch_description():
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start)])
