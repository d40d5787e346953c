"""Samples that hardly differ from an earlier one of their class, by the gate's own distance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from PIL import Image

from synthgap.data.image_set import ImageSet
from synthgap.data.neighbours import ShiftedDistance, near_threshold, nearest

# The limits that the gate ships with; not read from `validate`, or each change of a limit would
# make every set anew.
SIZE_PX, SHIFT_PX, QUANTILE, MARGIN = 16, 1, 0.05, 0.35
MOST = 10_000  # real images whose distances are measured


@dataclass(frozen=True)
class NearCopies:
    """Says which images of one class are near-copies of an earlier one that is none.

    An image's answer depends on the earlier images alone, so what a longer set keeps begins with
    what a shorter one keeps.
    """

    lens: ShiftedDistance
    distance: float  # up to it (root mean square of grey levels) two images are near-copies

    @classmethod
    def open(cls, real: ImageSet, *, image_size: int) -> Self:
        """Take the distance from how far apart real images are, as the gate does.

        Raises:
            DataError: a real image is missing or damaged.
        """
        lens = ShiftedDistance(image_size, SIZE_PX, SHIFT_PX)
        rows = np.linspace(0, len(real) - 1, min(MOST, len(real))).astype(int)
        windows = [lens.windows(real.image(row)) for row in rows]
        if not windows:
            return cls(lens, 0.0)
        compared = np.stack(windows)
        apart, _ = nearest(compared, compared, same=True)
        return cls(lens, near_threshold(apart, quantile=QUANTILE, margin=MARGIN))

    @property
    def identity(self) -> dict[str, Any]:
        """What determines its answers, as JSON."""
        return {"size_px": self.lens.size_px, "distance": self.distance}

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[bool]:
        """Answer for uint8 (height, width, 3) images in order of k, each before the next is asked.

        Images of a class are compared with those kept of it alone.
        """
        kept = np.empty((64, self.lens.side_px**2), dtype=np.uint8)
        count = 0
        for pixels in images:
            windows = self.lens.windows(Image.fromarray(pixels))
            distances, _ = nearest(windows[None], kept[:count, None])
            is_copy = bool(distances[0] <= self.distance)
            if not is_copy:
                if count == len(kept):
                    kept = np.concatenate([kept, np.empty_like(kept)])
                kept[count] = windows[len(windows) // 2]
                count += 1
            yield is_copy
