"""Losses of single images against their definition, and edges that hold all of them."""

import math

import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.calibration import cross_entropies, shared_edges


def test_it_is_minus_the_logarithm_of_the_softmax():
    draw = np.random.default_rng(0)
    logits, labels = draw.normal(size=(20, 5)) * 4, draw.integers(0, 5, 20)
    slow = [
        -math.log(math.exp(row[label]) / math.fsum(map(math.exp, row)))
        for row, label in zip(logits.tolist(), labels, strict=True)
    ]
    assert cross_entropies(logits, labels) == pytest.approx(slow, rel=1e-12)


def test_a_guess_costs_the_logarithm_of_the_classes_and_a_shift_nothing():
    labels = np.arange(7)
    assert cross_entropies(np.full((7, 7), 1e4), labels) == pytest.approx([math.log(7)] * 7)
    logits = np.random.default_rng(1).normal(size=(7, 7)).astype(np.float32)
    moved = cross_entropies(logits.astype(np.float64) + 50, labels)
    assert cross_entropies(logits, labels) == pytest.approx(moved, rel=1e-9)


def test_certainty_costs_nothing_and_a_sure_mistake_its_margin():
    found = cross_entropies(np.asarray([[900.0, 0.0], [900.0, 0.0]]), np.asarray([0, 1]))
    assert found.tolist() == [0.0, 900.0]


@pytest.mark.parametrize(
    "losses",
    [
        np.random.default_rng(2).lognormal(-3, 2, 500),
        np.zeros(10),
        np.full(10, 0.7),
        np.asarray([0.0, 1e-12, 20.0]),
    ],
)
def test_every_loss_lies_between_the_edges(losses):
    edges = shared_edges(losses, 12)
    assert len(edges) == 13
    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    assert np.histogram(losses, edges)[0].sum() == len(losses)


def test_all_but_the_first_bin_are_equally_wide_in_the_logarithm():
    edges = shared_edges(np.random.default_rng(3).lognormal(-3, 2, 500), 9)
    steps = np.diff(np.log(edges[1:]))
    assert steps == pytest.approx(np.full(8, steps[0]))


@pytest.mark.parametrize("losses", [[], [0.1, np.inf], [np.nan]])
def test_losses_that_cannot_be_counted_are_refused(losses):
    with pytest.raises(DataError, match="expected at least one, all finite"):
        shared_edges(np.asarray(losses), 4)
