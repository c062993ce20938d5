"""The demo's planner: examples/pick.py asks for a thing, and what it takes hold of is compared with what the scene says is there.

A pick is right where

- the thing is in the picture: pick.py publishes a pose whose position is at most 30 mm from the centroid, by area, of the surface of
  it that the camera sees;
- the thing is not in the picture: pick.py refuses.

The demo's robot stands before the table; its `base_link` is `ROBOT` away from the frame `table` that the recording knows.
"""

import math
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / 'examples' / 'pick.py'

# Most that the position of a right pick may be away from the truth. The mask of a right answer may spill over or miss a part.
MOST_MM = 30.0
# A surface that the camera meets at less than this sine, 11 degrees, is next to invisible, and nobody takes hold of it there.
LEAST_SINE = math.sin(math.radians(11))
# Seconds, also for a large model on a CPU.
FOR_A_PICK = 960.0

# The origin of `table` in `base_link`, metres, and by how much the table is turned about z there: the robot looks along the table's y.
ROBOT = ((0.70, 0.0, 0.10), -math.pi / 2)


def in_base(point: np.ndarray) -> np.ndarray:
    """A point of the frame `table` in `base_link`."""
    (x, y, z), turn = ROBOT
    c, s = math.cos(turn), math.sin(turn)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ point + (x, y, z)


def surface_centroid(camera: dict, depth: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """The centroid by area of the surface behind the pixels of `seen`, metres in the frame `table`; None where there is none.

    `camera` and `depth` are what `lisa world --format frames` writes: the exact depth in millimetres along the optical axis, 0
    unknown. Each pixel with its neighbours to the right and below spans a piece of the surface.
    """
    v, u = np.mgrid[:depth.shape[0], :depth.shape[1]]
    rays = np.stack([(u - camera['cx']) / camera['fx'], (v - camera['cy']) / camera['fy'], np.ones(depth.shape)], axis=-1)
    points = rays * (depth[..., None] / 1000.0)
    whole = seen & (depth > 0)
    whole = whole[:-1, :-1] & whole[:-1, 1:] & whole[1:, :-1]
    corner = points[:-1, :-1]
    across = np.cross(points[:-1, 1:] - corner, points[1:, :-1] - corner)
    area = np.linalg.norm(across, axis=-1)
    towards = np.abs((across * rays[:-1, :-1]).sum(axis=-1)) / np.linalg.norm(rays[:-1, :-1], axis=-1)
    weight = np.where(whole & (towards >= LEAST_SINE * area), area, 0.0)
    if not weight.sum() > 0:
        return None
    centroid = (corner * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
    rotation = np.array(camera['rotation'])
    return rotation.T @ centroid + camera['position']


def judge(text: str, code: int | None, said: str, pose: tuple[float, float, float] | None, frame: str, truth: np.ndarray | None) -> dict:
    """The entry `pick` of a question in answers.json. `code` is pick.py's exit code, None where it did not end in time; `said` its
    line; `pose` the position that it published in `frame`; `truth` the true position in base_link, None where the thing is not there.

    `right` is null where there is neither a pose nor a refusal.
    """
    error = right = None
    width = re.search(r'open the gripper to (\d+) mm', said)
    if code == 0 and pose is not None and frame == 'base_link':
        if truth is not None:
            error = float(np.linalg.norm(np.array(pose) - truth) * 1000.0)
        right = error is not None and error <= MOST_MM
    elif code == 1 and said:
        right = truth is None
    return {
        'text': text,
        'said': said,
        'frame': frame or None,
        'position': None if pose is None else _named(pose),
        'gripper_mm': int(width[1]) if width else None,
        'truth': None if truth is None else _named(truth),
        'error_mm': error,
        'right': right,
    }


def _named(point) -> dict:
    return dict(zip('xyz', (round(float(x), 4) for x in point)))


def told(pick: dict) -> str:
    """The entry in a line for a person."""
    there = pick['truth'] is not None
    if pick['right'] is None:
        return f'NO PICK: {pick["said"] or "pick.py has said nothing"}'
    if pick['error_mm'] is not None:
        return (f'{"right" if pick["right"] else "WRONG"}: {pick["error_mm"]:.1f} mm from the middle of the surface that the camera sees; '
                f'up to {MOST_MM:.0f} mm are right')
    if pick['right']:
        return 'right: it is not in the picture'
    return 'WRONG: it is in the picture, and was not picked' if there else 'WRONG: it is not in the picture'


def run(text: str, person) -> tuple[int | None, str, tuple[float, float, float] | None, str]:
    """Runs examples/pick.py as a person does. Its exit code, None where the node has ended meanwhile, its last line, and the position and
    the frame of the pose that it published, None and empty where there is none.

    It ends with this program: whoever stops the demo sends it SIGTERM.
    """
    def end(*_):
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, end)
    child = None
    try:
        child = subprocess.Popen([sys.executable, EXAMPLE, text, '--timeout', str(FOR_A_PICK)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        poses = person.poses_until(lambda: child.poll() is not None)
        if poses is None:
            return None, 'the node has ended', None, ''
        lines = [line for line in child.stdout.read().splitlines() if line.startswith('pick: ')]
        said = lines[-1].removeprefix('pick: ') if lines else ''
        if not poses:
            return child.returncode, said, None, ''
        at = poses[-1].pose.position
        return child.returncode, said, (at.x, at.y, at.z), poses[-1].header.frame_id
    finally:
        if child is not None and child.poll() is None:
            child.terminate()
            child.wait()
        signal.signal(signal.SIGTERM, before)
