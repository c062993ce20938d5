"""The demo's PNG files: what is written is read again, and every filter of the format is understood; and README's picture."""

import pathlib
import struct
import sys
import zlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'scripts'))

import readme_picture  # noqa: E402
from demo_pictures import SIGNATURE, read_png, write_png  # noqa: E402


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 3 + y, 255 - 2 * y, x * y // 7], -1).astype(np.uint8)


@pytest.mark.parametrize('picture', [noise(7, 5, 3), gradient(64, 48), np.zeros((1, 1, 3), np.uint8), noise(1, 9, 3)])
def test_what_is_written_is_read(tmp_path, picture):
    write_png(tmp_path / 'a.png', picture)
    read = read_png(tmp_path / 'a.png')
    assert read.shape == picture.shape and (read == picture).all()
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def file_of(filters, picture: np.ndarray, depth: int = 8, interlaced: int = 0) -> bytes:
    """A PNG whose rows have these filters, value by value as the specification writes them; the data in two chunks."""
    channels = 1 if picture.ndim == 2 else 3
    height, width = picture.shape[:2]
    rows = picture.reshape(height, -1).astype(int)
    packed = b''
    for y, kind in enumerate(filters):
        packed += bytes([kind])
        for x, value in enumerate(rows[y]):
            a = rows[y, x - channels] if x >= channels else 0
            b = rows[y - 1, x] if y else 0
            c = rows[y - 1, x - channels] if y and x >= channels else 0
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            guess = [0, a, b, (a + b) // 2, paeth, 0][kind]
            packed += bytes([(value - guess) % 256])
    data = zlib.compress(packed)
    header = struct.pack('>IIBBBBB', width, height, depth, 0 if channels == 1 else 2, 0, 0, interlaced)
    return SIGNATURE + b''.join(chunk(kind, body) for kind, body in [
        (b'IHDR', header), (b'tEXt', b'Title\0x'), (b'IDAT', data[:9]), (b'IDAT', data[9:]), (b'IEND', b'')])


@pytest.mark.parametrize('shape', [(11, 6), (11, 6, 3)])
def test_every_filter_is_read(tmp_path, shape):
    picture = noise(*shape)
    (tmp_path / 'a.png').write_bytes(file_of([4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 4], picture))
    assert (read_png(tmp_path / 'a.png') == picture).all()


def test_sixteen_bits_of_grey_are_read(tmp_path):
    depth = np.array([[0, 1, 255], [256, 1000, 65535]], np.uint16)
    bytes_of_it = depth.astype('>u2').view(np.uint8)
    data = zlib.compress(b''.join(b'\0' + row.tobytes() for row in bytes_of_it))
    header = struct.pack('>IIBBBBB', 3, 2, 16, 0, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', data), (b'IEND', b'')]
    (tmp_path / 'a.png').write_bytes(SIGNATURE + b''.join(chunk(kind, body) for kind, body in chunks))
    assert read_png(tmp_path / 'a.png').dtype == np.uint16 and (read_png(tmp_path / 'a.png') == depth).all()


def test_what_is_not_read_is_said(tmp_path):
    path = tmp_path / 'a.png'
    for data, why in [
            (b'GIF89a', 'not a PNG'),
            (file_of([0], noise(1, 4, 3), depth=16), '16 bits'),
            (file_of([0], noise(1, 4), interlaced=1), 'interlace 1'),
            (file_of([5], noise(1, 4)), 'the filter 5')]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=why):
            read_png(path)
    with pytest.raises(ValueError, match='accepted: 3 of uint8'):
        write_png(path, noise(2, 2, 4))


def test_readmes_picture_is_there_and_small():
    assert '](docs/demo.png)' in (ROOT / 'README.md').read_text()
    assert (ROOT / 'docs' / 'demo.png').stat().st_size <= readme_picture.MOST
    assert read_png(ROOT / 'docs' / 'demo.png').ndim == 3


def test_readmes_picture_is_the_demos_in_fewer_colours(tmp_path, monkeypatch, capsys):
    write_png(tmp_path / 'overlay.png', gradient(48, 64))
    monkeypatch.setattr(sys, 'argv', ['readme_picture.py', str(tmp_path / 'overlay.png'), str(tmp_path / 'demo.png')])
    assert readme_picture.main() == 0
    made = read_png(tmp_path / 'demo.png').astype(int)
    assert abs(made - gradient(48, 64)).max() <= readme_picture.STEP // 2
    assert len(np.unique(made)) <= 256 // readme_picture.STEP + 1
    # Noise does not become small; it is said.
    write_png(tmp_path / 'overlay.png', noise(480, 640, 3))
    assert readme_picture.main() == 1
    assert 'README takes 200000 at most' in capsys.readouterr().err
