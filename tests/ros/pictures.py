"""Pictures without an image library: the golden PNG, a smooth test picture, and every encoding the node accepts."""

import array
import pathlib
import struct
import zlib

import numpy as np
from sensor_msgs.msg import CompressedImage, Image


def read_png(path: pathlib.Path) -> np.ndarray:
    """An 8-bit RGB PNG as (height, width, 3)."""
    data = path.read_bytes()
    at, packed, width, height = 8, b'', 0, 0
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b'IHDR':
            width, height, depth, colour = struct.unpack('>IIBB', body[:10])
            assert (depth, colour) == (8, 2), f'{path} is not 8-bit RGB'
        elif kind == b'IDAT':
            packed += body
        at += 12 + length
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * 3)
    picture = np.zeros((height, width * 3), np.uint8)
    above = np.zeros(width * 3, np.int32)
    for y in range(height):
        row = raw[y, 1:].astype(np.int32)
        kind = raw[y, 0]
        if kind == 2:
            row = (row + above) & 255
        elif kind in (1, 3, 4):
            for x in range(width * 3):
                left = row[x - 3] if x >= 3 else 0
                corner = above[x - 3] if x >= 3 else 0
                if kind == 1:
                    guess = left
                elif kind == 3:
                    guess = (left + above[x]) // 2
                else:
                    estimate = left + above[x] - corner
                    to_left, to_above, to_corner = abs(estimate - left), abs(estimate - above[x]), abs(estimate - corner)
                    guess = left if to_left <= to_above and to_left <= to_corner else above[x] if to_above <= to_corner else corner
                row[x] = (row[x] + guess) & 255
        picture[y] = row
        above = row
    return picture.reshape(height, width, 3)


def smooth(width: int = 96, height: int = 64) -> np.ndarray:
    """Colours that change slowly, so that chroma subsampling and demosaicing lose little of them."""
    y, x = np.mgrid[0:height, 0:width]
    red = 40 + 170 * x / width
    green = 200 - 150 * y / height
    blue = 60 + 120 * (x / width) * (y / height)
    return np.stack([red, green, blue], -1).astype(np.uint8)


def message(rows: np.ndarray, encoding: str, height: int, width: int, padding: int = 0, big_endian: bool = False) -> Image:
    """An Image of `rows` (one array of bytes a row), each row followed by `padding` bytes of rubbish."""
    rows = np.ascontiguousarray(rows).view(np.uint8).reshape(rows.shape[0], -1)
    if padding:
        rows = np.concatenate([rows, np.full((rows.shape[0], padding), 170, np.uint8)], 1)
    return Image(
        height=height, width=width, encoding=encoding, is_bigendian=int(big_endian), step=rows.shape[1],
        data=array.array('B', rows.tobytes()))


def rgb8(picture: np.ndarray, padding: int = 0) -> Image:
    height, width, _ = picture.shape
    return message(picture.reshape(height, -1), 'rgb8', height, width, padding)


def _yuv(picture: np.ndarray) -> np.ndarray:
    """ITU-R BT.601, studio range: what "yuv422" means in ROS and what OpenCV makes of it."""
    red, green, blue = (picture[..., i].astype(np.float64) for i in range(3))
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return np.clip(np.rint(np.stack([y, u, v], -1)), 0, 255).astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


ENCODINGS = [
    'rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16', 'mono16 big endian', 'yuv422', 'yuv422_yuy2', 'nv12',
    'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8',
]


def encoded(picture: np.ndarray, encoding: str, padding: int = 0) -> tuple[Image, np.ndarray]:
    """The picture in an encoding, and the RGB picture it stands for."""
    height, width, _ = picture.shape
    opaque = np.full((height, width, 1), 255, np.uint8)
    if encoding == 'rgb8':
        return rgb8(picture, padding), picture
    if encoding == 'bgr8':
        return message(picture[..., ::-1].reshape(height, -1), encoding, height, width, padding), picture
    if encoding == 'rgba8':
        return message(np.concatenate([picture, opaque], -1).reshape(height, -1), encoding, height, width, padding), picture
    if encoding == 'bgra8':
        pixels = np.concatenate([picture[..., ::-1], opaque], -1).reshape(height, -1)
        return message(pixels, encoding, height, width, padding), picture
    if encoding.startswith('mono'):
        level = grey(picture)
        stands_for = np.repeat(level[..., None], 3, -1)
        if encoding == 'mono8':
            return message(level, encoding, height, width, padding), stands_for
        big = encoding.endswith('big endian')
        wide = (level.astype(np.uint16) * 257).astype('>u2' if big else '<u2')
        return message(wide, 'mono16', height, width, padding, big), stands_for
    if encoding.startswith('yuv422'):
        yuv = _yuv(picture)
        pairs = np.zeros((height, width // 2, 4), np.uint8)
        luma, chroma = ((1, 3), (0, 2)) if encoding == 'yuv422' else ((0, 2), (1, 3))
        pairs[..., luma[0]], pairs[..., luma[1]] = yuv[:, 0::2, 0], yuv[:, 1::2, 0]
        pairs[..., chroma[0]], pairs[..., chroma[1]] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
        return message(pairs.reshape(height, -1), encoding, height, width, padding), picture
    if encoding == 'nv12':
        yuv = _yuv(picture)
        planes = np.zeros((height * 3 // 2, width), np.uint8)
        planes[:height] = yuv[..., 0]
        planes[height:, 0::2], planes[height:, 1::2] = yuv[0::2, 0::2, 1], yuv[0::2, 0::2, 2]
        return message(planes, encoding, height, width, padding), picture
    # The pattern names the first two pixels of the first row, then those of the second.
    letters = encoding.removeprefix('bayer_').removesuffix('8')
    mosaic = np.zeros((height, width), np.uint8)
    for i, letter in enumerate(letters):
        y, x = divmod(i, 2)
        mosaic[y::2, x::2] = picture[y::2, x::2, 'rgb'.index(letter)]
    return message(mosaic, encoding, height, width, padding), picture


def compressed(data: bytes, kind: str) -> CompressedImage:
    return CompressedImage(format=kind, data=array.array('B', data))


def pixels(image: Image) -> np.ndarray:
    """(height, width) of a mono8, (height, width, 3) of an rgb8 image."""
    channels = {'mono8': 1, 'rgb8': 3}[image.encoding]
    rows = np.frombuffer(bytes(image.data), np.uint8).reshape(image.height, image.step)[:, :image.width * channels]
    return rows if channels == 1 else rows.reshape(image.height, image.width, 3)
