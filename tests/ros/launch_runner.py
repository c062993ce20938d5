"""Runs a launch file that starts processes and reacts to their ends, with as much of ROS 2's launch as ours use.

What is started, what is signalled and when it is over is decided by the shipped launch file; this only does as it is told.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import launch_double
from process import PROGRAM


class Process:
    """ExecuteProcess."""

    def __init__(self, cmd, name=None, output='log', additional_env=None):
        self.cmd, self.name, self.additional_env = cmd, name, additional_env or {}

    def visit(self, context, nodes, arguments):
        nodes.append(self)

    def command(self, folder):
        return [str(part) for part in self.cmd]


class Node(launch_double.Node):
    """launch_ros's Node: the programs of this package, from where they were built."""

    def __init__(self, *arguments, additional_env=None, **named):
        super().__init__(*arguments, **named)
        self.additional_env = additional_env or {}

    def command(self, folder):
        return [str(PROGRAM.parent / self.executable), *self.command_line(folder)]


@dataclasses.dataclass
class OnProcessExit:
    target_action: object
    on_exit: object


@dataclasses.dataclass
class Register:
    handler: OnProcessExit

    def visit(self, context, nodes, arguments):
        nodes.append(self)


@dataclasses.dataclass
class Emit:
    event: object


@dataclasses.dataclass
class Shutdown:
    reason: str


@dataclasses.dataclass
class Signal:
    signal_number: int
    process_matcher: object


@dataclasses.dataclass
class Log:
    msg: str


@dataclasses.dataclass
class Exit:
    action: object
    returncode: int


MODULES = {
    'launch.actions': {'ExecuteProcess': Process, 'RegisterEventHandler': Register, 'LogInfo': Log,
                       'EmitEvent': lambda event: Emit(event)},
    'launch.event_handlers': {'OnProcessExit': OnProcessExit},
    'launch.events': {'Shutdown': Shutdown, 'matches_action': lambda action: action},
    'launch.events.process': {'SignalProcess': Signal},
    'launch_ros.actions': {'Node': Node},
}


def described(path, given: dict):
    """(processes, handlers, declared arguments) of a launch file with these arguments."""
    actions, arguments = launch_double.evaluate(path, given, MODULES)
    handlers = [a.handler for a in actions if isinstance(a, Register)]
    return [a for a in actions if not isinstance(a, Register)], handlers, arguments


def run(path, given: dict, domain: int, log: pathlib.Path, within: float):
    """Runs it to its end. Returns the reason of the shutdown and the exit code of every process, by program."""
    processes, handlers, _ = described(path, given)
    folder = pathlib.Path(tempfile.mkdtemp(dir=log.parent))
    environment = dict(os.environ, ROS_DOMAIN_ID=str(domain))
    running, codes, reason = [], {}, None
    out = open(log, 'wb')

    def start(action):
        process = subprocess.Popen(
            action.command(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env={**environment, **action.additional_env})
        running.append((action, process))

    def do(action):
        nonlocal reason
        if isinstance(action, Emit) and isinstance(action.event, Shutdown):
            reason = reason or action.event.reason
        elif isinstance(action, Emit):
            [target] = [p for a, p in running if a is action.event.process_matcher]
            target.send_signal(action.event.signal_number)
        elif isinstance(action, Log):
            out.write(f'{action.msg}\n'.encode())
        else:
            start(action)

    end = time.monotonic() + within
    for action in processes:
        start(action)
    try:
        while running and time.monotonic() < end:
            for action, process in list(running):
                if process.poll() is None:
                    continue
                running.remove((action, process))
                codes[pathlib.Path(process.args[0]).name + (f' {action.name}' if action.name else '')] = process.returncode
                for handler in handlers:
                    if handler.target_action is action:
                        for then in handler.on_exit(Exit(action, process.returncode), None) or []:
                            do(then)
            if reason:
                for _, process in running:
                    process.send_signal(signal.SIGINT)
                for action, process in running:
                    codes[pathlib.Path(process.args[0]).name + (f' {action.name}' if action.name else '')] = process.wait(10)
                running.clear()
            time.sleep(0.05)
    finally:
        for _, process in running:
            process.kill()
            process.wait()
        out.close()
    assert not running, f'not over after {within} s: {log.read_text(errors="replace")[-2000:]}'
    return reason, codes
