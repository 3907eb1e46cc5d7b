"""Comparisons of methods over seeds: paired differences, their intervals, and a verdict for each.

Seed i means the same initial weights and batches in every method, so methods are compared seed by seed. Intervals and
verdicts come from one test, the paired t-test: an interval excludes zero exactly where the test, corrected for the
number of methods (Holm 1979), rejects. They cover initialisation and batch order, not resampling of the training set.
Out of scope: sentences (`findings`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE_LEVEL = 0.95
TOLERANCE = 1e-12  #: values that differ by less are equal
BETTER, WORSE, NEITHER = "better", "worse", "no significant difference"


def interval(values, level: float = CONFIDENCE_LEVEL) -> tuple[float, float]:
    """Interval of Student's t for the mean of some values; the mean twice where they are equal, NaN for a lone one."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) < TOLERANCE:
        mean = 0.0 if abs(values[0]) < TOLERANCE else float(values.mean())
        return mean, mean
    low, high = stats.ttest_1samp(values, 0).confidence_interval(level)
    return float(low), float(high)


def interval_of_differences(differences, level: float = CONFIDENCE_LEVEL) -> tuple[float, float]:
    """`interval`; NaN where differences are all equal, not zero, and too few for `p_value` to reject at this level.

    Those of two seeds may be, on a few points: they show no variance, and would exclude zero without evidence.
    """
    low, high = interval(differences, level)
    return (np.nan, np.nan) if low == high != 0 and p_value(differences) > 1 - level else (low, high)


def p_value(differences) -> float:
    """Two-sided p of the paired t-test that differences have mean zero; 1 where there is nothing to test.

    Of differences that are all equal, p of the exact sign test, as that of the t-test would be zero for any two.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) < TOLERANCE:
        return 1.0 if abs(differences[0]) < TOLERANCE else 0.5 ** (len(differences) - 1)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p) -> np.ndarray:
    """p-values corrected for their number (Holm 1979): sorted, times what is left of them, never falling."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(corrected, 1)
    return adjusted


def holm_levels(p) -> np.ndarray:
    """Confidence levels at which intervals exclude zero exactly where Holm's correction of these p-values rejects."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    alpha = (1 - CONFIDENCE_LEVEL) / np.arange(len(p), 0, -1)
    kept = np.flatnonzero(p[order] > alpha)
    if len(kept):  # after the first that is not rejected, none is
        alpha[kept[0] :] = alpha[kept[0]]
    levels = np.empty_like(p)
    levels[order] = 1 - alpha
    return levels


def compare(values: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Every method against one: `mean`, `low`, `high` of the paired differences, `p` after Holm, `verdict`, `seeds`.

    values: one row per seed, one column per method; a method with a single value (one that involves no chance)
    is compared with every seed of the baseline. `raw p` is uncorrected, for whoever corrects over more.
    """
    differences = {}
    for name in values.columns.drop(baseline):
        method = values[name]
        method = method.fillna(method.iloc[0]) if method.notna().sum() == 1 else method
        differences[name] = (method - values[baseline]).dropna()
    return judge(differences).rename_axis("method")


def judge(differences: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Whether the mean of each of several samples of differences is zero; columns as in `compare`."""
    raw = [p_value(each) for each in differences.values()]
    rows = {
        name: [each.mean(), *interval_of_differences(each, level), len(each)]
        for (name, each), level in zip(differences.items(), holm_levels(raw), strict=True)
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high", "seeds"])
    table.insert(3, "p", holm(raw))
    sign = np.where(table["low"] > 0, 1, np.where(table["high"] < 0, -1, 0))
    table["verdict"] = np.select([sign > 0, sign < 0], [BETTER, WORSE], NEITHER)
    return table.assign(**{"raw p": raw})


def gap_closed(mean: float, baseline: float, ceiling: float) -> float:
    """Share of the way from a baseline's accuracy to the ceiling; NaN where the baseline has no gap."""
    return (mean - baseline) / (ceiling - baseline) if ceiling > baseline else np.nan


def sampling_interval(accuracy: float, points: int) -> tuple[float, float]:
    """95% interval of an accuracy for the chance of which points were drawn (Wilson 1927)."""
    found = stats.binomtest(round(accuracy * points), points).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(found.low), float(found.high)
