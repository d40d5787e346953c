"""Published image sets: what they must hold, and where torchvision can fetch them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from synthgap.data.folder import RawFolder
from synthgap.errors import DataError


@dataclass(frozen=True)
class Published:
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


PUBLISHED: Mapping[str, Published] = {
    "digits": Published(10, {"": 1797}),
    "cifar10": Published(
        10, {"train": 50_000, "test": 10_000}, {"train": 5000, "test": 1000}, download=True
    ),
    "pets": Published(37, {"train": 3680, "test": 3669}, download=True),
    "flowers": Published(
        102, {"train": 1020, "val": 1020, "test": 6149}, {"train": 10, "val": 10}, download=True
    ),
    "cub": Published(200, {"train": 5994, "test": 5794}),
    "imagenet100": Published(100, {"train": 126_689, "test": 5000}, {"test": 50}, val_is_test=True),
    "imagenet1k": Published(
        1000, {"train": 1_281_167, "test": 50_000}, {"test": 50}, val_is_test=True
    ),
}


@cache
def imagenet100_classes() -> frozenset[str]:
    """The 100 synset ids of ImageNet-100 (the CMC subset of ImageNet-1k)."""
    text = files("synthgap.data").joinpath("imagenet100_wnids.txt").read_text(encoding="ascii")
    return frozenset(text.split())
