"""The machine's own limits: what an epoch cannot do without, each kind of work at the best speed that NumPy has here.

A loop that did one thing after the other would take their sum; one that overlaps them, at least the largest.
"""

import time

import numpy as np

from benchmarks import task

MEMBERS = 30
STEPS = task.SAMPLES // task.BATCH

SIDES = (256, 384, 512, 768, 1024)


def sgemm():
    """The matrix products: float32 products of square matrices, of the side that is fastest here."""

    def product(side):
        a, b = np.random.default_rng(0).normal(size=(2, side, side)).astype(np.float32)
        out = np.empty_like(a)
        return lambda: np.matmul(a, b, out=out)

    def speed(side):
        run, seconds = product(side), []
        for _ in range(8):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
        return side**3 / min(seconds)

    side = max(SIDES, key=speed)
    once, share = product(side), 2 * side**3 / task.flops()

    def run(epochs: int) -> float:
        times = max(1, round(epochs / share))
        for _ in range(times):
            once()
        return times * share

    return run


def roots():
    """Adam's square roots and divisions: one of each for every weight and step."""
    state = np.random.default_rng(0).uniform(1, 2, (2, MEMBERS * task.weights())).astype(np.float32)
    out = np.empty_like(state[0])

    def run(epochs: float) -> float:
        for _ in range(_steps(epochs)):
            np.sqrt(state[0], out=out)
            np.divide(state[1], out, out=out)
        return _steps(epochs) / STEPS * MEMBERS

    return run


def traffic():
    """The optimizer's memory: weights, means and squares are read and written once in every step."""
    state = np.ones((2, 3 * MEMBERS * task.weights()), np.float32)

    def run(epochs: float) -> float:
        for _ in range(_steps(epochs)):
            np.copyto(state[0], state[1])
        return _steps(epochs) / STEPS * MEMBERS

    return run


def _steps(epochs: float) -> int:
    """Steps of all members at once that come to so many epochs of one."""
    return max(1, round(epochs * STEPS / MEMBERS))
