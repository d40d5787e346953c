"""Which samples are kept: judged one by one, by a classifier, by CLIP, by a safety checker.

The outcome of an image depends on that image alone: passes are of one constant batch, padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgap.errors import GeneratorError
from synthgap.generation.pipelines.sampler import Request, Sampled
from synthgap.generation.prompts.tokenizer import fill
from synthgap.jobs import Artifacts
from synthgap.models.judge_record import JudgeRecord
from synthgap.params.sections import Filters, Runtime

if TYPE_CHECKING:
    from synthgap.models.clip import ImageTextModel
    from synthgap.models.judge import JudgeNetwork

UNSAFE, CONFIDENCE, CLIP_SCORE, UNLABELLED = "unsafe", "confidence", "clip_score", "unlabelled"
DIGITS = 6  # decimals that facts are rounded to, and compared by
TEXTS = 4096  # prompts whose embeddings are remembered


@dataclass(frozen=True)
class FilterOutcome:
    """What became of one sample: its class, and why it is dropped, if it is.

    `label` is None where no class is known; `facts` are the scores by which it was judged.
    """

    label: int | None
    dropped: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


def as_asked(request: Request) -> FilterOutcome:
    """Keep the sample of a request, as what was asked for."""
    return FilterOutcome(request.label)


@dataclass(frozen=True)
class FilterRequest:
    """What a set asks of its samples; `labelled` is False where the generator knows no classes.

    `min_confidence` is the generator's own, of the judge that labels what it makes; `batch` is
    that of every pass.
    """

    filters: Filters
    min_confidence: float | None
    labelled: bool
    classes: tuple[str, ...]
    batch: int

    @property
    def needs_judge(self) -> bool:
        """Whether a classifier must look at every sample."""
        return not self.labelled or self.filters.min_confidence is not None

    @property
    def needs_teacher(self) -> bool:
        """Whether CLIP must."""
        return self.filters.min_clip_score is not None

    @property
    def least_confidence(self) -> float:
        """From which confidence on a sample is kept."""
        own = None if self.labelled else self.min_confidence
        return max(own or 0.0, self.filters.min_confidence or 0.0)


@dataclass(frozen=True)
class SampleFilter:
    """The opened filters of a set; with nothing to ask, requests' labels are taken as they are."""

    criteria: FilterRequest
    judge: JudgeNetwork | None = None
    scorer: ClipScorer | None = None

    def __call__(self, sampled: Sampled, requests: Sequence[Request]) -> list[FilterOutcome]:
        """Judge every sample; the first reason to drop it is the one that counts."""
        labels = [request.label for request in requests]
        facts: list[dict[str, float]] = [{} for _ in requests]
        if self.judge is not None:
            chances = self.judge.probabilities(sampled.pixels)
            if not self.criteria.labelled:
                labels = chances.argmax(axis=1).tolist()
            for fact, label, chance in zip(facts, labels, chances, strict=True):
                assert label is not None, "a generator that knows classes was asked for none"
                fact[CONFIDENCE] = round(float(chance[label]), DIGITS)
        if self.scorer is not None:
            texts = [
                request.prompt or fill("{class}", self.criteria.classes[label or 0])
                for request, label in zip(requests, labels, strict=True)
            ]
            for fact, score in zip(facts, self.scorer(sampled.pixels, texts), strict=True):
                fact[CLIP_SCORE] = score
        unsafe = np.zeros(len(labels), bool) if sampled.unsafe is None else sampled.unsafe
        return [self._judged(*one) for one in zip(labels, facts, unsafe.tolist(), strict=True)]

    def _judged(self, label: int | None, facts: Mapping[str, float], unsafe: bool) -> FilterOutcome:  # noqa: FBT001 - one of a row
        least = self.criteria.filters.min_clip_score
        sure = facts.get(CONFIDENCE, 1.0) >= self.criteria.least_confidence
        known = label if self.criteria.labelled or sure else None
        if unsafe:
            return FilterOutcome(known, UNSAFE, facts)
        if not sure:
            return FilterOutcome(known, CONFIDENCE if self.criteria.labelled else UNLABELLED, facts)
        if least is not None and facts[CLIP_SCORE] < least:
            return FilterOutcome(known, CLIP_SCORE, facts)
        return FilterOutcome(known, None, facts)


