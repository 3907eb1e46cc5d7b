"""Losses against Keras, closed forms, and the mistakes that are known from other implementations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from kdlib.methods.targets import soften
from kdlib.training import losses

RNG = np.random.default_rng(0)
MEMBERS, BATCH, CLASSES = 4, 16, 3
Z = RNG.normal(0, 3, (MEMBERS, BATCH, CLASSES)).astype(np.float32)
TEACHER = RNG.normal(0, 3, (MEMBERS, BATCH, CLASSES)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[RNG.integers(0, CLASSES, (MEMBERS, BATCH))]


def per_member(value):
    return tf.constant(np.broadcast_to(np.float32(value), MEMBERS))


def kd(temperature, alpha, scale, z=Z, loss=losses.distillation, teacher=TEACHER):
    numbers = {"temperature": per_member(temperature), "alpha": per_member(alpha), "scale": per_member(scale)}
    soft = soften(teacher, temperature).astype(np.float32)
    return loss(tf.constant(z), (LABELS, soft), numbers).numpy()


def test_cross_entropy_is_that_of_keras_logits():
    ours = losses.cross_entropy(tf.constant(Z), (LABELS,)).numpy()
    theirs = [keras.losses.CategoricalCrossentropy(from_logits=True)(LABELS[i], Z[i]) for i in range(MEMBERS)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_is_that_of_keras(smoothing):
    settings = {"smoothing": per_member(smoothing)}
    ours = losses.smoothed_cross_entropy(tf.constant(Z), (LABELS,), settings).numpy()
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(ours, [keras_loss(LABELS[i], Z[i]) for i in range(MEMBERS)], rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_that_of_keras_and_scipy_teacher_first(temperature):
    ours = kd(temperature, alpha=0, scale=1)
    p, q = softmax(TEACHER / temperature, axis=2), softmax(Z / temperature, axis=2)
    theirs = [keras.losses.KLDivergence()(p[i], q[i]) for i in range(MEMBERS)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    np.testing.assert_allclose(ours, entropy(p, q, axis=2).mean(axis=1), rtol=1e-4)
    swapped = entropy(q, p, axis=2).mean(axis=1)
    assert not np.allclose(ours, swapped, rtol=1e-2), "the divergence is not symmetric, so a swap would show"


def test_distillation_is_that_of_keras_distillation():
    # Its default loss, the string "kl_divergence", takes another branch: no softmax, no T^2.
    theirs = keras.distillation.LogitsDistillation(temperature=3.0, loss=keras.losses.KLDivergence())
    expected = [theirs.compute_loss(TEACHER[i], Z[i]) for i in range(MEMBERS)]
    np.testing.assert_allclose(kd(3.0, alpha=0, scale=9), expected, rtol=1e-4)


def test_alpha_weighs_labels_and_teacher():
    labels, teacher = kd(2.0, alpha=1, scale=4), kd(2.0, alpha=0, scale=4)
    np.testing.assert_allclose(kd(2.0, alpha=0.3, scale=4), 0.3 * labels + 0.7 * teacher, rtol=1e-5)


def test_t_squared_keeps_the_gradient_at_high_temperature():
    """With T^2 the gradient tends to (z - t) / classes, both centred (Hinton et al. 2015, eq. 4); without, to zero."""

    def gradient(scale, temperature=1000.0):
        z = tf.constant(Z)
        with tf.GradientTape() as tape:
            tape.watch(z)
            numbers = {"temperature": per_member(temperature), "alpha": per_member(0), "scale": per_member(scale)}
            loss = losses.distillation(z, (LABELS, soften(TEACHER, temperature)), numbers)
        return tape.gradient(loss, z).numpy() * BATCH

    centred = (Z - Z.mean(axis=2, keepdims=True)) - (TEACHER - TEACHER.mean(axis=2, keepdims=True))
    np.testing.assert_allclose(gradient(1000.0**2), centred / CLASSES, rtol=0.02, atol=0.02)
    assert np.abs(gradient(1.0)).max() < 1e-4


def test_the_original_loss_in_plain_numpy():
    outputs, teacher = 1 / (1 + np.exp(-Z.astype(float))), 1 / (1 + np.exp(-TEACHER.astype(float)))
    p, log_q = softmax(teacher / 2, axis=2), log_softmax(outputs / 2, axis=2)
    divergence = (p * (np.log(p) - log_q)).sum(axis=2).mean(axis=1)
    normalised = outputs / outputs.sum(axis=2, keepdims=True)
    labels = -np.log((LABELS * normalised).sum(axis=2)).mean(axis=1)
    ours = kd(2.0, alpha=0.3, scale=1, loss=losses.original, teacher=teacher)
    np.testing.assert_allclose(ours, 0.3 * labels + 0.7 * divergence, rtol=1e-4)
    theirs = [keras.losses.CategoricalCrossentropy()(LABELS[i], outputs[i]) for i in range(MEMBERS)]
    np.testing.assert_allclose(labels, theirs, rtol=1e-4)


def test_two_heads_add_their_entropies():
    domains = np.eye(2, dtype=np.float32)[RNG.integers(0, 2, (MEMBERS, BATCH))]
    other = RNG.normal(size=(MEMBERS, BATCH, 2)).astype(np.float32)
    both = losses.two_heads(tf.constant(np.concatenate([Z, other], axis=2)), (LABELS, domains)).numpy()
    parts = [losses.cross_entropy(tf.constant(z), (t,)).numpy() for z, t in ((Z, LABELS), (other, domains))]
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-6)


def test_settings_are_each_members_own():
    mixed = kd(np.array([1.0, 2.0, 4.0, 8.0]), alpha=np.array([0, 0.5, 1, 0.25]), scale=np.array([1, 4, 16, 64]))
    for i, (t, a) in enumerate([(1.0, 0), (2.0, 0.5), (4.0, 1), (8.0, 0.25)]):
        assert mixed[i] == pytest.approx(kd(t, a, t * t)[i], rel=1e-5)


@given(st.integers(0, 10_000), st.floats(0.2, 50))
@settings(max_examples=50, deadline=None)
def test_no_divergence_is_below_that_of_the_teacher_itself(seed, temperature):
    """The divergence is zero for the teacher's own logits, shifted by anything, and positive otherwise."""
    rng = np.random.default_rng(seed)
    teacher = rng.normal(0, 2, (MEMBERS, BATCH, CLASSES)).astype(np.float32)
    shifted = teacher + rng.normal(size=(MEMBERS, BATCH, 1)).astype(np.float32)
    assert kd(temperature, 0, 1, z=shifted, teacher=teacher) == pytest.approx(0, abs=1e-5)
    assert (kd(temperature, 0, 1, teacher=teacher) > -1e-6).all()
