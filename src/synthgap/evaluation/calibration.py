"""Does a classifier know how often it is right?"""

from __future__ import annotations

import numpy as np

from synthgap.errors import DataError

BINS = 15  # of Guo et al.


def expected_calibration_error(
    confidences: np.ndarray, correct: np.ndarray, *, bins: int = BINS
) -> float:
    """Mean distance between confidence and accuracy, in percentage points (Guo et al. 2017, eq. 3).

    confidences: (num_images,) floats in 0 to 1; correct: (num_images,) bools. Over bins of equal
    width, each with its upper edge, weighted by how many images fall into it.

    Raises:
        DataError: there are no images, or a confidence is none.
    """
    sure = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if not len(sure) or len(sure) != len(right) or not ((sure >= 0) & (sure <= 1)).all():
        raise DataError(
            f"calibration of {len(sure)} confidences and {len(right)} answers; expected as many of "
            "both, at least one, and confidences of 0 to 1"
        )
    places = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=right - sure, minlength=bins)
    return 100 * float(np.abs(gaps).sum()) / len(sure)
