"""Parameters, over the six standard services, as `ros2 param` uses them."""

import pytest
import yaml
from process import ROOT
from rcl_interfaces.msg import ParameterType

NAMES = [
    'model', 'device', 'dtype', 'cameras', 'image_transport', 'image_reliability', 'mode', 'max_rate_hz', 'max_new_tokens', 'temperature',
    'mask_threshold', 'min_mask_area', 'max_pending', 'sync_slop_s', 'publish_overlay', 'publish_attention',
    'overlay_alpha', 'clip_fit', 'use_sim_time', 'unload_after', 'autostart', 'follow.patience', 'follow.min_score', 'follow.min_overlap',
    'depth.transport', 'depth.max_offset', 'depth.timeout', 'target_frame', 'fixed_frame', 'tf_timeout', 'box.orientation',
    'gravity_frame', 'image_rectified', 'web.enable', 'web.address', 'web.port', 'web.token',
]
RUN_TIME = {
    'mode': 'continuous', 'max_rate_hz': 5.0, 'max_new_tokens': 20, 'temperature': 0.5, 'mask_threshold': 0.3,
    'min_mask_area': 10, 'max_pending': 3, 'sync_slop_s': 0.2, 'publish_overlay': False, 'publish_attention': False,
    'overlay_alpha': 0.9, 'clip_fit': 'pad', 'unload_after': 3600.0,
}
REFUSED = [
    ('mask_threshold', 1.5), ('mask_threshold', -0.1), ('mask_threshold', float('nan')), ('mask_threshold', 'half'),
    ('temperature', -1.0), ('temperature', float('inf')), ('max_new_tokens', 0), ('max_new_tokens', -3), ('max_new_tokens', 'many'),
    ('max_pending', 0), ('overlay_alpha', 2.0), ('mode', 'sometimes'), ('clip_fit', 'stretch'), ('max_rate_hz', 0.0),
    ('min_mask_area', -1), ('unload_after', -1.0), ('sync_slop_s', -0.1), ('publish_overlay', 'yes'), ('publish_attention', 1),
    ('depth.max_offset', -0.1), ('depth.timeout', 11.0), ('tf_timeout', 'long'), ('box.orientation', 'upright'), ('target_frame', 3),
]
AT_START = [
    ('model', '/elsewhere'), ('device', 'cuda:0'), ('dtype', 'bf16'), ('image_transport', 'compressed'),
    ('image_reliability', 'reliable'), ('autostart', False), ('depth.transport', 'raw'),
    ('cameras', ['front', 'arm']), ('web.enable', True), ('web.address', '0.0.0.0'), ('web.port', 9000), ('web.token', 'a' * 16),
]


def test_every_parameter_is_listed_and_described(lisa):
    assert set(NAMES) <= set(lisa.parameter_names()), lisa.parameter_names()
    for descriptor in lisa.describe(*NAMES):
        assert len(descriptor.description) > 10, f'{descriptor.name} is not described'
        assert descriptor.type != ParameterType.PARAMETER_NOT_SET, descriptor.name
        if descriptor.type == ParameterType.PARAMETER_DOUBLE:
            assert descriptor.floating_point_range, f'{descriptor.name} has no range'
        if descriptor.type == ParameterType.PARAMETER_INTEGER:
            assert descriptor.integer_range, f'{descriptor.name} has no range'


def test_the_defaults_are_the_documented_ones(lisa, model):
    documented = yaml.safe_load((ROOT / 'config' / 'lisa.yaml').read_text())['/**']['ros__parameters']
    assert set(documented) == set(NAMES)
    values = dict(zip(NAMES, lisa.get(*NAMES)))
    # Given when the tests' node was started.
    assert values.pop('model') == str(model)
    assert values.pop('max_new_tokens') == 14
    assert values.pop('device') == 'cpu'
    for name, value in values.items():
        assert value == pytest.approx(documented[name]) and type(value) is type(documented[name]), name


@pytest.mark.parametrize('name', RUN_TIME)
def test_a_parameter_changes_at_run_time(lisa, name):
    assert lisa.get(name) != [RUN_TIME[name]], 'nothing would change'
    [result] = lisa.set(**{name: RUN_TIME[name]})
    assert result.successful, f'{name}: {result.reason}'
    assert lisa.get(name) == [pytest.approx(RUN_TIME[name])]


@pytest.mark.parametrize('name, value', REFUSED)
def test_a_wrong_value_is_refused_with_the_reason(lisa, name, value):
    before = lisa.get(name)
    [result] = lisa.set(**{name: value})
    assert not result.successful and name in result.reason and len(result.reason) > len(name) + 10, result.reason
    assert lisa.get(name) == before


@pytest.mark.parametrize('name, value', AT_START)
def test_what_is_read_at_the_start_cannot_change(lisa, name, value):
    before = lisa.get(name)
    [result] = lisa.set(**{name: value})
    assert not result.successful and 'start' in result.reason, result.reason
    assert lisa.get(name) == before


def test_a_parameter_that_does_not_exist(lisa):
    [result] = lisa.set(mask_treshold=0.5)
    assert not result.successful and 'mask_treshold' in result.reason, result.reason
    assert lisa.get('mask_treshold') in ([None], []), 'an unknown parameter has a value'


def test_one_bad_value_spoils_an_atomic_change_and_no_other(lisa):
    result = lisa.set(atomically=True, mask_threshold=0.4, temperature=-1.0)
    assert not result.successful and 'temperature' in result.reason, result.reason
    assert lisa.get('mask_threshold', 'temperature') == [0.5, 0.0]
    assert lisa.set(atomically=True, mask_threshold=0.4, temperature=0.1).successful
    assert lisa.get('mask_threshold', 'temperature') == [pytest.approx(0.4), pytest.approx(0.1)]
    good, wrong = lisa.set(mask_threshold=0.6, temperature=-1.0)
    assert good.successful and not wrong.successful
    assert lisa.get('mask_threshold', 'temperature') == [pytest.approx(0.6), pytest.approx(0.1)]


def test_a_parameter_file_is_read(start, golden, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**:\n  ros__parameters:\n    mask_threshold: 0.25\n    clip_fit: squash\n    another_nodes: 3\n')
    _, lisa = start(arguments=('--params-file', str(path)), max_pending=2)
    assert lisa.get('mask_threshold', 'clip_fit', 'max_pending') == [pytest.approx(0.25), 'squash', 2]


def test_names_follow_the_namespace(start, golden):
    _, lisa = start(namespace='/front')
    assert lisa.root == '/front/lisa' and lisa.get('mode') == ['on_instruction']


@pytest.mark.parametrize('name, value', [
    ('mask_threshold', 7.0), ('mask_threshold', 'text'), ('device', 'toaster'), ('dtype', 'f8'), ('mode', 'sometimes'),
    ('max_new_tokens', 0), ('image_transport', 'theora'), ('image_reliability', 'perhaps'),
])
def test_a_node_started_with_a_wrong_value_ends_with_the_reason(start, name, value):
    process = start(client=False, **{name: value})
    code = process.wait(30.0)
    said = process.said()
    assert code not in (0, -6, -11, 101), f'exit code {code}\n{said}'
    assert name in said and 'accepted' in said and 'panicked' not in said, said
