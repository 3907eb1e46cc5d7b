"""Populations of feed-forward networks (FFNN): many networks as one array with a leading member axis.

A network is the original's: dense layers with ReLU between them and a linear last layer, whose outputs are
logits. A second head (the domain beside the label) is more outputs of the last layer: heads share all
hidden layers. Weights are a flat list [kernel, bias, kernel, bias, ...] of arrays (member, in, out) and
(member, 1, out), so that a population of S networks is S slices of each array and nothing else.

Out of scope: all layers that are not dense, such as convolution, normalisation and dropout.
"""

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import tensorflow as tf

from kdlib.training.compiled import compiled

NARROW = 4  #: up to so many inputs or outputs a product of matrices is slower than a sum of products
CHUNK = 1024  #: points per call of `predict`; bounds its memory, and of thirty networks fits into a cache

# Networks are small: one thread trains them faster than several, which would also wait for those of other notebooks.
with suppress(RuntimeError):  # TensorFlow was in use before
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def threads() -> int:
    """Threads of TensorFlow in this process: one, unless it was in use before; then as it was configured, 0 if not."""
    return tf.config.threading.get_intra_op_parallelism_threads()


@dataclass(frozen=True)
class Architecture:
    """Sizes of one network: `features` inputs, `hidden` layers, and a number of outputs for each head."""

    features: int
    hidden: tuple[int, ...]
    heads: tuple[int, ...]  #: (classes,) or (classes, domains)

    @property
    def weights(self) -> int:
        """Number of weights and biases of one network."""
        sizes = (self.features, *self.hidden, sum(self.heads))
        return sum((ins + 1) * outs for ins, outs in pairwise(sizes))


def glorot_uniform(rng: np.random.Generator, ins: int, outs: int) -> np.ndarray:
    """Kernel (in, out) of Keras's default initializer (Glorot & Bengio 2010, eq. 16)."""
    limit = np.sqrt(6 / (ins + outs))
    return rng.uniform(-limit, limit, (ins, outs))


def small_normal(rng: np.random.Generator, ins: int, outs: int) -> np.ndarray:
    """Kernel (in, out) from N(0, 0.05), Keras's `random_normal`, which the original used."""
    return rng.normal(0, 0.05, (ins, outs))


def initial_weights(architecture: Architecture, seeds, kernel=glorot_uniform) -> list[np.ndarray]:
    """Weights of one network per seed, float32; biases are zero.

    A kernel depends on its member's seed and its place alone: networks that share layers share their
    start, however many members or heads there are.
    """
    sizes = (architecture.features, *architecture.hidden)
    weights = []
    for layer, (ins, outs) in enumerate(pairwise(sizes)):
        weights += _layer([[kernel(np.random.default_rng([0, seed, layer]), ins, outs)] for seed in seeds])
    last = len(architecture.hidden)
    weights += _layer(
        [
            [
                kernel(np.random.default_rng([0, seed, last + head]), sizes[-1], outs)
                for head, outs in enumerate(architecture.heads)
            ]
            for seed in seeds
        ]
    )
    return weights


def _layer(blocks) -> list[np.ndarray]:
    kernel = np.stack([np.concatenate(block, axis=1) for block in blocks]).astype(np.float32)
    return [kernel, np.zeros((len(kernel), 1, kernel.shape[2]), np.float32)]


def affine(x, kernel, bias, columns=None):
    """x @ kernel + bias for each member: (member or 1, batch, in) -> (member, batch, out).

    columns: x with its last two axes exchanged, if there is one; for the gradient.
    """
    return _affine(x, kernel, bias, tf.transpose(x, [0, 2, 1]) if columns is None else columns)


@tf.custom_gradient
def _affine(x, kernel, bias, columns):
    """A product with very few inputs or outputs is a sum of products, which the compiler merges with what is around it.

    The gradient is written out: where `columns` come from elsewhere, their product takes half the time, and sums over
    the batch by halves become vectors, as a plain sum does not.
    """
    ins, outs = kernel.shape[1:]
    rows = tf.transpose(kernel, [0, 2, 1])
    if ins <= NARROW:
        product = sum(x[..., i : i + 1] * kernel[:, i : i + 1] for i in range(ins))
    elif outs <= NARROW:
        product = tf.reduce_sum(x[..., None, :] * rows[:, None], axis=-1)
    else:
        product = tf.matmul(x, kernel)

    def gradient(upstream):
        of_bias = tf.reduce_sum(upstream, axis=1, keepdims=True)
        if ins <= NARROW:
            each = [tf.reduce_sum(x[..., i : i + 1] * upstream, axis=1, keepdims=True) for i in range(ins)]
            return tf.matmul(upstream, rows), tf.concat(each, axis=1), of_bias, None
        if outs <= NARROW:
            each = [upstream[..., o : o + 1] for o in range(outs)]
            of_x = sum(g * rows[:, o : o + 1] for o, g in enumerate(each))
            of_rows = tf.concat([_over_batch(x * g) for g in each], axis=1)
            return of_x, tf.transpose(of_rows, [0, 2, 1]), of_bias, None
        return tf.matmul(upstream, kernel, transpose_b=True), tf.matmul(columns, upstream), of_bias, None

    return product + bias, gradient


def _over_batch(t):
    while t.shape[1] % 2 == 0:
        t = t[:, : t.shape[1] // 2] + t[:, t.shape[1] // 2 :]
    return tf.reduce_sum(t, axis=1, keepdims=True)


def forward(weights, x, columns=None):
    """Outputs (member, batch, sum of heads) of a population for x (member or 1, batch, features).

    columns: the same points as (features, member or 1, batch), where they are at hand; for the gradient.
    """
    (kernel, bias), *others = zip(weights[::2], weights[1::2], strict=True)
    if columns is not None and columns.shape[0] <= NARROW:  # the first layer's units are cheaper made twice than turned
        products = [kernel[:, i, :, None] * columns[i, :, None] for i in range(columns.shape[0])]
        columns = tf.nn.relu(sum(products, start=tf.transpose(bias, [0, 2, 1])))
    else:
        columns = None
    x = affine(x, kernel, bias)
    for kernel, bias in others:
        x = affine(tf.nn.relu(x), kernel, bias, columns)
        columns = None
    return x


@compiled
def _forward(weights, x):
    return forward(weights, x)


def predict(weights, x: np.ndarray) -> np.ndarray:
    """Outputs (member, n, sum of heads), float32, for points (n, features), or (member, n, features), each member's."""
    weights, outputs = [tf.constant(layer) for layer in weights], []  # each call would convert them again
    x = x if x.ndim == 3 else x[None]
    for start in range(0, x.shape[1], CHUNK):
        chunk = x[:, start : start + CHUNK].astype(np.float32)
        missing = CHUNK - chunk.shape[1]  # every chunk has the same shape, which is compiled once
        outputs.append(_forward(weights, np.pad(chunk, ((0, 0), (0, missing), (0, 0)))).numpy())
    return np.concatenate(outputs, axis=1)[:, : x.shape[1]]
