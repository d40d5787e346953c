"""A student with a second teacher: its features projected to CLIP's embeddings (MtG eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.models.build import classifier_name
from synthgap.seeding import derived_seed


class DistilledStudent(nn.Module):
    """Gives (logits (batch, num_classes), embeddings (batch, dim)).

    With `anchors` (num_classes, dim), the embeddings of the class names, logits are the cosines to
    them over `temperature`, and the student's own classifier takes no part (L2 loss only).
    """

    anchors: Tensor | None

    def __init__(
        self,
        student: nn.Module,
        dim: int,
        *,
        anchors: Tensor | None,
        temperature: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.student = student
        self.temperature = temperature
        classifier = student.get_submodule(classifier_name(student))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "projection", "init"))
            self.projection = nn.Linear(_in_features(classifier), dim)
        if anchors is not None:
            classifier.requires_grad_(requires_grad=False)
            anchors = functional.normalize(anchors, dim=1)
        self.register_buffer("anchors", anchors, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map normalised (batch, 3, height, width) images."""
        student = self.student
        maps = student.forward_features(images)  # type: ignore[operator] # timm's own methods
        features: Tensor = student.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        embeddings: Tensor = self.projection(features)
        if self.anchors is not None:
            cosines = functional.normalize(embeddings, dim=1) @ self.anchors.T
            return cosines / self.temperature, embeddings
        logits: Tensor = student.get_submodule(classifier_name(student))(features)
        return logits, embeddings


def _in_features(classifier: nn.Module) -> int:
    count = classifier.in_features
    assert isinstance(count, int)
    return count
