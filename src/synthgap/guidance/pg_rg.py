"""Pretrained and Real Guidance, alone and together (Wang et al., protocol.md 5).

Without RG all rows of a batch pass the student together and make one gradient; with RG real and
synthetic rows pass it apart and make one each. PG adds, for each kind it is asked for, lambda_3
times how far the student's relations between that kind's images are from the reference's. The
images compared are those of one part of the batch on all processes (`training.accumulate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from synthgap.errors import TrainingError
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import (
    StudentOutput,
    TappedStudent,
    cross_entropy,
    gather_rows,
    labels_of_crops,
    pooled_loss,
)
from synthgap.guidance.losses import pairwise_loss, project_gradients
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.reference import ReferenceFunction, feature_function
from synthgap.guidance.updates import (
    Gradient,
    LossTerm,
    MethodNetworks,
    SummedGradient,
    Update,
    update_step,
)
from synthgap.models.units import units_of
from synthgap.params.guidance import Pg, Rg, Similarity
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator

DOMAINS = REAL, SYNTHETIC = "real", "synthetic"  # of images; also the names of their gradients


def pg(method_context: MethodContext) -> Sequence[Phase]:
    """PG on synthetic and on real images of pooled batches."""
    return [_phase(method_context, method_context.both(), followed=(REAL, SYNTHETIC))]


def pg_r(method_context: MethodContext) -> Sequence[Phase]:
    """PG on the real images of pooled batches."""
    return [_phase(method_context, method_context.both(), followed=(REAL,))]


def pg_f(method_context: MethodContext) -> Sequence[Phase]:
    """PG on the synthetic images of pooled batches."""
    return [_phase(method_context, method_context.both(), followed=(SYNTHETIC,))]


def pg_l1(method_context: MethodContext) -> Sequence[Phase]:
    """PG of synthetic images alone, by the L1 distance between relations."""
    return [
        _phase(
            _with_similarity(method_context, "l1"),
            method_context.only_synthetic(),
            followed=(SYNTHETIC,),
        )
    ]


def pg_kl(method_context: MethodContext) -> Sequence[Phase]:
    """PG of synthetic images alone, by the divergence between relations."""
    return [
        _phase(
            _with_similarity(method_context, "kl"),
            method_context.only_synthetic(),
            followed=(SYNTHETIC,),
        )
    ]


def rg(method_context: MethodContext) -> Sequence[Phase]:
    """RG alone."""
    return [_phase(method_context, method_context.both(), rg=method_context.guide.rg)]


def rg_pg_r(method_context: MethodContext) -> Sequence[Phase]:
    """RG, with PG in the loss of the real images."""
    return [
        _phase(method_context, method_context.both(), followed=(REAL,), rg=method_context.guide.rg)
    ]


def rg_pg_f(method_context: MethodContext) -> Sequence[Phase]:
    """RG, with PG in the loss of the synthetic images."""
    return [
        _phase(
            method_context, method_context.both(), followed=(SYNTHETIC,), rg=method_context.guide.rg
        )
    ]


def rg_pg(method_context: MethodContext) -> Sequence[Phase]:
    """RG, with PG in both losses."""
    return [
        _phase(
            method_context,
            method_context.both(),
            followed=(REAL, SYNTHETIC),
            rg=method_context.guide.rg,
        )
    ]


def projection_phases(method_context: MethodContext, train_step: Rg) -> Sequence[Phase]:
    """The projection by a rule of its own, without PG."""
    return [_phase(method_context, method_context.both(), rg=train_step)]


def _with_similarity(method_context: MethodContext, similarity: Similarity) -> MethodContext:
    guide = method_context.guide
    return replace(
        method_context, guide=replace(guide, pg=replace(guide.pg, similarity=similarity))
    )


def _phase(
    method_context: MethodContext,
    train_spec: TrainSpec,
    followed: Sequence[str] = (),
    rg: Rg | None = None,
) -> Phase:
    """One training with PG on the kinds `followed`, and with RG where it is given."""

    def make(student: nn.Module, train_spec: TrainSpec, accelerator: Accelerator) -> MethodNetworks:
        pg = method_context.guide.pg
        tapped = TappedStudent(
            student, train_spec.training.running_stats, pg.tap if followed else None
        )
        following: dict[str, PretrainedGuidance] = {}
        if followed:
            reference = method_context.references[pg.reference]
            embed = feature_function(reference, train_spec, accelerator.device, pg.reference_tap)
            nothing = _empty_features(tapped, embed, train_spec, accelerator.device)
            share = 1 / train_spec.training.accumulate
            following = dict.fromkeys(
                followed, PretrainedGuidance(pg, embed, accelerator, share, nothing)
            )
        update: Update = (
            JointUpdate(trainable_parameters(student), tapped, following, train_spec.batch_size)
            if rg is None
            else SeparateUpdate(
                trainable_parameters(student),
                tapped,
                following,
                rg,
                unit_groups(student, rg),
                train_spec.name,
            )
        )
        return MethodNetworks(nn.ModuleDict({"student": student}), [update])

    return Phase(train_spec, update_step(make, method_context.num_real))


def trainable_parameters(student: nn.Module) -> list[nn.Parameter]:
    """What is not frozen."""
    return [parameter for parameter in student.parameters() if parameter.requires_grad]


def unit_groups(student: nn.Module, rg: Rg) -> list[list[int]] | None:
    """Positions of the moving parameters of each unit that has some; None for the whole."""
    if rg.projection == "whole":
        return None
    names = [name for name, parameter in student.named_parameters() if parameter.requires_grad]
    position = {name: index for index, name in enumerate(names)}
    groups = [
        [position[name] for name in unit.parameters if name in position]
        for unit in units_of(student)
    ]
    return [group for group in groups if group]


@dataclass(frozen=True)
class PretrainedGuidance:
    """PG on one kind of images."""

    pg: Pg
    embed: ReferenceFunction
    accelerator: Accelerator
    share: float  # of a part in a batch
    nothing: tuple[Tensor, Tensor]  # the student's and the reference's features of no image

    def loss(self, output: StudentOutput | None, half: DomainRows | None) -> Tensor:
        """lambda_3 L_pg over the rows of all processes, to be added up over them, scalar.

        Each process has its rows' part of the gradient and of the value. One that has no such row
        still takes part: the others wait for it.
        """
        runner, reference = self.nothing
        if output is not None and half is not None:
            runner, reference = output.features, self.embed(half)
        runner, reference = (gather_rows(rows, self.accelerator) for rows in (runner, reference))
        loss = pairwise_loss(runner, reference, self.pg)
        others: float = 1 - 1 / self.accelerator.num_processes
        return self.pg.weight * self.share * (loss - others * loss.detach())


@dataclass(frozen=True)
class JointUpdate(SummedGradient):
    """All rows in one pass and one gradient: the mean over the batch, and PG."""

    parameters: Sequence[nn.Parameter]
    tapped: TappedStudent
    following: Mapping[str, PretrainedGuidance]
    batch_size: int

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """One loss."""
        pooled = pooled_loss(self.tapped, pair, self.batch_size)
        loss = pooled.loss
        by_kind = {REAL: (pooled.real, pair.real), SYNTHETIC: (pooled.synthetic, pair.synthetic)}
        for kind, following in self.following.items():
            loss = loss + following.loss(*by_kind[kind])
        yield LossTerm(loss, logits=pooled.logits, labels=pooled.labels)


@dataclass(frozen=True)
class SeparateUpdate:
    """Real and synthetic rows in a pass and a gradient each; RG makes one of both."""

    parameters: Sequence[nn.Parameter]
    tapped: TappedStudent
    following: Mapping[str, PretrainedGuidance]
    rg: Rg
    groups: Sequence[Sequence[int]] | None
    name: str  # of the train spec

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """A loss of each kind, also where this process has no row of it.

        Raises:
            TrainingError: batch norm would see one image alone.
        """
        for kind, half in zip(DOMAINS, (pair.real, pair.synthetic), strict=True):
            self._refuse_one_alone(kind, half)
            output = None if half is None else self.tapped(half.crops)
            losses = [_zero_loss(self.parameters or self.tapped.passes.parameters())]
            if kind in self.following:
                losses.append(self.following[kind].loss(output, half))
            if half is None or output is None:
                yield LossTerm(torch.stack(losses).sum(), gradient=kind)
                continue
            losses.append(half.share * cross_entropy(output, half.labels))
            loss, labels = torch.stack(losses).sum(), labels_of_crops(half.labels, output)
            yield LossTerm(loss, gradient=kind, logits=output.logits, labels=labels)

    def combined(self, gradients: Mapping[str, Gradient]) -> Gradient:
        """Project by the gradients of the whole batch."""
        return project_gradients(gradients[REAL], gradients[SYNTHETIC], self.rg, self.groups)

    def _refuse_one_alone(self, kind: str, half: DomainRows | None) -> None:
        modules = self.tapped.passes.modules()
        if half is None or len(half.labels) > 1 or not any(_learns_statistics(m) for m in modules):
            return
        raise TrainingError(
            f"{self.name}: 1 {kind} image in a part of a batch, expected at least 2 of each kind, "
            "since RG shows a student with batch norm one kind at a time; bring guide.real_share "
            "nearer to 0.5, raise training.batch_size or lower training.accumulate"
        )


def _learns_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.training


def _zero_loss(parameters: Iterable[nn.Parameter]) -> Tensor:
    """A loss of 0 that has a gradient where anything does."""
    return 0 * next(iter(parameters)).flatten()[0]


def _empty_features(
    tapped: TappedStudent, embed: ReferenceFunction, train_spec: TrainSpec, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Features of no image, as wide as those of one; the student's mode stays as it was."""
    size, student = train_spec.training.global_crops.size, tapped.passes.student
    was_training = student.training
    student.eval()
    first = torch.zeros(1, dtype=torch.int64)
    blank = DomainRows([torch.zeros(1, 3, size, size, device=device)], first, first, share=1.0)
    with torch.no_grad():
        features = tapped(blank.crops).features, embed(blank)
    student.train(was_training)
    return features[0][:0], features[1][:0]
