"""Losses: plain functions of a batch, for networks trained directly and for students.

Their form is `loss(logits, targets, settings) -> (member,)`, the mean over the batch of each member. Logits are
(member, batch, outputs), `targets` a tuple of arrays (member, batch, classes), `settings` a dict of numbers per member
(member,), so that one population can hold many temperatures or weights. What does not change during training, such as a
teacher's softened probabilities, is computed once, before.

    L = alpha * CE(labels, softmax(z)) + (1 - alpha) * T^2 * KL(softmax(t / T) || softmax(z / T))

with student's logits z and teacher's t (Hinton, Vinyals & Dean 2015, section 2). Out of scope: matching of hidden
layers and of relations between samples.
"""

import tensorflow as tf


def cross_entropy(logits, targets, settings=None):
    """-sum_c p(c) log softmax(z)(c), mean over the batch (member,); targets: (p,), one-hot or soft."""
    (labels,) = targets
    return -tf.reduce_mean(tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=2), axis=1)


def smoothed_cross_entropy(logits, targets, settings):
    """Cross-entropy with labels of which the share `smoothing` is spread over all classes (Szegedy et al. 2016)."""
    (labels,) = targets
    smoothing = settings["smoothing"][:, None, None]
    return cross_entropy(logits, ((1 - smoothing) * labels + smoothing / labels.shape[2],))


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
