"""The one training loop: a whole population, many steps per call into one compiled graph.

Every method trains here, teachers and students alike; they differ in their data, targets, loss and batches.
Members do not touch each other: the gradient of a sum of losses with respect to one member's weights is
the gradient of its own loss, and Adam works on each weight alone. The optimizer is Adam as in Keras (Kingma &
Ba 2015; epsilon 1e-7 outside the root), with decoupled weight decay if asked (Loshchilov & Hutter 2019).

Out of scope, since no method here needs them: other optimizers, gradient clipping, early stopping (all methods have the
same budget; the best epoch is chosen afterwards if asked).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from kdlib.training.compiled import compiled
from kdlib.training.losses import cross_entropy
from kdlib.training.networks import forward
from kdlib.training.plan import TrainingPlan

# Every loss and shape is compiled once, on purpose; TensorFlow would warn that there are several.
logging.getLogger("tensorflow").addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  #: Adam's, as in Keras
HALVINGS = 6  #: of the epochs, after each of which the first member is kept
STEPS = 128  #: of one call, at most, so that one compiled program serves epochs of any length
MAX_GATHERED = 64 * 2**20  #: bytes of their samples
TINY = 1e-30  #: moves no weight: a step is a mean of gradients over at least `EPSILON`


class TrainingError(ValueError):
    """Data or settings that cannot be trained; the message says what was expected and what came."""


@dataclass
class Fit:
    """A trained population."""

    weights: list[np.ndarray]  #: of the last epoch
    updates: int  #: per member
    loss: np.ndarray  #: (epochs, member), the training loss, mean of each epoch
    watched: dict[str, np.ndarray] = field(default_factory=dict)  #: loss and accuracy (epochs, member)
    best: list[np.ndarray] | None = None  #: the weights of each member's best epoch, if asked for
    best_epoch: np.ndarray | None = None  #: (member,), counted from 0
    checkpoints: dict[int, list[np.ndarray]] = field(default_factory=dict)  #: weights by epoch, if asked for
    early: dict[int, list[np.ndarray]] = field(default_factory=dict)  #: the first member's, by epoch, see `halved`


def cosine(rate: float, steps: int) -> np.ndarray:
    """Learning rate of each step (steps,), from `rate` down to zero along half a cosine (Loshchilov & Hutter 2017)."""
    return (rate * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps))).astype(np.float32)


def halved(epochs: int) -> list[int]:
    """Epochs, counted from 1, when 1/64, 1/32, ..., 1/2 of a training is done, rounded up; the last is not there."""
    return sorted({-(-epochs // 2**k) for k in range(1, HALVINGS + 1)} - {epochs})


@compiled
