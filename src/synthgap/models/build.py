"""A stem for small images."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from synthgap.errors import ParamsError
from synthgap.models.head import classifier_name, classifier_names, use_cosine
from synthgap.models.initial_weights import (
    initial_weights_file,
    load_initial_weights,
    read_initial_state,
)
from synthgap.params.students import Student
from synthgap.seeding import derived_seed

SMALL_STEM = ("conv1", "bn1")
"""The modules before a ResNet's first block, which another stem has in another shape."""


def use_small_stem(model: nn.Module, *, place: str) -> None:
    """Give a ResNet a 3x3 convolution of stride 1 for a stem, and no pooling (He et al. 2016, 4.2).

    Freshly drawn from the global state as timm draws its own.

    Raises:
        ParamsError: the model is no ResNet of timm's.
    """
    from timm.models.resnet import ResNet

    if not isinstance(model, ResNet):
        raise ParamsError(
            f"{place}, stem: small, but {type(model).__name__} is no ResNet; "
            "set stem: imagenet, or choose a model like resnet18 or resnet50"
        )
    channels = model.get_submodule("bn1").num_features
    assert isinstance(channels, int)
    conv = nn.Conv2d(3, channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule("conv1", conv)
    model.set_submodule("maxpool", nn.Identity())


__all__ = ["TIMM_ERRORS", "build_student", "classifier_name", "timm_model"]

ANY_SIZE_OPTIONS: tuple[dict[str, bool], ...] = (
    {"dynamic_img_size": True},
    {"strict_img_size": False},
    {},
)
"""What lets a family of transformers take crops of another size; the first it knows is used."""

TIMM_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What timm raises on a name, an option or a size that it cannot do."""


def build_student(
    student: Student, num_classes: int, *, seed: int, place: str = "params.yaml, student"
) -> nn.Module:
    """Return a timm model with the chosen stem, start and head; its classifier is always fresh.

    Equal seeds give equal weights; the global random state is left as it was. `place` is where the
    student was asked for, as messages say it.

    Raises:
        ParamsError: timm knows no such model, refuses the options, or cannot fetch its weights.
        CheckpointError: the file to start from is not of this network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "student", "init"))
        model = timm_model(student.model, student.options, num_classes, place=place)
        if student.head == "cosine":
            use_cosine(model, temperature=student.temperature, place=place)
        if student.stem == "small":
            use_small_stem(model, place=place)
        path = initial_weights_file(student)
        if path is not None:
            state = read_initial_state(student, path)
            load_initial_weights(
                model, state, fresh=_fresh_modules(model, student), place=str(path)
            )
    return model


def timm_model(name: str, options: Mapping[str, Any], num_classes: int, *, place: str) -> nn.Module:
    """Return timm's own model, drawn from the global random state.

    Transformers are told to take images of any size, unless `options` say otherwise.

    Raises:
        ParamsError: timm knows no such model or refuses the options.
    """
    import timm

    if not timm.is_model(name.partition(".")[0]):
        raise ParamsError(
            f"{place}: timm knows no {name!r}; expected one of its names, models of that "
            f"name: {_similar_names(name)}"
        )
    state = torch.get_rng_state()
    for flexible in ANY_SIZE_OPTIONS:
        torch.set_rng_state(state)
        try:
            model: nn.Module = timm.create_model(
                name, num_classes=num_classes, **{**flexible, **options}
            )
        except TIMM_ERRORS as error:
            if any(option in str(error) for option in flexible.keys() - options.keys()):
                continue
            reason = " ".join(str(error).split())
            raise ParamsError(
                f"{place}: timm cannot build {name!r} with options {dict(options)} "
                f"({reason:.200}); correct the options"
            ) from error
        return model
    raise AssertionError("the last of ANY_SIZE asks for nothing")


def _fresh_modules(model: nn.Module, student: Student) -> tuple[str, ...]:
    """What never comes from elsewhere: the classifier, and a small stem under timm's weights."""
    other_stem = student.stem == "small" and student.init == "pretrained"
    return (*classifier_names(model), *(SMALL_STEM if other_stem else ()))


def _similar_names(name: str) -> str:
    import timm

    close = get_close_matches(name, timm.list_models(), n=5)
    return ", ".join(close or timm.list_models(f"*{name.split('_')[0]}*")[:5]) or "none"
