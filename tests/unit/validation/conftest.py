"""Real digits as ingest stores them, and small shelves of image sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prepared_sets_case import Digits, PreparedSets, samples

from synthgap.jobs import Artifacts


@pytest.fixture(scope="session")
def digits() -> Digits:
    from sklearn.datasets import load_digits

    raw = load_digits()
    small = np.rint(raw.images * (255 / 16)).astype(np.uint8)
    enlarged = [
        Image.fromarray(one).convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
        for one in small
    ]
    order = np.random.default_rng(0)
    splits: dict[str, list[int]] = {"corpus": [], "train": [], "val": [], "test": []}
    for label in range(10):
        rows = order.permutation(np.flatnonzero(raw.target == label))
        for name, part in zip(splits, np.split(rows, [60, 120, 130]), strict=True):
            splits[name] += part.tolist()
    images = np.stack([np.asarray(image) for image in enlarged])
    return Digits(images, raw.target, {name: np.array(rows) for name, rows in splits.items()})


@pytest.fixture(scope="session")
def build(digits: Digits) -> Callable[[Path, Sequence[str]], PreparedSets]:
    """Build small clean sets: 20, 20, 5 and 10 digits a class, and the named synthetic sets."""

    def prepared(root: Path, names: Sequence[str]) -> PreparedSets:
        made = PreparedSets(Artifacts(root, "digits"))
        for name, per_class in {"corpus": 20, "train": 20, "val": 5, "test": 10}.items():
            rows = digits.split(name, per_class)
            made.put(name, digits.images[rows], digits.labels[rows])
        for name in names:
            seed = int(10 * float(name.removeprefix("g")))
            made.put_synthetic(name, *samples(digits, per_class=10, seed=seed))
        return made

    return prepared
