"""The classifier of FITYMI and MtG (appendix F.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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
