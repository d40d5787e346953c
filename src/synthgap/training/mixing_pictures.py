"""Pictures to mix images with: the user's own, or fractals drawn locally."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthgap.data import square
from synthgap.data.checking import decoded
from synthgap.data.folder import LEFT_BY_SYSTEMS, RawImage
from synthgap.errors import DataError
from synthgap.seeding import stream


def read_mixing_pictures(folder: str, num_pictures: int, size_px: int, *, seed: int) -> Tensor:
    """Up to `num_pictures` of a folder and its subfolders, uint8 (n, 3, size_px, size_px).

    Which ones depends on the seed and the files' names; of each the centre square, resized.

    Raises:
        DataError: the folder is missing or empty, or a file in it is no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(
            f"{root}: missing, expected a folder of mixing pictures; put it there, or set "
            "training.pixmix.pictures to fractals"
        )
    paths = sorted(path for path in root.rglob("*") if path.is_file() and not _left(path, root))
    if not paths:
        raise DataError(f"{root}: no pictures, expected images to mix; put some there")
    order = stream(seed, "pixmix", "pictures").permutation(len(paths))
    chosen = [paths[index] for index in sorted(order[:num_pictures])]
    return torch.from_numpy(np.stack([_pixels(path, root, size_px) for path in chosen]))


def _left(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return any(part.startswith(".") or part.lower() in LEFT_BY_SYSTEMS for part in parts)


def _pixels(path: Path, root: Path, size_px: int) -> np.ndarray:
    source = path.relative_to(root).as_posix()
    picture = decoded(RawImage(path, source, "", "")).picture.convert("RGB")
    return np.asarray(square(picture, size_px)).transpose(2, 0, 1)


LAYERS = 3  # fractals a picture
STEPS, UNSETTLED = 48, 16  # of the chaos game, and how many until a point is on the attractor
POINTS_A_PIXEL = 3  # of all layers and steps; fewer leave dust, more cost time
REACH = (0.02, 0.98)  # quantiles of the points that fill the frame
STRENGTH = (1.0, 2.5)  # of a layer: what its mean occupied pixel covers


def draw_fractals(num_pictures: int, size_px: int, *, seed: int) -> Tensor:
    """Draw uint8 (num_pictures, 3, size_px, size_px); picture k depends on seed and k alone."""
    pictures = [
        _picture(size_px, stream(seed, "pixmix", "fractals", number))
        for number in range(num_pictures)
    ]
    return torch.from_numpy(np.stack(pictures))


def _picture(size_px: int, chance: np.random.Generator) -> np.ndarray:
    canvas = _gradient(size_px, chance)
    for _ in range(LAYERS):
        counts, lean = _attractor(size_px, chance)
        occupied = counts > 0
        density = np.log1p(counts)
        cover = 1 - np.exp(-density / density[occupied].mean() * chance.uniform(*STRENGTH))
        first, second = chance.random((2, 3, 1, 1))
        canvas += cover * (first + (second - first) * lean - canvas)
    return np.asarray(255 * np.clip(canvas, 0, 1) + 0.5).astype(np.uint8)


def _gradient(size_px: int, chance: np.random.Generator) -> np.ndarray:
    """Two colours, (3, size_px, size_px), that change along a direction."""
    first, second = chance.random((2, 3, 1, 1))
    angle = chance.uniform(0, 2 * np.pi)
    place = np.linspace(-0.5, 0.5, size_px)
    along = 0.5 + (np.cos(angle) * place[:, None] + np.sin(angle) * place) / np.sqrt(2)
    return np.asarray(first + (second - first) * along)


def _attractor(size_px: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How often the chaos game visits each pixel, and the mean of a colour that maps carry along.

    Both are (size_px, size_px). Every map forgets half of the colour and adds half of its own, so
    that parts of the fractal differ (Draves and Reckase 2003, section 4).
    """
    matrices, shifts = _contractions(chance)
    count = max(64, POINTS_A_PIXEL * size_px**2 // (LAYERS * (STEPS - UNSETTLED)))
    own = np.linspace(0, 1, len(matrices))
    share = np.abs(np.linalg.det(matrices)) + 0.05  # small maps less often, but not never
    maps = chance.choice(len(matrices), size=(STEPS, count), p=share / share.sum())
    places, leans = np.empty((STEPS, count, 2)), np.empty((STEPS, count))
    place, lean = chance.uniform(-1, 1, (count, 2)), chance.random(count)
    for step, which in enumerate(maps):
        matrix, (x, y) = matrices[which], place.T
        place = matrix[:, :, 0] * x[:, None] + matrix[:, :, 1] * y[:, None] + shifts[which]
        lean = (lean + own[which]) / 2
        places[step], leans[step] = place, lean
    settled = places[UNSETTLED:].reshape(-1, 2)
    low, high = np.quantile(settled, REACH, axis=0)
    pixels = ((settled - low) / np.maximum(high - low, 1e-9) * size_px).astype(np.int64)
    pixels = np.clip(pixels, 0, size_px - 1) @ np.array([size_px, 1])
    counts = np.bincount(pixels, minlength=size_px**2).astype(np.float64)
    colours = np.bincount(pixels, weights=leans[UNSETTLED:].ravel(), minlength=size_px**2)
    shape = (size_px, size_px)
    return counts.reshape(shape), (colours / np.maximum(counts, 1)).reshape(shape)


def _contractions(chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """2 to 5 affine maps, matrices (n, 2, 2) and shifts (n, 2).

    Rotation, stretch and rotation, with singular values below 1, together large enough for the
    attractor to be more than dust (after Anderson and Farrell 2022, section 3.2).
    """
    number = int(chance.integers(2, 6))
    angles = chance.uniform(0, 2 * np.pi, (2, number))
    stretch = chance.uniform(0.25, 1, (number, 2))
    wanted = chance.uniform(5 + number, 6 + number) / 2  # of the larger, plus twice the smaller
    larger, smaller = stretch.max(axis=1), stretch.min(axis=1)
    stretch *= min(wanted / (larger + 2 * smaller).sum(), 0.95 / larger.max())
    first, second = (_rotations(angle) for angle in angles)
    return first @ (stretch[:, :, None] * second), chance.uniform(-1, 1, (number, 2))


def _rotations(angles: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
