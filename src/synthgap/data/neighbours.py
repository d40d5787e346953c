"""How far apart images are when a small shift does not count, computed in blocks.

The distance of two images is the root mean square difference of their grey levels (0 to 255), at a
bounded size, minimised over shifts of one of them by a few pixels, on what both then show. Measured
on scikit-learn's 1,797 digits at 16 px: no two of them are closer than 8.8, an image shifted by
one pixel has distance 0, a JPEG copy of quality 75 at most 6.0. A correlation would separate worse:
0.0043 against 0.0032 away from 1.

All sums stay below 2**24, so float32 products are exact: block sizes, threads and processor change
no distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from synthgap.data.image_set import square

ROWS, COLUMNS = 512, 4096


@dataclass(frozen=True)
class ShiftedDistance:
    """Settings of a distance: at which size shifts are tried, and then compared."""

    image_size: int
    size_px: int
    shift_px: int

    @property
    def side_px(self) -> int:
        """Side of a compared window; 32 at most, so that sums of squares are exact in float32."""
        return min(self.size_px, self.image_size - 2 * self.shift_px)

    def windows(self, image: Image.Image) -> np.ndarray:
        """One image through every shift: uint8 (num_shifts, side_px**2), unshifted in the middle.

        Shifts happen before an image is reduced, since half a pixel after reduction would move
        photographs further than unrelated ones lie apart.
        """
        grey = square(image.convert("L"), self.image_size)
        inner = self.image_size - 2 * self.shift_px
        offsets = range(2 * self.shift_px + 1)
        crops = [
            grey.crop((left, top, left + inner, top + inner)) for top in offsets for left in offsets
        ]
        if inner != self.side_px:
            side = (self.side_px, self.side_px)
            crops = [crop.resize(side, Image.Resampling.BOX) for crop in crops]
        return np.stack([np.asarray(crop).reshape(-1) for crop in crops])


def nearest(
    queries: np.ndarray, targets: np.ndarray, *, same: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to and index of each query's nearest target, float64 (n,) and int64 (n,).

    Both are windows, uint8 (num_images, num_shifts, pixels); queries are shifted, targets are
    not. With `same` they are one set and an image is not its own neighbour. Without any target
    the distance is inf and the index -1.
    """
    centre = targets.shape[1] // 2
    distances = np.full(len(queries), np.inf)
    indices = np.full(len(queries), -1, dtype=np.int64)
    for left in range(0, len(targets), COLUMNS):
        block = _signed(targets[left : left + COLUMNS, centre])
        for top in range(0, len(queries), ROWS):
            rows = slice(top, min(top + ROWS, len(queries)))
            squared = _squared(queries[rows], block)
            if same:
                own = np.arange(rows.start, rows.stop)
                inside = (own >= left) & (own < left + len(block))
                squared[np.flatnonzero(inside), own[inside] - left] = np.inf
            best = squared.argmin(axis=1)
            found = np.sqrt(squared[np.arange(len(best)), best] / block.shape[1], dtype=np.float64)
            closer = found < distances[rows]
            distances[rows] = np.where(closer, found, distances[rows])
            indices[rows] = np.where(closer, best + left, indices[rows])
    return distances, indices


def near_threshold(distances: np.ndarray, *, quantile: float, margin: float) -> float:
    """The distance up to which two images count as near-copies, from nearest-neighbour distances.

    Distance 0 is left out: exact copies have a check of their own and must not tighten this one.

    `distances`: (num_images,), each image's to its nearest neighbour.
    """
    apart = distances[np.isfinite(distances) & (distances > 0)]
    return round(margin * float(np.quantile(apart, quantile)), 3) if len(apart) else 0.0


def _signed(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) - 128


def _squared(queries: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Sum of squared differences, least over the queries' shifts: float32 (rows, columns)."""
    norms = (targets**2).sum(axis=1)
    least = np.full((len(queries), len(targets)), np.inf, dtype=np.float32)
    for shift in range(queries.shape[1]):
        shifted = _signed(queries[:, shift])
        squared = shifted @ targets.T
        squared *= -2
        squared += (shifted**2).sum(axis=1)[:, None]
        squared += norms
        np.minimum(least, squared, out=least)
    return np.maximum(least, 0, out=least)
