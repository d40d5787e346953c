import pytest

from synthgap.errors import DataError
from synthgap.evaluation import Estimate, estimate, over_last_epochs, over_seeds


def test_spread_is_the_population_std():
    assert estimate([1.0, 3.0], over="epochs") == Estimate(2.0, 1.0, 2, "epochs")


def test_only_the_last_epochs_count():
    assert over_last_epochs([0.0, 50.0, 90.0, 92.0], last=2) == Estimate(91.0, 1.0, 2, "epochs")


def test_spread_over_seeds_ignores_the_spread_inside_runs():
    noisy = [Estimate(90.0, 40.0, 5, "epochs"), Estimate(92.0, 0.0, 5, "epochs")]
    assert over_seeds(noisy) == Estimate(91.0, 1.0, 2, "seeds")


def test_seeds_of_seeds_are_refused():
    with pytest.raises(DataError, match="expected epochs"):
        over_seeds([Estimate(90.0, 0.0, 3, "seeds")])


def test_printing_names_count_and_kind():
    assert str(Estimate(97.13, 0.21, 3, "seeds")) == "97.1 +/- 0.2 (n=3 seeds)"
    assert str(Estimate(97.13, 0.0, 1, "seeds")) == "97.1 (single run)"
    assert str(Estimate(97.13, 0.0, 1, "epochs")) == "97.1 (single epoch)"


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), 1.0]])
def test_nothing_to_average_raises_instead_of_reporting_zero(values):
    with pytest.raises(DataError):
        estimate(values, over="seeds")


@pytest.mark.parametrize("last", [0, 3])
def test_more_epochs_than_there_are_is_refused(last):
    with pytest.raises(DataError, match="2 epochs"):
        over_last_epochs([1.0, 2.0], last=last)
