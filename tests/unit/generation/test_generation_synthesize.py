"""Stage synthesize under real kills: what is lost, what is made again, what comes out."""

import os
import resource
import shutil
import time
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from synthesis_case import (
    CLASSES,
    PARAMS,
    SECTION,
    TRAIN,
    Dice,
    files,
    made,
    pin_generator,
    restore_after,
    sampled_numbers,
    started,
    use,
    world,
)

from synthgap.errors import GeneratorError, ParamsError, WorkError
from synthgap.generation.synthesis import assembling, synthesize
from synthgap.seeding import derived_seed

SIZE = {"count": 20}  # a class: 60 images, 30 batches


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    restore_after(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Files of the set of SIZE, made without interruption, loose and in shards."""
    with pytest.MonkeyPatch.context() as patch:
        restore_after(patch)
        use(Dice())
        return {
            storage: files(made(world(tmp_path_factory.mktemp(storage)), **SIZE, **above).root)
            for storage, above in (("loose", {}), ("packed", {"shard_above": 10}))
        }


def test_counts_and_imbalance_are_trains(tmp_path):
    use(Dice())
    images = made(world(tmp_path))
    assert np.bincount(images.labels).tolist() == list(TRAIN)
    assert images.classes == CLASSES
    rows = images.rows()
    assert rows["seed"].tolist() == [derived_seed(3, "synthesize", k) for k in rows["k"]]
    assert rows["prompt"].tolist() == [f"a {name}" for name in rows["class_name"]]
    assert images.pixels(8).shape == (14, 8, 8, 3)  # read with every sha256 checked


@pytest.mark.parametrize("storage", ["loose", "packed"])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(whole, tmp_path, storage):
    """Killed from outside, with two workers, three times; a batch in flight each is lost."""
    artifacts, above = world(tmp_path), {"packed": 10, "loose": 1000}[storage]
    use(Dice(tmp_path / "sampled", 0.02))
    for count in (6, 20, 40):
        child = started(partial(made, artifacts, **SIZE, shard_above=above, workers=2))
        _wait(
            lambda n=count: (tmp_path / "sampled").is_file() and _num_sampled(tmp_path) >= n, child
        )
        child.kill()
        child.join()
        assert not artifacts.image_set("g2.0").exists()
    _wait_for_workers(tmp_path)
    use(Dice(tmp_path / "sampled"))
    images = made(artifacts, **SIZE, shard_above=above)
    assert files(images.root) == whole[storage]
    sampled = Counter(sampled_numbers(tmp_path / "sampled"))
    assert sorted(sampled) == list(range(60))
    in_flight = 2 * 2 * SECTION.compute_batch  # sampled and written, in each of two workers
    assert sum(sampled.values()) - 60 <= 3 * in_flight


def test_a_kill_costs_one_batch(whole, tmp_path, capfd):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.05, die_at=20))
    child = started(partial(made, artifacts, **SIZE))
    child.join()
    assert child.exitcode == -9
    use(Dice(tmp_path / "sampled"))
    capfd.readouterr()
    images = made(artifacts, **SIZE)
    assert "18 of 60 images are there from before" in capfd.readouterr().err
    assert files(images.root) == whole["loose"]
    assert sum(Counter(sampled_numbers(tmp_path / "sampled")).values()) == 62


@pytest.mark.parametrize("above", [10, 1000])
def test_killed_while_it_is_put_together_nothing_is_sampled_again(
    whole, tmp_path, monkeypatch, above
):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"))
    with monkeypatch.context() as patch:
        patch.setattr(assembling, "write_manifest", lambda *_, **__: os.kill(os.getpid(), 9))
        child = started(partial(made, artifacts, **SIZE, shard_above=above))
        child.join()
    assert child.exitcode == -9
    images = made(artifacts, **SIZE, shard_above=above)
    assert files(images.root) == whole["packed" if above == 10 else "loose"]
    assert len(sampled_numbers(tmp_path / "sampled")) == 60


def test_processes_share_a_set_and_none_makes_what_another_made(whole, tmp_path):
    """Three processes as accelerate starts them: only their parts' locks keep them apart."""
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.02))
    launched = {"TORCHELASTIC_RUN_ID": "none"}
    work = partial(made, artifacts, **SIZE, shard_above=10)
    helping = [partial(_helped, artifacts), partial(_helped, artifacts)]
    ranks = [started(each, RANK=str(n), **launched) for n, each in enumerate([work, *helping])]
    for rank in ranks:
        rank.join()
    assert [rank.exitcode for rank in ranks] == [0, 0, 0]
    assert sorted(sampled_numbers(tmp_path / "sampled")) == list(range(60))
    assert files(artifacts.image_set("g2.0")) == whole["packed"]
    assert not any(artifacts.work.glob("*/"))


def test_two_commands_at_once_make_one_set(whole, tmp_path, capfd):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.01))
    both = [started(partial(made, artifacts, **SIZE)) for _ in range(2)]
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert sorted(sampled_numbers(tmp_path / "sampled")) == list(range(60))
    assert files(artifacts.image_set("g2.0")) == whole["loose"]
    assert capfd.readouterr().err.count("waiting for process") == 1


