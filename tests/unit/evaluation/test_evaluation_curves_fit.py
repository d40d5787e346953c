import pytest

from synthgap.errors import DataError
from synthgap.evaluation import fit_log2


def test_a_planted_line_is_recovered():
    fractions = [1, 1 / 2, 1 / 8, 1 / 64]
    found = fit_log2(fractions, [90 - 2.5 * halvings for halvings in (0, 1, 3, 6)])
    assert found.slope == pytest.approx(-2.5)
    assert found.intercept == pytest.approx(90)
    assert found.residual_std == pytest.approx(0, abs=1e-9)
    assert found.at(1 / 4) == pytest.approx(85)
    assert str(found) == "-2.50 log2(x) + 90.00"


@pytest.mark.parametrize("fractions", [[], [0.5], [0.5, 0.5]])
def test_a_single_fraction_has_no_slope(fractions):
    with pytest.raises(DataError, match="two or more"):
        fit_log2(fractions, [1.0] * len(fractions))
