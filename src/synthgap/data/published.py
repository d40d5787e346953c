"""The digits that scikit-learn carries, as files with the same bytes on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from synthgap.data.folder import RawFolder
from synthgap.data.image_set import write_png
from synthgap.errors import DataError

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


@dataclass(frozen=True)
class PublishedSet:
    """A set's published counts; `images` by split folder, "" where it has none."""

    num_classes: int
    images: Mapping[str, int]
    per_class: Mapping[str, int] = field(default_factory=dict)  # where equal for every class
    val_is_test: bool = False  # papers score on the official validation set
    download: bool = False

    def check(self, folder: RawFolder, name: str) -> None:
        """Compare a folder with what was published.

        Raises:
            DataError: classes or images are missing or too many; names the place and both counts.
        """
        if len(folder.classes) != self.num_classes:
            raise DataError(
                f"{name}: {len(folder.classes)} classes, expected the published "
                f"{self.num_classes}; give --from-folder the whole set"
            )
        found = Counter(raw.split for raw in folder.images)
        for split in sorted({*self.images, *found}):
            self._compare(name, split or "the folder", found[split], self.images.get(split, 0))
        by_class = Counter((raw.split, raw.class_name) for raw in folder.images)
        for (split, class_name), count in by_class.items():
            expected = self.per_class.get(split, count)
            self._compare(name, f"{split}/{class_name}", count, expected)

    def _compare(self, name: str, place: str, found: int, expected: int) -> None:
        if found != expected:
            raise DataError(
                f"{name}: {found} images in {place}, expected the published {expected}; "
                "give --from-folder the whole set"
            )


PUBLISHED: Mapping[str, PublishedSet] = {
    "digits": PublishedSet(10, {"": 1797}),
    "cifar10": PublishedSet(
        10, {"train": 50_000, "test": 10_000}, {"train": 5000, "test": 1000}, download=True
    ),
    "pets": PublishedSet(37, {"train": 3680, "test": 3669}, download=True),
    "flowers": PublishedSet(
        102, {"train": 1020, "val": 1020, "test": 6149}, {"train": 10, "val": 10}, download=True
    ),
    "cub": PublishedSet(200, {"train": 5994, "test": 5794}),
    "imagenet100": PublishedSet(
        100, {"train": 126_689, "test": 5000}, {"test": 50}, val_is_test=True
    ),
    "imagenet1k": PublishedSet(
        1000, {"train": 1_281_167, "test": 50_000}, {"test": 50}, val_is_test=True
    ),
}


@cache
def imagenet100_classes() -> frozenset[str]:
    """The 100 synset ids of ImageNet-100 (the CMC subset of ImageNet-1k)."""
    text = files("synthgap.data").joinpath("imagenet100_wnids.txt").read_text(encoding="ascii")
    return frozenset(text.split())


def download(name: str, folder: Path) -> None:
    """Download set `name` below `folder`; what is there already is not fetched again.

    Raises:
        DataError: the network or the archive fails; says how to go on without a network.
    """
    try:
        FETCH[name](str(folder))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name}: torchvision cannot download it ({reason}); rerun, or unpack it where there "
            f"is a network and `synthgap data import {name} --from-folder PATH`"
        ) from error


def _cifar10(folder: str) -> None:
    from torchvision.datasets import CIFAR10

    CIFAR10(folder, download=True)


def _pets(folder: str) -> None:
    from torchvision.datasets import OxfordIIITPet

    OxfordIIITPet(folder, download=True)


def _flowers(folder: str) -> None:
    from torchvision.datasets import Flowers102

    Flowers102(folder, download=True)


FETCH: Mapping[str, Callable[[str], None]] = {
    "cifar10": _cifar10,
    "flowers": _flowers,
    "pets": _pets,
}
