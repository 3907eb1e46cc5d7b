"""Networks as arrays: what NumPy makes of them is what Keras makes of them, and a file holds them all."""

import hashlib
import json

import numpy as np
import pytest
from keras_networks import keras_network
from made_up_networks import networks, weights
from scipy.special import softmax

from kdlib.models.networks import ModelError, Networks

X = np.random.default_rng(1).normal(size=(50, 3)) * [1, 1e3, 1e-3] + [0, 1e5, 7]


def test_probabilities_are_those_of_the_same_network_in_keras():
    made = networks()
    scaled = (X - made.arrays["mean"]) / made.arrays["deviation"]
    for method, seed in (("kd_a", 0), ("kd_a", 2), ("kd_b", 1)):
        member = [layer[seed] for layer in weights()[method]]
        logits = np.reshape(keras_network(member, (4,))(scaled.astype(np.float32)), (-1, 4))
        sigmoids = 1 / (1 + np.exp(-logits.astype(float)))
        expected = softmax(logits, axis=1) if method == "kd_a" else sigmoids / sigmoids.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(made.probabilities(X, method, seed), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(made.probabilities(X), made.probabilities(X, "kd_b", 1))


def test_a_file_holds_all_networks_and_has_the_same_bytes_each_time(tmp_path):
    made, path = networks(), tmp_path / "student.npz"
    made.write(path)
    content = path.read_bytes()
    networks().write(path)
    assert hashlib.sha256(content).digest() == hashlib.sha256(path.read_bytes()).digest()
    found = Networks.read(path)
    assert found.about == made.about and found.methods == ["kd_a", "kd_b"]
    for method in found.methods:
        np.testing.assert_array_equal(found.probabilities(X, method, 2), made.probabilities(X, method, 2))


@pytest.mark.parametrize(
    ("method", "seed", "line"),
    [
        ("kd_c", 0, "method: expected one of kd_a, kd_b, got 'kd_c'"),
        ("kd_a", 3, "seed: expected a whole number from 0 to 2, got 3"),
        ("kd_a", -1, "seed: expected a whole number from 0 to 2, got -1"),
        ("kd_a", 1.5, "seed: expected a whole number from 0 to 2, got 1.5"),
    ],
)
def test_a_network_that_is_not_there_is_refused(method, seed, line):
    with pytest.raises(ModelError) as raised:
        networks().layers(method, seed)
    assert str(raised.value) == line


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "student.npz"
    networks().write(path)
    good = path.read_bytes()
    for content in (b"", b"PK\3\4", good[: len(good) // 2], b"text"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"expected networks as a report writes them"):
            Networks.read(path)
    for arrays in ({"x": np.zeros(3)}, {"about": "[]"}, {"about": json.dumps(networks().about)}):
        np.savez(path, **arrays)
        with pytest.raises(ModelError, match=r"expected networks as a report writes them"):
            Networks.read(path)
    with pytest.raises(FileNotFoundError):
        Networks.read(tmp_path / "none.npz")
