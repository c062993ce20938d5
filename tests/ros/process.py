"""The node as a process: started with parameters, watched from outside, ended with a signal."""

import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get('LISA_NODE', ROOT / 'target' / 'release' / 'lisa_node'))


class NodeProcess:
    """A running lisa_node. `parameters` are given with -p, `arguments` after --ros-args as they are, `extra` is environment.
    What it prints goes into the file `log`, or to the file descriptor `output`."""

    def __init__(self, log: pathlib.Path, domain: int, parameters: dict, arguments: tuple = (), extra: dict = {}, output=None):
        command = [str(PROGRAM), '--ros-args', *arguments]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ['-p', f'{name}:={text}']
        self.command = command
        self.log_path = log
        self.log_file = open(log, 'wb')
        environment = dict(os.environ, ROS_DOMAIN_ID=str(domain), RUST_BACKTRACE='0', **extra)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log_file if output is None else output, stderr=subprocess.STDOUT, env=environment)

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self, lines: int = 30) -> str:
        text = self.log_path.read_text(errors='replace').splitlines()
        return '\n'.join(['--- ' + ' '.join(self.command)[:300], *text[-lines:]])

    def said(self) -> str:
        """What the node itself has said, without the command line that `log` begins with."""
        return self.log_path.read_text(errors='replace')

    def running(self) -> bool:
        return self.process.poll() is None

    def end(self, number: int = signal.SIGINT, within: float = 10.0, again: tuple = ()) -> tuple[int, float]:
        """Sends the signal, then those of `again` in turn while the node lives; exit code and the seconds it took. After `within`
        the node is killed, and its code is -9."""
        began = time.monotonic()
        if self.running():
            self.process.send_signal(number)
            for number in again:
                time.sleep(0.002)
                # Does nothing where the node has ended already.
                self.process.send_signal(number)
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log_file.close()
        return self.process.returncode, time.monotonic() - began

    def wait(self, seconds: float) -> int:
        """The exit code of a node that ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f'the node was expected to end by itself within {seconds} s\n{self.log()}') from None

    def rss(self) -> int:
        """Resident memory in bytes."""
        for line in open(f'/proc/{self.pid}/status'):
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024
        raise AssertionError(f'no VmRSS in /proc/{self.pid}/status: is the node still running?')

    def cpu(self) -> float:
        """Seconds of processor time so far, all threads."""
        fields = open(f'/proc/{self.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
