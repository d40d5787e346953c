"""What a study measures of a finished attempt, beside its accuracy and loss.

`holdout`, `agreement` and `clip_score` use no label of `val`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from synthgap.data.embedding_cache import cached_array
from synthgap.errors import ParamsError
from synthgap.evaluation.calibration import expected_calibration_error
from synthgap.experiments.runs.sources import Source
from synthgap.jobs import Artifacts, environment
from synthgap.models.clip import open_clip_model, teacher_folder
from synthgap.studies.trials.image_sets import part
from synthgap.training.scoring import Scores

HOLDOUT, AGREEMENT, CLIP_SCORE = "holdout", "agreement", "clip_score"
ECE, REAL_LABELS = "ece", "real_labels"
SET_ASIDE = 0.2  # of every class of a synthetic set, where a study measures `holdout`


def parted(source: Source) -> tuple[Source, Source]:
    """What is learned, and the last fifth of every class, by which `holdout` scores.

    Raises:
        ParamsError: a class has only one image.
    """
    labels = source.images.labels
    learned, held = [], []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise ParamsError(
                f"studies, holdout: one image of {source.images.classes[label]} in {source.name}; "
                "expected two or more, ask for a larger set or share, or do not measure holdout"
            )
        count = max(1, round(SET_ASIDE * len(rows)))
        learned.append(rows[:-count])
        held.append(rows[-count:])
    return tuple(part(source, np.sort(np.concatenate(rows))) for rows in (learned, held))  # type: ignore[return-value] # two


def calibration(scores: Scores, labels: np.ndarray) -> float:
    """Expected calibration error of a scored set, in percentage points; labels (num_images,)."""
    return expected_calibration_error(scores.confidences, scores.predictions == labels)


def agreement(first: Scores, second: Scores) -> float:
    """Percent of the images to which two students give the same label, whichever is right.

    Students that differ in nothing but their randomness agree about as often as they are right,
    where they are calibrated as an ensemble (Jiang et al. 2022, "Assessing Generalization of SGD
    via Disagreement").
    """
    return 100 * float((first.predictions == second.predictions).mean())


@dataclass
class ClipScores:
    """Mean cosine of the teacher's embeddings of images and their prompts (Hessel et al. 2021).

    The teacher is opened when a set is first asked for; its answers are kept by set, in memory and
    in `.synthgap/embeddings`.
    """

    artifacts: Artifacts
    device: str
    _means: dict[str, float] = field(default_factory=dict, init=False)

    def __call__(self, source: Source) -> float:
        """Score a synthetic set, -1 to 1; a class name stands in where nothing was prompted.

        Raises:
            GeneratorError: there is no teacher; run stage `teacher`.
        """
        key = source.images.digest
        if key not in self._means:
            self._means[key] = self._mean_of(source)
        return self._means[key]

    @property
    def inputs(self) -> Mapping[str, str]:
        """The teacher's digest by its path.

        Raises:
            GeneratorError: there is none.
        """
        place = self.artifacts.stage("teacher")
        digest = teacher_folder(place, root=self.artifacts.root)[1]
        return {place.relative_to(self.artifacts.root).as_posix(): digest}

    def _mean_of(self, source: Source) -> float:
        texts = _texts(source)
        key = {
            "teacher": dict(self.inputs),
            "texts": texts,
            "size_px": source.labelled.size_px,
            "environment": environment(threads=1, device=self.device),
        }
        scores = cached_array(
            self.artifacts,
            f"scores-{source.images.digest}",
            key,
            stage="tune",
            compute=lambda: np.asarray(self._scored(source, texts)),
        )
        return float(scores.mean())

    def _scored(self, source: Source, texts: list[str]) -> list[float]:
        from synthgap.generation.synthesis.filters import ClipScorer

        folder, _ = teacher_folder(self.artifacts.stage("teacher"), root=self.artifacts.root)
        pixels = source.labelled.images.permute(0, 2, 3, 1).numpy()
        return ClipScorer(open_clip_model(folder, self.device))(pixels, texts)


def _texts(source: Source) -> list[str]:
    """The prompt of every image, or its class's name."""
    images = source.images
    rows = images.rows()
    prompts = dict(zip(rows["path"], rows["prompt"], strict=True)) if "prompt" in rows else {}
    names = [images.classes[label].replace("_", " ") for label in images.labels]
    return [prompts.get(path) or name for path, name in zip(images.paths, names, strict=True)]
