"""Populations of networks: the same outputs and initial weights as Keras's layers, whatever the shapes."""

import keras
import numpy as np
import pytest
from keras_networks import keras_network

from kdlib.training.networks import Architecture, forward, glorot_uniform, initial_weights, predict, small_normal

FEATURES, CLASSES, DOMAINS = 2, 2, 3
ONE_HEAD, TWO_HEADS = (Architecture(FEATURES, (12, 8), heads) for heads in ((CLASSES,), (CLASSES, DOMAINS)))


def test_predict_agrees_with_keras_whatever_the_number_of_points():
    rng = np.random.default_rng(3)
    weights = initial_weights(ONE_HEAD, [0, 1])
    model = keras_network([w[1] for w in weights], (CLASSES,))
    for n in (1, 5, 1024, 1025):
        x = rng.normal(size=(n, FEATURES)).astype(np.float32)
        np.testing.assert_allclose(predict(weights, x)[1], model(x), rtol=1e-4, atol=1e-5)


def test_each_member_may_have_its_own_points():
    x = np.random.default_rng(3).normal(size=(2, 7, FEATURES))
    weights = initial_weights(ONE_HEAD, [0, 1])
    own = predict(weights, x)
    for i in range(2):
        np.testing.assert_allclose(own[i], predict(weights, x[i])[i], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("features, classes", [(1, 2), (2, 7), (4, 4), (5, 3), (20, 12)])
def test_narrow_and_wide_layers_are_the_same_network(features, classes):
    weights = initial_weights(Architecture(features, (6,), (classes,)), [0])
    x = np.random.default_rng(3).normal(size=(1, 9, features)).astype(np.float32)
    hidden = np.maximum(x[0] @ weights[0][0] + weights[1][0], 0)
    np.testing.assert_allclose(forward(weights, x)[0], hidden @ weights[2][0] + weights[3][0], rtol=1e-4, atol=1e-5)


def test_the_number_of_weights_is_that_of_the_arrays():
    weights = initial_weights(TWO_HEADS, [0])
    assert TWO_HEADS.weights == sum(w.size for w in weights) == 3 * 12 + 13 * 8 + 9 * (CLASSES + DOMAINS)


def test_initial_weights_have_the_distribution_of_keras_initializers():
    weights = initial_weights(Architecture(2, (400, 300), (2,)), range(3))
    limit = np.sqrt(6 / 700)
    assert weights[2].min() == pytest.approx(-limit, rel=1e-3)
    theirs = np.asarray(keras.initializers.GlorotUniform(0)((400, 300)))
    assert weights[2].std() == pytest.approx(theirs.std(), rel=0.01)
    small = initial_weights(Architecture(2, (400, 300), (2,)), range(3), small_normal)
    assert small[2].std() == pytest.approx(0.05, rel=0.01)
    assert not any(bias.any() for bias in weights[1::2])


def test_networks_that_share_layers_share_their_initial_weights():
    one, two = initial_weights(ONE_HEAD, [3]), initial_weights(TWO_HEADS, [9, 3])
    np.testing.assert_array_equal(one[0][0], two[0][1])
    np.testing.assert_array_equal(one[4][0], two[4][1][:, :CLASSES])
    assert not np.array_equal(two[0][0], two[0][1])
    assert glorot_uniform(np.random.default_rng(0), 2, 3).shape == (2, 3)
