"""The message packages that scripts/interfaces adds to the prefix are those of other programs: the type hashes say so.

A hash (REP 2011, `RIHS01`) is of the names and types of all fields, down to the numbers. DDS shows it to every other node, and
bags carry it. Where a ROS 2 is sourced, its own packages are looked at.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Made by rosidl 4.6.6 from the files of ros-perception/vision_msgs 4.1.1 and ros2/geometry2, branch jazzy. Those of TFMessage,
# TF2Error and Detection3DArray were also read in other projects, which took them from an installed ROS 2 Jazzy.
HASHES = {
    'tf2_msgs/action/LookupTransform': '0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d',
    'tf2_msgs/msg/TF2Error': 'db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a',
    'tf2_msgs/msg/TFMessage': 'e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
    'tf2_msgs/srv/FrameGraph': '0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067',
    'vision_msgs/msg/BoundingBox2D': '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
    'vision_msgs/msg/BoundingBox2DArray': '2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691',
    'vision_msgs/msg/BoundingBox3D': 'bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698',
    'vision_msgs/msg/BoundingBox3DArray': 'a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6',
    'vision_msgs/msg/Classification': 'f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143',
    'vision_msgs/msg/Detection2D': '0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea',
    'vision_msgs/msg/Detection2DArray': '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'vision_msgs/msg/Detection3D': 'ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b',
    'vision_msgs/msg/Detection3DArray': '793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    'vision_msgs/msg/LabelInfo': '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
    'vision_msgs/msg/ObjectHypothesis': '51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90',
    'vision_msgs/msg/ObjectHypothesisWithPose': '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
    'vision_msgs/msg/Point2D': 'eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247',
    'vision_msgs/msg/Pose2D': 'b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648',
    'vision_msgs/msg/VisionClass': '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
    'vision_msgs/msg/VisionInfo': '95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284',
}


def description(ros_type):
    """The description that rosidl has installed with a type, or None where no ROS 2 in the environment has the type."""
    for prefix in filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(':')):
        package, kind, name = ros_type.split('/')
        folder = pathlib.Path(prefix, 'share', package)
        if (folder / 'package.xml').exists():
            file = folder / kind / f'{name}.json'
            if not file.exists():
                pytest.skip(f'{prefix} is from before REP 2011: its types have no hashes')
            return json.loads(file.read_text())
    return None


@pytest.mark.parametrize('ros_type', sorted(HASHES))
def test_a_type_has_the_hash_that_others_know(ros_type):
    if 'AMENT_PREFIX_PATH' not in os.environ:
        pytest.skip('no ROS 2 in the environment: source scripts/env.sh')
    known = description(ros_type)
    assert known is not None, f'{ros_type} is in no prefix: run scripts/setup_ros.sh'
    hashes = {entry['type_name']: entry['hash_string'] for entry in known['type_hashes']}
    assert hashes[ros_type] == f'RIHS01_{HASHES[ros_type]}'


def test_every_interface_of_the_folder_has_a_known_hash():
    files = (ROOT / 'scripts/interfaces').glob('*/*/*.*')
    assert {f'{f.parent.parent.name}/{f.parent.name}/{f.stem}' for f in files} == set(HASHES)


def recorded(file):
    """The types and hashes that crates/messages writes into bags."""
    rust = (ROOT / 'crates/messages/src' / file).read_text()
    written = [line.split('"')[1] for line in rust.splitlines() if line.strip().startswith(('ros_type: ', 'hash: '))]
    return dict(zip(written[::2], written[1::2]))


def test_recordings_of_other_packages_messages_carry_their_hashes():
    if 'AMENT_PREFIX_PATH' not in os.environ:
        pytest.skip('no ROS 2 in the environment: source scripts/env.sh')
    for ros_type, hash_string in recorded('published.rs').items():
        hashes = {entry['type_name']: entry['hash_string'] for entry in description(ros_type)['type_hashes']}
        assert hashes[ros_type] == hash_string, ros_type


def test_our_messages_have_the_hashes_that_recordings_carry():
    """The library writes them into bags without ROS, from constants that a change of a message does not reach."""
    constants = recorded('definitions.rs')
    assert set(constants) == {f'lisa_ros/msg/{f.stem}' for f in (ROOT / 'msg').glob('*.msg')}
    if description('lisa_ros/msg/Instruction') is None:
        pytest.skip('the messages are not installed: run make build')
    for ros_type, hash_string in constants.items():
        hashes = {entry['type_name']: entry['hash_string'] for entry in description(ros_type)['type_hashes']}
        assert hashes[ros_type] == hash_string, ros_type


def test_a_prefix_from_before_the_folder_gets_its_packages_and_is_not_made_anew(tmp_path):
    prefix, called = tmp_path / 'ros', tmp_path / 'called'
    (prefix / 'bin').mkdir(parents=True)
    # The prefix's programs come first in the PATH, so this one is called instead of CMake.
    cmake = prefix / 'bin/cmake'
    cmake.write_text(f'#!/bin/sh\necho "$*" >>{called}\n')
    cmake.chmod(0o755)
    environment = {'PATH': os.environ['PATH'], 'HOME': os.environ['HOME'], 'LISA_ROS': 'prefix', 'LISA_ROS_PREFIX': str(prefix),
                   'LISA_INSTALL': str(tmp_path / 'install'), 'LISA_PYTHON': sys.executable}
    made_of = subprocess.run(
        ['bash', '-c', f'printf %s "$(cat ros2-jazzy.txt fix_prefix.py | cksum) $({sys.executable} --version) {prefix}"'],
        cwd=ROOT / 'scripts', capture_output=True, check=True).stdout
    (prefix / '.complete').write_bytes(made_of)

    def set_up():
        done = subprocess.run([ROOT / 'scripts/setup_ros.sh'], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    said = set_up()
    assert said.count('building the messages of') == 2 and 'making a ROS 2' not in said, said
    calls = called.read_text().splitlines()
    for package in ('tf2_msgs', 'vision_msgs'):
        steps = [call for call in calls if package in call]
        assert [step.split()[0] for step in steps] == ['-S', '--build', '--install'], calls
        assert f'-DCMAKE_INSTALL_PREFIX={prefix}' in steps[0].split()
    assert set_up() == ''
    assert called.read_text().splitlines() == calls
