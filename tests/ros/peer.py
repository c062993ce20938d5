"""Another program on the graph, for a test to kill: python3 peer.py ROLE DOMAIN PNG [TEXT]. It prints a line when it is in the middle of
its role, and goes on for as long as it lives.

    goal     has sent TEXT as a goal, waits for its result and has had feedback
    listen   subscribes to everything that the node publishes, and has had pictures and words
    camera   publishes PNG as `image`
"""

import pathlib
import sys
import threading
import time

import conftest  # noqa: F401  (keeps ROS 2 on this machine, before rclpy is loaded)
import pictures
from client import Client


class Alive:
    """The client asks whether the node's process runs; that is not this program's to know."""

    def running(self) -> bool:
        return True

    def log(self) -> str:
        return ''


def main(role: str, domain: str, png: str, text: str = '') -> None:
    client = Client(Alive(), int(domain))
    picture = pictures.rgb8(pictures.read_png(pathlib.Path(png)))
    if role == 'goal':
        begun = threading.Event()
        handle = client.goal(
            text, lambda m: begun.set() if m.feedback.tokens >= 2 else None, image=picture,
            max_new_tokens=1200)
        client.result_of(handle)
        begun.wait()
    elif role == 'listen':
        client.wait('pictures and words', lambda: client.masks and client.overlays and client.deltas and client.answers)
    elif role == 'camera':
        client.show(picture, frame_id='killed')
    print(f'{role}: in the middle', flush=True)
    while True:
        time.sleep(1.0)


if __name__ == '__main__':
    main(*sys.argv[1:])
