import pytest

from synthgap.errors import DataError
from synthgap.evaluation.curves import saturated_from


@pytest.mark.parametrize(
    ("curve", "epoch"),
    [
        ([10, 50, 90, 95.5, 95, 96], 4),
        ([96, 96, 96], 1),
        ([10, 20, 40, 80], 4),
        ([95, 96, 60, 96, 96.5], 4),  # what falls again had not saturated
        ([70], 1),
        ([95, 96], 1),  # within, to the point
    ],
)
def test_it_is_the_first_epoch_that_all_later_ones_agree_with(curve, epoch):
    assert saturated_from(curve, within=1.0) == epoch


def test_a_wider_margin_is_never_later_and_a_shift_changes_nothing():
    curve = [5.0, 40.0, 61.0, 58.0, 70.0, 71.0, 69.5, 70.2]
    epochs = [saturated_from(curve, within=within) for within in (0.1, 1, 5, 20, 100)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == 1
    assert saturated_from([value + 7 for value in curve], within=1) == epochs[1]


def test_no_curve_is_refused():
    with pytest.raises(DataError, match="without epochs"):
        saturated_from([], within=1.0)
