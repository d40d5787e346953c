import pytest
import torch
from torch.nn import functional

from synthgap.training.losses import (
    Targets,
    embedding_distance,
    jensen_shannon,
    supervised_loss,
)

LABELS = torch.tensor([0, 2, 1, 1])


@pytest.fixture
def logits():
    return torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_every_crop_counts_the_same(logits, training):
    found = supervised_loss(logits, None, Targets(LABELS), training())
    each = [functional.cross_entropy(logits[i], LABELS[i % 4]) for i in range(12)]
    assert found == pytest.approx(float(torch.stack(each).mean()))


def test_views_that_agree_diverge_by_nothing_and_others_by_less_than_log_3(logits):
    assert float(jensen_shannon([logits] * 3)) == pytest.approx(0, abs=1e-12)
    far = [1000 * torch.eye(3, dtype=torch.float64)[[i]] for i in range(3)]
    assert float(jensen_shannon(far)) == pytest.approx(float(torch.log(torch.tensor(3.0))))


def test_augmix_asks_the_clean_view_for_labels_and_all_for_consistency(logits, training):
    import dataclasses

    plain = training(augmentation="augmix")
    settings = dataclasses.replace(plain, augmix=dataclasses.replace(plain.augmix, jsd_weight=12.0))
    found = supervised_loss(logits, None, Targets(LABELS), settings)
    clean = functional.cross_entropy(logits[:4], LABELS)
    assert found == pytest.approx(float(clean + 12 * jensen_shannon(logits.chunk(3))))


def test_the_teacher_pulls_by_distance_not_by_its_square(training):
    mine = torch.zeros(4, 2, requires_grad=True)
    wanted = torch.tensor([[3.0, 4.0]] * 2)
    targets = Targets(torch.tensor([0, 1]), wanted)
    only = training(supervision="embeddings")
    found = supervised_loss(torch.zeros(4, 3), mine, targets, only)
    assert found.item() == pytest.approx(5)
    both = training(supervision="both", embedding_weight=2.0)
    found = supervised_loss(torch.zeros(4, 3), mine, targets, both)
    assert found.item() == pytest.approx(float(torch.log(torch.tensor(3.0))) + 10)
    (pull,) = torch.autograd.grad(embedding_distance(mine, targets.tiled(4).embeddings), mine)
    assert torch.allclose(pull.norm(dim=1), torch.full((4,), 0.25))
