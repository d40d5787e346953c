"""The head of a contrastive pretext: an MLP in place of a network's classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import ParamsError
from synthgap.models.head import classifier_names


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
