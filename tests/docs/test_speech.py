"""What examples/speech.py takes for an instruction; that it passes it on is followed in docs/MICROPHONE.md."""

import sys

import pytest
from pages import ROOT

pytest.importorskip('rclpy', reason='no ROS 2 in the environment: source scripts/env.sh')
sys.path.insert(0, str(ROOT / 'examples'))

from speech import understood  # noqa: E402


@pytest.mark.parametrize('heard, wake, expected', [
    (' Where are the glasses? ', '', 'Where are the glasses?'),
    ('Where (door) are *coughs* the [MUSIC] glasses? ♪', '', 'Where are the glasses?'),
    ('[BLANK_AUDIO]', '', None),
    ('Yes.', '', None),
    ('', '', None),
    ('Robot, where are the glasses?', 'robot', 'where are the glasses?'),
    ('ROBOT where are they', 'robot', 'where are they'),
    ('Robotics is hard', 'robot', None),
    ('the robot, where is it', 'robot', None),
    ('Robot, yes', 'robot', None),
    ('Wo ist die größte Schüssel?', '', 'Wo ist die größte Schüssel?'),
    ('Wo?', '', None),
])
def test_what_is_an_instruction(heard, wake, expected):
    assert understood(heard, 2, wake) == expected
