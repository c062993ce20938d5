"""The managed node, asked as `ros2 lifecycle` and the lifecycle managers of other packages ask it."""

import threading
import time

import pytest
from action_msgs.msg import GoalStatus
from client import ANSWERED, said
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from lisa_ros.action import Segment
from lisa_ros.msg import ReasoningResult
from pictures import rgb8
from process import ROOT
from rclpy.lifecycle import LifecycleNode
from test_diagnostics import latest

UNCONFIGURED, INACTIVE, ACTIVE = 'unconfigured', 'inactive', 'active'
NO_TRANSITION = 255


class Supervisor:
    """What a lifecycle manager does to a node, through its client."""

    def __init__(self, lisa):
        self.lisa = lisa
        self.events: list[TransitionEvent] = []
        lisa._listen(TransitionEvent, 'lisa/transition_event', self.events.append)
        # A change cannot be asked for twice; what is no transition can.
        self.ask(ChangeState, 'change_state', self.request(NO_TRANSITION))

    def ask(self, kind, name: str, request):
        """Asks until there is an answer. Fast DDS gives a response up where the node has not discovered within 100 ms who is
        to get it, which is so of a client's first requests on a slow machine; the node then sends it again, a few times."""
        client = self.client(kind, name)
        for _ in range(30):
            answered = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _, answered=answered: answered.set())
            if answered.wait(2.0):
                return future.result()
        raise AssertionError(f'no response of {name}\n{self.lisa.process.log()}')

    def client(self, kind, name: str):
        name = f'{self.lisa.root}/{name}'
        client = self.lisa.services.setdefault(name, None) or self.lisa.node.create_client(kind, name)
        self.lisa.services[name] = client
        assert client.wait_for_service(timeout_sec=60.0), f'no service {name}\n{self.lisa.process.log()}'
        return client

    @property
    def state(self) -> str:
        state = self.ask(GetState, 'get_state', GetState.Request()).current_state
        assert state.id == {UNCONFIGURED: State.PRIMARY_STATE_UNCONFIGURED, INACTIVE: State.PRIMARY_STATE_INACTIVE,
                            ACTIVE: State.PRIMARY_STATE_ACTIVE}.get(state.label, state.id)
        return state.label

    def request(self, wanted) -> ChangeState.Request:
        transition = Transition(label=wanted) if isinstance(wanted, str) else Transition(id=wanted)
        return ChangeState.Request(transition=transition)

    def change(self, wanted) -> bool:
        """By label, or by id."""
        return self.lisa.future(self.begin(wanted), f'response to {wanted}').success

    def begin(self, wanted):
        """The future of a change, which is not waited for."""
        return self.client(ChangeState, 'change_state').call_async(self.request(wanted))

    def transitions(self, name: str) -> list[tuple]:
        found = self.ask(GetAvailableTransitions, name, GetAvailableTransitions.Request()).available_transitions
        return [plain(t.transition, t.start_state, t.goal_state) for t in found]

    def seen(self, count: int) -> list[tuple]:
        """The first events, once there are so many."""
        self.lisa.wait(f'{count} transition events', lambda: len(self.events) >= count)
        return [(e.transition.label, e.start_state.label, e.goal_state.label) for e in self.events]


def plain(transition, start, goal) -> tuple:
    return (transition.id, transition.label, start.id, start.label, goal.id, goal.label)


@pytest.fixture
def waiting(start):
    """A node that waits for a supervisor, its client, and the supervisor."""
    process, lisa = start(ready=False, autostart=False)
    supervisor = Supervisor(lisa)
    assert supervisor.state == UNCONFIGURED
    return process, lisa, supervisor


def asked_for(lisa, text: str, times: int = 1):
    """Says it so often, and returns when the node has said what it did with it."""
    lisa.wait('subscription to instructions', lambda: lisa.asked_stamped.get_subscription_count() > 0)
    for _ in range(times):
        lisa.send(text)


