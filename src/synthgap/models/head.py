"""The classifier on top: where it is, and the one of FITYMI and MtG (appendix F.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import ParamsError


class CosineClassifier(nn.Module):
    """logits = normalize(features) @ normalize(weight).T / temperature, without bias."""

    def __init__(self, in_features: int, out_features: int, *, temperature: float) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.temperature = temperature
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # what nn.Linear does

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, in_features) to logits (batch, out_features) in +-1/temperature."""
        weight = functional.normalize(self.weight, dim=1)
        return functional.linear(functional.normalize(features, dim=1), weight) / self.temperature


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Dotted names of a timm model's classifiers: one, or a distilled model's two."""
    names = model.pretrained_cfg["classifier"]  # type: ignore[index] # timm's own attribute
    return (names,) if isinstance(names, str) else tuple(names)


def classifier_name(model: nn.Module) -> str:
    """Dotted name of a timm model's (first) classifier module, e.g. `fc` or `head.fc`."""
    return classifier_names(model)[0]


def use_cosine(model: nn.Module, *, temperature: float, place: str) -> None:
    """Put a cosine classifier, freshly drawn from the global state, in place of each linear one.

    Raises:
        ParamsError: a classifier is not a linear layer.
    """
    for name in classifier_names(model):
        old = model.get_submodule(name)
        if not isinstance(old, nn.Linear):
            raise ParamsError(
                f"{place}, head: cosine, but the classifier {name!r} of "
                f"{type(model).__name__} is a {type(old).__name__}; expected a linear layer, "
                "set head: linear or choose another model"
            )
        head = CosineClassifier(old.in_features, old.out_features, temperature=temperature)
        model.set_submodule(name, head)


class ProjectionHead(nn.Module):
    """outputs = normalize(MLP(features)) / temperature (SimCLR, Chen et al. 2020, section 2.1).

    Two linear layers with a ReLU between them; scaled as logits of a cosine classifier are.
    """

    def __init__(self, in_features: int, out_features: int, *, temperature: float) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.temperature = temperature
        self.hidden = nn.Linear(in_features, in_features)
        self.projection = nn.Linear(in_features, out_features)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, in_features) to (batch, out_features) of length 1/temperature."""
        projected = self.projection(functional.relu(self.hidden(features)))
        return functional.normalize(projected.float(), dim=1) / self.temperature


def use_projection(model: nn.Module, outputs: int, *, temperature: float, place: str) -> None:
    """Put a head, freshly drawn from the global state, in place of each linear classifier.

    Raises:
        ParamsError: a classifier is not a linear layer.
    """
    for name in classifier_names(model):
        old = model.get_submodule(name)
        if not isinstance(old, nn.Linear):
            raise ParamsError(
                f"{place}: contrastive, but the classifier {name!r} of {type(model).__name__} is "
                f"a {type(old).__name__}; expected a linear layer, choose another model or rotation"
            )
        head = ProjectionHead(old.in_features, outputs, temperature=temperature)
        model.set_submodule(name, head)
