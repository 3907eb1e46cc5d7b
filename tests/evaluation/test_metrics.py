"""Metrics against scikit-learn and closed forms, on whole splits and on blocks of them."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from kdlib.evaluation import metrics

RNG = np.random.default_rng(1)
LOG_P = log_softmax(RNG.normal(0, 2, (3, 200, 4)), axis=2)
Y = RNG.integers(0, 4, 200)
BLOCKS = np.split(np.arange(200), [7, 8, 130])


def test_accuracy_and_nll_are_those_of_scikit_learn():
    for i in range(3):
        assert metrics.accuracy(LOG_P, Y)[i] == accuracy_score(Y, LOG_P[i].argmax(axis=1))
        assert metrics.nll(LOG_P, Y)[i] == pytest.approx(log_loss(Y, np.exp(LOG_P[i]), labels=range(4)))


def calibration_error(log_p, y):
    error = metrics.CalibrationError()
    error.add(log_p, y)
    return error.value()


def test_calibration_error_of_one_bin_is_the_gap_of_the_means(monkeypatch):
    monkeypatch.setattr(metrics, "BINS", 1)
    confidence = np.exp(LOG_P.max(axis=2)).mean(axis=1)
    expected = np.abs(confidence - metrics.accuracy(LOG_P, Y))
    np.testing.assert_allclose(calibration_error(LOG_P, Y), expected)


def test_calibration_error_by_hand():
    """Ten points at 0.9, all right, and ten at 0.6, half right: 0.5 * 0.1 + 0.5 * 0.1."""
    p = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    y = np.array([0] * 10 + [0, 1] * 5)
    assert calibration_error(np.log(p)[None], y)[0] == pytest.approx(0.1)


def test_a_calibrated_population_has_little_error():
    p = RNG.dirichlet(np.ones(3), 100_000)
    y = (RNG.random((100_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert calibration_error(np.log(p)[None], y)[0] < 0.006


def test_reliability_counts_every_point_once():
    confidence, right, share = metrics.reliability(LOG_P, Y)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    np.testing.assert_allclose((right * share).sum(axis=1), metrics.accuracy(LOG_P, Y))
    np.testing.assert_allclose((confidence * share).sum(axis=1), np.exp(LOG_P.max(axis=2)).mean(axis=1))


def test_agreement_is_one_with_itself_and_ignores_what_is_right():
    np.testing.assert_array_equal(metrics.agreement(LOG_P, LOG_P), 1)
    other = np.roll(LOG_P, 1, axis=2)
    np.testing.assert_array_equal(metrics.agreement(LOG_P, other), 0)


def accumulated(d=None, target=None) -> metrics.Accumulator:
    scores = metrics.Accumulator()
    for rows in BLOCKS:
        scores.add(LOG_P[:, rows], Y[rows], None if d is None else d[rows], None if target is None else target[:, rows])
    return scores


def test_metrics_of_blocks_are_those_of_the_whole():
    d, target = RNG.integers(0, 2, 200), LOG_P[:1] + RNG.normal(0, 1, (1, 200, 4))
    scores = accumulated(d, target)
    values = scores.values()
    of_all = ["accuracy", "nll", "ece", "agreement"]
    assert list(values) == [*(("all", name) for name in of_all), ("0", "accuracy"), ("1", "accuracy")]
    np.testing.assert_allclose(values["all", "accuracy"], metrics.accuracy(LOG_P, Y))
    np.testing.assert_allclose(values["all", "nll"], metrics.nll(LOG_P, Y))
    np.testing.assert_allclose(values["all", "ece"], calibration_error(LOG_P, Y))
    np.testing.assert_allclose(values["all", "agreement"], metrics.agreement(LOG_P, target))
    for k in range(2):
        np.testing.assert_allclose(values[str(k), "accuracy"], metrics.accuracy(LOG_P[:, d == k], Y[d == k]))
    for ours, whole in zip(scores.reliability(), metrics.reliability(LOG_P, Y), strict=True):
        np.testing.assert_allclose(ours, whole)


def test_domains_are_ordered_as_numbers_also_where_a_block_lacks_some():
    d = np.sort(RNG.integers(0, 12, 200))
    domains = [domain for domain, metric in accumulated(d).values() if domain != "all"]
    assert domains == [str(k) for k in range(12)]


def area_under_curve(log_p, y):
    """Of class 1 against the others, per member, by scikit-learn."""
    return np.array([roc_auc_score(y == 1, np.exp(each[:, 1])) for each in log_p])


def test_a_metric_that_needs_all_points_at_once_gets_them(monkeypatch):
    entered = metrics.METRICS | {"auroc": metrics.Pooled(area_under_curve, by_domain=True)}
    monkeypatch.setattr(metrics, "METRICS", entered)
    d = RNG.integers(0, 2, 200)
    values = accumulated(d).values()
    np.testing.assert_array_equal(values["all", "auroc"], area_under_curve(LOG_P, Y))
    np.testing.assert_array_equal(values["0", "auroc"], area_under_curve(LOG_P[:, d == 0], Y[d == 0]))
    of_blocks = np.mean([area_under_curve(LOG_P[:, rows], Y[rows]) for rows in (BLOCKS[2], BLOCKS[3])], axis=0)
    assert not np.allclose(values["all", "auroc"], of_blocks), "it is no mean over blocks"
