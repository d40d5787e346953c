import shutil
from dataclasses import replace

import attempt_world as small
import numpy as np
import pytest
import torch
from attempt_world import last, opened
from experiments_world import SETS, write_set, write_verdict

from synthgap.data import ImageSet
from synthgap.errors import DataError, GateError, ParamsError, TrainingError
from synthgap.experiments.guide import GuideParams, guide
from synthgap.experiments.runs.sources import open_scored
from synthgap.generation.synthesis.synthesize import synthesize
from synthgap.jobs import read_json, silent
from synthgap.studies.trials.image_sets import synthesize_params

BATCH = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory, checkout):
    """Without the set that only scores: a study that looked for it would fail."""
    with pytest.MonkeyPatch.context() as patch:
        made = small.trial_world(tmp_path_factory.mktemp("attempt"), checkout, patch)
        scores = made.artifacts.image_set("test")
        scores.rename(scores.with_name("elsewhere"))
        yield made


def test_every_epoch_is_told_and_the_last_tells_what_the_papers_call_an_accuracy(world):
    epochs = list(opened(world)({}, seed=0, share=1.0))
    assert [one.epoch for one in epochs] == [1, 2, 3]
    steps = 3 * small.EACH // BATCH
    assert [one.num_steps for one in epochs] == [steps, 2 * steps, 3 * steps]
    names = {"train/loss", "val/top1", "val/balanced", "val/loss"}
    assert all(set(one.metrics) == names for one in epochs)
    assert [one.facts for one in epochs] == [epochs[0].facts] * 3
    longer = world.changed("training", last_epochs=1)
    own = last(opened(longer)).metrics  # of the last epoch alone
    assert own != epochs[2].metrics
    for name in names:
        assert epochs[2].metrics[name] == pytest.approx((epochs[1].metrics[name] + own[name]) / 2)


def test_a_trial_is_what_stage_guide_makes(world):
    """The same set, images, start and steps: what wins is what `apply` makes the default."""
    values = {"guide.rg.lambda_1": 0.5, "training.base_lr": 0.2}
    attempt = opened(world)
    params = attempt.plan.settings(values)
    tried = last(attempt, values, seed=1)
    synthesize(synthesize_params(params), world.artifacts, image_set="g2.0")
    write_verdict(world.artifacts, "g2.0")
    scores = world.artifacts.image_set("test")
    scores.with_name("elsewhere").rename(scores)
    staged = replace(world, params=params)
    guide(staged.sections(GuideParams), world.artifacts, silent, protocol="low")
    scores.rename(scores.with_name("elsewhere"))
    (run,) = (
        one
        for one in read_json(world.artifacts.cell("guide", "low") / "run.json")["runs"]
        if one["seed"] == 1
    )
    for name in ("train/loss", "val/top1", "val/balanced", "val/loss"):
        assert tried.metrics[name] == run["last"][name]["mean"]
    assert tried.num_steps == run["num_steps"]
    assert tried.facts["num_images"] == run["num_images"]
    expected = {name: run["real_labels"][name] for name in ("generator", "reference", "student")}
    assert tried.facts["real_labels"] == expected
    assert tried.facts["image_set"] == params.guide.image_set


def test_equal_seeds_give_equal_readings_and_values_and_seeds_others(world):
    attempt = opened(world)
    first = last(attempt, share=0.5)
    assert last(opened(world), share=0.5) == first
    assert last(attempt, {"guide.rg.lambda_1": 0.5}, share=0.5).metrics != first.metrics
    assert last(attempt, seed=1, share=0.5).metrics != first.metrics


def test_a_share_is_of_the_synthetic_set_alone(world):
    reading = last(opened(world), share=0.5)
    assert reading.facts["num_synthetic"] == 3 * small.EACH // 2
    assert reading.facts["num_images"] == 3 * small.EACH // 2 + 6
    assert reading.facts["image_set"] == "g2.0"
    assert reading.facts["real_labels"] == {"generator": 24, "reference": 0, "student": 6}
    assert reading.num_steps == 3


def test_a_ratio_to_the_real_images_shrinks_with_the_share(world):
    attempt = opened(world, protocol="ratio")
    for share, each in ((1.0, 7), (0.5, 4)):
        assert last(attempt, share=share).facts["num_synthetic"] == 3 * each


