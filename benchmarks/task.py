"""The one task that every way of training is timed on: sizes, data, batches, and the flops of an epoch.

The data are made up (a disc and its ring in the plane): the time of a step does not depend on what they say.
"""

from itertools import pairwise

import numpy as np

SAMPLES, FEATURES, CLASSES, DOMAINS = 2400, 2, 2, 3
HIDDEN = (64, 32)
BATCH = 32
RATE, TEMPERATURE, ALPHA = 1e-3, 4.0, 0.5


def data(samples: int = SAMPLES):
    """Points (n, 2) float32, labels (n,) int32 and domains (n,), sorted by domain as in data/."""
    x = np.random.default_rng(0).normal(size=(samples, FEATURES)).astype(np.float32)
    y = (np.square(x).sum(axis=1) > 2 * np.log(2)).astype(np.int32)  # half of the points are in the disc
    return x, y, np.arange(samples) * DOMAINS // samples


def batches(rng: np.random.Generator, members: int, samples: int = SAMPLES) -> np.ndarray:
    """Rows of one epoch in each member's own order (steps, member, batch) int32."""
    rows = np.tile(np.arange(samples, dtype=np.int32), (members, 1))
    return rng.permuted(rows, axis=1).reshape(members, -1, BATCH).swapaxes(0, 1)


def glorot(rng: np.random.Generator, members: int) -> list[np.ndarray]:
    """Weights [(member, in, out), (member, 1, out), ...] float32 of a population."""
    weights = []
    for ins, outs in pairwise((FEATURES, *HIDDEN, CLASSES)):
        limit = np.sqrt(6 / (ins + outs))
        weights.append(rng.uniform(-limit, limit, (members, ins, outs)).astype(np.float32))
        weights.append(np.zeros((members, 1, outs), np.float32))
    return weights


def weights(hidden: tuple[int, ...] = HIDDEN) -> int:
    """Weights and biases of one network."""
    return sum((ins + 1) * outs for ins, outs in pairwise((FEATURES, *hidden, CLASSES)))


def flops(samples: int = SAMPLES, hidden: tuple[int, ...] = HIDDEN) -> int:
    """Operations in the matrix products of one epoch of one network.

    A layer of in x out weights takes 2 in out per sample forward, as much for the gradient of its weights, and
    as much for the gradient of its inputs, which the first layer does not need.
    """
    layers = [ins * outs for ins, outs in pairwise((FEATURES, *hidden, CLASSES))]
    return samples * 2 * (3 * sum(layers) - layers[0])
