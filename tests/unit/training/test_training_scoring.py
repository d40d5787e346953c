import dataclasses

import numpy as np
import pytest
import torch

from synthgap.models.frozen_prefix import freeze
from synthgap.training.labelled_images import LabelledImages, Normalisation
from synthgap.training.scoring import SCORING_BATCH, PreparedImages, score, scores_from_logits


def test_scores_of_a_known_table():
    logits = torch.eye(7)[[0, 1, 2, 3]] * 5
    made = scores_from_logits(logits, torch.tensor([0, 1, 2, 2]))
    assert made.top1 == 75
    assert made.balanced == pytest.approx(100 * (1 + 1 + 0.5) / 3)
    assert made.predictions.tolist() == [0, 1, 2, 3]


def test_no_images_have_no_score():
    with pytest.raises(ValueError, match="no images"):
        scores_from_logits(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


class Whole(torch.nn.Module):
    """Says class 0 to full batches and class 1 to any other."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        wrong = len(images) != SCORING_BATCH
        return torch.tensor([[0.0, 1.0]] if wrong else [[1.0, 0.0]]).repeat(len(images), 1)


def prepare(model, labelled, size_px=8):
    normalise = Normalisation.imagenet()
    return PreparedImages.of(model, labelled, normalise=normalise, size_px=size_px)


def test_the_last_batch_counts_by_its_size(train_spec, accelerator):
    count = SCORING_BATCH + 8
    labelled = LabelledImages.of(np.zeros((count, 8, 8, 3), np.uint8), np.zeros(count, np.int64))
    model = Whole().train()
    made = score(prepare(model, labelled), train_spec(), accelerator)
    assert made.top1 == pytest.approx(100 * SCORING_BATCH / count)
    assert model.training


def test_a_frozen_prefix_is_computed_once_and_scores_the_same(
    student, train_spec, labelled, accelerator
):
    model = student()
    plain = score(prepare(model, labelled, 16), train_spec(), accelerator)
    freeze(model, 3)
    given = prepare(model, labelled, 16)
    calls = []
    model.get_submodule("layer1.0.conv1").register_forward_hook(lambda *_: calls.append(1))
    found = score(given, train_spec(), accelerator)
    assert not calls
    assert given.remembered.shape[0] == len(labelled)
    assert found.loss == pytest.approx(plain.loss, rel=1e-5)
    assert np.array_equal(found.predictions, plain.predictions)


def test_batch_statistics_score_a_copy_and_leave_the_student_alone(
    student, train_spec, labelled, accelerator
):
    model = student()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = prepare(model, labelled, 16)
    batch = score(given, train_spec(scoring_stats="batch"), accelerator)
    running = score(given, train_spec(), accelerator)
    assert batch.loss != running.loss
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_batches_mix_classes_however_a_set_is_sorted(student, train_spec, labelled, accelerator):
    order = labelled.labels.argsort()
    ordered = LabelledImages(labelled.images[order], labelled.labels[order])
    model = student()
    settings = train_spec(scoring_stats="batch")
    rows = torch.arange(len(labelled))
    given = prepare(model, ordered, 16)
    found = score(given, settings, accelerator)
    alone = model.train()(given.feed(rows[:10])).softmax(dim=1)
    assert not np.allclose(found.confidences[:10], alone.max(dim=1).values.detach(), atol=1e-3)
    whole = score(given, train_spec(scoring_stats="batch", batch_size=40), accelerator)
    together = student().train()(given.feed(rows)).softmax(dim=1).max(dim=1).values
    assert np.allclose(whole.confidences, together.detach(), atol=1e-5)


def test_normalising_with_measured_statistics_centres_the_set():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 8, 3)).astype(np.uint8)
    labelled = LabelledImages.of(pixels, np.zeros(9))
    made = Normalisation.measured(labelled)(labelled.images.float().div(255))
    assert torch.allclose(made.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(made.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_statistics_are_those_of_the_set_that_is_fed(train_spec, labelled):
    other = Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    fed = dataclasses.replace(train_spec(normalise="fed_set"), real=other)
    assert fed.normalisation == Normalisation.measured(labelled)
    assert fed.scoring_normalisation == other
    own = dataclasses.replace(train_spec(normalise="train_set"), real=other)
    assert own.scoring_normalisation == own.normalisation == fed.normalisation
