import numpy as np
import pytest
import torch

from synthgap.training.labelled import Labelled, Normalisation, batches
from synthgap.training.scoring import SCORING_BATCH, score, summarise


def test_scores_of_a_known_table():
    logits = torch.eye(7)[[0, 1, 2, 3]] * 5
    made = summarise(logits, torch.tensor([0, 1, 2, 2]))
    assert made.top1 == 75
    assert made.balanced == pytest.approx(100 * (1 + 1 + 0.5) / 3)
    assert made.predictions.tolist() == [0, 1, 2, 3]


def test_no_images_have_no_score():
    with pytest.raises(ValueError, match="no images"):
        summarise(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


def test_the_last_batch_counts_by_its_size():
    count = SCORING_BATCH + 8
    labelled = Labelled.of(np.zeros((count, 8, 8, 3), np.uint8), np.zeros(count, np.int64))

    class Whole(torch.nn.Module):
        def forward(self, images):
            wrong = len(images) != SCORING_BATCH
            return torch.tensor([[0.0, 1.0]] if wrong else [[1.0, 0.0]]).repeat(len(images), 1)

    model = Whole().train()
    made = score(model, labelled, normalise=Normalisation.imagenet(), size_px=8)
    assert made.top1 == pytest.approx(100 * SCORING_BATCH / count)
    assert model.training


def test_normalising_with_measured_statistics_centres_the_set():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 8, 3)).astype(np.uint8)
    labelled = Labelled.of(pixels, np.zeros(9))
    made = Normalisation.measured(labelled)(labelled.images.float().div(255))
    assert torch.allclose(made.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(made.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_batches_cover_an_epoch_once_and_go_on_when_asked():
    once = torch.cat(list(batches(20, 5, num_steps=4, seed=1, epoch=1)))
    assert sorted(once.tolist()) == list(range(20))
    longer = list(batches(20, 6, num_steps=10, seed=1, epoch=1))
    assert [len(batch) for batch in longer] == [6] * 10
    other = torch.cat(list(batches(20, 5, num_steps=4, seed=1, epoch=2)))
    assert not torch.equal(once, other)
