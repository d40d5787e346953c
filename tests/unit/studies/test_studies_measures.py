import shutil
from dataclasses import replace

import attempt_world as small
import numpy as np
import pytest
from attempt_world import last, opened

from synthgap.data import ImageSet, write_manifest
from synthgap.errors import ParamsError
from synthgap.evaluation.calibration import expected_calibration_error
from synthgap.params.studies import LABELLED, METRICS
from synthgap.studies.trials import measures
from synthgap.studies.trials.image_sets import TrialSets, first
from synthgap.studies.trials.measures import ClipScores, agreement, calibration, parted
from synthgap.training.scoring import Scores

WATCHED = tuple(name for name in METRICS if name != "val/top1")


@pytest.fixture(scope="module")
def world(tmp_path_factory, checkout):
    with pytest.MonkeyPatch.context() as patch:
        small.see_colours(patch)
        yield small.trial_world(tmp_path_factory.mktemp("measures"), checkout, patch)


@pytest.fixture(scope="module")
def source(world):
    return TrialSets(world.artifacts).source(world.params, 1.0)


def scores_of(predictions, confidences=None):
    sure = np.full(len(predictions), 0.5) if confidences is None else np.array(confidences)
    return Scores(0.0, 0.0, 0.0, 0.0, np.array(predictions), sure)


def test_all_that_a_study_can_ask_for_is_measured(world):
    reading = last(opened(world, watched=WATCHED), share=0.5)
    assert set(reading.metrics) == {*METRICS, "train/loss"}
    assert all(np.isfinite(list(reading.metrics.values())))
    assert reading.metrics["real_labels"] == 6
    for name in ("val/ece", "holdout", "agreement"):
        assert 0 <= reading.metrics[name] <= 100


def test_what_needs_no_label_does_not_see_any(world, tmp_path, checkout, monkeypatch):
    """With other labels of val, nothing else is measured but accuracy, loss and calibration."""
    other = small.trial_world(tmp_path, checkout, monkeypatch)
    folder = other.artifacts.image_set("val")
    images = ImageSet.read(folder)
    labels = np.roll(images.labels, 1)
    assert (labels != images.labels).any()
    columns = {"path": images.paths, "label": labels, "sha256": images.sha256s}
    write_manifest(folder, kind="real", classes=images.classes, columns=columns)
    shutil.copytree(
        world.artifacts.image_sets_kept, other.artifacts.image_sets_kept, dirs_exist_ok=True
    )
    ours, theirs = (last(opened(one, watched=WATCHED), share=0.5).metrics for one in (world, other))
    for name in METRICS:
        assert (ours[name] == theirs[name]) == (name not in LABELLED), name


def test_only_what_is_asked_for_is_paid_for(world, monkeypatch):
    plain = last(opened(world), share=0.5)
    for name in ("holdout", "agreement", "val/ece", "clip_score"):
        assert name not in plain.metrics
    double = last(opened(world, watched=("agreement",)), share=0.5)
    assert double.num_steps == 2 * plain.num_steps
    assert double.metrics["val/top1"] == plain.metrics["val/top1"]
    assert double.facts == plain.facts


def test_what_is_held_out_is_not_learned(world, source):
    learned, held = parted(source)
    assert np.bincount(learned.images.labels).tolist() == [6, 6, 6]
    assert np.bincount(held.images.labels).tolist() == [2, 2, 2]
    assert set(learned.images.paths) | set(held.images.paths) == set(source.images.paths)
    for label in range(3):
        ours, theirs = (
            [one.images.paths[row] for row in np.flatnonzero(one.images.labels == label)]
            for one in (learned, held)
        )
        assert max(ours) < min(theirs)
    reading = last(opened(world, watched=("holdout",)))
    assert reading.facts["num_synthetic"] == 18


def test_one_image_a_class_cannot_be_parted(source):
    with pytest.raises(ParamsError, match=r"holdout: one image of bright in g2\.0"):
        parted(first(source, [1, 2, 2]))


def test_agreement_is_of_answers_and_not_of_truth():
    assert agreement(scores_of([0, 1, 2, 1]), scores_of([0, 1, 1, 2])) == 50
    assert agreement(scores_of([0]), scores_of([0])) == 100


def test_calibration_is_of_scores_and_labels():
    labels = np.array([0, 1, 1])
    scores = scores_of([0, 1, 0], [0.9, 0.6, 0.8])
    wanted = expected_calibration_error(np.array([0.9, 0.6, 0.8]), np.array([True, True, False]))
    assert calibration(scores, labels) == wanted


def test_clip_scores_are_cosines_of_images_and_their_own_prompts(world, source):
    texts = [f"a {name} one" for name in ("bright", "dark", "mid")]
    bright = source.labelled.images.float().mean(dim=(1, 2, 3)).numpy() / 255
    pairs = zip(bright, source.images.labels, strict=True)
    wanted = np.mean([_cosine((one, 1), (len(texts[label]), 1)) for one, label in pairs])
    assert ClipScores(world.artifacts, "cpu")(source) == pytest.approx(wanted, abs=1e-4)
    few = first(source, [2, 0, 1])
    rows = [0, 1, 16]
    wanted = np.mean(
        [_cosine((bright[n], 1), (len(texts[source.images.labels[n]]), 1)) for n in rows]
    )
    assert ClipScores(world.artifacts, "cpu")(few) == pytest.approx(wanted, abs=1e-4)


def test_a_set_is_looked_at_once(world, source, monkeypatch):
    ClipScores(world.artifacts, "cpu")(source)
    monkeypatch.setattr(measures, "open_clip_model", None)  # which can open nothing
    scores = ClipScores(world.artifacts, "cpu")  # another worker
    assert scores(source) == scores(source)
    monkeypatch.setattr(measures, "teacher_folder", lambda *_, **__: ("clip", "another digest"))
    with pytest.raises(TypeError, match="not callable"):
        ClipScores(world.artifacts, "cpu")(source)


def test_where_nothing_was_prompted_the_class_name_stands_in(source):
    rows = source.images.rows().assign(prompt="")
    unprompted = replace(source, images=_Rows(source.images, rows))
    assert measures._texts(unprompted)[0] == "bright"
    assert measures._texts(source)[0] == "a bright one"


class _Rows:
    """An image set whose table says something else."""

    def __init__(self, images, rows):
        self.paths, self.labels, self.classes = images.paths, images.labels, images.classes
        self.rows = lambda: rows


def _cosine(first, second):
    one, other = np.array(first, float), np.array(second, float)
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)
