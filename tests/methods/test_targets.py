"""How several teachers become one target, against SciPy, loops in plain Python, and hand-worked numbers."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from kdlib.methods import targets

RNG = np.random.default_rng(0)
DOMAINS, MEMBERS, POINTS, CLASSES = 2, 4, 16, 3
LOGITS = RNG.normal(0, 2, (DOMAINS, MEMBERS, POINTS, CLASSES))  # (domain, member, n, classes)
DOMAIN = RNG.integers(0, DOMAINS, POINTS)


def test_log_softmax_is_that_of_scipy_also_of_large_logits():
    for logits in (LOGITS, 1e4 * LOGITS):
        np.testing.assert_allclose(targets.log_softmax(logits), log_softmax(logits, axis=3), rtol=1e-12, atol=1e-12)


def test_softening_divides_logits_by_the_temperature_of_each_member():
    temperatures = np.array([0.5, 1.0, 4.0, 20.0])
    softened = targets.soften(LOGITS[0], temperatures)
    for i, temperature in enumerate(temperatures):
        np.testing.assert_allclose(softened[i], softmax(LOGITS[0, i] / temperature, axis=1), rtol=1e-12)
        np.testing.assert_allclose(softened[i], targets.soften(LOGITS[0, i], temperature), rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0, 10.0])
def test_softmax_over_sigmoids_caps_a_soft_target(temperature):
    """However sure the original's teacher is, its target for two classes stays below 1 / (1 + e^(-1/T))."""
    sure = 1 / (1 + np.exp(-np.array([[[40.0, -40.0]]])))
    target = targets.soften(sure, temperature).max()
    assert target == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=1e-6)


def test_routed_takes_each_samples_own_teacher():
    target = targets.routed(LOGITS, DOMAIN)
    for n, k in enumerate(DOMAIN):
        np.testing.assert_array_equal(target[:, n], LOGITS[k, :, n])


@pytest.mark.parametrize("shape", [(POINTS, DOMAINS), (MEMBERS, POINTS, DOMAINS)], ids=["one gate", "a gate each"])
def test_the_mixture_is_the_sum_over_teachers_of_gate_times_probability(shape):
    gate = softmax(RNG.normal(size=shape), axis=-1)
    found = np.exp(targets.mixture(LOGITS, gate))
    of_each = np.broadcast_to(gate, (MEMBERS, POINTS, DOMAINS))
    for m in range(MEMBERS):
        for n in range(POINTS):
            expected = sum(of_each[m, n, k] * softmax(LOGITS[k, m, n]) for k in range(DOMAINS))
            np.testing.assert_allclose(found[m, n], expected, rtol=1e-9)


def test_the_mixture_is_of_probabilities_not_of_logits():
    gate = softmax(RNG.normal(size=(POINTS, DOMAINS)), axis=1)
    averaged = softmax(np.einsum("nk,kmnc->mnc", gate, LOGITS), axis=2)
    assert not np.allclose(np.exp(targets.mixture(LOGITS, gate)), averaged, atol=1e-2)


def test_a_gate_that_is_sure_routes():
    np.testing.assert_allclose(
        targets.mixture(LOGITS, np.eye(DOMAINS)[DOMAIN]),
        log_softmax(targets.routed(LOGITS, DOMAIN), axis=2),
        rtol=1e-6,
    )


def test_entropy_weights_are_the_softmax_of_minus_the_entropies():
    weights = targets.entropy_weights(LOGITS)
    entropies = entropy(softmax(LOGITS, axis=3), axis=3)  # (domain, member, n)
    np.testing.assert_allclose(weights, np.moveaxis(softmax(-entropies, axis=0), 0, 2), rtol=1e-9)
    surest = weights.argmax(axis=2)
    np.testing.assert_array_equal(surest, entropies.argmin(axis=0))


def test_confidence_weights_by_hand():
    """Cross-entropies of the label: log 2, log 4 and log 4. exp gives 2, 4, 4: (1 - 0.2) / 2, (1 - 0.4) / 2 twice."""
    p = np.array([[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]])
    weights = targets.confidence_weights(np.log(p)[:, None, None, :], labels=np.array([0]))
    np.testing.assert_allclose(weights, [[[0.4, 0.3, 0.3]]])


def test_confidence_weights_sum_to_one_and_favour_who_is_right():
    labels = RNG.integers(0, CLASSES, POINTS)
    weights = targets.confidence_weights(LOGITS, labels)
    np.testing.assert_allclose(weights.sum(axis=2), 1)
    right = log_softmax(LOGITS, axis=3)[:, :, np.arange(POINTS), labels]  # (domain, member, n)
    np.testing.assert_array_equal(weights.argmax(axis=2), right.argmax(axis=0))


def test_a_lone_teacher_has_all_the_weight():
    labels = np.zeros(POINTS, int)
    for weights in (targets.confidence_weights(LOGITS[:1], labels), targets.entropy_weights(LOGITS[:1])):
        np.testing.assert_array_equal(weights, np.ones((MEMBERS, POINTS, 1)))
