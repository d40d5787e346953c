"""What a method of learning from both kinds of images is given, and what it says to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from synthgap.guidance.reference import Reference
from synthgap.params.guidance import Guide
from synthgap.training.lesson import Lesson
from synthgap.training.order import Halves, Order, Stretch
from synthgap.training.phases import Phase


@dataclass(frozen=True)
class Task:
    """What a method may use.

    `lesson` has the real images first, [0, num_real), then the synthetic ones; all its steps are
    the method's budget. Real labels are -1 for a method that may not have them. `references` are
    frozen networks by name. `fresh` makes a student of the same network with random weights of a
    seed.
    """

    student: nn.Module
    lesson: Lesson
    num_real: int
    num_synthetic: int
    num_classes: int
    guide: Guide
    references: Mapping[str, Reference]
    fresh: Callable[[int], nn.Module]  # another student of the same network, random, by a seed

    def only_real(self) -> Lesson:
        """Real images alone."""
        return self._over(Stretch(0, self.num_real))

    def only_synthetic(self) -> Lesson:
        """Synthetic images alone."""
        return self._over(Stretch(self.num_real, self.num_real + self.num_synthetic))

    def pooled(self) -> Lesson:
        """Both, every image as often as any other."""
        return self._over(Stretch(0, self.num_real + self.num_synthetic))

    def both(self) -> Lesson:
        """Both in every batch, `guide.real_share` of it real; synthetic alone where that is all."""
        if not self.num_real:
            return self.only_synthetic()
        return self._over(Halves(self.num_real, self.num_synthetic, self.guide.real_share))

    def split(self, first: Lesson, second: Lesson, share: float) -> tuple[Lesson, Lesson]:
        """Two lessons one after the other, `share` of the epochs for the second.

        Each has its own schedule, at least one epoch, and no warm-up longer than it is.
        """
        total = self.lesson.training.epochs
        later = min(max(1, round(share * total)), total - 1)
        return _lasting(first, total - later), _lasting(second, later)

    def _over(self, order: Order) -> Lesson:
        return replace(self.lesson, order=order)


def _lasting(lesson: Lesson, epochs: int) -> Lesson:
    training = lesson.training
    warmup = min(training.warmup_epochs, epochs - 1)
    last = min(training.last_epochs, epochs)
    return replace(
        lesson,
        training=replace(training, epochs=epochs, warmup_epochs=warmup, last_epochs=last),
    )


Phases = Callable[[Task], Sequence[Phase]]  # a method: what it does, in order
