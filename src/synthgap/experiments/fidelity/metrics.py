"""Fidelity metrics: how close one set is to another, and the diseases of each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from synthgap.errors import DataError
from synthgap.evaluation.frechet import fid, kid
from synthgap.evaluation.manifold import authenticity, manifold, mean_distance, vendi
from synthgap.evaluation.probe import evenly, separability
from synthgap.params.sections import Fidelity
from synthgap.seeding import derived_seed

DIGITS = 6  # decimals kept
MAX_NAMED = 3  # classes that a class is taken for
Numbers = dict[str, Any]  # JSON's own; null where a number is undefined


@dataclass(frozen=True)
class SetEmbeddings:
    """What networks make of the images of one set.

    `features` is float32 (n, dim), `judged` the judge's probabilities (n, num_classes), `labels`
    int64 (n,).
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    features: np.ndarray
    judged: np.ndarray

    def of(self, rows: np.ndarray) -> SetEmbeddings:
        """The same of fewer images: an index or a mask."""
        return SetEmbeddings(
            self.classes, self.labels[rows], self.features[rows], self.judged[rows]
        )


def set_numbers(
    made: SetEmbeddings,
    real: SetEmbeddings,
    by_class: Mapping[str, Numbers],
    how: Fidelity,
    *,
    seed: int,
) -> Numbers:
    """Metrics of `made` against `real`; of what `by_class` holds, the mean over classes.

    Raises:
        DataError: there are fewer images than metrics need.
    """
    kernel = kid(
        real.features,
        made.features,
        subset=how.kid_subset,
        seed=derived_seed(seed, "fidelity", "kid"),
    )
    equal = min(len(made.labels), len(real.labels))
    found: Numbers = {
        "fid": fid(real.features, made.features),
        "kid": kernel.mean,
        "kid_std": kernel.std,
        **asdict(manifold(real.features, made.features, neighbours=how.neighbours)),
        "vendi": _vendi(made.features, equal),
        "vendi_real": _vendi(real.features, equal),
        **judgement(made),
        **{name: _mean(by_class, name) for name in ("separability", "diversity")},
    }
    return rounded(found)


def class_numbers(made: SetEmbeddings, real: SetEmbeddings) -> dict[str, Numbers]:
    """What is wrong with each class of `made`, by the class's name."""
    return {
        name: rounded(_class(made.of(made.labels == label), real.of(real.labels == label)))
        for label, name in enumerate(made.classes)
    }


def judgement(made: SetEmbeddings | None) -> Numbers:
    """Share of the images that the judge takes for their class, and how sure it is of that class.

    Wrong semantics: an image of another class under this class's label.
    """
    if made is None or not len(made.labels):
        return {"agreement": None, "confidence": None}
    own = made.judged[np.arange(len(made.labels)), made.labels]
    agreed = made.judged.argmax(axis=1) == made.labels
    return {"agreement": float(agreed.mean()), "confidence": float(own.mean())}


def taken_for(made: SetEmbeddings | None) -> list[list[Any]]:
    """Other classes that the judge takes the images for, with their shares: the first three."""
    if made is None or not len(made.labels):
        return []
    predictions = made.judged.argmax(axis=1)
    others, counts = np.unique(predictions[predictions != made.labels], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_NAMED]
    shares = counts / len(predictions)
    return [[made.classes[others[row]], round(float(shares[row]), DIGITS)] for row in order]


def copied(made: SetEmbeddings, of_generator: SetEmbeddings | None) -> float | None:
    """Authenticity of `made`: one minus the share of copies of what the generator saw."""
    if of_generator is None or len(of_generator.labels) < 2:
        return None
    return round(authenticity(of_generator.features, made.features), DIGITS)


def score(images: np.ndarray, texts: np.ndarray) -> float:
    """CLIP score (Hessel et al. 2021): mean cosine of each image's and its text's embedding.

    Both are embeddings, float32 (num_images, dim).
    """
    return round(float((_unit(images) * _unit(texts)).sum(axis=1).mean()), DIGITS)


def score_of_others(
    images: np.ndarray, labels: np.ndarray, texts: np.ndarray, text_labels: np.ndarray
) -> float | None:
    """What other images score against the same texts: each text with every image of its class.

    Embeddings are float32 (num_images, dim) and (num_texts, dim), labels int64 (num_images,).
    """
    total, count = 0.0, 0
    for label in np.unique(text_labels):
        own = _unit(images[labels == label])
        if len(own):
            asked = _unit(texts[text_labels == label])
            total += float((asked @ own.mean(axis=0)).sum())
            count += len(asked)
    return round(total / count, DIGITS) if count else None


def rounded(numbers: Mapping[str, Any]) -> Numbers:
    """Keep six decimals, and null for what is not finite."""
    return {
        name: (round(value, DIGITS) if np.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for name, value in numbers.items()
    }


def worst_first(by_class: Mapping[str, Numbers]) -> list[str]:
    """Classes by rising agreement, then confidence; those without images last."""

    def key(name: str) -> tuple[float, float]:
        numbers = by_class[name]
        if numbers["agreement"] is None:
            return (2.0, 0.0)
        return (numbers["agreement"], numbers["confidence"])

    return sorted(by_class, key=key)


def _class(made: SetEmbeddings, real: SetEmbeddings) -> Numbers:
    equal = min(len(made.labels), len(real.labels))
    return {
        "num_images": len(made.labels),
        **judgement(made),
        "taken_for": taken_for(made),
        "separability": separability(real.features, made.features),
        "diversity": _ratio(made.features, real.features),
        "vendi": _vendi(made.features, equal),
        "vendi_real": _vendi(real.features, equal),
    }


def _vendi(features: np.ndarray, count: int) -> float | None:
    return _defined(lambda: vendi(features[evenly(len(features), count)]))


def _ratio(made: np.ndarray, real: np.ndarray) -> float | None:
    """Mean distance between images relative to the real ones': diversity within a class."""
    ours, theirs = _defined(lambda: mean_distance(made)), _defined(lambda: mean_distance(real))
    return ours / theirs if ours is not None and theirs else None


def _defined(measure: Callable[[], float]) -> float | None:
    """A number, or None where too few images or images without features leave it undefined."""
    try:
        return measure()
    except DataError:
        return None


def _mean(by_class: Mapping[str, Numbers], name: str) -> float | None:
    defined = [numbers[name] for numbers in by_class.values() if numbers[name] is not None]
    return fmean(defined) if defined else None


def _unit(rows: Sequence[Any] | np.ndarray) -> np.ndarray:
    array = np.asarray(rows, dtype=np.float64)
    unit: np.ndarray = array / np.linalg.norm(array, axis=1, keepdims=True)
    return unit
