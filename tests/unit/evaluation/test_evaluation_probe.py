import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.probe import Examples, fit_probe

DRAW = np.random.default_rng(5)
CENTRES = DRAW.normal(size=(4, 6))


def examples(per_class=20, noise=0.6, width=None):
    labels = np.repeat(np.arange(4), per_class)
    features = CENTRES[labels] + noise * DRAW.normal(size=(len(labels), 6))
    if width is not None:  # the same information in more features than there are images
        features = features @ np.linalg.qr(np.random.default_rng(1).normal(size=(width, 6)))[0].T
    return Examples(features.astype(np.float32), labels)


def test_a_linear_question_is_answered():
    probe = fit_probe(examples(noise=0.1), chosen_by=examples(noise=0.1))
    assert probe.top1(examples(noise=0.1)) == 100


def test_features_that_say_nothing_stay_at_chance():
    labels = np.repeat(np.arange(4), 50)
    blind = [Examples(DRAW.normal(size=(200, 6)), labels) for _ in range(3)]
    assert fit_probe(blind[0], chosen_by=blind[1]).top1(blind[2]) < 45


def test_scale_and_shift_of_the_features_change_nothing():
    parts = [examples() for _ in range(3)]
    moved = [Examples(1000 * part.features - 300, part.labels) for part in parts]
    plain = fit_probe(parts[0], chosen_by=parts[1])
    other = fit_probe(moved[0], chosen_by=moved[1])
    assert plain.strength == other.strength
    assert plain.top1(parts[2]) == pytest.approx(other.top1(moved[2]), abs=2.5)


def test_more_features_than_images_are_probed_exactly():
    """Rotated into the span of the images, the penalised solution is that of the plain features."""
    from sklearn.linear_model import LogisticRegression

    learned, scored = examples(per_class=5, width=400), examples(width=400)
    probe = fit_probe(learned, chosen_by=scored, strengths=[10.0])
    rows = learned.features - learned.features.mean(axis=0)
    scale = np.sqrt(np.square(rows).sum(axis=1).mean())
    plain = LogisticRegression(C=10.0, tol=1e-8, max_iter=5000).fit(rows / scale, learned.labels)
    wanted = plain.predict_proba((scored.features - learned.features.mean(axis=0)) / scale)
    found = probe.model.predict_proba(probe.basis(scored.features))
    assert found == pytest.approx(wanted, abs=0.01)
    assert probe.basis.axes.shape == (400, 20)


def test_the_images_to_choose_by_choose():
    learned = examples(per_class=10, noise=1.5)
    rates = {}
    chosen = examples(per_class=50, noise=1.5)
    for strength in (1e-3, 1.0, 1e4):
        rates[strength] = fit_probe(learned, chosen_by=chosen, strengths=[strength]).top1(chosen)
    best = fit_probe(learned, chosen_by=chosen, strengths=list(rates))
    assert rates[best.strength] == max(rates.values())


def test_among_equals_the_weaker_is_kept():
    easy = examples(noise=0.01)
    assert fit_probe(easy, chosen_by=easy, strengths=[1.0, 10.0]).strength == 1.0


def test_without_images_to_choose_by_a_part_is_held_out():
    learned = examples()
    empty = Examples(np.empty((0, 6)), np.empty(0, dtype=np.int64))
    first, second = fit_probe(learned), fit_probe(learned, chosen_by=empty)
    assert first.strength == second.strength
    assert first.top1(examples()) > 60


def test_what_cannot_be_answered_is_refused():
    alike = Examples(np.ones((3, 2)), np.zeros(3, dtype=np.int64))
    with pytest.raises(DataError, match="two classes"):
        fit_probe(alike)
    with pytest.raises(DataError, match="no images"):
        fit_probe(examples(), chosen_by=examples()).top1(Examples(np.empty((0, 6)), np.empty(0)))
