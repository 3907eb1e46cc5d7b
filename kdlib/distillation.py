"""Losses of students, and how several teachers become one target.

A loss is a plain function of a batch: `loss(logits, targets, settings) -> (member,)`, the mean over the
batch of each member. Logits are (member, batch, outputs), `targets` a tuple of arrays (member, batch, classes),
`settings` a dict of numbers per member (member,), so that one population can hold many temperatures or
weights. What does not change during training, such as a teacher's softened probabilities, is computed once, before.

    L = alpha * CE(labels, softmax(z)) + (1 - alpha) * T^2 * KL(softmax(t / T) || softmax(z / T))

with student's logits z and teacher's t (Hinton, Vinyals & Dean 2015, section 2). Leaves out matching of
hidden layers and of relations between samples.
"""

from functools import reduce

import numpy as np
import tensorflow as tf


def cross_entropy(logits, targets, settings=None):
    """-sum_c p(c) log softmax(z)(c), mean over the batch (member,); targets: (p,), one-hot or soft."""
    (labels,) = targets
    return -tf.reduce_mean(tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=2), axis=1)


def divergence(soft, log_student):
    """KL(teacher || student), mean over the batch (member,), of probabilities and log-probabilities."""
    log_soft = tf.math.log(tf.maximum(soft, 1e-30))  # 0 log 0 is 0
    return tf.reduce_mean(tf.reduce_sum(soft * (log_soft - log_student), axis=2), axis=1)


def distillation(logits, targets, settings):
    """Hinton's loss; targets: labels and the teacher's probabilities softened by T (`soften`).

    settings: `alpha`, weight of the labels; `temperature`, T; `scale`, what multiplies the divergence (T^2).
    """
    labels, soft = targets
    log_student = tf.nn.log_softmax(logits / settings["temperature"][:, None, None])
    return settings["alpha"] * cross_entropy(logits, (labels,)) + (1 - settings["alpha"]) * settings[
        "scale"
    ] * divergence(soft, log_student)


def original(logits, targets, settings):
    """The original's loss: outputs are sigmoids, and these go under the softmax with temperature.

    targets: labels and `soften(sigmoid(t), T)`. The cross-entropy is Keras's of unnormalised probabilities,
    which divides them by their sum. With `scale` 1 there is no T^2, as in the original.
    """
    labels, soft = targets
    outputs = tf.sigmoid(logits)
    log_student = tf.nn.log_softmax(outputs / settings["temperature"][:, None, None])
    entropy = cross_entropy(tf.math.log(outputs + 1e-7), (labels,))
    return settings["alpha"] * entropy + (1 - settings["alpha"]) * settings["scale"] * divergence(soft, log_student)


def two_heads(logits, targets, settings=None):
    """Cross-entropy of the labels plus that of the domains; targets: (labels, domains), one-hot."""
    labels, domains = targets
    classes = labels.shape[2]
    return cross_entropy(logits[..., :classes], (labels,)) + cross_entropy(logits[..., classes:], (domains,))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log softmax over the last axis."""
    # Few classes and many points: a pass per class is several times faster than reductions of so short an axis.
    shifted = logits - reduce(np.maximum, np.moveaxis(logits, -1, 0))[..., None]
    return shifted - np.log(reduce(np.add, np.moveaxis(np.exp(shifted), -1, 0)))[..., None]


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