def test_it_stops_where_it_is_closed(world, monkeypatch):
    from synthgap.training.epoch_runner import EpochRunner

    numbers = []
    learn = EpochRunner.epoch
    monkeypatch.setattr(
        EpochRunner, "epoch", lambda self, n, *rest: numbers.append(n) or learn(self, n, *rest)
    )
    running = opened(world)({}, seed=0, share=0.5)
    next(running)
    running.close()
    assert numbers == [1]


def test_it_computes_with_the_threads_that_are_asked_for(world):
    torch.set_num_threads(2)
    running = opened(world)({}, seed=0, share=0.5)
    next(running)
    assert torch.get_num_threads() == 1
    running.close()


def test_what_contradicts_itself_is_the_trial_s_own_fault(world):
    attempt = opened(world)
    with pytest.raises(ParamsError, match=r"guide\.rg\.lambda_1"):
        last(attempt, {"guide.rg.lambda_1": -1.0})
    none = replace(small.LOW, real_per_class=0)
    zero = replace(world, params=replace(world.params, protocols={"low": none}))
    with pytest.raises(ParamsError, match="rg-pg needs real images"):
        last(opened(zero))
    with pytest.raises(TrainingError, match="finite"):
        last(attempt, {"training.base_lr": 1e30})


def test_it_says_what_it_reads_and_whose_labels_it_uses(world):
    attempt = opened(world)
    assert list(attempt.inputs) == [
        "artifacts/generator/digits",
        "artifacts/references/digits/tutor",
        "artifacts/sets/digits/train",
        "artifacts/sets/digits/val",
    ]
    val = ImageSet.read(world.artifacts.image_set("val"))
    assert attempt.inputs["artifacts/sets/digits/val"] == val.digest
    expected = {"val": 9, "generator": 24, "reference": 0, "student": 6}
    assert attempt.labels == expected
    assert opened(world, method="synthetic").labels == {**expected, "student": 0}
    assert opened(world, method="bound").labels == {**expected, "student": 24}
    assert "artifacts/references/digits/tutor" not in opened(world, method="pooled").inputs


def test_it_is_scored_on_what_it_is_given(world):
    """As a study's verdict does, once it has its winner."""
    artifacts = world.artifacts
    attempt = opened(world, watched=("holdout",))
    scores = artifacts.image_set("test")
    scores.with_name("elsewhere").rename(scores)
    given = open_scored(artifacts, 16)["test"]
    scores.rename(scores.with_name("elsewhere"))
    reading = last(attempt.scored_on({"test": given}))
    assert set(reading.metrics) == {"train/loss", "test/top1", "test/balanced", "test/loss"}
    alone = last(opened(world))
    assert reading.metrics["train/loss"] == alone.metrics["train/loss"]
    assert reading.num_steps == alone.num_steps
    assert list(attempt.scored) == ["val"]


def test_real_images_that_the_gate_has_refused_are_not_tried(tmp_path, monkeypatch, checkout):
    own = small.trial_world(tmp_path, checkout, monkeypatch)
    write_verdict(own.artifacts, "train", digest="of others", passed=False)
    assert len(opened(own).run_context.real.images) == 3 * SETS["train"]
    own.artifacts.verdict("train").unlink()  # stage `tune` may come before the gate
    assert len(opened(own).run_context.real.images) == 3 * SETS["train"]
    write_verdict(own.artifacts, "train", passed=False)
    with pytest.raises(GateError, match="the gate has refused"):
        opened(own)


def test_without_images_to_compare_by_there_is_no_study(tmp_path, checkout, monkeypatch):
    own = small.trial_world(tmp_path, checkout, monkeypatch)
    monkeypatch.setitem(SETS, "val", 0)
    shutil.rmtree(own.artifacts.image_set("val"))
    write_set(own.artifacts, "val")
    with pytest.raises(DataError, match=r"val: no images, .* study small"):
        opened(own)


def test_metrics_of_an_epoch_are_numbers(world):
    for reading in opened(world)({}, seed=0, share=0.5):
        assert all(np.isfinite(list(reading.metrics.values())))
