import numpy as np
import pytest
from generation_case import CLASSES, COUNTS, RUNTIME, files, run_child, sampled, with_generator

from synthgap.errors import GeneratorError, ParamsError, WorkError
from synthgap.generation import synthesis
from synthgap.generation.opening import Request, Settings, open_pipeline, sample

KILLED = """
import os, signal
from pathlib import Path
from generation_case import Artifacts, sampled
from synthgap.generation import opening
calls, real = [], opening.sample
def third_call_kills(*args):
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
opening.sample = third_call_kills
sampled(Artifacts(Path(sys.argv[1]), "tiny"))
"""


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """A root with the set of guidance scale 2, made without interruption."""
    artifacts = with_generator(trained, tmp_path_factory.mktemp("made"))
    sampled(artifacts)
    return artifacts


@pytest.fixture(scope="module")
def pipeline(trained):
    return open_pipeline(trained.generator, RUNTIME)


def settings(scale=2.0, batch=8):
    return Settings("", scale, 2, 8, 8, batch)


def test_the_set_has_trains_classes_and_counts(made):
    from synthgap.data.image_set import ImageSet

    images = ImageSet.read(made.image_set("g2.0"))
    assert (images.kind, images.classes) == ("synthetic", CLASSES)
    assert tuple(np.bincount(images.labels)) == COUNTS["train"]
    assert images.pixels(8).shape == (7, 8, 8, 3)  # read with every sha256 checked
    rows = images.rows()
    assert set(rows["prompt"]) == {"a 0", "a snow leopard"}
    assert rows["seed"].is_unique
    assert set(rows["scheduler"]) == {"DDIMScheduler"}


def test_a_longer_set_begins_with_the_shorter_one(made, trained, tmp_path):
    longer = sampled(with_generator(trained, tmp_path), per_class=5)
    shorter = made.image_set("g2.0")
    assert len(longer) == 10
    again = files(longer.root)
    for name, content in files(shorter).items():
        if name.endswith(".png"):
            assert again[name] == content


def test_an_image_depends_on_its_own_request_alone(pipeline):
    requests = [Request("a 0", seed) for seed in range(8)]
    together = sample(pipeline, requests, settings())
    turned = sample(pipeline, requests[::-1], settings())
    alone = sample(pipeline, requests[5:6], settings())
    assert np.array_equal(together, turned[::-1])
    assert np.array_equal(together[5:6], alone)
    assert not np.array_equal(together[0], together[1])


def test_guidance_scales_share_their_noise(pipeline):
    """Guidance away from the empty prompt is nothing for the empty prompt itself."""
    requests = [Request("", 5), Request("", 6)]
    low, high = (sample(pipeline, requests, settings(scale)) for scale in (2.0, 7.5))
    assert np.abs(low.astype(int) - high).max() <= 1
    assert np.abs(low[0].astype(int) - low[1]).max() > 1
    spoken = [Request("a 0", 5), Request("a 0", 6)]
    low, high = (sample(pipeline, spoken, settings(scale)) for scale in (1.0, 100.0))
    assert not np.array_equal(low, high)


def test_a_killed_sampling_reuses_its_images_and_ends_with_the_same_bytes(
    made, trained, tmp_path, capfd
):
    artifacts = with_generator(trained, tmp_path)
    assert run_child(KILLED, tmp_path) == -9
    assert not artifacts.image_set("g2.0").exists()
    finished = sorted(artifacts.work.glob("*/*/*.png"))
    assert len(finished) == 4
    finished[0].write_bytes(finished[0].read_bytes()[:100])
    kept = finished[1].stat().st_mtime_ns
    (finished[0].parent / ".00009.png.1.partial").write_bytes(b"half")
    capfd.readouterr()
    images = sampled(artifacts)
    assert "3 of 7 images are there from before" in capfd.readouterr().err
    assert (images.root / finished[1].parent.name / finished[1].name).stat().st_mtime_ns == kept
    assert files(images.root) == files(made.image_set("g2.0"))


def test_a_second_starter_stops_with_the_holders_pid(made, trained, tmp_path, monkeypatch):
    import fcntl

    artifacts = with_generator(trained, tmp_path)
    artifacts.work.mkdir(parents=True)
    (lock,) = made.work.glob("*.lock")
    monkeypatch.setattr(synthesis, "LOCK_TIMEOUT_S", 0.0)
    with (artifacts.work / lock.name).open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WorkError, match="process 4711"):
            sampled(artifacts)


def test_unknown_words_and_sizes_are_refused(trained, tmp_path):
    artifacts = with_generator(trained, tmp_path)
    with pytest.raises(GeneratorError, match=r"synthesize\.prompt: 'a photo of 0'"):
        sampled(artifacts, prompt="a photo of {class}")
    with pytest.raises(GeneratorError, match="more words than"):
        sampled(artifacts, prompt="a a a {class}")
    with pytest.raises(ParamsError, match="multiple of 8"):
        sampled(artifacts, width=12)
