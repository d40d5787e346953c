"""Linear probes of finished students: what their frozen features tell of real classes (FITYMI).

Logistic regression on the features before the classifier learns from real training images,
chooses its penalty by `val`, or by a held-out part where there is none, and is scored on `test`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from synthgap.evaluation.probe import Examples, fit_probe
from synthgap.experiments.runs.features import TrainedStudent
from synthgap.experiments.runs.run import ProbeResult
from synthgap.experiments.runs.sources import REAL, Source, open_source
from synthgap.experiments.runs.spec import RunSettings
from synthgap.experiments.runs.subsets import balanced
from synthgap.jobs import Artifacts
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.train_spec import TrainSpec


@dataclass(frozen=True)
class RealProbe:
    """Probes students with images of a real set, `kept` (num_images,) being their indices."""

    source: Source
    kept: np.ndarray

    @property
    def num_labels(self) -> int:
        """How many real labels a probe learns from."""
        return len(self.kept)

    @property
    def about(self) -> Mapping[str, Any]:
        """What determines a probe, besides the student."""
        return {"set": self.source.images.digest, "images": self.kept.tolist()}

    def __call__(self, model: nn.Module, train_spec: TrainSpec) -> ProbeResult:
        """Probe a student that was trained by `train_spec`; it is left in eval mode."""
        trained = TrainedStudent(
            model.eval(), train_spec.scoring_normalisation, train_spec.training.global_crops.size
        )
        learned = _examples(trained, self.source.labelled.subset(self.kept))
        scored = {name: _examples(trained, images) for name, images in train_spec.scored.items()}
        probe = fit_probe(learned, chosen_by=scored.get("val"))
        test = scored["test"]
        return ProbeResult(probe.strength, probe.top1(test), probe.predict(test.features))


def open_probe(params: RunSettings, artifacts: Artifacts) -> RealProbe | None:
    """The probe of `train.probe_images` real training images; None where that is 0.

    Raises:
        SynthgapError: the real training set is missing, or the gate has no good word for it.
    """
    wanted = params.train.probe_images
    if wanted == 0:
        return None
    source = open_source(artifacts, REAL, params.data.image_size)
    kept = np.arange(len(source.images))
    if wanted < len(kept):
        kept = balanced(source.images.labels, wanted, seed=params.seed)
    return RealProbe(source, kept)


def _examples(trained: TrainedStudent, images: LabelledImages) -> Examples:
    return Examples(trained.view(images).features, images.labels.numpy())
