"""A set that is made into the cache alone, and the stage that finds it there."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from synthesis_case import (
    PARAMS,
    SECTION,
    Dice,
    Picky,
    by_number,
    files,
    made,
    restore_after,
    sampled_numbers,
    started,
    use,
    world,
)

from synthgap.data.image_set import ImageSet
from synthgap.generation.synthesis import assembling
from synthgap.generation.synthesis.planning import planned_set
from synthgap.generation.synthesis.synthesize import cached_set, sample_into_cache

SIZE = {"count": 20}  # a class: 60 images, 30 batches


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    restore_after(monkeypatch)


def planned(artifacts, name="g2.0", **changes):
    params = replace(PARAMS, synthesize=replace(SECTION, **SIZE, **changes))
    return planned_set(params, artifacts, name)


def test_a_shelved_set_is_the_stage_s_own_and_is_not_made_again(tmp_path):
    artifacts, other = world(tmp_path / "one"), world(tmp_path / "other")
    use(Dice(tmp_path / "sampled"))
    place = sample_into_cache(planned(artifacts))
    assert place == cached_set(planned(artifacts))
    assert not artifacts.image_set("g2.0").exists()
    assert not any(artifacts.work.glob("*/"))
    assert len(sampled_numbers(tmp_path / "sampled")) == 60
    taken = made(artifacts, **SIZE)  # as `dvc repro synthesize` would
    assert len(sampled_numbers(tmp_path / "sampled")) == 60
    assert files(taken.root) == files(made(other, **SIZE).root)
    assert files(place) == {k: v for k, v in files(taken.root).items() if k != "work.json"}


def test_what_the_stage_made_is_not_made_again(tmp_path):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"))
    images = made(artifacts, **SIZE)
    place = sample_into_cache(planned(artifacts))
    assert ImageSet.read(place).digest == images.digest
    assert len(sampled_numbers(tmp_path / "sampled")) == 60


def test_a_smaller_set_holds_the_first_images_of_a_larger_one(tmp_path):
    artifacts = world(tmp_path)
    use(Dice())
    whole, half = (
        ImageSet.read(sample_into_cache(planned(artifacts, n))) for n in ("g2.0", "g2.0-x0.5")
    )
    assert np.bincount(half.labels).tolist() == [10, 10, 10]
    assert sorted(by_number(half)) == list(range(30))
    assert by_number(half).items() <= by_number(whole).items()


@pytest.mark.parametrize("storage", ["loose", "packed"])
@pytest.mark.parametrize("judge", [None, Picky(0.4)])
def test_a_longer_set_goes_on_behind_a_shorter_one(tmp_path, judge, storage):
    """What was dropped is known too; in whole batches. Not a byte is another."""
    above = {"shard_above": 10} if storage == "packed" else {}
    artifacts, fresh = world(tmp_path / "one"), world(tmp_path / "fresh")
    use(Dice(tmp_path / "sampled"), judge)
    half = planned(artifacts, "g2.0-x0.5", **above)
    images = ImageSet.read(sample_into_cache(half))
    before = sampled_numbers(tmp_path / "sampled")
    place = sample_into_cache(
        planned(artifacts, **above), [planned(artifacts, "g2.0-x0.1", **above), half]
    )
    again = sampled_numbers(tmp_path / "sampled")[len(before) :]
    use(Dice(tmp_path / "all"), judge)
    assert files(place) == files(sample_into_cache(planned(fresh, **above)))
    assert len(again) <= len(sampled_numbers(tmp_path / "all")) - len(images)
    assert not set(again) & set(range(30 if judge is None else 24))  # some were surplus


def test_only_what_begins_a_set_is_taken_over(tmp_path):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"))
    other = planned(artifacts, "g3.0-x0.5")
    sample_into_cache(other)
    sample_into_cache(planned(artifacts), [other])
    assert len(sampled_numbers(tmp_path / "sampled")) == 30 + 60


def test_a_damaged_shorter_set_is_not_taken_over(tmp_path):
    artifacts, fresh = world(tmp_path / "one"), world(tmp_path / "fresh")
    use(Dice(tmp_path / "sampled"))
    half = planned(artifacts, "g2.0-x0.5")
    (sample_into_cache(half) / "b/00003.png").write_bytes(b"")
    place = sample_into_cache(planned(artifacts), [half])
    assert len(sampled_numbers(tmp_path / "sampled")) == 30 + 30 + 2  # its batch
    assert files(place) == files(sample_into_cache(planned(fresh)))


def test_several_workers_at_once_make_it_once(tmp_path):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.01))
    worker = [started(partial(sample_into_cache, planned(artifacts))) for _ in range(3)]
    for one in worker:
        one.join()
    assert [one.exitcode for one in worker] == [0, 0, 0]
    assert sorted(sampled_numbers(tmp_path / "sampled")) == list(range(60))
    assert cached_set(planned(artifacts)).is_dir()


@pytest.mark.parametrize("while_", ["sampled", "put together"])
def test_killed_it_leaves_no_half_of_a_set_and_goes_on(tmp_path, monkeypatch, while_):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", die_at=20 if while_ == "sampled" else None))
    with monkeypatch.context() as patch:
        if while_ == "put together":
            kill = lambda *_, **__: os.kill(os.getpid(), 9)  # noqa: E731 - a line
            patch.setattr(assembling, "write_manifest", kill)
        child = started(partial(sample_into_cache, planned(artifacts)))
        child.join()
    assert child.exitcode == -9
    assert not cached_set(planned(artifacts)).exists()
    use(Dice(tmp_path / "sampled"))
    images = ImageSet.read(sample_into_cache(planned(artifacts)))
    assert len(images) == 60
    assert len(sampled_numbers(tmp_path / "sampled")) <= 60 + SECTION.compute_batch
    images.pixels(8)  # which checks every byte
