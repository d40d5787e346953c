"""Pure functions on arrays: estimates, paired intervals, gaps, fits."""

from synthgap.evaluation.curves import Log2Fit, fit_log2
from synthgap.evaluation.gap import LabelEquivalent, ScratchCurve, gap_closed, gap_pp
from synthgap.evaluation.intervals import (
    Estimate,
    Interval,
    estimate,
    interval,
    over_last_epochs,
    over_seeds,
    replicates,
    t_interval,
)

__all__ = [
    "Estimate",
    "Interval",
    "LabelEquivalent",
    "Log2Fit",
    "ScratchCurve",
    "estimate",
    "fit_log2",
    "gap_closed",
    "gap_pp",
    "interval",
    "over_last_epochs",
    "over_seeds",
    "replicates",
    "t_interval",
]
