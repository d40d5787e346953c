"""Forward passes of a student over crops, and the pooled loss over both domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.models.activations import flatten_positions, tapped_module
from synthgap.training.supervised_step import MultiCropForward

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class StudentOutput:
    """Logits (crops, num_classes) of all crops; features (rows of crops[0], dim), with graph."""

    logits: Tensor
    features: Tensor


class TappedStudent:
    """A student over all sizes of crops, tapped after `units` of its units; None: penultimate."""

    def __init__(
        self,
        student: nn.Module,
        running_stats: Literal["all_crops", "global_crops"],
        units: int | None = None,
    ) -> None:
        """Find the module that receives what the tap gives.

        Raises:
            ParamsError: the student has no such unit.
        """
        self.passes = MultiCropForward(student, running_stats)
        self.module = tapped_module(student, units)

    def __call__(self, crops: list[Tensor]) -> StudentOutput:
        """Pass normalised crops, as a `DomainRows` has them."""
        received: list[Tensor] = []

        def keep(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if not received:  # the first pass is that of the global crops
                received.append(pool_places(arguments[0]))

        handle = self.module.register_forward_pre_hook(keep)
        try:
            logits = self.passes(crops)[0]
        finally:
            handle.remove()
        return StudentOutput(logits.float(), received[0].float())


def forward_domains(
    tapped: TappedStudent, pair: DomainBatch
) -> tuple[StudentOutput | None, StudentOutput | None]:
    """A student's outputs for the real and the synthetic rows, passed as one batch.

    So batch norm sees both kinds at once, whose running statistics are those that score.
    """
    real, synthetic = pair.real, pair.synthetic
    if real is None or synthetic is None:
        return _forward_rows(tapped, real), _forward_rows(tapped, synthetic)
    groups = list(zip(real.crops, synthetic.crops, strict=True))
    output = tapped([torch.cat(group) for group in groups])
    logits = torch.split(output.logits, [len(crops) for group in groups for crops in group])
    features = torch.split(output.features, [len(crops) for crops in groups[0]])
    return (
        StudentOutput(torch.cat(logits[0::2]), features[0]),
        StudentOutput(torch.cat(logits[1::2]), features[1]),
    )


def _forward_rows(tapped: TappedStudent, half: DomainRows | None) -> StudentOutput | None:
    return None if half is None else tapped(half.crops)


def pool_places(features: Tensor | Sequence[Tensor]) -> Tensor:
    """Mean over places, (rows, dim), of maps or tokens; of several, as in a DenseNet, all dims."""
    if isinstance(features, list | tuple):
        return torch.cat([pool_places(part) for part in features], dim=1)
    assert isinstance(features, Tensor)
    return features if features.ndim == 2 else flatten_positions(features).mean(dim=1)


def cross_entropy(output: StudentOutput, labels: Tensor) -> Tensor:
    """Mean over all crops with equal weight, labels (rows,) repeated for them."""
    return functional.cross_entropy(output.logits, labels_of_crops(labels, output))


def labels_of_crops(labels: Tensor, output: StudentOutput) -> Tensor:
    """Labels (crops,) of all crops of rows with labels (rows,)."""
    return labels.repeat(len(output.logits) // len(labels))


def gather_rows(features: Tensor, accelerator: Accelerator) -> Tensor:
    """Rows of all processes in their order: own ones with graph, the others' without.

    So a loss over all rows gives each process its own part of the gradient, and the parts add up.

    `features`: (rows, dim) of this process; the result has the rows of all, (all_rows, dim).
    """
    if accelerator.num_processes == 1:
        return features
    counts = accelerator.gather(torch.tensor([len(features)], device=features.device)).tolist()
    longest = max(counts)
    padded = functional.pad(features.detach(), (0, 0, 0, longest - len(features)))
    every = accelerator.gather(padded).split(longest)
    parts = [part[:count] for part, count in zip(every, counts, strict=True)]
    parts[accelerator.process_index] = features
    return torch.cat(parts)


@dataclass(frozen=True)
class PooledLoss:
    """A part's loss, and the student's outputs for its rows.

    `loss` counts these rows among those of the whole batch, so that losses of all parts and
    processes add up to the mean over the batch. `logits` and `labels` are of all crops.
    """

    loss: Tensor
    logits: Tensor
    labels: Tensor
    real: StudentOutput | None
    synthetic: StudentOutput | None


def pooled_loss(tapped: TappedStudent, pair: DomainBatch, batch_size: int) -> PooledLoss:
    """Pass all rows together: cross-entropy with equal weight of every crop."""
    outputs = forward_domains(tapped, pair)
    losses, logits, labels = [], [], []
    for half, output in zip((pair.real, pair.synthetic), outputs, strict=True):
        if half is not None and output is not None:
            losses.append(len(half.labels) / batch_size * cross_entropy(output, half.labels))
            logits.append(output.logits)
            labels.append(labels_of_crops(half.labels, output))
    return PooledLoss(torch.stack(losses).sum(), torch.cat(logits), torch.cat(labels), *outputs)