def test_a_second_command_names_the_first_ones_pid(tmp_path, monkeypatch):
    import fcntl

    artifacts = world(tmp_path)
    use(Dice())
    made(artifacts)
    monkeypatch.setattr("synthgap.jobs.work.LOCK_TIMEOUT_S", 0.0)
    (lock,) = artifacts.work.glob("*.lock")
    with lock.open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WorkError, match="process 4711"):
            made(artifacts)


@pytest.mark.parametrize("damage", ["byte", "tar cut", "journal", "journal cut", "closed alone"])
def test_damaged_work_is_made_again(whole, tmp_path, damage, capfd):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.01, die_at=50))
    started(partial(made, artifacts, **SIZE, shard_above=10)).join()
    first = min(artifacts.work.glob("*/round-00/*.tar"))
    log = first.with_suffix(".jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    content = first.read_bytes()
    if damage == "byte":
        first.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    if damage == "tar cut":
        first.write_bytes(content[:5000])
    if damage == "journal":
        log.write_bytes(b"".join([lines[0], b"}" + lines[1], *lines[2:]]))
    if damage == "journal cut":
        log.write_bytes(b"".join(lines)[:-40])
    if damage == "closed alone":
        log.write_bytes(lines[0] + b'{"closed": true}\n')
    use(Dice())
    images = made(artifacts, **SIZE, shard_above=10)
    assert files(images.root) == whole["packed"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_full_disk_is_one_line_and_the_rerun_goes_on(whole, tmp_path, capfd):
    """No file may grow beyond 20 kB in the child, as if the disk were full."""
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled"))

    def confined():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        made(artifacts, **SIZE, shard_above=10)

    capfd.readouterr()
    child = started(confined)
    child.join()
    assert child.exitcode == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"synthgap: {artifacts.work}")
    assert ".tar: File too large; expected room to write" in line
    before = sampled_numbers(tmp_path / "sampled")
    use(Dice(tmp_path / "again"))
    images = made(artifacts, **SIZE, shard_above=10)
    assert files(images.root) == whole["packed"]
    assert len(sampled_numbers(tmp_path / "again")) == 60 - len(before) + 2 * SECTION.compute_batch


def test_a_changed_generator_never_finishes_anothers_set(whole, tmp_path, capfd):
    artifacts = world(tmp_path)
    use(Dice(tmp_path / "sampled", 0.01, die_at=20))
    started(partial(made, artifacts, **SIZE)).join()
    use(Dice())
    weights = artifacts.root / "pinned" / "weights.png"
    before = weights.read_bytes()
    weights.write_bytes(before + b"x")
    with pytest.raises(GeneratorError, match=r"expected .* as stage generator saw it"):
        made(artifacts, **SIZE)
    pin_generator(artifacts, shade=2)
    capfd.readouterr()
    other = made(artifacts, **SIZE)
    assert "made by another generator; they are left there" in capfd.readouterr().err
    assert {name for name in files(other.root) if name.endswith(".png")} == {
        name for name in whole["loose"] if name.endswith(".png")
    }
    pin_generator(artifacts, shade=1)
    images = made(artifacts, **SIZE)
    assert "18 of 60 images are there from before" in capfd.readouterr().err
    assert files(images.root) == whole["loose"]


@pytest.mark.parametrize("name", ["train", "g2.0-x500", "g2.0-x0.01"])
def test_other_names_are_refused(tmp_path, name):
    use(Dice())
    with pytest.raises(ParamsError, match="--image-set"):
        made(world(tmp_path), name)


def _helped(artifacts):
    """A process that is not the first: it samples, and leaves putting together to that."""
    params = replace(PARAMS, synthesize=replace(SECTION, **SIZE, shard_above=10))
    synthesize.synthesize(params, artifacts, image_set="g2.0")


def _num_sampled(root):
    return len(sampled_numbers(root / "sampled"))


def _wait(ready, child, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _wait_for_workers(root, timeout_s=10.0):
    """Until killed workers, which end with their parent, write no more."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        before = _num_sampled(root)
        time.sleep(0.1)
        if _num_sampled(root) == before:
            return


@pytest.mark.parametrize("damaged", [False, True])
def test_a_set_made_before_is_not_sampled_again_unless_it_is_damaged(tmp_path, damaged, capfd):
    artifacts, logged = world(tmp_path), tmp_path / "sampled"
    use(Dice(logged=logged))
    first = made(artifacts)
    content, sampled = files(first.root), sampled_numbers(logged)
    if damaged:  # the cache holds links, so it is damaged with the set
        (first.root / first.paths[0]).write_bytes(b"torn")
    shutil.rmtree(first.root)  # as DVC does before it runs a stage
    assert files(made(artifacts).root) == content
    assert len(sampled_numbers(logged)) == len(sampled) * (2 if damaged else 1)
    assert ("made again" in capfd.readouterr().err) == damaged
