"""What it costs that all x86-64 processors compute the same bits: CPU time with kdlib's pins over that without.

With and without take turns, so that a machine that slows down slows both, and each pair has a ratio of its own. The
cost depends on the processor: one with AVX-512 may not use it.
"""

import shutil
import tempfile

import numpy as np
import pandas as pd

from benchmarks import report
from benchmarks.training import Way, measure

MEMBERS, SEEDS = 30, 10
WAYS = [
    Way("", "ours", "population", MEMBERS, {"members": MEMBERS, "distil": distil}, pinned=pinned)
    for distil in (False, True)
    for pinned in (True, False)
]
TRAININGS = f"training, {MEMBERS} members", f"distillation, {MEMBERS} members"
COLUMNS = ["what", "pairs", "cpu_with", "cpu_without", "ratio", "lowest", "highest"]


def table(rounds: int = 15, seconds: float = 1.0, reports: int = 3, epochs: int = report.EPOCHS, say=print, save=None):
    """The table of results/pins.csv: CPU seconds of an epoch of all members, and of a report on one dataset.

    `save` gets what there is before reports are made.
    """
    times = measure(WAYS, rounds, seconds, say)[0] * MEMBERS / 1000  # (way, round)
    rows = [_row(what, *pair) for what, pair in zip(TRAININGS, times.reshape(2, 2, -1), strict=True)]
    if save:
        save(pd.DataFrame(rows, columns=COLUMNS))
    if reports:
        rows.append(_row(f"a report, {SEEDS} seeds, {epochs} epochs", *_reports(reports, epochs, say)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(what, pinned, free) -> tuple:
    """A row of the table from CPU seconds (pair,), each with pins and without."""
    ratios = pinned / free
    medians = map(np.median, (pinned, free, ratios))
    return what, len(ratios), *medians, ratios.min(), ratios.max()


def _reports(pairs, epochs, say) -> np.ndarray:
    """CPU seconds (2, pair) of a report on one dataset, with pins and without."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(report.DATA / report.ONE, folder)
        seconds = np.empty((2, pairs))
        for pair in range(pairs):
            for i, pinned in enumerate((True, False)):
                say(f"report {pair + 1} of {pairs}, {'with' if pinned else 'without'} pins")
                seconds[i, pair] = report.make(folder, SEEDS, epochs, 1, pinned)[1]
    return seconds
