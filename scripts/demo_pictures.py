"""Pictures of the demo as PNG files (ISO/IEC 15948), with numpy alone: no image library comes with ROS 2's Python packages.

Eight bits a channel, or sixteen of grey, not interlaced, which is what `lisa world` writes.
"""

import os
import pathlib
import struct
import zlib

import numpy as np

SIGNATURE = b'\x89PNG\r\n\x1a\n'
# PNG's colour types: 0 is grey, 2 is red, green and blue.
CHANNELS = {0: 1, 2: 3}


def write_png(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes (height, width, 3) uint8 as a PNG file, which is there whole or not at all."""
    height, width, channels = picture.shape
    if picture.dtype != np.uint8 or channels != 3:
        raise ValueError(f'a picture of {channels} channels of {picture.dtype}; accepted: 3 of uint8')
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    # Filter 0 in front of every row: what repeats in a rendered picture compresses better as it is than as differences.
    rows = np.hstack([np.zeros((height, 1), np.uint8), picture.reshape(height, width * channels)])
    packed = zlib.compress(rows.tobytes(), 9)
    part = path.with_name(path.name + '.part')
    part.write_bytes(SIGNATURE + _chunk(b'IHDR', header) + _chunk(b'IDAT', packed) + _chunk(b'IEND', b''))
    os.replace(part, path)


def read_png(path: pathlib.Path) -> np.ndarray:
    """A PNG file as uint8, or as uint16 with sixteen bits: (height, width) where it is grey, (height, width, 3) where it is RGB.

    Raises ValueError where the file is no PNG or one of another kind.
    """
    data = path.read_bytes()
    if not data.startswith(SIGNATURE):
        raise ValueError(f'{path} is not a PNG file')
    at, packed, channels = len(SIGNATURE), b'', 0
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b'IHDR':
            width, height, depth, colour, _, _, interlaced = struct.unpack('>IIBBBBB', body)
            if colour not in CHANNELS or (depth != 8 and (depth, colour) != (16, 0)) or interlaced:
                raise ValueError(f'{path} has {depth} bits, colour type {colour}, interlace {interlaced}; '
                                 'accepted: 8 bits, type 0 or 2, and 16 bits, type 0, not interlaced')
            channels, size = CHANNELS[colour], depth // 8
        elif kind == b'IDAT':
            packed += body
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels * size)
    picture = _unfiltered(rows[:, 0], rows[:, 1:], channels * size)
    if size == 2:
        return np.ascontiguousarray(picture).view('>u2').astype(np.uint16)
    return picture if channels == 1 else picture.reshape(height, width, channels)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def _unfiltered(kinds: np.ndarray, rows: np.ndarray, channels: int) -> np.ndarray:
    picture = np.empty_like(rows)
    above = np.zeros(rows.shape[1], np.uint8)
    for kind, row, out in zip(kinds, rows, picture):
        if kind == 0:
            out[:] = row
        elif kind == 1:
            out[:] = np.cumsum(row.reshape(-1, channels), axis=0, dtype=np.uint8).reshape(-1)
        elif kind == 2:
            out[:] = row + above
        elif kind in (3, 4):
            _undo_left_and_above(kind, row, above, channels, out)
        else:
            raise ValueError(f'a row has the filter {kind}; accepted: 0 to 4')
        above = out
    return picture


def _undo_left_and_above(kind: int, row: np.ndarray, above: np.ndarray, channels: int, out: np.ndarray) -> None:
    """Filters 3 and 4, whose every value needs the one before it."""
    known, upper = [0] * channels, [0] * channels + above.tolist()
    for x, value in enumerate(row.tolist()):
        left, up, corner = known[x], upper[x + channels], upper[x]
        if kind == 3:
            guess = (left + up) // 2
        else:
            estimate = left + up - corner
            guess = min((abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner))[2]
        known.append((value + guess) & 255)
    out[:] = known[channels:]
