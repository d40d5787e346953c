"""The gate sees the same of a set whether its images lie there as files or in shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prepared_sets_case import CLASSES, Digits, PreparedSets, params

from synthgap.data import ImageSet
from synthgap.data.export import pack
from synthgap.data.neighbours import ShiftedDistance
from synthgap.jobs import Artifacts
from synthgap.params.sections import Data, Splits
from synthgap.validation import validate
from synthgap.validation.frames import compared_size, measure_set

LENS = ShiftedDistance(16, 16, 1)
PACKED = ["shard", "offset", "size"]


@pytest.fixture
def loose(digits: Digits, tmp_path: Path) -> ImageSet:
    prepared = PreparedSets(Artifacts(tmp_path, "digits"))
    rows = digits.split("train", 2)
    prepared.put("train", digits.images[rows], digits.labels[rows])
    return ImageSet.read(prepared.artifacts.image_set("train"))


@pytest.fixture
def packed(loose: ImageSet, tmp_path: Path) -> ImageSet:
    return pack(loose, tmp_path / "packed", images_a_shard=8)


def test_a_packed_set_is_measured_as_a_loose_one(loose: ImageSet, packed: ImageSet) -> None:
    one, other = (measure_set(images.root, "train", "real", LENS) for images in (loose, packed))
    pd.testing.assert_frame_equal(other.frame.drop(columns=PACKED), one.frame)
    assert other.frame["unchanged"].all()
    assert other.digest == one.digest
    assert np.array_equal(other.windows, one.windows)
    data = Data("digits", 300, "original", Splits(1, 1, 1, "rest"))
    assert compared_size(packed.root, data) == compared_size(loose.root, data) == 16


def test_images_of_a_missing_or_truncated_shard_are_not_there(packed: ImageSet) -> None:
    assert packed.ranges is not None
    (packed.root / packed.ranges.shards[0]).unlink()
    cut = packed.root / packed.ranges.shards[2]
    cut.write_bytes(cut.read_bytes()[: int(packed.ranges.offsets[19]) + 5])
    frame = measure_set(packed.root, "train", "real", LENS).frame
    missing = [*range(8), 19]
    assert frame.index[~frame["exists"].astype(bool)].tolist() == missing
    assert frame["readable"].notna().sum() == len(CLASSES) * 2 - len(missing)


def test_damaged_bytes_in_a_shard_are_seen(packed: ImageSet) -> None:
    assert packed.ranges is not None
    shard = packed.root / packed.ranges.shards[1]
    content = bytearray(shard.read_bytes())
    content[int(packed.ranges.offsets[9]) + 200] ^= 255
    shard.write_bytes(content)
    frame = measure_set(packed.root, "train", "real", LENS).frame
    assert frame.index[frame["unchanged"] == False].tolist() == [9]  # noqa: E712 - None is not False


def test_a_packed_set_passes_the_gate_with_the_verdict_of_a_loose_one(
    build: Callable[[Path, Sequence[str]], PreparedSets], tmp_path: Path
) -> None:
    prepared = build(tmp_path, ["g1.0"])
    validate(params("g1.0"), prepared.artifacts)
    before = prepared.verdicts()
    root = prepared.artifacts.image_set("g1.0")
    root.rename(tmp_path / "loose")
    pack(ImageSet.read(tmp_path / "loose"), root, images_a_shard=30)
    validate(params("g1.0"), prepared.artifacts)
    assert prepared.verdicts() == before
