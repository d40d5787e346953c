import io
import re
import struct
import zlib
from hashlib import sha256

import numpy as np
import pytest
from image_folders import paint, paint_folder
from PIL import Image

from synthgap.data.checking import BATCH, contents, decoded, each
from synthgap.data.folder import RawFolder, RawImage
from synthgap.errors import DataError


def raw(path):
    return RawImage(path, path.name, "", "cat")


def photograph(**options):
    """A JPEG of 64x48 px with smooth structure."""
    rows, columns = np.mgrid[0:48, 0:64]
    pixels = np.stack([rows * 5, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=90, **options)
    return stream.getvalue()


def huge_png(width, height):
    """A valid header that promises width x height pixels, and hardly any data."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BAD = {
    "zero bytes": (b"", "empty"),
    "text": (b"this is no picture", "not an image"),
    "pdf": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "not an image"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "not an image"),
    "half a JPEG": (photograph()[: len(photograph()) // 2], "truncated"),
    "half a progressive JPEG": (photograph(progressive=True)[:-200], "truncated"),
    "JPEG header alone": (photograph()[:20], "not an image|truncated"),
    "bomb": (huge_png(12_000, 12_000), "decompression bomb"),
    "large bomb": (huge_png(60_000, 60_000), "decompression bomb"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, kind):
    content, reason = BAD[kind]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        list(each([raw(path)], lambda image: image.sha256, doing="test"))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_of_a_photograph_is_seen(tmp_path):
    whole = photograph()
    for length in range(0, len(whole) - 2, 97):
        path = tmp_path / "x.jpg"
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            decoded(raw(path))
    path.write_bytes(whole)
    assert decoded(raw(path)).picture.size == (64, 48)


def test_every_truncation_of_an_uncompressed_png_is_seen(tmp_path):
    path = paint(tmp_path / "x.png", 1, size=(32, 32))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 200, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            decoded(raw(path))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_of_eight_bits_are_read_as_they_are(tmp_path, mode):
    path = paint(tmp_path / "x.png", 3, mode=mode)
    seen = decoded(raw(path))
    assert seen.picture.mode == mode
    assert seen.sha256 == sha256(path.read_bytes()).hexdigest()


def test_more_than_eight_bits_are_refused_rather_than_clipped(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)
    with pytest.raises(DataError, match=re.escape("mode I;16")):
        decoded(raw(path))


def test_the_order_is_kept_over_batches_and_the_first_bad_one_is_named(tmp_path):
    one = paint(tmp_path / "one.png", 1)
    images = [RawImage(one, str(index), "", "cat") for index in range(BATCH + 10)]
    seen = list(each(images, lambda image: image.raw.source, doing="test"))
    assert seen == [image.source for image in images]
    for index in (BATCH + 2, BATCH + 5):
        images[index] = raw(tmp_path / f"gone{index}.png")
    with pytest.raises(DataError, match=f"gone{BATCH + 2}"):
        list(each(images, lambda image: None, doing="test"))


def test_contents_cover_every_file(tmp_path):
    paint_folder(tmp_path, per_class=3)
    files = contents(RawFolder.read(tmp_path).images)
    assert files["dog/002.png"] == sha256((tmp_path / "dog" / "002.png").read_bytes()).hexdigest()
    assert len(files) == 6
