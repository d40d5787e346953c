"""Pictures of the user's to mix images with, from a folder."""

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


def pictures_in(folder: str, num_pictures: int, size_px: int, *, seed: int) -> Tensor:
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
