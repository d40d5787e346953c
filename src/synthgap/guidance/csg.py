"""CSG: contrastive synthetic-to-real generalisation (Chen et al., ICLR 2021).

The task's loss, and after each of some units a contrastive one (their eq. 2): of a synthetic image
the student's pooled features should be nearer to the frozen reference's of the same image than to
those of other images. Features are pooled by attention (their section 3.3), the reference's with
the student's weights, and projected by an MLP a unit. So both networks must be one architecture.

Negatives are the other images of the batch, on all processes; theirs come from a queue of 65,536,
whose slowly moving copy of the MLPs is then not needed: keys pass the MLPs themselves, without
gradient. Both networks see the same crop, as theirs do by default. Real images, where there are
some, are pooled in the task's loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import ParamsError
from synthgap.guidance.discriminator import seeded_network
from synthgap.guidance.domains import DomainBatch, DomainRows
from synthgap.guidance.forward import TappedStudent, gather_rows, pooled_loss
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.reference import ReferenceNetwork, denormalised
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.models.activations import UnitMaps
from synthgap.params.references import Csg
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator

PLACE = "params.yaml, guide.csg.units"


def csg(method_context: MethodContext) -> Sequence[Phase]:
    """One training of all images, contrasted on the synthetic ones.

    Raises:
        ParamsError: the reference is of another architecture than the student, or has no such unit.
    """
    params = method_context.guide.csg
    reference = method_context.references[params.reference]
    if not reference.has_architecture_of(method_context.student):
        raise ParamsError(
            f"params.yaml, guide.csg.reference: {params.reference} ({reference.title}) is another "
            f"network than the student ({type(method_context.student).__name__}), expected "
            "the same one, layer by layer; name a reference with model: null"
        )
    UnitMaps(method_context.student, params.units, place=PLACE)

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, accelerator: Accelerator
    ) -> MethodNetworks:
        maps = UnitMaps(student, params.units, place=PLACE)
        widths = channels_of_units(maps, train_spec.training.global_crops.size, accelerator.device)
        heads = seeded_network(
            lambda: projection_heads(widths, params.projection), seed=train_spec.seed
        )
        networks = nn.ModuleDict({"student": student, "heads": heads.to(accelerator.device)})
        contrast = UnitContrast(
            heads, params, ReferenceMaps(reference, params.units, train_spec), accelerator
        )
        return MethodNetworks(networks, [CsgUpdate(networks, train_spec, maps, contrast)])

    return [Phase(method_context.pooled(), update_step(method_networks, method_context.num_real))]


def projection_heads(widths: Sequence[int], projection: int) -> nn.ModuleList:
    """An MLP a unit: as wide as its features, then `projection` values."""
    return nn.ModuleList(
        nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, projection))
        for width in widths
    )


@torch.no_grad()
def channels_of_units(maps: UnitMaps, size_px: int, device: torch.device) -> list[int]:
    """How many channels each unit gives; the student's mode stays as it was."""
    was_training = maps.network.training
    maps.network.eval()
    with maps.watching() as found:
        maps.network(torch.zeros(1, 3, size_px, size_px, device=device))
    maps.network.train(was_training)
    return [part.shape[2] for part in found]


def attention_weights(features: Tensor) -> Tensor:
    """How much each place of (rows, places, channels) is like their mean: (rows, places), sum 1.

    a_i = <v_i, v> / sum_j <v_j, v>, v the mean over places (section 3.3).
    """
    likeness = torch.einsum("npc,nc->np", features, features.mean(dim=1))
    return likeness / likeness.sum(dim=1, keepdim=True).clamp_min(torch.finfo(features.dtype).tiny)


def weighted_pool(weights: Tensor, features: Tensor) -> Tensor:
    """Weighted sum over places, (rows, channels)."""
    return torch.einsum("np,npc->nc", weights, features)


def info_nce(
    queries: Tensor, keys: Tensor, whose: Tensor, same: Tensor, temperature: float
) -> Tensor:
    """Mean over rows of -log of the softmax of cosines over `temperature` at a query's own key.

    `queries` (rows, dim), `keys` (all rows, dim); `whose` (rows,) is the place of a query's own
    key, `same` (rows, all rows) says which keys are of its image: they are no negatives.
    """
    others = same.clone()
    others[torch.arange(len(whose), device=whose.device), whose] = False
    with torch.autocast(queries.device.type, enabled=False):
        similar = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T
        logits = (similar / temperature).masked_fill(others, -torch.inf)
        return functional.cross_entropy(logits, whose)


