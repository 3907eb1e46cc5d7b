"""JAX: one network's step, `vmap` over members, `scan` over the steps of an epoch, all compiled."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import task

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def _loss(weights, x, y):
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = jax.nn.relu(x @ kernel + bias)
    log_p = jax.nn.log_softmax(x @ weights[-2] + weights[-1])
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def vmap_scan(members: int = 30):
    """A population trained side by side."""
    x, y, _ = map(jnp.asarray, task.data())
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(weight) for weight in task.glorot(rng, members)]

    def step(state, rows):
        weights, means, squares, t = state
        t = t + 1
        loss, gradients = jax.vmap(jax.value_and_grad(_loss))(weights, x[rows], y[rows])
        means = [m + (1 - BETA_1) * (g - m) for m, g in zip(means, gradients, strict=True)]
        squares = [v + (1 - BETA_2) * (g * g - v) for v, g in zip(squares, gradients, strict=True)]
        rate = task.RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        moved = zip(weights, means, squares, strict=True)
        weights = [w - rate * m / (jnp.sqrt(v) + EPSILON) for w, m, v in moved]
        return (weights, means, squares, t), loss

    epoch = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows), donate_argnums=0)
    zeros = [jnp.zeros_like(weight) for weight in weights]
    state = [(weights, zeros, [jnp.zeros_like(weight) for weight in weights], 0.0)]

    def run(epochs: int) -> int:
        for _ in range(epochs):
            state[0], losses = epoch(state[0], task.batches(rng, members))
        losses.block_until_ready()
        return epochs

    return run
