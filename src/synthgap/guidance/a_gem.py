"""A-GEM (Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from synthgap.guidance.guided import projected
from synthgap.guidance.task import Task
from synthgap.params.guidance_losses import Rg
from synthgap.training.phases import Phase

RULE = Rg(lambda_1=0.0, lambda_2=1.0, projection="whole")
"""Its eq. 11: the real images, its episodic memory, are a constraint and nothing to follow."""


def a_gem(task: Task) -> Sequence[Phase]:
    """Learn the synthetic images by steps that do not raise the loss of the real ones."""
    return projected(task, RULE)
