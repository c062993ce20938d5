"""A model that takes as long to open as a test wants, on any machine: its lisa.json is a named pipe, and the test is at the other end."""

import errno
import os
import pathlib
import time


class SlowModel:
    """A model directory of links to another's files. The node that opens it waits in the middle of loading until `deliver`."""

    def __init__(self, folder: pathlib.Path, model: pathlib.Path):
        self.folder = folder
        for name in ('model.safetensors', 'tokenizer.json'):
            (folder / name).symlink_to(model / name)
        os.mkfifo(folder / 'lisa.json')
        self.config = (model / 'lisa.json').read_bytes()
        self.pipe = None

    def wait_until_loading(self, process, seconds: float = 60.0) -> None:
        """Until the node has opened the pipe: then it is loading, and goes on doing so."""
        end = time.monotonic() + seconds
        while self.pipe is None:
            assert process.running(), f'the node ended before it loaded the model\n{process.log()}'
            assert time.monotonic() < end, f'the node does not load the model\n{process.log()}'
            try:
                self.pipe = os.open(self.folder / 'lisa.json', os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                # Nobody has opened it to read.
                if error.errno != errno.ENXIO:
                    raise
                time.sleep(0.02)

    def deliver(self, config: bytes | None = None) -> None:
        """The end of the wait: the configuration, or what a test has instead of it."""
        os.set_blocking(self.pipe, True)
        with os.fdopen(self.pipe, 'wb') as pipe:
            pipe.write(self.config if config is None else config)
        self.pipe = None

    def close(self) -> None:
        if self.pipe is not None:
            os.close(self.pipe)
