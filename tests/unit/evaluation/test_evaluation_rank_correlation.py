"""Orders are compared, not values."""

import pytest

from synthgap.evaluation.rank_correlation import spearman


def test_ranks_and_not_values_are_correlated_with_ties_sharing_a_rank():
    assert spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == 1.0
    assert spearman([1, 2, 3], [3, 2, 1]) == -1.0
    assert spearman([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(0.9486833)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert spearman([1, 2], [1, 2]) is None
