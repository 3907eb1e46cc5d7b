"""Milliseconds that one network takes for one epoch: ours, others' ways, and the machine's limit.

All ways take turns for several rounds, and a way's figure is the median of its rounds: a machine that slows
down slows all. The clock is the process's CPU time, on one core and with one thread, so that other processes are
not counted. Set-up, which compiles, is not counted either, and is given beside it.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.worker import NotInstalled, Worker

OURS = "kdlib"  #: at 30 members it is what ratios are relative to
LIMIT = "limit: matrix products at sgemm peak"
LIMITS = {
    LIMIT: "sgemm",
    "limit: Adam's square roots and divisions": "roots",
    "limit: memory traffic of weights and moments": "traffic",
}  #: functions of `benchmarks.peers.machine`
ALL_LIMITS = "limit: all three, one after the other"
HOW_TO_GET = {
    "torch": "its rows need a CPU build of torch in this environment: pytorch.org, Get started",
    "jax": "its rows need jax in this environment: make bench installs it",
}


@dataclass(frozen=True)
class Way:
    """A way of training: `function(**options)` of the module `benchmarks.peers.module`."""

    how: str
    module: str
    function: str
    members: int = 1
    options: dict = field(default_factory=dict)
    quick: dict | None = field(default_factory=dict)  #: options to add in the quick run; None: not in that run
    pinned: bool = True  #: with kdlib's pins


WAYS = (
    Way("the original's eager distillation loop", "keras_tensorflow", "original", quick={"share": 25}),
    Way("Keras fit", "keras_tensorflow", "fit"),
    Way("keras.distillation fit", "keras_tensorflow", "distillation", quick=None),
    Way("Keras fit, jit_compile, steps_per_execution=75", "keras_tensorflow", "fit",
        options={"jit_compile": True, "steps_per_execution": 75}, quick=None),
    Way("PyTorch loop", "pytorch", "loop"),
    Way("scikit-learn MLPClassifier", "scikit", "classifier"),
    Way("PyTorch, stacked", "pytorch", "stacked", 30, {"members": 30}),
    Way("JAX, vmap and scan", "jax_scan", "vmap_scan", 30, {"members": 30}),
    *(
        Way(OURS, "ours", "population", members, {"members": members}, {} if members == 30 else None)
        for members in (1, 10, 30, 120)
    ),
    Way(f"{OURS}, distillation", "ours", "population", 30, {"members": 30, "distil": True}),
    *(Way(how, "machine", function) for how, function in LIMITS.items()),
)  # fmt: skip


def measure(ways, rounds: int, seconds: float, say=print) -> tuple[np.ndarray, list, list]:
    """Times ways in turn: CPU milliseconds per model-epoch (way, round), set-up seconds, and the installed ways."""
    with ExitStack() as stack:
        kinds = dict.fromkeys((way.module, way.pinned) for way in ways)
        workers = {kind: stack.enter_context(Worker(*kind)) for kind in kinds}
        missing, installed, set_up = set(), [], []
        for way in ways:
            if way.module in missing:
                continue
            try:
                set_up.append(workers[way.module, way.pinned].prepare(way.function, way.options))
                installed.append(way)
            except NotInstalled as error:
                missing.add(way.module)
                say(f"left out: {error}; {HOW_TO_GET.get(str(error), 'it is not installed')}")
        times = np.empty((len(installed), rounds))
        for i in range(rounds):
            say(f"round {i + 1} of {rounds}")
            for j, way in enumerate(installed):
                worker = workers[way.module, way.pinned]
                times[j, i] = worker.measure(way.function, way.options, seconds) * 1000 / way.members
    return times, set_up, installed


def table(rounds: int = 7, seconds: float = 0.6, ways=WAYS, say=print) -> pd.DataFrame:
    """The table of results/training.csv."""
    times, set_up, installed = measure(ways, rounds, seconds, say)
    limits = [way.how in LIMITS for way in installed]
    if sum(limits) == len(LIMITS):
        times, set_up = np.vstack([times, times[limits].sum(axis=0)]), [*set_up, 0.0]
        installed = [*installed, Way(ALL_LIMITS, "machine", "")]
    median = np.median(times, axis=1)
    reference = next(ms for ms, way in zip(median, installed, strict=True) if (way.how, way.members) == (OURS, 30))
    return pd.DataFrame(
        {
            "how": [way.how for way in installed],
            "members": [way.members for way in installed],
            "ms_per_model_epoch": median,
            "ratio_to_ours": median / reference,
            "ms_lowest": times.min(axis=1),
            "ms_highest": times.max(axis=1),
            "set_up_seconds": set_up,
        }
    )
