"""Pictures whose style a set takes: drawn here (stripes, checks, dots, ...), or of a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.checking import decoded
from synthgap.data.folder import RawImage, listing
from synthgap.data.image_set import square
from synthgap.errors import DataError
from synthgap.params.sections import Stylise
from synthgap.seeding import derived_seed, stream

SHORTEST, LONGEST = 0.25, 0.5  # wavelengths, as shares of the side
LEAST_WAVE_PX = 2.5
LEAST_CONTRAST = 90.0  # of the two colours' luminances, grey levels
LUMINANCE = np.array([0.299, 0.587, 0.114])

Draw = np.random.Generator
Plane = tuple[np.ndarray, np.ndarray]  # every pixel's coordinates, in wavelengths


def made_patterns(num_pictures: int, size_px: int, *, seed: int) -> np.ndarray:
    """Pictures as uint8 (num_pictures, size_px, size_px, 3); picture k depends on seed and k."""
    kinds = list(KINDS.values())
    pictures = np.empty((num_pictures, size_px, size_px, 3), dtype=np.uint8)
    for index in range(num_pictures):
        draw = stream(seed, "patterns", index)
        wave = kinds[index % len(kinds)](_plane(size_px, draw), draw)
        pictures[index] = _coloured(wave, draw)
    return pictures


def pattern_name(index: int) -> str:
    """What picture `index` shows, e.g. `stripes 0`."""
    return f"{list(KINDS)[index % len(KINDS)]} {index // len(KINDS)}"


def _plane(size_px: int, draw: Draw) -> Plane:
    """Turned and shifted at random, with a wavelength between the limits."""
    shortest = max(LEAST_WAVE_PX / size_px, SHORTEST)
    wavelength_px = np.exp(draw.uniform(np.log(shortest), np.log(LONGEST))) * size_px
    angle, shift = draw.uniform(0, np.pi), draw.uniform(0, 1, 2)
    rows, columns = np.mgrid[:size_px, :size_px] / wavelength_px
    across = np.cos(angle) * columns + np.sin(angle) * rows + shift[0]
    along = np.cos(angle) * rows - np.sin(angle) * columns + shift[1]
    return across, along


def _stripes(plane: Plane, draw: Draw) -> np.ndarray:
    return _wave(plane[0] + draw.uniform(0, 1))


def _checks(plane: Plane, draw: Draw) -> np.ndarray:
    return np.asarray(2 * _wave(plane[0] + draw.uniform(0, 1)) * _wave(plane[1]))


def _dots(plane: Plane, draw: Draw) -> np.ndarray:
    return np.asarray(_wave(plane[0]) + _wave(plane[1]) - draw.uniform(0.2, 0.8))


def _rings(plane: Plane, draw: Draw) -> np.ndarray:
    centre = draw.uniform(-1, 3, 2)
    return _wave(np.hypot(plane[0] - centre[0], plane[1] - centre[1]))


def _blobs(plane: Plane, draw: Draw) -> np.ndarray:
    """Waves of one length in random directions: they add up to a labyrinth."""
    waves = [
        _wave(np.cos(2 * np.pi * turn) * plane[0] + np.sin(2 * np.pi * turn) * plane[1] + phase)
        for turn, phase in draw.uniform(0, 1, (12, 2))
    ]
    return np.asarray(sum(waves)) / 3


def _grain(plane: Plane, draw: Draw) -> np.ndarray:
    return draw.normal(0, 0.8, plane[0].shape)


def _wave(coordinate: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.sin(2 * np.pi * coordinate)
    return levels


KINDS: dict[str, Callable[[Plane, Draw], np.ndarray]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "blobs": _blobs,
    "grain": _grain,
}


def _coloured(wave: np.ndarray, draw: Draw) -> np.ndarray:
    """Two colours, mixed softly or sharply as the wave goes from -1 to 1; a little grain."""
    first, second = _colours(draw)
    share = 0.5 + 0.5 * np.tanh(wave * draw.uniform(0.8, 4.0))
    picture = first + share[..., None] * (second - first)
    grain = draw.normal(0, draw.uniform(0, 8.0), picture.shape[:2])
    levels: np.ndarray = (picture + grain[..., None]).round().clip(0, 255).astype(np.uint8)
    return levels


def _colours(draw: Draw) -> np.ndarray:
    """Two colours that differ in luminance, so that shapes stay visible in them."""
    while True:
        colours = draw.uniform(0, 255, (2, 3))
        if np.ptp(colours @ LUMINANCE) >= LEAST_CONTRAST:
            return colours


MADE = "made"


@dataclass(frozen=True)
class StylePictures:
    """Style pictures, uint8 (num_pictures, size_px, size_px, 3), and what each is called."""

    pixels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    def about(self) -> dict[str, Any]:
        """Their number and what they hold, for records."""
        return {"num_pictures": len(self), "sha256": sha256(self.pixels.tobytes()).hexdigest()}

    def chosen(self, number: int, *, seed: int) -> int:
        """Index of the picture that image `number` of every set takes after."""
        return int(stream(seed, "stylise", "style", number).integers(len(self)))


def open_styles(section: Stylise, size_px: int, *, root: Path, seed: int) -> StylePictures:
    """Draw `num_pictures` patterns, or read so many of a folder (all, where it has fewer).

    Raises:
        DataError: the folder is missing or empty, or holds something that is no image.
    """
    if section.pictures == MADE:
        made = made_patterns(section.num_pictures, size_px, seed=derived_seed(seed, "stylise"))
        return StylePictures(made, tuple(pattern_name(index) for index in range(len(made))))
    folder = root / Path(section.pictures).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder, expected style pictures there, or stylise.pictures: made"
        )
    files = _files(folder, folder)
    if not files:
        raise DataError(f"{folder}: empty, expected style pictures; put some there and rerun")
    order = stream(seed, "stylise", "pictures").permutation(len(files))
    files = [files[index] for index in sorted(order[: section.num_pictures])]
    names = [path.relative_to(folder).as_posix() for path in files]
    pixels = np.empty((len(files), size_px, size_px, 3), dtype=np.uint8)
    for index, (path, name) in enumerate(zip(files, names, strict=True)):
        picture = decoded(RawImage(path, name, "", "")).picture.convert("RGB")
        pixels[index] = np.asarray(square(picture, size_px))
    return StylePictures(pixels, tuple(names))


def _files(folder: Path, root: Path) -> list[Path]:
    """Every file below, whatever the folders in between."""
    found: list[Path] = []
    for path in listing(folder, root):
        found += _files(path, root) if path.is_dir() else [path]
    return found