def test_states_and_transitions_are_those_of_every_managed_node(waiting):
    _, lisa, supervisor = waiting
    reference = LifecycleNode('reference', context=lisa.context)
    lisa.executor.add_node(reference)
    try:
        states = supervisor.ask(GetAvailableStates, 'get_available_states', GetAvailableStates.Request()).available_states
        wanted = lisa.call(GetAvailableStates, '/reference/get_available_states', GetAvailableStates.Request()).available_states
        assert [(s.id, s.label) for s in states] == [(s.id, s.label) for s in wanted]
        for name in ('get_available_transitions', 'get_transition_graph'):
            wanted = lisa.call(GetAvailableTransitions, f'/reference/{name}', GetAvailableTransitions.Request())
            wanted = [plain(t.transition, t.start_state, t.goal_state) for t in wanted.available_transitions]
            assert supervisor.transitions(name) == wanted
        kinds = {(name, tuple(types)) for name, types in lisa.node.get_service_names_and_types_by_node('reference', '/')}
        ours = {(name, tuple(types)) for name, types in lisa.node.get_service_names_and_types_by_node('lisa', '/')}
        assert {(n.replace('/reference/', '/lisa/'), t) for n, t in kinds if 'lifecycle_msgs' in t[0]} <= ours
    finally:
        lisa.executor.remove_node(reference)
        reference.destroy_node()


def test_a_node_that_starts_by_itself_is_active(start):
    _, lisa = start()
    supervisor = Supervisor(lisa)
    assert supervisor.state == ACTIVE
    assert [t[1] for t in supervisor.transitions('get_available_transitions')] == ['deactivate', 'shutdown']


def test_a_supervisor_brings_it_up_and_down_and_up_again(waiting, golden):
    process, lisa, supervisor = waiting
    for _ in range(2):
        # Both ways to name a transition.
        assert supervisor.change('configure') and supervisor.state == INACTIVE
        assert supervisor.change(Transition.TRANSITION_ACTIVATE) and supervisor.state == ACTIVE
        lisa.show(rgb8(golden.picture))
        assert lisa.ask(golden.masked).status in ANSWERED
        assert supervisor.change(Transition.TRANSITION_DEACTIVATE) and supervisor.state == INACTIVE
        assert supervisor.change('cleanup') and supervisor.state == UNCONFIGURED
    ways = [('configure', 'configuring', INACTIVE), ('activate', 'activating', ACTIVE),
            ('deactivate', 'deactivating', INACTIVE), ('cleanup', 'cleaningup', UNCONFIGURED)]
    expected, at = [], UNCONFIGURED
    for label, passing, goal in 2 * ways:
        expected += [(label, at, passing), ('transition_success', passing, goal)]
        at = goal
    assert supervisor.seen(len(expected)) == expected
    stamps = [e.timestamp for e in supervisor.events]
    assert stamps == sorted(stamps) and abs(stamps[-1] * 1e-9 - time.time()) < 600.0


@pytest.mark.parametrize('wanted', [
    'activate', 'deactivate', 'cleanup', 'transition_success', 'fly', Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_ACTIVE_SHUTDOWN, Transition.TRANSITION_ON_CONFIGURE_SUCCESS, 99,
])
def test_what_cannot_be_done_in_this_state_is_refused_and_changes_nothing(start, wanted):
    process, lisa = start(ready=False, autostart=False)
    supervisor = Supervisor(lisa)
    assert not supervisor.change(wanted)
    assert supervisor.state == UNCONFIGURED
    name = f"'{wanted}'" if isinstance(wanted, str) else wanted
    assert f'transition {name} is refused: the node is unconfigured; accepted: configure, shutdown' in process.said()


def test_an_inactive_node_is_quiet_and_says_what_to_do(waiting, golden):
    process, lisa, supervisor = waiting
    assert supervisor.change('configure')
    lisa.show(rgb8(golden.picture), heard=False)
    asked_for(lisa, golden.masked, 3)
    hint = '`ros2 lifecycle set /lisa activate` makes it answer'
    lisa.wait('warnings', lambda: process.said().count('an instruction is ignored: the node is inactive') == 3)
    assert hint in process.said()
    assert lisa.action.wait_for_server(60.0)
    goal = lisa.sent(lambda: lisa.action.send_goal_async(Segment.Goal(instruction=golden.masked)))
    assert not lisa.future(goal, 'answer to a goal').accepted
    lisa.wait('headline that says it', lambda: latest(lisa) and hint in latest(lisa)[0].message)
    assert not lisa.results and not lisa.deltas and not lisa.answers and not lisa.masks
    assert supervisor.change('activate')
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED, said(result)
    assert len(lisa.results) == 1, 'what was ignored is not answered later'


