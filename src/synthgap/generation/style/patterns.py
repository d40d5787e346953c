"""Style pictures drawn here: stripes, checks, dots, rings, blobs and grain, in two colours each.

The embedded stand-in for a folder of paintings: rich in texture, free of any class's shape.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgap.seeding import stream

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
