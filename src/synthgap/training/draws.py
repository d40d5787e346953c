"""What chance decided for a batch: drawn once, cut into rows, applied without a generator."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Tensors (batch, ...), one row a sample, on the CPU: what to do to whom is known to Python.

    So a GPU never waits for an answer of its own, and processes that draw alike for the whole
    batch can each apply their own rows.
    """

    def rows(self, indices: Tensor) -> Self:
        """Keep the part that belongs to the samples `indices` (kept,) of the batch."""
        return type(self)(**{field.name: self._part(field.name, indices) for field in fields(self)})

    def _part(self, name: str, indices: Tensor) -> Tensor | Draws | None:
        drawn = getattr(self, name)
        if drawn is None:
            return None
        if isinstance(drawn, Draws):
            return drawn.rows(indices)
        assert isinstance(drawn, Tensor)
        return drawn[indices]


def crop_major(drawn: Tensor) -> Tensor:
    """Turn (batch, count, ...) into (count * batch, ...): crop c of sample i at c * batch + i."""
    return drawn.transpose(0, 1).flatten(0, 1)
