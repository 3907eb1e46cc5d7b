"""The one training loop: a whole population, many steps per call into one compiled graph.

Every method trains here, teachers and students alike; they differ in their data, targets, loss and batches.
Members do not touch each other: the gradient of a sum of losses with respect to one member's weights is
the gradient of its own loss, and Adam works on each weight alone. The optimizer is Adam as in Keras (Kingma &
Ba 2015; epsilon 1e-7 outside the root), with decoupled weight decay if asked (Loshchilov & Hutter 2019).

Out of scope, since no method here needs them: other optimizers, gradient clipping, early stopping (all methods have the
same budget; the best epoch is chosen afterwards if asked).
"""

import logging
import math
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
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
SCORED = 60  #: epochs whose watched points are scored, about, where not all have to be
STEPS = 128, 512  #: of one call, at most: few numbers, so that one compiled program serves epochs of any length
MAX_GATHERED = 16 * 2**20  #: bytes of their samples, which stay in a cache of the processor
ALIGNMENT = 64  #: bytes, of TensorFlow's arrays
TINY = 1e-30  #: moves no weight: a step is a mean of gradients over at least `EPSILON`


class TrainingError(ValueError):
    """Data or settings that cannot be trained; the message says what was expected and what came."""


@dataclass
class Fit:
    """A trained population."""

    weights: list[np.ndarray]  #: of the last epoch
    updates: int  #: per member
    loss: np.ndarray  #: (epochs, member), the training loss, mean of each epoch
    watched: dict[str, np.ndarray] = field(default_factory=dict)  #: loss and accuracy (scored, member)
    scored: np.ndarray | None = None  #: (scored,), the epochs of these, counted from 1; the last is one of them
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