class ClipScorer:
    """Cosine of an image's and its prompt's embeddings (CLIP score, Hessel et al. 2021)."""

    def __init__(self, model: ImageTextModel) -> None:
        self._model = model
        self._text = lru_cache(maxsize=TEXTS)(self._embedded)

    def __call__(self, pixels: np.ndarray, texts: Sequence[str]) -> list[float]:
        """Scores in -1 to 1 of uint8 (n, height, width, 3) images and their n texts."""
        images = self._model.embed_images(pixels).astype(np.float64)
        images /= np.linalg.norm(images, axis=1, keepdims=True)
        return [
            round(float(image @ self._text(text)), DIGITS)
            for image, text in zip(images, texts, strict=True)
        ]

    def _embedded(self, text: str) -> np.ndarray:
        """One text at a time: among others it would be rounded differently in the last bit."""
        embedded = self._model.embed_texts([text])[0].astype(np.float64)
        unit: np.ndarray = embedded / np.linalg.norm(embedded)
        return unit


def open_filters(criteria: FilterRequest, artifacts: Artifacts, runtime: Runtime) -> SampleFilter:
    """Open what the set asks for, and nothing else.

    Raises:
        SynthgapError: a judge or teacher is asked for, but missing, damaged or of other classes.
    """
    if not criteria.needs_judge and not criteria.needs_teacher:
        return SampleFilter(criteria)
    from synthgap.jobs.device import device_of

    judge = scorer = None
    if criteria.needs_judge:
        from synthgap.models.judge import JudgeNetwork

        _judge(criteria, artifacts)
        judge = JudgeNetwork.open(
            artifacts.stage("judge"), device_of(runtime), batch=criteria.batch
        )
    if criteria.needs_teacher:
        from synthgap.models.clip import open_clip_model, teacher_folder

        folder, _ = teacher_folder(artifacts.stage("teacher"), root=artifacts.root)
        scorer = ClipScorer(open_clip_model(folder, device_of(runtime)))
    return SampleFilter(criteria, judge, scorer)


def filters_identity(criteria: FilterRequest, artifacts: Artifacts) -> dict[str, Any]:
    """All that determines which samples are kept, as JSON; nothing is opened for it.

    With `judge_real_labels`, the labels that the judge has learned from (None: nobody knows).

    Raises:
        SynthgapError: as `open_filters`.
    """
    identity: dict[str, Any] = {
        **asdict(criteria.filters),
        "min_label_confidence": None if criteria.labelled else criteria.least_confidence,
        "judge": None,
        "judge_real_labels": 0,
        "teacher": None,
    }
    if criteria.needs_judge:
        record = _judge(criteria, artifacts)
        identity |= {"judge": record.digest, "judge_real_labels": record.real_labels}
    if criteria.needs_teacher:
        from synthgap.models.clip import teacher_folder

        identity["teacher"] = teacher_folder(artifacts.stage("teacher"), root=artifacts.root)[1]
    return identity


def _judge(criteria: FilterRequest, artifacts: Artifacts) -> JudgeRecord:
    """The judge of this recipe.

    Raises:
        SynthgapError: it is missing, or judges other classes.
    """
    folder = artifacts.stage("judge")
    record = JudgeRecord.read(folder)
    if record.classes != criteria.classes:
        raise GeneratorError(
            f"{folder}: a judge of {len(record.classes)} other classes, expected the "
            f"{len(criteria.classes)} of the dataset; rerun `dvc repro judge`"
        )
    return record
