import pytest
import torch

from synthgap.errors import ParamsError
from synthgap.models.activations import (
    UnitMaps,
    flatten_positions,
    penultimate_features,
    unit_activations,
)
from synthgap.models.build import build_student
from synthgap.params.students import Student

RESNET = Student(
    "resnet10t", {"channels": (8, 8, 8, 16), "stem_width": 8}, "imagenet", "random", None, "linear",
    1.0,
)  # fmt: skip
VIT = Student(
    "vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    "imagenet", "random", None, "linear", 1.0,
)  # fmt: skip
TINY_VIT = Student(
    "tiny_vit_5m_224",
    {"embed_dims": (8, 16, 24, 32), "depths": (1, 2, 1, 1), "num_heads": (1, 2, 3, 4),
     "window_sizes": (4, 4, 4, 4)},
    "imagenet", "random", None, "linear", 1.0,
)  # fmt: skip


def test_maps_are_what_stands_after_the_units_and_the_last_one_s_mean_is_the_features():
    network = build_student(RESNET, 3, seed=1).eval()
    images = torch.randn(2, 3, 64, 64)
    with UnitMaps(network, (2, 5), place="here").watching() as found:
        features, _ = penultimate_features(network, images)
    between = unit_activations(network, images)[1]
    torch.testing.assert_close(found[0], flatten_positions(between))
    assert found[1].shape == (2, 4, 16)
    torch.testing.assert_close(found[1].mean(dim=1), features)


def test_the_first_pass_counts_and_has_a_graph():
    network = build_student(RESNET, 3, seed=1)
    first, second = torch.randn(2, 3, 64, 64), torch.randn(6, 3, 32, 32)
    with UnitMaps(network, (4,), place="here").watching() as found:
        network(first)
        network(second)
    assert len(found) == 1
    assert found[0].shape[0] == 2
    assert found[0].requires_grad


def test_tokens_are_places():
    network = build_student(VIT, 3, seed=1)
    with UnitMaps(network, (2, 3), place="here").watching() as found:
        network(torch.randn(2, 3, 16, 16))
    assert [tuple(part.shape) for part in found] == [(2, 5, 12)] * 2


def test_maps_whose_channels_stand_last_are_seen_as_such():
    network = build_student(TINY_VIT, 3, seed=1).eval()
    with torch.no_grad(), UnitMaps(network, (2, 5), place="here").watching() as found:
        network(torch.randn(2, 3, 64, 64))
    assert [tuple(part.shape) for part in found] == [(2, 256, 8), (2, 64, 16)]
    maps = torch.randn(2, 3, 3, 5)
    torch.testing.assert_close(flatten_positions(maps), flatten_positions(maps.permute(0, 3, 1, 2)))


def test_a_unit_that_is_not_there_is_refused():
    network = build_student(RESNET, 3, seed=1)
    with pytest.raises(ParamsError, match=r"here: \[0, 6\], expected 1 to 5: ResNet has 6 units"):
        UnitMaps(network, (0, 3, 6), place="here")
