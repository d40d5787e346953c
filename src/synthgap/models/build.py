"""Build a student by its timm name."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from synthgap.errors import ParamsError
from synthgap.models.head import CosineClassifier
from synthgap.params.sections import Student
from synthgap.seeding import derived_seed


def build_student(student: Student, num_classes: int, *, seed: int) -> nn.Module:
    """Return a freshly initialised timm model with the chosen head.

    Equal seeds give equal weights; the global random state is left as it was.

    Raises:
        ParamsError: timm knows no such model or refuses the options.
    """
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "student", "init"))
        try:
            options: dict[str, Any] = dict(student.options)
            model = timm.create_model(student.model, num_classes=num_classes, **options)
        except (RuntimeError, TypeError, ValueError) as error:
            known = timm.list_models(f"*{student.model.split('_')[0]}*")[:5]
            raise ParamsError(
                f"params.yaml, student: timm cannot build {student.model!r} with "
                f"{student.options} ({error}); models of that name: {known}"
            ) from error
        if student.head == "cosine":
            _replace_classifier(model, temperature=student.temperature)
    return model


def _replace_classifier(model: nn.Module, *, temperature: float) -> None:
    name = classifier_name(model)
    old = model.get_submodule(name)
    if not isinstance(old, nn.Linear):
        raise ParamsError(
            f"params.yaml, student.head: cosine, but the classifier {name!r} of "
            f"{type(model).__name__} is a {type(old).__name__}; expected a linear layer"
        )
    head = CosineClassifier(old.in_features, old.out_features, temperature=temperature)
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, head)


def classifier_name(model: nn.Module) -> str:
    """Dotted name of a timm model's classifier module, e.g. `fc` or `head.fc`."""
    name = model.pretrained_cfg["classifier"]  # type: ignore[index] # timm's own attribute
    return cast("str", name if isinstance(name, str) else name[0])
