import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation import t_interval

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student 1908: paired, hours gained


def test_students_own_example():
    found = t_interval(SLEEP, confidence=0.95)
    assert (found.low, found.high) == (pytest.approx(0.7001, abs=1e-4), pytest.approx(2.4599, 1e-4))


def test_of_normal_differences_it_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.3, 1.0, (400, 5))
    found = [t_interval(row, confidence=0.8) for row in drawn]
    held = np.mean([one.low <= 0.3 <= one.high for one in found])
    assert held == pytest.approx(0.8, abs=0.05)


def test_two_equal_values_have_no_spread():
    found = t_interval([0.5, 0.5], confidence=0.95)
    assert (found.low, found.high) == (0.5, 0.5)
    assert found.excludes_zero


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")]])
def test_one_value_or_what_is_no_number_has_no_interval(values):
    with pytest.raises(DataError, match="two or more, finite"):
        t_interval(values, confidence=0.95)
