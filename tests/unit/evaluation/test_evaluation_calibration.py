import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation.calibration import expected_calibration_error as ece


def test_by_hand():
    """Bins of 2: one of [0.4, 0.5] with one of two right, one of [0.8, 1.0] with both right."""
    found = ece(np.array([0.4, 0.5, 0.8, 1.0]), np.array([True, False, True, True]), bins=2)
    assert found == pytest.approx(100 * (0.5 * abs(0.5 - 0.45) + 0.5 * abs(1 - 0.9)))


def test_an_edge_belongs_to_the_bin_below_it():
    """Apart, one too sure and one too unsure add up; in one bin they would cancel."""
    sure, right = np.array([0.5, 0.5 + 1e-9]), np.array([True, False])
    assert ece(sure, right, bins=2) == pytest.approx(50)
    assert ece(sure, right, bins=1) == pytest.approx(0, abs=1e-6)


def test_who_is_as_often_right_as_sure_is_calibrated():
    sure = np.full(10, 0.7)
    assert ece(sure, np.arange(10) < 7) == pytest.approx(0)
    assert ece(np.ones(10), np.zeros(10, bool)) == 100
    assert ece(np.zeros(4), np.zeros(4, bool)) == 0


def test_it_agrees_with_a_loop_over_bins():
    draw = np.random.default_rng(0)
    sure, right = draw.random(500), draw.random(500) < 0.6
    total = 0.0
    for number in range(15):
        inside = (sure > number / 15) & (sure <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert ece(sure, right) == pytest.approx(100 * total)


@pytest.mark.parametrize(
    ("sure", "right"), [([], []), ([1.1], [True]), ([float("nan")], [True]), ([0.5], [True, False])]
)
def test_what_is_no_confidence_is_refused(sure, right):
    with pytest.raises(DataError, match="calibration of"):
        ece(np.array(sure), np.array(right))
