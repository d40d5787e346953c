"""Tables 1 to 5 of MtG for the current recipe, and sources beyond them: one cell a table.

Every run changes one thing of a student from scratch on the same set, so that the cells of stage
`train` are the base of each table. The last table has bases of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial

from synthgap.errors import ParamsError
from synthgap.experiments.runs.cell import Cell, make_cell
from synthgap.experiments.runs.features import donor_view, one_thread
from synthgap.experiments.runs.sources import (
    MIXED,
    ORACLE,
    REAL,
    Source,
    mixed,
    open_source,
    stylised,
)
from synthgap.experiments.runs.spec import Donor, RunSettings, RunSpec, donor_seed
from synthgap.experiments.runs.subsets import subset
from synthgap.experiments.teacher_embeddings import TeacherEmbeddings
from synthgap.jobs import Artifacts, Log
from synthgap.jobs.device import device_of
from synthgap.params.sections import Ablate, Prompts, Teacher, Training
from synthgap.params.students import Subset
from synthgap.seeding import derived_seed
from synthgap.training.batch_samplers import MixtureBatchSampler


@dataclass(frozen=True)
class AblateParams(RunSettings):
    """The sections that stage `ablate` reads; of `teacher`, how it is asked."""

    prompts: Prompts
    teacher: Teacher
    ablate: Ablate


def ablate(params: AblateParams, artifacts: Artifacts, log: Log, *, ablation: str) -> None:
    """Make every run of one table.

    Raises:
        ParamsError: there is no such table.
        SynthgapError: an image set, donor or teacher is missing, or a training cannot go on.
    """
    plans = plans_of(params, artifacts, ablation)
    section = {"ablate": asdict(params.ablate), "teacher": asdict(params.teacher)}
    make_cell(Cell("ablate", (ablation,), section, plans), params, artifacts, log)


def plans_of(params: AblateParams, artifacts: Artifacts, ablation: str) -> list[RunSpec]:
    """The runs of one table; the teacher and the donors are asked here, once for all runs.

    Raises:
        ParamsError: there is no such table.
        SynthgapError: an image set, donor or teacher is missing.
    """
    if ablation not in TABLES:
        raise ParamsError(
            f"params.yaml, grid.ablations: {ablation!r}, expected some of {list(TABLES)}"
        )
    with one_thread():  # the runs are forked from here
        return TABLES[ablation](_Table(params, artifacts, ablation))


@dataclass(frozen=True)
class _Table:
    params: AblateParams
    artifacts: Artifacts
    ablation: str

    @property
    def synthetic(self) -> str:
        """Name of the synthetic set."""
        return self.artifacts.synthetic(self.params.ablate.guidance_scale)

    def open(self, name: str) -> Source:
        return open_source(self.artifacts, name, self.params.data.image_size)

    def donor(self, seed: int) -> Donor:
        """The synthetic donor whose start differs from that of the student of `seed`."""
        seeds = self.params.train.seeds
        return Donor.open(self.artifacts, self.synthetic, donor_seed(seeds, seed))

    def plans(
        self, source: Source, variant: str, training: Training | None = None
    ) -> list[RunSpec]:
        """One run a seed from scratch on `source`, with `training` in place of params.yaml's."""
        generated = any(part.images.kind == "synthetic" for part in source.parts)
        title = " ".join(dict.fromkeys((variant, source.name)))
        return [
            RunSpec(
                name=f"{title} s{seed}",
                seed=seed,
                source=source,
                guidance_scale=self.params.ablate.guidance_scale if generated else None,
                ablation=self.ablation,
                variant=variant,
                training=training,
            )
            for seed in self.params.ablate.seeds
        ]

    def varied(self, names: list[str], variants: Mapping[str, Training]) -> list[RunSpec]:
        """The same for every set and every variant of the training."""
        return [
            plan
            for source in map(self.open, names)
            for variant, training in variants.items()
            for plan in self.plans(source, variant, training)
        ]


def _normalisation(table: _Table) -> list[RunSpec]:
    """Table 1: each set's own statistics, and batch norm in train mode when scoring."""
    base = table.params.training
    variants = {
        "fed_set": replace(base, normalise="fed_set"),
        "batch_stats": replace(base, scoring_stats="batch"),
    }
    return table.varied([REAL, table.synthetic], variants)


