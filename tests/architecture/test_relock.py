"""`make relock`: what it compares, and what it takes out of the lock."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import yaml
from checkout_files import ROOT


@pytest.fixture(scope="module")
def relock():
    spec = importlib.util.spec_from_file_location("relock", ROOT / ".ci" / "relock.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_equal_outputs_differ_nowhere(relock):
    same = {"artifacts/train": "a" * 32, "artifacts/report": "b" * 32}
    assert relock._differences(same, dict(same)) == []


def test_what_changed_came_or_went_is_a_row_each(relock):
    rows = relock._differences(
        {"a": "1", "gone": "2", "same": "3"}, {"a": "4", "new": "5", "same": "3"}
    )
    assert [row.split() for row in rows] == [
        ["a", "1", "->", "4"],
        ["gone", "2", "->", "-"],
        ["new", "-", "->", "5"],
    ]


@pytest.mark.parametrize(
    ("found", "stops"),
    [
        ({"train": [{"changed deps": {"src/synthgap/training": "modified"}}]}, False),
        ({"train": [{"changed deps": {"pipelines/train.py": "modified"}}]}, False),
        ({"train": [{"changed deps": {"artifacts/sets/digits/train": "modified"}}]}, True),
        ({"train": [{"changed outs": {"artifacts/train": "deleted"}}]}, True),
        ({"train": [{"changed deps": {"params.yaml": {"train": "modified"}}}]}, True),
        ({"train": ["changed command"]}, True),
    ],
)
def test_only_changed_code_may_be_recorded_without_a_run(relock, monkeypatch, found, stops):
    monkeypatch.setattr(relock, "_dvc", lambda *_: relock.json.dumps(found))
    assert bool(relock._changed_beside_code()) == stops


def test_cells_that_the_grid_does_not_have_are_taken_out(relock, monkeypatch, tmp_path):
    lock = tmp_path / "dvc.lock"
    lock.write_text(yaml.safe_dump({"schema": "2.0", "stages": {"a@1": {}, "a@2": {}, "b": {}}}))
    monkeypatch.setattr(relock, "_dvc", lambda *_: "a@1  Outputs x\nb  Outputs y\n")
    assert relock._prune(lock) == 1
    assert list(yaml.safe_load(lock.read_text())["stages"]) == ["a@1", "b"]
