"""The original's student, rebuilt, and its faults one by one: why it lost.

The original's distillation differs from `kd_routed` in six ways, its `Fault`s; each can be mended alone. All six
give `kd_original`, none gives `kd_routed`. How long the original trained, its temperature, alpha, widths and
optimizer are not known: a twelfth of the study's epochs comes near its published accuracies, Adam at Keras's default
rate is assumed, and temperature and alpha are the study's. Leaves out its three runs and the order of its code.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import numpy as np
import pandas as pd

from kdlib import distillation
from kdlib.methods import Trained, method
from kdlib.networks import glorot_uniform, predict, small_normal
from kdlib.problem import Problem
from kdlib.training import Fit

RATE = 1e-3  #: Adam's default in Keras, held constant
LADDER_SEEDS = 10
EPOCHS = 1 / 12  #: of the study's: 25 of 300


class Fault(StrEnum):
    """What the original does otherwise; the order is that of the ladder, which mends one after the other."""

    FEW_UPDATES = "few updates"
    CONSTANT_RATE = "constant rate"
    SMALL_START = "small initial weights"
    ORDERED = "domains in fixed order"
    SIGMOID = "softmax over sigmoids"
    UNSCALED = "no T²"


ALL = frozenset(Fault)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), in double precision."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def teachers(problem: Problem, faults: frozenset[Fault]) -> tuple[np.ndarray, int]:
    """What each domain's teacher, with its share of the faults, says of the training points; and its updates.

    Returns outputs (domain, member, n, classes), sigmoids or logits as the student's loss takes them.
    """
    says, updates = [], 0
    for k, rows in enumerate(problem.domain_rows):
        steps = problem.teacher_steps(k)
        fit = _fit(
            problem, faults, f"original's teacher of domain {k}", problem.labels, steps, problem.mixed(rows, steps),
            alpha=1, temperature=1, scale=1,
        )  # fmt: skip
        outputs = predict(fit.weights, problem.x)
        says.append(sigmoid(outputs) if Fault.SIGMOID in faults else outputs)
        updates += fit.updates
    return np.array(says), updates


def _fit(problem, faults, task, soft, steps, batches, **settings) -> Fit:
    constant = np.full(steps * problem.study.epochs, RATE, np.float32)
    return problem.fit(
        task, (problem.labels, soft), distillation.original if Fault.SIGMOID in faults else distillation.distillation,
        weights=problem.start(kernel=small_normal if Fault.SMALL_START in faults else glorot_uniform),
        steps=steps, batches=batches, rates=constant if Fault.CONSTANT_RATE in faults else None, **settings,
    )  # fmt: skip


def shortened(problem: Problem, faults: frozenset[Fault]) -> Problem:
    """The problem with as many epochs as the original is assumed to have had, if that is among the faults."""
    if Fault.FEW_UPDATES not in faults:
        return problem
    study = replace(problem.study, epochs=max(1, round(problem.study.epochs * EPOCHS)))
    return Problem(problem.dataset, study, problem.progress)


def rebuilt(
    problem: Problem, faults: frozenset[Fault], taught=None, select: bool = False, task="kd_original"
) -> Trained:
    """Teachers and a student with some of the original's faults; each sample is taught by its domain's teacher.

    taught: what `teachers` gave, if they are there already. select: whether the epoch of lowest loss on the
    selection split is kept, rather than the last one.
    """
    problem = shortened(problem, faults)
    study = problem.study
    says, updates = taught or teachers(problem, faults)
    soft = distillation.soften(distillation.routed(says, problem.train.d), study.temperature)
    batches = problem.in_order() if Fault.ORDERED in faults else problem.mixed()
    fit = _fit(
        problem, faults, task, soft, problem.steps, batches, keep_best=select, alpha=study.alpha,
        temperature=study.temperature, scale=1 if Fault.UNSCALED in faults else study.temperature**2,
    )  # fmt: skip

    def log_probabilities(x, d=None):
        logits = predict(fit.weights, problem.scaled(x)).astype(np.float64)
        # Sigmoids that do not sum to one are divided by their sum.
        return distillation.log_softmax(np.log(sigmoid(logits) + 1e-30) if Fault.SIGMOID in faults else logits)

    return Trained(log_probabilities, {"student": fit}, fit.updates, updates)


@method("KD, as in the original")
def kd_original(problem: Problem) -> Trained:
    """The original's student, with all of its faults."""
    return rebuilt(problem, ALL)


def ladder() -> dict[str, frozenset[Fault]]:
    """The faults that are left on each rung, from all to none, by the rung's label."""
    faults = list(Fault)
    rungs = {"as in the original": ALL}
    return rungs | {f"without {mended}": ALL - set(faults[: i + 1]) for i, mended in enumerate(faults)}


EXPLANATIONS = {
    "as in the original": (ALL, False),
    "domains mixed": (ALL - {Fault.ORDERED}, False),
    "best epoch selected": (ALL, True),
    "both": (ALL - {Fault.ORDERED}, True),
}  #: the original's two explanations of why it lost, each tried by mending it alone


def climb(problem: Problem, score: Callable[[Trained], np.ndarray]) -> pd.DataFrame:
    """Scores (member,) of each rung and of each explanation: columns `what`, `label`, `seed`, `accuracy`.

    Rungs get at most `LADDER_SEEDS` seeds, for they train seven more populations; the explanations, which are
    as short as the original, get all.
    """
    fewer = Problem(problem.dataset, replace(problem.study, seeds=min(LADDER_SEEDS, problem.study.seeds)))
    known, rows = {}, []

    def run(what, on, label, faults, select=False):
        key = on, faults - {Fault.ORDERED, Fault.UNSCALED}  # the others are the teachers' too
        if key not in known:
            known[key] = teachers(shortened(on, faults), faults)
        values = score(rebuilt(on, faults, known[key], select, task=f"{what}: {label}"))
        rows.extend([what, label, seed, value] for seed, value in enumerate(values))

    for label, (faults, select) in EXPLANATIONS.items():
        run("explanation", problem, label, faults, select)
    for label, faults in ladder().items():
        run("ladder", fewer, label, faults)
    return pd.DataFrame(rows, columns=["what", "label", "seed", "accuracy"])
