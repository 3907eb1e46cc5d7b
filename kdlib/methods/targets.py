"""Targets of a student: how the outputs of several teachers become one distribution over the classes.

Logits of teachers are (domain, member, n, classes); everything here is NumPy, since targets do not change during
training and are computed once, before it.
"""

from functools import reduce

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log softmax over the last axis."""
    # Few classes and many points: a pass per class is several times faster than reductions of so short an axis.
    shifted = logits - reduce(np.maximum, np.moveaxis(logits, -1, 0))[..., None]
    return shifted - np.log(reduce(np.add, np.moveaxis(np.exp(shifted), -1, 0)))[..., None]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), in double precision."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def log_normalized_sigmoid(logits: np.ndarray) -> np.ndarray:
    """log of sigmoids divided by their sum over the last axis."""
    return log_softmax(np.log(sigmoid(logits) + 1e-30))


ACTIVATIONS = {"softmax": log_softmax, "sigmoid": log_normalized_sigmoid}
"""How outputs of a network become log-probabilities, by name."""


def soften(logits: np.ndarray, temperature) -> np.ndarray:
    """softmax(logits / T) over the last axis; T a number, or one per member (member,)."""
    temperature = np.reshape(temperature, (-1,) + (1,) * (logits.ndim - 1)) if np.ndim(temperature) else temperature
    return np.exp(log_softmax(logits / temperature))


def routed(teachers: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Each sample's own teacher: logits (domain, member, n, classes) and domains (n,) -> (member, n, classes)."""
    return teachers[domain, :, np.arange(len(domain))].swapaxes(0, 1)


def entropy_weights(teachers: np.ndarray) -> np.ndarray:
    """Weights (member, n, domain) of teachers' logits (domain, member, n, classes): softmax(-entropy) over teachers."""
    log_p = log_softmax(teachers)
    return np.exp(log_softmax(np.moveaxis((np.exp(log_p) * log_p).sum(axis=3), 0, 2)))


def confidence_weights(teachers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """CA-MKD's weights (member, n, domain), from each teacher's cross-entropy of the labels (n,).

    w_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1), Zhang, Chen & Wang 2022, eq. 3. One teacher has weight 1.
    """
    if len(teachers) == 1:
        return np.ones((*teachers.shape[1:3], 1))
    entropy = -log_softmax(teachers)[:, :, np.arange(len(labels)), labels]  # (domain, member, n)
    return (1 - np.exp(log_softmax(np.moveaxis(entropy, 0, 2)))) / (len(teachers) - 1)


def mixture(teachers: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """log sum_k P(k | x) softmax(t_k(x)): the target of a student that is not told the domain (member, n, classes).

    teachers: logits (domain, member, n, classes); gate: P(k | x), (n, domain) or (member, n, domain).
    """
    gate = np.broadcast_to(gate, (*teachers.shape[1:3], len(teachers)))
    mixed = np.einsum("mnk,kmnc->mnc", gate, np.exp(log_softmax(teachers)))
    return np.log(np.maximum(mixed, 1e-30))
