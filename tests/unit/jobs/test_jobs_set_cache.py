from __future__ import annotations

import os

import pytest

from synthgap.jobs.set_cache import keep_set, restore_set


@pytest.fixture
def finished(tmp_path):
    folder = tmp_path / "finished"
    (folder / "zero").mkdir(parents=True)
    (folder / "zero" / "1.png").write_bytes(b"one")
    (folder / "manifest.parquet").write_bytes(b"rows")
    return folder


def test_what_is_kept_comes_back_without_a_copy(finished, tmp_path):
    place = tmp_path / "sets" / "abc"
    keep_set(finished, place)
    assert restore_set(place, tmp_path / "again")
    image = tmp_path / "again" / "zero" / "1.png"
    assert image.read_bytes() == b"one"
    assert image.samefile(finished / "zero" / "1.png")


def test_nothing_kept_is_nothing_made(tmp_path):
    assert not restore_set(tmp_path / "sets" / "abc", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_what_cannot_be_kept_leaves_nothing_behind(finished, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    place = tmp_path / "sets" / "abc"
    keep_set(finished, place)
    assert not list(place.parent.iterdir())


def test_the_first_one_stays(finished, tmp_path):
    place = tmp_path / "sets" / "abc"
    keep_set(finished, place)
    (finished / "manifest.parquet").unlink()
    keep_set(finished, place)
    assert (place / "manifest.parquet").is_file()
