"""Comparisons against closed forms, SciPy and a table by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kdlib.evaluation import comparison

RNG = np.random.default_rng(0)


def test_holm_by_hand():
    np.testing.assert_allclose(comparison.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=100)
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(p):
    p = np.array(p)
    adjusted = comparison.holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= -1e-12).all()


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        low, high = comparison.interval(rng.normal(0.3, 1, 30))
        hits += low <= 0.3 <= high
    assert 0.89 <= hits / 200 <= 0.985


def test_the_interval_is_students():
    values = [0.1, 0.3, 0.2, 0.6]
    half = 3.182446 * np.std(values, ddof=1) / 2
    assert comparison.interval(values) == pytest.approx((0.3 - half, 0.3 + half))
    assert comparison.interval([0.5, 0.5]) == (0.5, 0.5)  # of accuracies, which nobody tests against zero
    assert comparison.interval([1e-17, 1e-17]) == (0, 0)  # rounding is no effect
    assert np.isnan(comparison.interval([0.5])).all()


@pytest.mark.parametrize("seeds", range(2, 9))
def test_equal_differences_on_few_points_are_judged_by_the_sign_test(seeds):
    base = np.full(seeds, 20 / 38)
    table = comparison.compare(pd.DataFrame({"base": base, "other": base + 1 / 38}), "base")
    expected = stats.binomtest(seeds, seeds).pvalue
    assert table.loc["other", "p"] == pytest.approx(expected)
    assert table.loc["other", "verdict"] == (comparison.BETTER if expected < 0.05 else comparison.NEITHER)
    shown = [1 / 38, 1 / 38] if expected < 0.05 else [np.nan, np.nan]
    assert table.loc["other", ["low", "high"]].tolist() == pytest.approx(shown, nan_ok=True)


@given(st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_an_interval_excludes_zero_exactly_where_the_corrected_test_rejects(effects, seed):
    rng = np.random.default_rng(seed)
    base = rng.normal(0.9, 0.01, 10)
    values = pd.DataFrame({"base": base} | {str(i): base + rng.normal(e, 0.01, 10) for i, e in enumerate(effects)})
    table = comparison.compare(values, "base")
    excludes = (table["low"] > 0) | (table["high"] < 0)
    assert (excludes == (table["p"] < 0.05)).all()
    assert (excludes == (table["verdict"] != comparison.NEITHER)).all()
    assert ((table["mean"] > table["low"]) & (table["mean"] < table["high"])).all()


def test_pairing_finds_what_the_spread_of_seeds_hides():
    seeds = RNG.normal(0.9, 0.05, 30)
    values = pd.DataFrame({"base": seeds, "up": seeds + RNG.normal(0.002, 0.001, 30), "alike": RNG.permutation(seeds)})
    table = comparison.compare(values, "base")
    assert table.loc["up", "verdict"] == comparison.BETTER
    assert table.loc["up", "mean"] == pytest.approx((values.up - values.base).mean())
    assert table.loc["up", "low"] > 0
    assert table.loc["alike", "verdict"] == comparison.NEITHER
    unpaired = stats.ttest_ind(values.up, values.base).pvalue
    assert unpaired > 0.5
    turned = comparison.compare(values, "up")
    assert turned.loc["base", "verdict"] == comparison.WORSE
    expected = comparison.holm([stats.ttest_rel(values[m], values.up).pvalue for m in ("base", "alike")])
    np.testing.assert_allclose(turned["p"], expected)


def test_a_method_without_seeds_is_compared_with_every_seed():
    values = pd.DataFrame({"base": [0.8, 0.81, 0.79], "fixed": [0.85, np.nan, np.nan]})
    table = comparison.compare(values, "base")
    assert table.loc["fixed", "seeds"] == 3
    assert table.loc["fixed", "mean"] == pytest.approx(0.05)


def test_one_seed_shows_nothing():
    table = comparison.compare(pd.DataFrame({"base": [0.8], "other": [0.9]}), "base")
    assert table.loc["other", "verdict"] == comparison.NEITHER
    assert np.isnan(table.loc["other", "low"])


def test_gap_closed():
    assert comparison.gap_closed(0.95, 0.9, 1.0) == pytest.approx(0.5)
    assert comparison.gap_closed(0.88, 0.9, 1.0) == pytest.approx(-0.2)
    assert np.isnan(comparison.gap_closed(0.9, 0.9, 0.9))


def test_300_points_leave_an_accuracy_uncertain_by_percents():
    low, high = comparison.sampling_interval(0.98, 300)
    assert low == pytest.approx(0.9571, abs=1e-3)
    assert high == pytest.approx(0.9908, abs=1e-3)
