import pytest
import torch

from synthgap.errors import ParamsError
from synthgap.models.build import timm_model
from synthgap.models.units import unit_flops


def test_resnet50_costs_what_is_published():
    """4.09 billion multiply-adds at 224 px (torchvision's table), of which the stem 118 million."""
    with torch.device("meta"):
        counts = unit_flops(timm_model("resnet50", {}, 1000, place="here"), 224)
    assert round(sum(counts) / 2e9, 2) == 4.09
    assert counts[0] == 2 * 64 * 3 * 7 * 7 * 112 * 112
    assert counts[-1] == 2 * 2048 * 1000
    assert len(counts) == 18


def test_a_size_that_the_model_refuses_is_one_line():
    with torch.device("meta"):
        model = timm_model("vit_tiny_patch16_224", {"depth": 1}, 3, place="here")
        with pytest.raises(ParamsError, match="VisionTransformer: takes no images of 8 px"):
            unit_flops(model, 8)
    assert model.training
