"""The real images that synthetic sets are held against, and what they score themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation.manifold import nearest
from synthgap.experiments.fidelity.extractors import Extractors
from synthgap.experiments.fidelity.image_sample import ImageSample, halves
from synthgap.experiments.fidelity.metrics import (
    Numbers,
    SetEmbeddings,
    class_numbers,
    copied,
    judgement,
    rounded,
    score,
    score_of_others,
    set_numbers,
    taken_for,
)
from synthgap.jobs import Artifacts
from synthgap.params.sections import Fidelity

CORPUS, TRAIN, ORACLE = "corpus", "train", "oracle"


@dataclass(frozen=True)
class RealReference:
    """The real images, with what networks make of them: `train`, and `corpus` unless it is empty.

    The generator was trained on `corpus` and nothing else of them.
    """

    how: Fidelity
    seed: int
    extractors: Extractors
    artifacts: Artifacts
    train: ImageSample
    corpus: ImageSample | None

    @classmethod
    def open(
        cls, how: Fidelity, extractors: Extractors, artifacts: Artifacts, *, seed: int
    ) -> Self:
        """Read the real sets.

        Raises:
            DataError: one is missing or damaged, or there is no training image.
        """
        train = ImageSample.open(artifacts, TRAIN, max_images=how.max_images)
        corpus = ImageSample.open(artifacts, CORPUS, max_images=how.max_images)
        if not len(train):
            raise DataError(f"{train.images.root}: no images, expected some; rerun `dvc repro`")
        return cls(how, seed, extractors, artifacts, train, corpus if len(corpus) else None)

    @cached_property
    def embeddings(self) -> SetEmbeddings:
        """What networks make of `train`."""
        return self.extractors.embed(self.train, self.artifacts)

    @cached_property
    def corpus_embeddings(self) -> SetEmbeddings | None:
        """What networks make of `corpus`."""
        return None if self.corpus is None else self.extractors.embed(self.corpus, self.artifacts)

    @cached_property
    def read(self) -> np.ndarray:
        """CLIP's embeddings of `train`.

        float32 (num_images, dim).
        """
        return self.extractors.read(self.train, self.artifacts)

    def measure(self, sample: ImageSample) -> tuple[SetEmbeddings, Numbers, dict[str, Numbers]]:
        """What networks make of a set, its metrics, and those of each class.

        Raises:
            DataError: it has fewer images than metrics need, or is damaged.
        """
        if not len(sample):
            raise DataError(f"{sample.images.root}: no images, expected some; rerun its stage")
        made = self.extractors.embed(sample, self.artifacts)
        classes = class_numbers(made, self.embeddings)
        numbers = set_numbers(made, self.embeddings, classes, self.how, seed=self.seed)
        numbers["authenticity"] = copied(made, self.corpus_embeddings)
        return made, numbers | self._scores(sample), classes

    def nearest_real(self, made: SetEmbeddings) -> tuple[np.ndarray, np.ndarray]:
        """Distance to and place of every image's nearest real one: first `corpus`, then `train`.

        Both are (num_images,), the distance a float, the place an int64.
        """
        real = (
            [self.embeddings.features]
            if self.corpus_embeddings is None
            else [self.corpus_embeddings.features, self.embeddings.features]
        )
        squared, indices = nearest(made.features, np.concatenate(real))
        return np.sqrt(squared), indices

    def real_image(self, index: int) -> tuple[ImageSample, int]:
        """Where `nearest_real` found it: the set, and the row of the image in it."""
        first = 0 if self.corpus is None else len(self.corpus)
        if self.corpus is not None and index < first:
            return self.corpus, int(self.corpus.rows[index])
        return self.train, int(self.train.rows[index - first])

    def _scores(self, sample: ImageSample) -> Numbers:
        """CLIP score of the images, and of real ones of the same classes, against their prompts."""
        prompts = None if sample.name == ORACLE else sample.prompts()  # an oracle's are images
        if prompts is None:
            return {"clip_score": None, "clip_score_real": None}
        texts = self.extractors.spoken(prompts)
        return {
            "clip_score": score(self.extractors.read(sample, self.artifacts), texts),
            "clip_score_real": score_of_others(self.read, self.train.labels, texts, sample.labels),
        }


def real_self_scores(reference: RealReference) -> dict[str, Any]:
    """What real images score: `corpus` against `train`, or one half of `train` against the other.

    Agreement is that of real images which the judge has not learned from, where there are any.
    """
    if reference.corpus_embeddings is not None:
        made, against, what = (
            reference.corpus_embeddings,
            reference.embeddings,
            "corpus against train",
        )
    else:
        first, second = (
            reference.embeddings.of(rows) for rows in halves(reference.embeddings.labels)
        )
        made, against, what = first, second, "one half of train against the other"
    unseen_name, unseen = _unseen(reference)
    classes = class_numbers(made, against)
    for label, name in enumerate(made.classes):
        part = None if unseen is None else unseen.of(unseen.labels == label)
        classes[name] |= {**rounded(judgement(part)), "taken_for": taken_for(part)}
    numbers = set_numbers(made, against, classes, reference.how, seed=reference.seed)
    numbers |= rounded(judgement(unseen))
    numbers["authenticity"] = (
        None
        if reference.corpus_embeddings is None
        else copied(reference.embeddings, reference.corpus_embeddings)
    )
    return {
        "what": what,
        "num_images": len(made.labels),
        "num_against": len(against.labels),
        "agreement_of": unseen_name,
        "metrics": numbers,
        "classes": classes,
    }


def _unseen(reference: RealReference) -> tuple[str | None, SetEmbeddings | None]:
    """Real images that the judge has not learned from, and the name of their set."""
    if reference.extractors.about["judge"]["learned_from"] != TRAIN:
        return TRAIN, reference.embeddings
    return (
        (None, None)
        if reference.corpus_embeddings is None
        else (CORPUS, reference.corpus_embeddings)
    )
