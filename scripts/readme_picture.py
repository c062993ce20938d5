"""Makes README's picture of the demo's: `make readme-picture`. It is the same, with fewer colours, so that it is a small file."""

import argparse
import pathlib
import sys

import numpy as np
from demo_pictures import read_png, write_png

# The most bytes that README's picture may have.
MOST = 200_000
# The distance between the levels of a channel that are kept. The eye hardly sees this in a textured picture, and it halves
# the size of the file.
STEP = 8


def coarse(picture: np.ndarray) -> np.ndarray:
    """The picture with every value rounded to a multiple of STEP, 255 at most."""
    return (np.rint(picture / STEP) * STEP).clip(0, 255).astype(np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('picture', type=pathlib.Path, help='an RGB PNG, as demo/overlay.png')
    parser.add_argument('out', type=pathlib.Path)
    arguments = parser.parse_args()
    write_png(arguments.out, coarse(read_png(arguments.picture)))
    size = arguments.out.stat().st_size
    if size > MOST:
        print(f'readme-picture: {arguments.out} has {size} bytes; README takes {MOST} at most', file=sys.stderr)
        return 1
    print(f'readme-picture: {arguments.out} has {size} bytes')
    return 0


if __name__ == '__main__':
    sys.exit(main())