def test_deactivation_ends_open_questions(start, golden):
    _, lisa = start(max_new_tokens=1500)
    supervisor = Supervisor(lisa)
    lisa.show(rgb8(golden.picture))
    for _ in range(5):
        name = lisa.send(golden.text_only)
        lisa.wait('first words', lambda: lisa.deltas_of(name))
        # It is accepted, and waits behind the instruction.
        outcome = lisa.result_of(lisa.goal(golden.text_only))
        assert supervisor.change('deactivate')
        answer = lisa.future(outcome, 'result of a goal')
        result = lisa.result(name)
        if ReasoningResult.CANCELLED in (result.status, answer.result.result.status):
            break
        # An answer of 1500 tokens ended first.
        assert supervisor.change('activate')
    for ended in (result, answer.result.result):
        if ended.status not in ANSWERED:
            assert ended.status == ReasoningResult.CANCELLED and ended.error == 'the node was deactivated', said(ended)
    assert answer.status in (GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_SUCCEEDED)
    # The model is still loaded: it answers as soon as it is active.
    assert supervisor.change('activate')
    lisa.set(max_new_tokens=5)
    assert lisa.ask(golden.masked).status in ANSWERED


def test_enabling_goes_on_working_inside_active(waiting, golden):
    _, lisa, supervisor = waiting
    assert supervisor.change('configure') and supervisor.change('activate')
    lisa.show(rgb8(golden.picture))
    assert lisa.enable(False).success
    assert 'disabled' in lisa.ask(golden.masked).error
    assert supervisor.change('deactivate') and supervisor.change('activate')
    assert 'disabled' in lisa.ask(golden.text_only).error
    assert lisa.enable(True).success
    lisa.show(rgb8(golden.picture))
    assert lisa.ask(golden.masked + ' ').status in ANSWERED


def test_while_it_loads_it_says_so_and_refuses_other_transitions(start, slow_model):
    process, lisa = start(ready=False, autostart=False, model=slow_model.folder)
    supervisor = Supervisor(lisa)
    configured = supervisor.begin('configure')
    slow_model.wait_until_loading(process)
    assert supervisor.state == 'configuring'
    assert not supervisor.change('configure') and not supervisor.change('shutdown')
    [result] = lisa.set(device='cpu')
    assert result.successful, 'it has this value'
    [result] = lisa.set(device='auto')
    assert not result.successful and 'unconfigured' in result.reason, result.reason
    lisa.wait('headline', lambda: latest(lisa) and latest(lisa)[0].message.startswith('loading the model'))
    slow_model.deliver()
    assert lisa.future(configured, 'end of configuring').success and supervisor.state == INACTIVE


def test_a_model_that_cannot_be_loaded_is_a_failure_and_another_may_be_named(start, model, tmp_path):
    process, lisa = start(ready=False, autostart=False, model=tmp_path)
    supervisor = Supervisor(lisa)
    for _ in range(2):
        assert not supervisor.change('configure')
        assert supervisor.state == UNCONFIGURED
    assert supervisor.seen(4) == 2 * [
        ('configure', UNCONFIGURED, 'configuring'), ('transition_failure', 'configuring', UNCONFIGURED)]
    assert str(tmp_path) in process.said()
    status = lisa.wait('reason in the diagnostics', lambda: latest(lisa) and 'cannot be used' in latest(lisa)[0].message and latest(lisa)[0])
    assert str(tmp_path) in status.message and 'configure' in status.message
    [result] = lisa.set(model=str(model))
    assert result.successful, result.reason
    assert supervisor.change('configure') and supervisor.state == INACTIVE
    [result] = lisa.set(model=str(tmp_path))
    assert not result.successful and 'unconfigured' in result.reason, result.reason


def test_a_node_that_starts_by_itself_ends_with_a_model_that_is_none(start, tmp_path):
    process = start(client=False, model=tmp_path)
    assert process.wait(60.0) == 1 and str(tmp_path) in process.said()


