import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from synthgap.training.colour import rotate_hue


@pytest.mark.parametrize("turn", [-0.5, -0.4, -0.1, 0.0, 0.1, 1 / 6, 0.3, 0.5])
def test_hue_is_torchvisions(turn):
    images = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    ours = rotate_hue(images, torch.full((6,), turn))
    assert torch.allclose(ours, reference.adjust_hue(images, turn), atol=1e-4)


def test_each_sample_has_its_own_turn():
    images = torch.rand(1, 3, 4, 4).expand(3, -1, -1, -1)
    turns = torch.tensor([0.1, -0.2, 0.0])
    made = rotate_hue(images, turns)
    for image, own, turn in zip(images, made, turns.tolist(), strict=True):
        assert torch.allclose(own, reference.adjust_hue(image, turn), atol=1e-4)


def test_pure_colours_turn_into_each_other_and_greys_stay():
    red, green, blue, gray = (
        torch.eye(3)[0],
        torch.eye(3)[1],
        torch.eye(3)[2],
        torch.full((3,), 0.4),
    )
    images = torch.stack([red, green, blue, gray])[:, :, None, None].expand(-1, -1, 2, 2)
    made = rotate_hue(images, torch.full((4,), 1 / 3))
    for row, wanted in enumerate((green, blue, red, gray)):
        assert torch.allclose(made[row, :, 0, 0], wanted, atol=1e-5)