class ReferenceMaps:
    """The reference's maps of a train spec's crops, without graph and at the student's own size."""

    def __init__(
        self, reference: ReferenceNetwork, units: Sequence[int], train_spec: TrainSpec
    ) -> None:
        self.reference, self.train_spec = reference, train_spec
        self.maps = UnitMaps(reference.network, units, place=PLACE)

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> list[Tensor]:
        """Maps (rows, places, channels) of every unit."""
        with self.maps.watching() as found:
            self.reference.network(self.reference.normalised(denormalised(crops, self.train_spec)))
        return found


class UnitContrast:
    """The contrastive losses of all units."""

    def __init__(
        self, heads: nn.ModuleList, params: Csg, theirs: ReferenceMaps, accelerator: Accelerator
    ) -> None:
        self.heads, self.params, self.theirs = heads, params, theirs
        self.accelerator = accelerator

    def loss(self, maps: Sequence[Tensor], half: DomainRows | None) -> Tensor:
        """The sum over units of the mean over rows, times `weight` and the rows' share; scalar.

        `maps` are the student's, of each unit. A process without rows gives none, but still takes
        part: the others wait for its keys.
        """
        rows, images = self._named(half)
        every = gather_rows(rows, self.accelerator)
        whose = (every[:, 1] == self.accelerator.process_index).nonzero().flatten()
        same = rows[:, :1] == every[:, 0]
        losses = [torch.zeros((), device=rows.device)]
        theirs = self.theirs(images) if len(images) else []
        for number, head in enumerate(self.heads):
            keys = torch.zeros(0, self.params.projection, device=rows.device)
            queries = keys
            if len(images):
                queries, keys = self._projected(head, maps[number], theirs[number])
            keys = gather_rows(keys, self.accelerator)
            if half is not None:
                loss = info_nce(queries, keys, whose, same, self.params.temperature)
                losses.append(self.params.weight * half.share * loss)
        return torch.stack(losses).sum()

    def _named(self, half: DomainRows | None) -> tuple[Tensor, Tensor]:
        """(image, process) of every global crop, int64 (rows, 2), and the crops themselves."""
        device = self.accelerator.device
        if half is None:
            return torch.zeros(0, 2, dtype=torch.int64, device=device), torch.zeros(0)
        crops = half.crops[0]
        images = half.indices.repeat(len(crops) // len(half.indices)).to(device)
        return torch.stack(
            [images, torch.full_like(images, self.accelerator.process_index)], 1
        ), crops

    def _projected(self, head: nn.Module, own: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """Queries with graph and keys without, (rows, projection) each."""
        with torch.autocast(own.device.type, enabled=False):
            own, theirs = own.float(), theirs.float()
            weights = torch.full_like(own[:, :, 0], 1 / own.shape[1])
            if self.params.pooling == "attention":
                weights = attention_weights(own)
            queries: Tensor = head(weighted_pool(weights, own))
            with torch.no_grad():
                keys: Tensor = head(weighted_pool(weights, theirs))
        return queries, keys


class CsgUpdate(SummedGradient):
    """One step down the task's loss and the contrastive ones."""

    def __init__(
        self, networks: nn.ModuleDict, train_spec: TrainSpec, maps: UnitMaps, contrast: UnitContrast
    ) -> None:
        self.tapped = TappedStudent(networks["student"], train_spec.training.running_stats)
        self.maps, self.contrast, self.batch_size = maps, contrast, train_spec.batch_size
        self.parameters = [p for p in networks.parameters() if p.requires_grad]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """One loss over all rows of a part of the batch."""
        with self.maps.watching() as maps:
            pooled = pooled_loss(self.tapped, pair, self.batch_size)
        real = 0 if pair.real is None else len(pair.real.crops[0])  # they stand first
        contrast = self.contrast.loss([part[real:] for part in maps], pair.synthetic)
        yield LossTerm(pooled.loss + contrast, logits=pooled.logits, labels=pooled.labels)
