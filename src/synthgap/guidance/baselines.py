"""Baselines that are an ordinary training, or two, and A-GEM (Chaudhry et al., ICLR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.pg_rg import projection_phases
from synthgap.params.guidance import Rg
from synthgap.training.loop import Phase


def real(method_context: MethodContext) -> Sequence[Phase]:
    """The real images alone."""
    return [Phase(method_context.only_real())]


def synthetic(method_context: MethodContext) -> Sequence[Phase]:
    """The synthetic images alone."""
    return [Phase(method_context.only_synthetic())]


def pooled(method_context: MethodContext) -> Sequence[Phase]:
    """Synthetic images as an augmentation of the real ones: one pool of both."""
    return [Phase(method_context.pooled())]


def balanced(method_context: MethodContext) -> Sequence[Phase]:
    """Pooling with `guide.real_share` of every step real, as RG and PG have it; nothing else."""
    return [Phase(method_context.both())]


def adaptation(method_context: MethodContext) -> Sequence[Phase]:
    """Synthetic images first, then the real ones alone (PG/RG: 150 and 50 epochs of 200)."""
    guide = method_context.guide
    first, second = method_context.split(
        method_context.only_synthetic(), method_context.only_real(), guide.adaptation_share
    )
    gently = replace(second.training, base_lr=guide.adaptation_rate * second.training.base_lr)
    return [Phase(first), Phase(replace(second, training=gently))]


A_GEM_PROJECTION = Rg(lambda_1=0.0, lambda_2=1.0, projection="whole")
"""Its eq. 11: the real images, its episodic memory, are a constraint and nothing to follow."""


def a_gem(method_context: MethodContext) -> Sequence[Phase]:
    """Learn the synthetic images by steps that do not raise the loss of the real ones."""
    return projection_phases(method_context, A_GEM_PROJECTION)
