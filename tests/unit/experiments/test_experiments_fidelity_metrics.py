"""The judge's verdict on a class, and CLIP scores."""

import numpy as np
import pytest

from synthgap.experiments.fidelity.metrics import (
    SetEmbeddings,
    class_numbers,
    judgement,
    score,
    score_of_others,
    taken_for,
    worst_first,
)

CLASSES = ("cat", "dog", "emu")


def _embeddings(labels, predictions, *, sure=0.8, seed=0):
    judged = np.full((len(labels), 3), (1 - sure) / 2, np.float32)
    judged[np.arange(len(labels)), predictions] = sure
    features = np.abs(np.random.default_rng(seed).normal(size=(len(labels), 4)))
    return SetEmbeddings(CLASSES, np.asarray(labels), features, judged)


LABELS = [0] * 4 + [1] * 4


def test_agreement_is_the_share_that_the_judge_takes_for_its_class():
    embeddings = _embeddings(LABELS, [0, 0, 0, 1, 2, 2, 0, 1])
    assert judgement(embeddings)["agreement"] == 0.5
    assert judgement(embeddings)["confidence"] == pytest.approx(0.5 * 0.8 + 0.5 * 0.1)
    classes = class_numbers(embeddings, embeddings)
    assert classes["cat"]["agreement"] == 0.75
    assert classes["dog"]["agreement"] == 0.25
    assert classes["dog"]["taken_for"] == [["emu", 0.5], ["cat", 0.25]]
    assert classes["cat"]["diversity"] == 1
    assert worst_first(classes) == ["dog", "cat", "emu"]


def test_a_class_without_images_has_no_numbers_and_comes_last():
    embeddings = _embeddings(LABELS, LABELS)
    empty = class_numbers(embeddings, embeddings)["emu"]
    assert empty["num_images"] == 0
    kept = {name for name, value in empty.items() if value is None}
    assert kept == {"agreement", "confidence", "separability", "diversity", "vendi", "vendi_real"}
    assert taken_for(None) == []
    assert judgement(None) == {"agreement": None, "confidence": None}


def test_vendi_is_compared_at_equal_numbers():
    real = _embeddings([0] * 9, [0] * 9, seed=1)
    few = class_numbers(real.of(np.arange(3)), real)["cat"]
    assert few["vendi"] <= 3
    assert few["vendi_real"] <= 3


def test_clip_score_is_the_mean_cosine():
    images = np.asarray([[2.0, 0.0], [0.0, 1.0]])
    assert score(images, np.asarray([[3.0, 0.0], [1.0, 0.0]])) == 0.5
    assert score(images, images) == 1


def test_other_images_are_scored_by_all_prompts_of_their_class():
    images = np.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    texts = np.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = score_of_others(images, np.asarray([0, 0, 1]), texts, np.asarray([0, 0, 1]))
    assert found == pytest.approx((0.5 + 0.5 + 1) / 3, abs=1e-6)
    assert score_of_others(images, np.asarray([0, 0, 0]), texts[:1], np.asarray([2])) is None
