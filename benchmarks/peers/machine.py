"""The machine's own limit: the matrix products of an epoch, if all ran as fast as NumPy's best large product."""

import time

import numpy as np

from benchmarks import task

SIDES = (256, 384, 512, 768, 1024)


def sgemm():
    """Float32 products of square matrices, of the side that is fastest here."""

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
