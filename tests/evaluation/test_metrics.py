"""Metrics against scikit-learn and closed forms."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from kdlib.evaluation import metrics

RNG = np.random.default_rng(1)
LOG_P = log_softmax(RNG.normal(0, 2, (3, 200, 4)), axis=2)
Y = RNG.integers(0, 4, 200)


def test_accuracy_and_nll_are_those_of_scikit_learn():
    for i in range(3):
        assert metrics.accuracy(LOG_P, Y)[i] == accuracy_score(Y, LOG_P[i].argmax(axis=1))
        assert metrics.nll(LOG_P, Y)[i] == pytest.approx(log_loss(Y, np.exp(LOG_P[i]), labels=range(4)))


def test_calibration_error_of_one_bin_is_the_gap_of_the_means():
    confidence = np.exp(LOG_P.max(axis=2)).mean(axis=1)
    expected = np.abs(confidence - metrics.accuracy(LOG_P, Y))
    np.testing.assert_allclose(metrics.expected_calibration_error(LOG_P, Y, bins=1), expected)


def test_calibration_error_by_hand():
    """Ten points at 0.9, all right, and ten at 0.6, half right: 0.5 * 0.1 + 0.5 * 0.1."""
    p = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    y = np.array([0] * 10 + [0, 1] * 5)
    assert metrics.expected_calibration_error(np.log(p)[None], y)[0] == pytest.approx(0.1)


def test_a_calibrated_population_has_little_error():
    p = RNG.dirichlet(np.ones(3), 100_000)
    y = (RNG.random((100_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert metrics.expected_calibration_error(np.log(p)[None], y)[0] < 0.006


def test_reliability_counts_every_point_once():
    confidence, right, share = metrics.reliability(LOG_P, Y)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    np.testing.assert_allclose((right * share).sum(axis=1), metrics.accuracy(LOG_P, Y))
    np.testing.assert_allclose((confidence * share).sum(axis=1), np.exp(LOG_P.max(axis=2)).mean(axis=1))


def test_agreement_is_one_with_itself_and_ignores_what_is_right():
    np.testing.assert_array_equal(metrics.agreement(LOG_P, LOG_P), 1)
    other = np.roll(LOG_P, 1, axis=2)
    np.testing.assert_array_equal(metrics.agreement(LOG_P, other), 0)


def test_a_tally_of_blocks_is_that_of_the_whole():
    rng = np.random.default_rng(3)
    log_p = np.log(rng.dirichlet(np.ones(3), (2, 500)))
    taught = np.log(rng.dirichlet(np.ones(3), (1, 500)))
    y, d = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    tally = metrics.Tally()
    for rows in np.split(np.arange(500), [7, 8, 300]):
        tally.add(log_p[:, rows], y[rows], d[rows], taught[:, rows])
    values = tally.values()
    assert list(values) == [("all", m) for m in ("accuracy", "nll", "ece", "agreement")] + [
        (k, "accuracy") for k in "01"
    ]
    np.testing.assert_allclose(values["all", "accuracy"], metrics.accuracy(log_p, y))
    np.testing.assert_allclose(values["all", "nll"], metrics.nll(log_p, y))
    np.testing.assert_allclose(values["all", "ece"], metrics.expected_calibration_error(log_p, y))
    np.testing.assert_allclose(values["all", "agreement"], metrics.agreement(log_p, taught))
    np.testing.assert_allclose(values["1", "accuracy"], metrics.accuracy(log_p[:, d == 1], y[d == 1]))
    for ours, theirs in zip(tally.reliability(), metrics.reliability(log_p, y), strict=True):
        np.testing.assert_allclose(ours, theirs)
