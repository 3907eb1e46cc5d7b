"""Comparisons of methods over seeds: paired differences, their intervals, and a verdict for each.

Seed i means the same start in every method, so methods are compared seed by seed. Intervals are bias-corrected
bootstraps over seeds (Efron 1987), p-values those of the paired t-test; several comparisons are corrected after
Holm (1979). Where seeds are few, a bootstrap is too narrow, and `t_interval` is used instead. All of this speaks of
the given training data: how methods compare over fresh draws of them is another question. Out of scope: sentences
(`findings`).
"""

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE_LEVEL = 0.95
RESAMPLES = 9999  #: of a bootstrap
TOLERANCE = 1e-12  #: values that differ by less are equal
BETTER, WORSE, NEITHER = "better", "worse", "no significant difference"


def interval(values) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of some values; the mean twice where they do not vary, NaN for a lone one."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) < TOLERANCE:
        return values.mean(), values.mean()
    rng = np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, confidence_level=CONFIDENCE_LEVEL, n_resamples=RESAMPLES, rng=rng)
    low, high = found.confidence_interval
    return float(low), float(high)


def t_interval(values) -> tuple[float, float]:
    """95 % interval of Student's t for the mean of some values; the same special cases as `interval`."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) < TOLERANCE:
        return float(values.mean()), float(values.mean())
    low, high = stats.ttest_1samp(values, 0).confidence_interval(CONFIDENCE_LEVEL)
    return float(low), float(high)


def p_value(differences) -> float:
    """Two-sided p of the paired t-test that differences have mean zero; 1 where there is nothing to test."""
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) < TOLERANCE:
        return 1.0 if abs(differences[0]) < TOLERANCE else 0.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p) -> np.ndarray:
    """p-values corrected for their number (Holm 1979): sorted, times what is left of them, never falling."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(corrected, 1)
    return adjusted


def compare(values: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Every method against one: `mean`, `low`, `high` of the paired differences, `p` after Holm, `verdict`.

    values: one row per seed, one column per method; a method with a single value (one that involves no chance)
    is compared with every seed of the baseline.
    """
    rows = {}
    for name in values.columns.drop(baseline):
        method = values[name]
        method = method.fillna(method.iloc[0]) if method.notna().sum() == 1 else method
        difference = (method - values[baseline]).dropna()
        rows[name] = [difference.mean(), *interval(difference), p_value(difference), len(difference)]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high", "p", "seeds"])
    table["p"] = holm(table["p"])
    clear = (table["p"] < 1 - CONFIDENCE_LEVEL) & ((table["low"] > 0) | (table["high"] < 0))
    table["verdict"] = np.where(clear & (table["mean"] > 0), BETTER, np.where(clear, WORSE, NEITHER))
    return table.rename_axis("method")


def gap_closed(mean: float, baseline: float, ceiling: float) -> float:
    """Share of the way from a baseline's accuracy to the ceiling; NaN where the baseline has no gap."""
    return (mean - baseline) / (ceiling - baseline) if ceiling > baseline else np.nan


def sampling_interval(accuracy: float, points: int) -> tuple[float, float]:
    """95 % interval of an accuracy for the chance of which points were drawn (Wilson 1927)."""
    found = stats.binomtest(round(accuracy * points), points).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(found.low), float(found.high)