@pytest.mark.parametrize('before', [(), ('configure',), ('configure', 'activate')], ids=[UNCONFIGURED, INACTIVE, ACTIVE])
def test_shutdown_leaves_a_quiet_process_that_says_what_it_is_and_ends_with_a_signal(waiting, golden, before):
    """As a node of rclcpp does it: nav2's lifecycle manager asks for the state afterwards, and a launcher that starts a node again when it
    ends must not do so now."""
    process, lisa, supervisor = waiting
    for transition in before:
        assert supervisor.change(transition)
    assert supervisor.change('shutdown')
    labels = [(e[0], e[2]) for e in supervisor.seen(2 * len(before) + 2)]
    assert labels[-2:] == [('shutdown', 'shuttingdown'), ('transition_success', 'finalized')]
    assert supervisor.state == 'finalized' and not supervisor.transitions('get_available_transitions')
    assert not supervisor.change('configure') and supervisor.state == 'finalized'
    lisa.wait('headline', lambda: latest(lisa) and latest(lisa)[0].message.startswith('the node is finalized'))
    assert 'model in memory no' in latest(lisa)[1]
    if before:
        asked_for(lisa, golden.text_only)
        lisa.wait('warning', lambda: 'an instruction is ignored: the node is finalized' in process.said())
    assert not lisa.results
    code, seconds = process.end()
    assert code == 0 and seconds < 2.0, (code, seconds, process.log())


def test_nav2s_lifecycle_manager_finds_each_state_that_it_asked_for(waiting):
    """LifecycleManager::changeStateForNode (nav2_lifecycle_manager, jazzy): a transition by its id alone, then the state, which has to be
    the goal; on its way down the last one is the shutdown of an unconfigured node, whatever the node was before."""
    _, _, supervisor = waiting
    for transition, state in [
            (Transition.TRANSITION_CONFIGURE, INACTIVE), (Transition.TRANSITION_ACTIVATE, ACTIVE),
            (Transition.TRANSITION_DEACTIVATE, INACTIVE), (Transition.TRANSITION_CLEANUP, UNCONFIGURED),
            (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, 'finalized')]:
        assert supervisor.change(transition) and supervisor.state == state


def test_only_an_active_node_has_pictures_sent_to_it(waiting, golden):
    _, lisa, supervisor = waiting
    lisa.show(rgb8(golden.picture), heard=False)

    def listeners():
        return lisa.camera.publisher.get_subscription_count()

    assert supervisor.change('configure')
    lisa.wait('subscription to instructions', lambda: lisa.asked_stamped.get_subscription_count() > 0)
    time.sleep(0.5)
    assert listeners() == 0
    for _ in range(2):
        assert supervisor.change('activate')
        lisa.wait('subscription to pictures', lambda: listeners() == 1)
        assert lisa.ask(golden.masked).status in ANSWERED
        assert supervisor.change('deactivate')
        lisa.wait('end of the subscription', lambda: listeners() == 0)
        lisa.results.clear()


def test_cleanup_gives_the_memory_back(start):
    """lisa-mini, which is large enough to be seen among what the process needs anyway."""
    process, lisa = start(ready=False, autostart=False, model=ROOT / 'models' / 'lisa-mini')
    supervisor = Supervisor(lisa)
    weights = next(iter((ROOT / 'models' / 'lisa-mini').glob('model*.safetensors'))).stat().st_size
    bare, with_model, after = [], [], []
    for _ in range(3):
        bare.append(process.rss())
        assert supervisor.change('configure')
        with_model.append(process.rss())
        assert supervisor.change('cleanup')
        after.append(process.rss())
    told = [f'{b >> 20} -> {w >> 20} -> {a >> 20} MiB' for b, w, a in zip(bare, with_model, after)]
    print('resident: unconfigured, configured, cleaned up:', told)
    for with_it, without in zip(with_model, after):
        assert with_it - without > weights, told
    # What stays does not grow from one time to the next.
    assert after[2] - after[0] < weights, told


def test_after_a_while_without_questions_the_memory_is_given_back_and_the_next_one_loads_it(start, golden):
    _, lisa = start(unload_after=0.2)
    lisa.wait('unloading', lambda: latest(lisa) and 'model in memory no' in latest(lisa)[1])
    lisa.show(rgb8(golden.picture))
    result = lisa.ask(golden.masked)
    assert result.status in ANSWERED and any('had given its memory back' in note for note in result.notes), (said(result), result.notes)
    [result] = lisa.set(unload_after=0.0)
    assert result.successful
    lisa.ask(golden.text_only)
    lisa.wait('loaded model', lambda: 'model in memory yes' in latest(lisa)[1])
