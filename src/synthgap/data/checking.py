"""The same bytes where they must not be: in two classes, or on both sides of an official split."""

from __future__ import annotations

import io
import os
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from synthgap.data.folder import RawImage
from synthgap.data.published import PUBLISHED
from synthgap.errors import DataError


def refuse_duplicates(sha256s: Mapping[RawImage, str], name: str) -> None:
    """Stop at the first pair of equal files that contradict each other.

    Published sets are scored as published (ImageNet holds such pairs): there the pairs are counted
    on stderr, and the gate's leakage check sees them. Equal files of one class and folder are no
    contradiction; `splits.draw` keeps them together.

    Raises:
        DataError: the same bytes in two classes, or in two of train, val and test; names both.
    """
    found = list(_contradictions(sha256s))
    if found and name not in PUBLISHED:
        one, other = found[0]
        places = "classes" if one.class_name != other.class_name else "splits"
        raise DataError(
            f"{one.path}: same bytes as {other.path} in another of the {places} ({len(found)} such "
            f"pairs); expected each image once: remove one of them"
        )
    if found:
        one, other = found[0]
        print(  # noqa: T201 - progress
            f"{name}: {len(found)} pairs of equal images in two classes or splits, as published "
            f"(e.g. {one.source} and {other.source})",
            file=sys.stderr,
        )


def _contradictions(sha256s: Mapping[RawImage, str]) -> Iterator[tuple[RawImage, RawImage]]:
    first: dict[str, RawImage] = {}
    for raw, sha in sha256s.items():
        other = first.setdefault(sha, raw)
        if (other.class_name, other.split) != (raw.class_name, raw.split):
            yield raw, other


FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no EPS: it runs Ghostscript
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # 8 bits a channel
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of decompression bombs
BATCH = 512
SAY_EVERY_S = 10.0
# What Pillow's decoders raise for damaged files, beside OSError.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error)

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Decoded:
    """One image, decoded: its file's bytes and sha256, its picture as stored (mode, size)."""

    raw: RawImage
    content: bytes
    sha256: str
    picture: Image.Image


def decoded(raw: RawImage) -> Decoded:
    """Read and fully decode one image; of several frames, the first.

    Raises:
        DataError: empty, no image, truncated, damaged, too many pixels, or more than 8 bits a
            channel (converting those would clip them without a word).
    """
    content = _content(raw.path)
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        num_pixels = picture.width * picture.height
        if num_pixels <= MAX_PIXELS:
            picture.load()
    except UnidentifiedImageError as error:
        raise DataError(
            f"{raw.path}: not an image (expected {', '.join(FORMATS)}); replace it or move it away"
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(raw.path, "more than twice that") from error
    except DAMAGED as error:
        raise DataError(
            f"{raw.path}: damaged or truncated image ({error}); replace it and rerun"
        ) from error
    if num_pixels > MAX_PIXELS:
        raise _too_large(raw.path, f"{picture.width}x{picture.height} px")
    if picture.mode not in MODES:
        raise DataError(
            f"{raw.path}: mode {picture.mode}, expected 8 bits a channel; convert it and rerun"
        )
    return Decoded(raw, content, sha256(content).hexdigest(), picture)


def each(
    images: Sequence[RawImage], measure: Callable[[Decoded], Measured], *, doing: str
) -> Iterator[Measured]:
    """Decode every image and yield what `measure` makes of it, in order, on all cores.

    Nothing depends on the number of cores. A long pass tells how far it is on stderr.

    Raises:
        DataError: as `decoded`, for the first bad image in order.
    """
    reported = time.monotonic()
    with _bombs_are_ours(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(images), BATCH):
            # Whole batches are handed out, so that memory does not grow with the set.
            yield from pool.map(lambda raw: measure(decoded(raw)), images[start : start + BATCH])
            if time.monotonic() - reported > SAY_EVERY_S:
                reported = time.monotonic()
                done = min(start + BATCH, len(images))
                print(f"{doing}: {done} of {len(images)} images", file=sys.stderr)  # noqa: T201 - progress


def contents(images: Sequence[RawImage]) -> dict[str, str]:
    """Sha256 of every file, by its path relative to the folder."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {
            raw.source: digest
            for start in range(0, len(images), BATCH)
            for raw, digest in zip(
                images[start : start + BATCH],
                pool.map(_file_sha256, images[start : start + BATCH]),
                strict=True,
            )
        }


def _file_sha256(raw: RawImage) -> str:
    return sha256(_read(raw.path)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a readable image") from error


def _content(path: Path) -> bytes:
    content = _read(path)
    if not content:
        raise DataError(f"{path}: empty (0 bytes), expected an image; replace it or move it away")
    return content


def _too_large(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: {found}, expected at most {MAX_PIXELS:,} pixels (a decompression bomb?); "
        "shrink it or move it away"
    )


@contextmanager
def _bombs_are_ours() -> Iterator[None]:
    """Keep Pillow from warning about what `decoded` refuses by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
