import json

import numpy as np
import pandas as pd
import pytest
from made_up_cells import Plan, without, write_cells

from synthgap.errors import DataError
from synthgap.reporting.series import read_cells, read_series

SMALL = without(
    Plan(num_images=30, seeds=(0, 1)), sets=("train",), depths=(1,), control_depths=(),
    fractions=(), ablations=(),
)  # fmt: skip


@pytest.fixture
def small(tmp_path):
    return write_cells(tmp_path, SMALL)


def _read(artifacts):
    return read_series(
        read_cells([artifacts.cell("train", "train"), artifacts.cell("transfer", 1)])[0]
    )


def test_runs_that_differ_by_seed_alone_are_one_series(small):
    found = _read(small)
    assert [one.at.direction for one in found] == [None, "synthetic->real", "real->synthetic"]
    assert all(one.seeds == (0, 1) for one in found)
    assert all(one.correct.shape == (2, 30) for one in found)


def test_shares_are_the_mean_over_seeds_and_agree_with_the_runs(small):
    for one in _read(small):
        assert 100 * one.shares.mean() == pytest.approx(one.over_seeds("test/top1").mean)


def test_row_order_of_predictions_does_not_matter(small):
    before = [one.correct for one in _read(small)]
    path = small.cell("train", "train") / "predictions.parquet"
    pd.read_parquet(path).sample(frac=1, random_state=0).to_parquet(path, index=False)
    assert all(
        np.array_equal(one, two.correct) for one, two in zip(before, _read(small), strict=True)
    )


def test_a_folder_without_a_run_is_named_missing(small):
    cells, missing = read_cells([small.cell("train", "train"), small.cell("transfer", 5)])
    assert len(cells) == 1
    assert missing == [small.cell("transfer", 5)]


def test_predictions_that_contradict_the_run_are_refused(small):
    path = small.cell("train", "train") / "run.json"
    about = json.loads(path.read_text())
    about["runs"][0]["last"]["test/top1"]["mean"] -= 1
    path.write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"run\.json.*expected equal"):
        _read(small)


def test_predictions_of_too_few_images_are_refused(small):
    path = small.cell("train", "train") / "predictions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    with pytest.raises(DataError, match="one row a run and image"):
        _read(small)


def test_missing_predictions_are_refused(small):
    (small.cell("train", "train") / "predictions.parquet").unlink()
    with pytest.raises(DataError, match="missing"):
        _read(small)


def test_another_test_set_is_refused(small, tmp_path):
    other = write_cells(tmp_path / "other", without(SMALL, sets=("train",)))
    wider = write_cells(tmp_path / "wider", Plan(num_images=33, seeds=(0,)))
    folders = [other.cell("train", "train"), wider.cell("train", "corpus")]
    with pytest.raises(DataError, match="one test set"):
        read_series(read_cells(folders)[0])


def test_the_same_place_twice_is_refused(small):
    folder = small.cell("train", "train")
    with pytest.raises(DataError, match="another cell"):
        read_series(read_cells([folder, folder])[0])
