from dataclasses import replace

import pytest
import torch

from synthgap.errors import ParamsError
from synthgap.models.activations import unit_activations
from synthgap.models.build import build_student
from synthgap.params.students import Student

RESNET = Student("resnet18", {"channels": (8, 8, 8, 8)}, "imagenet", "random", None, "linear", 0.1)


def test_a_small_stem_keeps_the_resolution_of_small_images():
    small = unit_activations(
        build_student(replace(RESNET, stem="small"), 3, seed=1), torch.zeros(1, 3, 32, 32)
    )
    stock = unit_activations(build_student(RESNET, 3, seed=1), torch.zeros(1, 3, 32, 32))
    assert small[0].shape == (1, 64, 32, 32)
    assert stock[0].shape == (1, 64, 8, 8)


@pytest.mark.parametrize("model", ["resnet10t", "seresnet50", "resnext50_32x4d"])
def test_any_resnet_has_a_small_stem(model):
    with torch.device("meta"):
        built = build_student(replace(RESNET, model=model, options={}, stem="small"), 3, seed=1)
        assert built(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    assert built.conv1.weight.shape[2:] == (3, 3)


def test_a_small_stem_changes_no_other_weight():
    stock = build_student(RESNET, 3, seed=1).state_dict()
    small = build_student(replace(RESNET, stem="small"), 3, seed=1).state_dict()
    assert [name for name in stock if not torch.equal(stock[name], small[name])] == ["conv1.weight"]


def test_a_small_stem_elsewhere_is_refused():
    student = replace(RESNET, model="convnext_atto", options={}, stem="small")
    with pytest.raises(ParamsError, match="stem: small, but ConvNeXt is no ResNet"):
        build_student(student, 3, seed=1)


def test_an_unknown_model_is_refused_with_its_likes():
    with pytest.raises(ParamsError, match=r"resnet10x.*models of that name: .*resnet10t"):
        build_student(replace(RESNET, model="resnet10x"), 3, seed=1)


def test_a_model_is_never_fetched_by_its_name():
    with pytest.raises(ParamsError, match="timm knows no 'hf-hub:owner/model'"):
        build_student(replace(RESNET, model="hf-hub:owner/model"), 3, seed=1)


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ({"widths": 3}, "unexpected keyword argument 'widths'"),
        ({"channels": 3}, "timm cannot build 'resnet18'"),
        ({"num_classes": 3}, "num_classes"),
    ],
)
def test_refused_options_are_one_line(options, output):
    with pytest.raises(ParamsError, match=output) as refused:
        build_student(replace(RESNET, options=options), 3, seed=1)
    assert "\n" not in str(refused.value)


def test_a_cosine_head_over_a_convolution_is_refused():
    student = replace(RESNET, model="dla34", options={}, head="cosine")
    with torch.device("meta"), pytest.raises(ParamsError, match="'fc' of DLA is a Conv2d"):
        build_student(student, 3, seed=1)


def test_transformers_may_keep_to_one_size():
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 3}
    student = replace(RESNET, model="vit_tiny_patch16_224", options=options)
    strict = replace(student, options={**options, "dynamic_img_size": False})
    assert build_student(student, 3, seed=1)(torch.zeros(1, 3, 16, 16)).shape == (1, 3)
    with pytest.raises(AssertionError, match="Input height"):
        build_student(strict, 3, seed=1)(torch.zeros(1, 3, 16, 16))
