import numpy as np
import pytest

from synthgap.errors import ParamsError
from synthgap.generation.synthesis.set_request import counts_of

LABELS = np.repeat([0, 1, 2], [7, 5, 1])


@pytest.mark.parametrize(
    ("count", "factor", "expected"),
    [
        ("as_train", 1.0, [7, 5, 1]),
        ("as_train", 0.5, [4, 3, 1]),  # halves up
        ("as_train", 0.1, [1, 1, 1]),  # never none
        ("as_train", 10.0, [70, 50, 10]),
        ("balance", 1.0, [0, 2, 6]),
        ("balance", 2.0, [7, 9, 13]),  # 14 of each with the real ones
        (4, 1.0, [4, 4, 4]),
        (5, 0.1, [1, 1, 1]),
    ],
)
def test_counts(count, factor, expected):
    assert counts_of(LABELS, 3, count, factor).tolist() == expected


def test_a_larger_factor_never_has_fewer():
    factors = np.linspace(0.1, 50, 400)
    for count in ("as_train", "balance", 3):
        counts = [counts_of(LABELS, 3, count, float(factor)) for factor in factors[20:]]
        assert (np.diff(counts, axis=0) >= 0).all()


def test_a_class_without_real_images_needs_none():
    assert counts_of(LABELS, 4, "as_train", 2.0).tolist() == [14, 10, 2, 0]


def test_balance_of_what_is_even_is_refused():
    with pytest.raises(ParamsError, match="balance, but the real classes need nothing"):
        counts_of(np.array([0, 1]), 2, "balance", 1.0)
