"""What a method of learning from both kinds of images may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from synthgap.guidance.reference import ReferenceNetwork
from synthgap.params.guidance import Guide
from synthgap.training.batch_samplers import BalancedBatchSampler, BatchSampler, ShuffleBatchSampler
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec


@dataclass(frozen=True)
class MethodContext:
    """What a method may use.

    `train_spec` has the real images first, [0, num_real), then the synthetic ones; all its steps
    are the method's budget. Real labels are -1 for a method that may not have them. `references`
    are frozen networks by name. `fresh` makes a student of the same network with random weights of
    a seed.
    """

    student: nn.Module
    train_spec: TrainSpec
    num_real: int
    num_synthetic: int
    num_classes: int
    guide: Guide
    references: Mapping[str, ReferenceNetwork]
    fresh: Callable[[int], nn.Module]  # another student of the same network, random, by a seed

    def only_real(self) -> TrainSpec:
        """Real images alone."""
        return self._over(ShuffleBatchSampler(0, self.num_real))

    def only_synthetic(self) -> TrainSpec:
        """Synthetic images alone."""
        return self._over(ShuffleBatchSampler(self.num_real, self.num_real + self.num_synthetic))

    def pooled(self) -> TrainSpec:
        """Both, every image as often as any other."""
        return self._over(ShuffleBatchSampler(0, self.num_real + self.num_synthetic))

    def both(self) -> TrainSpec:
        """Both in every batch, `guide.real_share` of it real; synthetic alone where that is all."""
        if not self.num_real:
            return self.only_synthetic()
        return self._over(
            BalancedBatchSampler(self.num_real, self.num_synthetic, self.guide.real_share)
        )

    def split(
        self, first: TrainSpec, second: TrainSpec, share: float
    ) -> tuple[TrainSpec, TrainSpec]:
        """Two train specs one after the other, `share` of the epochs for the second.

        Each has its own schedule, at least one epoch, and no warm-up longer than it is.
        """
        total = self.train_spec.training.epochs
        later = min(max(1, round(share * total)), total - 1)
        return _lasting(first, total - later), _lasting(second, later)

    def _over(self, order: BatchSampler) -> TrainSpec:
        return replace(self.train_spec, order=order)


def _lasting(train_spec: TrainSpec, epochs: int) -> TrainSpec:
    training = train_spec.training
    warmup = min(training.warmup_epochs, epochs - 1)
    last = min(training.last_epochs, epochs)
    return replace(
        train_spec,
        training=replace(training, epochs=epochs, warmup_epochs=warmup, last_epochs=last),
    )


Phases = Callable[[MethodContext], Sequence[Phase]]  # a method: what it does, in order
