"""The pictures whose style a set takes: drawn here, or some of a folder's."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from synthgap.data.checking import decoded
from synthgap.data.folder import RawImage, listing
from synthgap.data.image_set import square
from synthgap.errors import DataError
from synthgap.generation.style.patterns import made_patterns, pattern_name
from synthgap.params.sections import Stylise
from synthgap.seeding import derived_seed, stream

MADE = "made"


@dataclass(frozen=True)
class Styles:
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


def open_styles(section: Stylise, size_px: int, *, root: Path, seed: int) -> Styles:
    """Draw `num_pictures` patterns, or read so many of a folder (all, where it has fewer).

    Raises:
        DataError: the folder is missing or empty, or holds something that is no image.
    """
    if section.pictures == MADE:
        made = made_patterns(section.num_pictures, size_px, seed=derived_seed(seed, "stylise"))
        return Styles(made, tuple(pattern_name(index) for index in range(len(made))))
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
    return Styles(pixels, tuple(names))


def _files(folder: Path, root: Path) -> list[Path]:
    """Every file below, whatever the folders in between."""
    found: list[Path] = []
    for path in listing(folder, root):
        found += _files(path, root) if path.is_dir() else [path]
    return found
