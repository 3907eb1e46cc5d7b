"""How the time of an epoch of ours grows with members, samples and width; each is varied by itself."""

import numpy as np
import pandas as pd

from benchmarks import task
from benchmarks.training import Way, measure

MEMBERS = (1, 3, 10, 30, 100, 300)
SAMPLES = (480, 960, 2400, 4800, 9600, 24000)
WIDTHS = (16, 32, 64, 128, 256)


def table(rounds: int = 3, seconds: float = 0.4, members=MEMBERS, samples=SAMPLES, widths=WIDTHS, say=print):
    """The table of results/growth.csv: CPU milliseconds of an epoch of 30 networks, unless members vary."""
    cases = [("members", value, {"members": value}) for value in members]
    cases += [("samples", value, {"samples": value}) for value in samples]
    cases += [("width", value, {"hidden": (value, value // 2)}) for value in widths]
    ways = [Way(what, "ours", "population", 1, options) for what, _, options in cases]
    times, _, _ = measure(ways, rounds, seconds, say)
    rows = []
    for (what, value, options), ms in zip(cases, np.median(times, axis=1), strict=True):
        count = options.get("members", 30)
        flops = count * task.flops(options.get("samples", task.SAMPLES), options.get("hidden", task.HIDDEN))
        rows.append((what, value, ms, ms / count, flops / ms / 1e6))
    return pd.DataFrame(rows, columns=["varied", "value", "ms_per_epoch", "ms_per_model_epoch", "gflops_per_second"])