def _augmentation(table: _Table) -> list[RunSpec]:
    """Table 2: the policies asked for, but the one that the cells of stage `train` have."""
    base, asked = table.params.training, table.params.ablate.policies
    others = [name for name in asked if name != base.augmentation]
    if not others:
        raise ParamsError(
            f"params.yaml, ablate.policies: {list(asked)}, expected one other than "
            f"training.augmentation ({base.augmentation})"
        )
    variants: dict[str, Training] = {name: replace(base, augmentation=name) for name in others}
    return table.varied([REAL, table.synthetic], variants)


def _stylised(table: _Table) -> list[RunSpec]:
    """Table 3: images in the style of other pictures."""
    sources = [table.open(stylised(name)) for name in (REAL, table.synthetic)]
    return [plan for source in sources for plan in table.plans(source, "stylised")]


def _oracle(table: _Table) -> list[RunSpec]:
    """Table 4: images generated from the embeddings of the real training images."""
    return table.plans(table.open(ORACLE), ORACLE)


def _supervision(table: _Table) -> list[RunSpec]:
    """Table 5: a teacher's embeddings of the synthetic images, alone and beside the labels."""
    base, source = table.params.training, table.open(table.synthetic)
    asked = table.params
    device = device_of(asked.runtime)
    teachers = TeacherEmbeddings(table.artifacts, asked.teacher.prompt, asked.prompts, device)
    distillation = teachers.distillation(source)
    variants = {
        "embeddings": replace(base, supervision="embeddings"),
        "both": replace(base, supervision="both"),
    }
    return [
        replace(plan, distillation=distillation)
        for variant, training in variants.items()
        for plan in table.plans(source, variant, training)
    ]


def _sources(table: _Table) -> list[RunSpec]:
    """Beyond the paper: real and synthetic images together, and which real ones to label."""
    real, synthetic = table.open(REAL), table.open(table.synthetic)
    both = mixed(real, synthetic)
    plans = []
    for share in table.params.ablate.real_shares:
        for plan in table.plans(both, f"{MIXED} {share}"):
            whole = replace(plan, mixture=_mixture(table, share, real, synthetic, plan.seed))
            plans += [whole, _tail(table, whole)]
    for kind in table.params.ablate.subsets:
        plans += [_labelled_share(table, kind, plan) for plan in table.plans(real, kind)]
    return plans


def _tail(table: _Table, plan: RunSpec) -> RunSpec:
    """The same training for the units from `ablate.depth` on, over a frozen synthetic prefix."""
    depth = table.params.ablate.depth
    return replace(
        plan,
        name=f"{plan.variant} n{depth} s{plan.seed}",
        donor=table.donor(plan.seed),
        depth=depth,
        mode="freeze",
        direction=f"synthetic->{MIXED}",
    )


def _labelled_share(table: _Table, kind: Subset, plan: RunSpec) -> RunSpec:
    """A tail over the frozen synthetic prefix, from a share of the real labels that `kind` chose.

    With as many steps as all labels would give.
    """
    params, whole = table.params, len(plan.source.images)
    donor = table.donor(plan.seed)
    kept = subset(
        kind,
        plan.source.images.labels,
        params.ablate.subset_denominator,
        seed=derived_seed(params.seed, "run", plan.seed),
        donor_features=partial(donor_view, donor, params, plan.source.labelled),
    )
    return replace(
        plan,
        name=f"{kind} 1/{params.ablate.subset_denominator} n{params.ablate.depth} s{plan.seed}",
        donor=donor,
        depth=params.ablate.depth,
        mode="freeze",
        arm="prefix",
        denominator=params.ablate.subset_denominator,
        indices=kept,
        steps_per_epoch=whole // min(params.training.batch_size, whole),
        guidance_scale=params.ablate.guidance_scale,
    )


def _mixture(
    table: _Table, share: float, real: Source, synthetic: Source, seed: int
) -> MixtureBatchSampler:
    """`share` of an epoch's images are real; shares 1 and 0 show the pure sets whole."""
    counts = len(real.images), len(synthetic.images)
    return MixtureBatchSampler(
        num_real=counts[0],
        num_synthetic=counts[1],
        real_share=share,
        num_images=round(share * counts[0] + (1 - share) * counts[1]),
        redraw=table.params.ablate.mixing == "epoch",
        seed=derived_seed(table.params.seed, "run", seed),
    )


TABLES: Mapping[str, Callable[[_Table], list[RunSpec]]] = {
    "normalisation": _normalisation,
    "augmentation": _augmentation,
    "stylised": _stylised,
    "oracle": _oracle,
    "supervision": _supervision,
    "sources": _sources,
}
