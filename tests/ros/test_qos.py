"""QoS by the standard parameters: qos_overrides.TOPIC.publisher.POLICY, and what is said where two sides do not fit."""

import pytest
from client import ANSWERED
from lisa_ros.msg import ReasoningResult
from pictures import rgb8
from rcl_interfaces.srv import ListParameters
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from test_diagnostics import latest


def parameter_file(tmp_path, overrides: str) -> tuple:
    path = tmp_path / 'qos.yaml'
    path.write_text(f'/**:\n  ros__parameters:\n    qos_overrides:\n{overrides}')
    return '--params-file', str(path)


def test_a_late_joiner_gets_the_last_result(start, golden, tmp_path):
    given = parameter_file(tmp_path, '      /lisa/result:\n        publisher: {durability: transient_local, depth: 1}\n')
    _, lisa = start(arguments=given)
    lisa.show(rgb8(golden.picture))
    asked = lisa.ask(golden.masked)
    assert asked.status in ANSWERED
    late = []
    qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE,
                     history=HistoryPolicy.KEEP_LAST)
    lisa.node.create_subscription(ReasoningResult, 'lisa/result', late.append, qos)
    lisa.wait('last result', lambda: late)
    assert [r.instruction_id for r in late] == [asked.instruction_id]


def test_overrides_are_seen_in_the_graph_and_as_parameters(start, tmp_path):
    given = parameter_file(tmp_path, '''\
      /front/lisa/mask:
        publisher: {reliability: best_effort}
      /front/camera:
        subscription: {reliability: reliable, depth: 2}
''')
    _, lisa = start(ready=False, namespace='/front', arguments=(*given, '-r', 'image:=camera'))
    names = [f'qos_overrides./front/lisa/mask.publisher.{policy}' for policy in ('reliability', 'depth', 'history', 'durability')]
    assert lisa.get(*names) == ['best_effort', 10, 'keep_last', 'volatile']
    image = 'qos_overrides./front/camera.subscription'
    lisa.wait('subscription to images', lambda: lisa.get(f'{image}.depth') == [2])
    assert lisa.get(f'{image}.reliability') == ['reliable']
    assert f'{image}.lifespan' not in lisa.parameter_names(), 'a subscription has no lifespan'
    [mask] = lisa.wait('publisher of masks', lambda: lisa.node.get_publishers_info_by_topic('/front/lisa/mask'))
    assert mask.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    [camera] = lisa.wait('subscription in the graph', lambda: lisa.node.get_subscriptions_info_by_topic('/front/camera'))
    assert camera.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    # They are described, and cannot be set.
    [descriptor] = lisa.describe(names[0])
    assert descriptor.read_only and 'best_effort' in descriptor.additional_constraints and '/front/lisa/mask' in descriptor.description
    [refused] = lisa.set(**{names[0]: 'reliable'})
    assert not refused.successful and names[0] in refused.reason, refused.reason
    listed = lisa.call(ListParameters, f'{lisa.root}/list_parameters', ListParameters.Request(prefixes=['qos_overrides'])).result
    assert set(names) <= set(listed.names) and 'mode' not in listed.names
    assert 'qos_overrides./front/lisa/mask.publisher' in listed.prefixes


def test_every_topic_of_the_node_can_be_overridden(start):
    _, lisa = start()
    names = set(lisa.parameter_names())
    for topic, _ in lisa.node.get_publisher_names_and_types_by_node('lisa', '/'):
        # Of rcl itself, which makes it before a node has parameters.
        if topic != '/rosout':
            assert f'qos_overrides.{topic}.publisher.reliability' in names, topic
    for topic, _ in lisa.node.get_subscriber_names_and_types_by_node('lisa', '/'):
        assert f'qos_overrides.{topic}.subscription.reliability' in names, topic


@pytest.mark.parametrize('policy, value, accepted', [
    ('reliability', 'Reliable', 'reliable, best_effort'), ('durability', 'persistent', 'volatile, transient_local'),
    ('history', 'keep', 'keep_last, keep_all'), ('depth', -1, 'an integer from 0'), ('depth', '"many"', 'an integer from 0'),
    ('deadline', 0.5, 'nanoseconds'), ('liveliness', 'manual', 'automatic, manual_by_topic'),
])
def test_a_wrong_value_ends_the_node_with_what_is_accepted(start, tmp_path, policy, value, accepted):
    given = parameter_file(tmp_path, f'      /lisa/result:\n        publisher: {{{policy}: {value}}}\n')
    process = start(client=False, arguments=given)
    assert process.wait(30.0) == 1
    name = f'qos_overrides./lisa/result.publisher.{policy}'
    [line] = [line for line in process.said().splitlines() if name in line]
    assert accepted in line and 'panicked' not in process.said(), line


def test_an_override_of_nothing_is_warned_of(start, tmp_path):
    given = parameter_file(tmp_path, '      /lisa/results:\n        publisher: {depth: 1}\n')
    process, lisa = start(arguments=given)
    lisa.wait('warning', lambda: "'qos_overrides./lisa/results.publisher.depth' is about none of" in process.said())


def test_who_offers_too_little_is_named_with_both_sides(start, golden, tmp_path):
    given = parameter_file(tmp_path, '      /image:\n        subscription: {durability: transient_local}\n')
    process, lisa = start(arguments=given)
    lisa.show(rgb8(golden.picture), heard=False)
    wanted = 'QoS on /image: /independent_client offers durability volatile, we ask transient_local'
    lisa.wait('diagnostic', lambda: latest(lisa) and wanted in latest(lisa)[0].message)
    assert process.said().count(wanted) == 1, 'once in the log'
