"""What the runs of a study's trials are made with: stage `guide`'s table, without its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from synthgap.experiments.guide import GuideParams, ProtocolRuns, check_given, references_asked
from synthgap.experiments.references.opened import OpenedReferences
from synthgap.experiments.runs.run import RunContext, student_of, train_spec_of
from synthgap.experiments.runs.sources import Source
from synthgap.experiments.runs.spec import RunSpec
from synthgap.jobs import Artifacts, silent
from synthgap.jobs.device import device_of
from synthgap.jobs.distributed import accelerator_of
from synthgap.params.guidance import MethodName
from synthgap.params.sections import Params
from synthgap.training.checkpointing import EpochResult
from synthgap.training.labelled_images import Normalisation
from synthgap.training.loop import fit_phases


@dataclass(frozen=True)
class TrialContext:
    """Makes runs of one method under one protocol; references are opened once."""

    artifacts: Artifacts
    protocol: str
    method: MethodName
    real: Source
    _opened: dict[tuple[str, ...], OpenedReferences] = field(
        default_factory=dict, init=False, repr=False
    )

    def run(self, params: Params, synthetic: Source, *, seed: int, share: float) -> RunSpec:
        """The run of a seed; a ratio of synthetic to real images shrinks by the set's share.

        Raises:
            ParamsError: the method is given too little.
            CheckpointError: a reference is missing or damaged.
        """
        protocol = params.protocols[self.protocol]
        check_given(self.protocol, protocol, self.method)
        if protocol.synthetic_ratio is not None:
            protocol = replace(protocol, synthetic_ratio=share * protocol.synthetic_ratio)
        sections = replace(_sections(params), protocols={self.protocol: protocol})
        guides = self._guides(params)
        table = ProtocolRuns(sections, self.artifacts, self.protocol, self.real, synthetic, guides)
        return table.plan(self.method, seed)

    def trained(
        self, run: RunSpec, params: Params, scored: Mapping[str, Source]
    ) -> Iterator[EpochResult]:
        """Train the run's student from its start and yield every epoch.

        Raises:
            TrainingError: the loss is not finite.
        """
        fed = params.training.normalise == "fed_set"
        run_context = RunContext(
            settings=_sections(params),
            identity={},
            record={"experiment": "tune"},
            inputs={},
            scored=scored,
            folder=self.artifacts.work,
            log=silent,
            keep_weights=False,
            real=Normalisation.measured(self.real.labelled) if fed else None,
        )
        train_spec, model = train_spec_of(run, run_context), student_of(run, run_context)
        assert run.method_spec is not None
        phases = run.method_spec.phases(model, train_spec)
        return fit_phases(model, phases, accelerator_of(params.runtime), lambda _number: None)

    def inputs(self, params: Params) -> dict[str, str]:
        """Digests of the references that the method asks for, by path.

        Raises:
            CheckpointError: one is missing or damaged.
        """
        return self._guides(params).inputs(self._asked(params))

    def reference_labels(self, params: Params) -> int | None:
        """How many labels are behind these references; None where nobody knows."""
        return self._guides(params).labels(self._asked(params))

    def _guides(self, params: Params) -> OpenedReferences:
        names = self._asked(params)
        if names not in self._opened:
            device = device_of(params.runtime).type
            self._opened[names] = OpenedReferences.open(self.artifacts, names, device)
        return self._opened[names]

    def _asked(self, params: Params) -> tuple[str, ...]:
        alone = replace(params.protocols[self.protocol], compared=(self.method,), methods=())
        return tuple(references_asked(params.guide, alone))


def facts(run: RunSpec) -> dict[str, Any]:
    """What a record has of the images behind a run."""
    assert run.method_spec is not None
    real_labels = run.coordinates()["real_labels"]
    return {
        "image_set": run.source.parts[-1].name,
        "num_images": run.num_images,
        "num_synthetic": run.method_spec.num_synthetic,
        "real_labels": {name: real_labels[name] for name in ("generator", "reference", "student")},
    }


def _sections(params: Params) -> GuideParams:
    return GuideParams(**{item.name: getattr(params, item.name) for item in fields(GuideParams)})