def _stops(epochs: int, every: bool) -> set[int]:
    """Epochs, counted from 1, after which there is something to do: all, or `halved` and about `SCORED` others."""
    return {*halved(epochs), *range(epochs, 0, -1 if every else epochs // -SCORED)}


def _calls(batches, most: int, stops: Container[int]) -> Iterator[tuple[np.ndarray, int | None]]:
    """Row indices (steps, member, batch) of up to `most` steps, and the epoch that ends there, if it is in `stops`."""
    waiting = []
    for epoch, index in enumerate(batches, start=1):
        waiting.append(index)
        if epoch in stops:
            steps, waiting = np.concatenate(waiting), []
            for first in range(0, len(steps), most):
                yield steps[first : first + most], epoch if first + most >= len(steps) else None


def _ahead(items: Iterator) -> Iterator:
    """The same items; a thread makes each while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = thread.submit(next, items, None)
            yield item


@compiled
def _advance(loss, widths, count, weights, means, squares, done, rows, rates, settings, decay):
    """The first `count` of some steps, after `done` others; returns the new state and all losses (steps, member).

    rows (sum of widths, steps, member, batch): features and targets, `widths` of each; rates (steps, member or 1, 1, 1)
    and decay (member or 1, 1, 1): they meet weights (member, in, out).
    """
    steps, members = rows.shape[1:3]
    losses = tf.TensorArray(tf.float32, steps, element_shape=[members])
    step = done + tf.range(1.0, steps + 1)
    corrected = rates * tf.reshape(tf.sqrt(1 - tf.pow(BETA_2, step)) / (1 - tf.pow(BETA_1, step)), [-1, 1, 1, 1])
    # What a step needs is carried into it: sliced inside, it would keep the compiler from vectors.
    batch, rate, kept = rows[:, 0], corrected[0], 1 - decay * rates[0]
    i = tf.constant(0)  # no tf.range(count), whose end XLA takes for a constant: each count would be compiled anew
    while i < count:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            parts = tf.split(batch, widths)  # (width, member, batch)
            x, *wanted = (tf.transpose(part, [1, 2, 0]) for part in parts)
            each = loss(forward(weights, x, parts[0]), wanted, settings)  # (member,)
        gradients = tape.gradient(each, weights)
        losses = losses.write(i, each)
        means = [_normal(m + (1 - BETA_1) * (g - m)) for m, g in zip(means, gradients, strict=True)]
        squares = [v + (1 - BETA_2) * (g * g - v) for v, g in zip(squares, gradients, strict=True)]
        weights = [
            w * kept - rate * m / (tf.sqrt(v) + EPSILON) for w, m, v in zip(weights, means, squares, strict=True)
        ]
        i += 1
        ahead = tf.minimum(i, steps - 1)
        batch, rate, kept = rows[:, ahead], corrected[ahead], 1 - decay * rates[ahead]
    return weights, means, squares, losses.stack()


def _normal(t):
    """Zero for what is nearly that: the means of dead units would decay to denormal numbers, which are slow."""
    return tf.where(tf.abs(t) < TINY, 0.0, t)


@compiled
def _score(weights, x, labels):
    """Cross-entropy and accuracy (member,) of the label head; x (1, n, features), one-hot labels (1, n, classes)."""
    logits = forward(weights, x)[..., : labels.shape[2]]
    right = tf.argmax(logits, axis=2) == tf.argmax(labels, axis=2)
    return cross_entropy(logits, (labels,)), tf.reduce_mean(tf.cast(right, tf.float32), axis=1)


def run(plan: TrainingPlan, progress: Callable[[int], None] | None = None) -> Fit:
    """Trains a population as planned; the plan's arrays stay as they are.

    progress: is called with the number of epochs done, after some of them. Raises `TrainingError`.
    """
    members = plan.members
    gather, widths = _table((plan.x, *plan.targets), members)
    settings = {k: tf.constant(np.broadcast_to(np.float32(v), members)) for k, v in plan.settings.items()}
    rates = np.asarray(plan.rates, np.float32).reshape(len(plan.rates), -1, 1, 1)
    decay = np.asarray(plan.weight_decay, np.float32).reshape(-1, 1, 1)
    if not {rates.shape[1], len(decay)} <= {1, members}:
        raise TrainingError(f"rates for {rates.shape[1]} and decay for {len(decay)} members, but there are {members}")
    if plan.batches.members != members:
        raise TrainingError(f"batches for {plan.batches.members} members, but there are {members}")
    if not plan.batches.updates:
        raise TrainingError("no batches: at least one epoch is needed")
    rates, decay = np.pad(rates, ((0, STEPS[-1]), (0, 0), (0, 0), (0, 0))), tf.constant(decay)
    watch = plan.watch and [tf.constant(np.asarray(array, np.float32)[None]) for array in plan.watch]
    if plan.keep_best and watch is None:
        raise TrainingError("keep_best needs watch, the points on which the best epoch is chosen")
    state = [tf.constant(w, tf.float32) for w in plan.weights]
    means, squares, done = [tf.zeros_like(w) for w in state], [tf.zeros_like(w) for w in state], 0
    starts = np.arange(0, plan.batches.updates, plan.batches.steps)  # of epochs, of which the last may be short
    epochs, losses, scores, checkpoints, early = len(starts), [], {}, {}, {}
    stops, kept_early = _stops(epochs, plan.keep_best), halved(epochs)
    best, best_accuracy, best_epoch = state, np.full(members, -np.inf), np.zeros(members, int)
    between = np.diff(sorted(stops), prepend=0).max() * plan.batches.steps
    most = next((steps for steps in STEPS if between <= steps), STEPS[-1])
    steps = int(np.clip(MAX_GATHERED // (4 * sum(widths) * members * plan.batches.size), 1, most))
    calls = _calls(plan.batches, steps, stops.union(plan.checkpoints))
    for rows, count, epoch in _ahead((gather(index, steps), len(index), epoch) for index, epoch in calls):
        *moved, each = _advance(
            plan.loss, widths, np.int32(count), state, means, squares, np.float32(done), rows,
            rates[done : done + steps], settings, decay,
        )  # fmt: skip
        (state, means, squares), done = moved, done + count
        losses.append(each.numpy()[:count])
        if watch is not None and epoch in stops:
            scores[epoch] = [score.numpy() for score in _score(state, *watch)]
        if plan.keep_best and epoch in stops:
            accuracy = scores[epoch][1]
            better = accuracy > best_accuracy
            best_accuracy, best_epoch = np.maximum(accuracy, best_accuracy), np.where(better, epoch - 1, best_epoch)
            best = [np.where(better[:, None, None], new, old) for new, old in zip(state, best, strict=True)]
        if epoch in plan.checkpoints:
            checkpoints[epoch] = [np.asarray(w) for w in state]
        if epoch in kept_early:
            early[epoch] = [w[:1].numpy() for w in state]
        if progress is not None and epoch in stops:
            progress(epoch)
    watched = zip(("loss", "accuracy"), np.stack([*scores.values()], axis=1), strict=True) if scores else ()
    of_epochs = np.split(np.concatenate(losses), starts[1:])
    return Fit(
        weights=[np.asarray(w) for w in state],
        updates=done,
        loss=np.stack([each.mean(axis=0) for each in of_epochs]),
        watched=dict(watched),
        scored=np.array([*scores]) if scores else None,
        best=[np.asarray(w) for w in best] if plan.keep_best else None,
        best_epoch=best_epoch if plan.keep_best else None,
        checkpoints=checkpoints,
        early=early,
    )


def _table(arrays, members: int) -> tuple[Callable, tuple[int, ...]]:
    """How to gather rows of arrays (n, width), shared, or (member, n, width) by (steps, member, batch), and the widths.

    They are gathered as columns, (sum of widths, steps, member, batch), with room for so many steps.
    """
    tables, widths = [], []
    for array in map(np.asarray, arrays):
        if array.ndim != 2 and (array.ndim != 3 or len(array) != members):
            raise TrainingError(f"expected (n, width) or ({members}, n, width), got an array of shape {array.shape}")
        widths.append(array.shape[-1])
        columns = array.reshape(-1, array.shape[-1]).T.astype(np.float32, order="C")
        if not np.isfinite(columns).all():
            raise TrainingError("features and targets must be finite numbers; some are NaN or infinite")
        tables.append((columns, np.arange(members)[:, None] * array.shape[1] if array.ndim == 3 else None))

    def gather(index, steps):
        gathered = _aligned(sum(widths), steps, *index.shape[1:])
        each = iter(gathered)
        for columns, offset in tables:
            rows = index if offset is None else index + offset
            for column in columns:  # several times as fast as tf.gather
                np.take(column, rows, out=next(each)[: len(index)], mode="clip")
        return tf.experimental.dlpack.from_dlpack(gathered.__dlpack__())

    return gather, tuple(widths)


def _aligned(*shape: int) -> np.ndarray:
    """An array of float32 that TensorFlow takes as it is; it copies those that do not begin where it wants them to."""
    room = np.empty(4 * math.prod(shape) + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + 4 * math.prod(shape)].view(np.float32).reshape(shape)
