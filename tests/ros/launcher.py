"""What `ros2 run` and `ros2 launch` do with signals, exit codes and respawning, as a program of its own: the real ones are not among the
packages that make test installs. Which nodes there are, and whether they respawn, is the shipped launch file's.

    launcher.py run PROGRAM ARGUMENT…
    launcher.py launch [--noninteractive] FILE NAME:=VALUE…
"""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import launch_double
from process import PROGRAM

# Seconds after which ros2 launch sends SIGTERM to what it has asked to end.
PATIENCE = 5.0


def say(*words) -> None:
    print(*words, flush=True)


def run(command: list[str]) -> int:
    """`ros2 run` (ros2run.api.run_executable): Ctrl-C reaches the program from the terminal; its exit code is the one."""
    process = subprocess.Popen(command)
    say('started', process.pid)
    while process.returncode is None:
        try:
            process.communicate()
        except KeyboardInterrupt:
            pass
    return process.returncode


class Launch:
    """`ros2 launch` (launch.actions.ExecuteLocal): at a terminal Ctrl-C reaches the nodes from there; otherwise launch sends them SIGINT."""

    def __init__(self, noninteractive: bool, nodes: list):
        self.noninteractive, self.nodes, self.running = noninteractive, nodes, {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='lisa_launch_'))
        self.ending = None
        signal.signal(signal.SIGINT, self.on_interrupt)

    def on_interrupt(self, number, frame) -> None:
        if self.ending is not None:
            return say('interrupted again, ignoring')
        self.ending = time.monotonic()
        if self.noninteractive:
            for process in self.running.values():
                process.send_signal(signal.SIGINT)

    def start(self, node) -> None:
        process = subprocess.Popen([str(PROGRAM.parent / node.executable), *node.command_line(self.folder)])
        self.running[node] = process
        say('started', process.pid)

    def run(self) -> int:
        """0 however the nodes end, as the real one."""
        for node in self.nodes:
            self.start(node)
        while self.running:
            time.sleep(0.02)
            for node, process in list(self.running.items()):
                if process.poll() is None:
                    continue
                del self.running[node]
                say('has finished cleanly' if process.returncode == 0 else f'has died, exit code {process.returncode}')
                if node.respawn and self.ending is None:
                    time.sleep(node.respawn_delay)
                    self.start(node)
            if self.ending is not None and time.monotonic() - self.ending > PATIENCE:
                say('failed to terminate: escalating')
                for process in self.running.values():
                    process.kill()
        return 0


def main(what: str, *arguments: str) -> int:
    if what == 'run':
        return run(list(arguments))
    noninteractive = arguments[0] == '--noninteractive'
    path, *given = arguments[noninteractive:]
    nodes, _ = launch_double.evaluate(path, dict(argument.split(':=', 1) for argument in given))
    return Launch(noninteractive, nodes).run()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
