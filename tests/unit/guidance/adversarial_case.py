"""The small task of `guided_case` with the adversarial methods' parameters."""

from __future__ import annotations

from dataclasses import replace

import guided_case
import torch

from synthgap.params.guidance import Adda, Dada, Dann, Ltda

PARAMS = {
    "dann": Dann((8,), 10.0, 0.5, 0.5),
    "adda": Adda((8,), 0.1, 0.2),
    "dada": Dada(10.0, 1.0, 0.1),
    "ltda": Ltda(0.9, 0.5, 2.0, 0.3),
}


def method_context(*, real_share=0.5, labels=True, **changed):
    """Parameters of methods by their names, else of the training."""
    own = {name: changed.pop(name) for name in list(changed) if name in PARAMS}
    given = guided_case.method_context(real_share=real_share, **{"epochs": 2, **changed})
    given = replace(given, guide=replace(given.guide, **{**PARAMS, **own}))
    return given if labels else hidden(given)


def hidden(given):
    """The same without labels of real images."""
    images = given.train_spec.images
    labels = images.labels.clone()
    labels[: given.num_real] = -1
    return replace(
        given, train_spec=replace(given.train_spec, images=replace(images, labels=labels))
    )


def relabelled(given):
    """The same with other labels of real images."""
    images = given.train_spec.images
    labels = images.labels.clone()
    labels[: given.num_real] = 1 - labels[: given.num_real]
    return replace(
        given, train_spec=replace(given.train_spec, images=replace(images, labels=labels))
    )


def rows(count, size, seed=0):
    """Features or logits with a graph, float64."""
    drawn = torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()
    return drawn.requires_grad_()


def gradient(loss, *of):
    return torch.autograd.grad(loss, of)
