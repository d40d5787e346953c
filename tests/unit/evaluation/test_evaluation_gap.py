import numpy as np
import pytest

from synthgap.errors import DataError
from synthgap.evaluation import ScratchCurve, gap_closed, gap_pp
from synthgap.evaluation.gap import LabelEquivalent

LABELS = np.asarray([19.0, 38.0, 75.0, 150.0, 300.0, 600.0])
RISING = ScratchCurve(LABELS, np.asarray([60.0, 75.0, 85.0, 92.0, 96.0, 98.0]))


def test_gap_of_a_set_with_itself_is_zero():
    assert gap_pp(97.3, 97.3) == 0


def test_real_closes_all_of_the_gap_and_synthetic_none():
    assert gap_closed(98.0, synthetic=92.0, real=98.0) == 1
    assert gap_closed(92.0, synthetic=92.0, real=98.0) == 0


def test_closed_share_is_linear_and_may_leave_the_unit_range():
    others = np.asarray([95.0, 101.0, 89.0])
    assert gap_closed(others, synthetic=92.0, real=98.0) == pytest.approx([0.5, 1.5, -0.5])


def test_no_gap_leaves_the_share_undefined():
    assert np.isnan(gap_closed(95.0, synthetic=97.98, real=98.0))
    both = gap_closed(np.asarray([95.0, 95.0]), synthetic=np.asarray([98.0, 92.0]), real=98.0)
    assert np.isnan(both).tolist() == [True, False]


@pytest.mark.parametrize("index", range(len(LABELS)))
def test_a_scratch_point_is_worth_its_own_labels(index):
    found = RISING.equivalent(float(RISING.accuracies[index]))
    assert found.labels == pytest.approx(LABELS[index])


def test_between_points_the_line_is_straight_over_log2():
    assert RISING.equivalent(97.0).labels == pytest.approx(np.sqrt(300 * 600))


def test_more_accuracy_is_never_worth_fewer_labels():
    targets = np.linspace(50, 100, 300)
    worth = RISING.log2_labels(targets)
    assert (worth[1:] >= worth[:-1]).all()


def test_outside_the_measured_range_there_is_only_a_bound():
    assert RISING.equivalent(59.9) == LabelEquivalent(None, below=19.0)
    assert RISING.equivalent(98.1) == LabelEquivalent(None, above=600.0)
    assert str(RISING.equivalent(59.9)) == "< 19"
    assert str(RISING.equivalent(98.1)) == "> 600"
    assert str(RISING.equivalent(92.0)) == "150"


def test_a_falling_curve_is_reported_and_read_at_its_first_crossing():
    falling = ScratchCurve(np.asarray([10.0, 20.0, 40.0]), np.asarray([50.0, 80.0, 70.0]))
    assert RISING.monotone
    assert not falling.monotone
    assert falling.equivalent(75.0).labels == pytest.approx(2 ** (np.log2(10) + 25 / 30))
    assert falling.equivalent(50.0).labels == pytest.approx(10.0)
    assert falling.equivalent(81.0).above == 40.0


def test_replicates_go_through_the_same_code_as_the_estimate():
    accuracies = np.stack([RISING.accuracies, RISING.accuracies - 1], axis=1)
    both = ScratchCurve(LABELS, accuracies).log2_labels(np.asarray([92.0, 92.0]))
    assert both[0] == pytest.approx(np.log2(150))
    assert both[1] > both[0]


@pytest.mark.parametrize(
    ("labels", "accuracies"),
    [([10.0], [50.0]), ([20.0, 10.0], [50.0, 60.0]), ([0.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0])],
)
def test_an_unreadable_curve_is_refused(labels, accuracies):
    with pytest.raises(DataError):
        ScratchCurve(np.asarray(labels), np.asarray(accuracies))
