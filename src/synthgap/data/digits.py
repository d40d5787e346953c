"""The digits that scikit-learn carries, as files with the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthgap.data.image_set import write_png

WHITE = 16  # scikit-learn's digits count the inked pixels of 4x4 cells: 0..16


def write_digits(folder: Path) -> None:
    """Write `folder/<class>/<index in scikit-learn's set>.png`, 1,797 greyscale images of 8x8 px.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (UCI, CC BY 4.0), in
    the copy inside scikit-learn.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / WHITE)).astype(np.uint8)
    for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        write_png(folder / str(label) / f"{index:04d}.png", image)
