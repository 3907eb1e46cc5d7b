"""The original's student, rebuilt, and its faults one by one: why it lost.

The original's distillation differs from `kd_routed` in six ways, its `Fault`s; each can be mended alone. All six
give `kd_original`, none gives `kd_routed`. How long the original trained, its temperature, alpha, widths and
optimizer are not known: a twelfth of the study's epochs comes near its published accuracies, Adam at Keras's default
rate is assumed, and temperature and alpha are the study's. Leaves out its three runs and the order of its code.

Students with different faults are one population, as long as they share loss and number of epochs; each sample
is taught by its own domain's teacher, which has those of the student's faults that can be a teacher's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from kdlib.methods import targets
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Trained, method
from kdlib.training import losses
from kdlib.training.loop import Fit, cosine
from kdlib.training.networks import glorot_uniform, predict, small_normal

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


MENDS = {
    Fault.FEW_UPDATES: "more updates",
    Fault.CONSTANT_RATE: "falling rate",
    Fault.SMALL_START: "larger initial weights",
    Fault.ORDERED: "domains mixed",
    Fault.SIGMOID: "softmax over logits",
    Fault.UNSCALED: "soft term times T²",
}  #: what a fault's absence is called
ALL = frozenset(Fault)
NOT_TEACHERS = {Fault.ORDERED, Fault.UNSCALED}  #: a teacher has one domain, and learns from labels alone


@dataclass(frozen=True)
class Variant:
    """A student with some of the faults."""

    faults: frozenset[Fault]
    temperature: float
    alpha: float


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), in double precision."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def loss(faults: frozenset[Fault]):
    """The loss of networks with these faults."""
    return losses.original if Fault.SIGMOID in faults else losses.distillation


def shortened(problem: Problem, faults: frozenset[Fault]) -> Problem:
    """The problem with as many epochs as the original is assumed to have had, if that is among the faults."""
    if Fault.FEW_UPDATES not in faults:
        return problem
    study = replace(problem.study, epochs=max(1, round(problem.study.epochs * EPOCHS)))
    return Problem(problem.dataset, study, problem.progress, problem.fraction)


def start(problem: Problem, variants: Sequence[Variant]) -> list[np.ndarray]:
    """Initial weights of a population: members are (variant, seed), seeds fastest."""
    kernels = [small_normal if Fault.SMALL_START in variant.faults else glorot_uniform for variant in variants]
    return [np.concatenate(layer) for layer in zip(*(problem.start(kernel=k) for k in kernels), strict=True)]


def settings(problem: Problem, variants: Sequence[Variant]) -> dict[str, np.ndarray]:
    """What the loss is told of each member (member,)."""
    scales = [1 if Fault.UNSCALED in variant.faults else variant.temperature**2 for variant in variants]
    told = {"alpha": [v.alpha for v in variants], "temperature": [v.temperature for v in variants], "scale": scales}
    return {name: np.repeat(np.float32(values), problem.study.seeds) for name, values in told.items()}


def soft_targets(problem: Problem, variants: Sequence[Variant]) -> tuple[np.ndarray, int]:
    """What its own domain's teacher, softened, says of each training sample (member, n, classes); teachers' updates."""
    kinds = list(dict.fromkeys(variant.faults - NOT_TEACHERS for variant in variants))
    if kinds == [frozenset()]:  # they are the teachers of all other students
        says = targets.routed(problem.teacher_logits(problem.train.x), problem.train.d)
        softened = [targets.soften(says, variant.temperature) for variant in variants]
        return np.concatenate(softened), sum(fit.updates for fit in problem.teachers)
    as_teachers = [Variant(kind, temperature=1.0, alpha=1.0) for kind in kinds]
    says = np.empty((len(problem.train), len(kinds) * problem.study.seeds, problem.classes))
    updates = 0
    for k, rows in enumerate(problem.domain_rows):
        steps = problem.teacher_steps(k)
        batches = (np.tile(index, (1, len(kinds), 1)) for index in problem.mixed(rows, steps))
        fit = _fit(problem, as_teachers, f"teacher of domain {k}", problem.labels, batches, steps)
        outputs = predict(fit.weights, problem.x[rows])
        says[rows] = np.moveaxis(sigmoid(outputs) if Fault.SIGMOID in kinds[0] else outputs, 1, 0)
        updates += fit.updates
    by_kind = dict(zip(kinds, np.split(says.swapaxes(0, 1), len(kinds)), strict=True))
    return np.concatenate([targets.soften(by_kind[v.faults - NOT_TEACHERS], v.temperature) for v in variants]), updates


def train(problem: Problem, variants: Sequence[Variant], task: str, soft=None, **more) -> Fit:
    """Trains students that share loss and number of epochs, as one population: members (variant, seed), seeds fastest.

    soft: as from `soft_targets`, if it is there already. more: goes on to `training.fit`.
    """
    shared = [variant.faults & {Fault.SIGMOID, Fault.FEW_UPDATES} for variant in variants]
    if len(set(shared)) > 1:
        raise ValueError("variants of one population must share loss and number of epochs")
    problem = shortened(problem, shared[0])
    if soft is None:
        soft, _ = soft_targets(problem, variants)
    ordered = [Fault.ORDERED in variant.faults for variant in variants]
    orders = {which: problem.in_order() if which else problem.mixed() for which in set(ordered)}
    epochs = (dict(zip(orders, drawn, strict=True)) for drawn in zip(*orders.values(), strict=True))
    batches = (np.concatenate([drawn[which] for which in ordered], axis=1) for drawn in epochs)
    return _fit(problem, variants, task, soft, batches, problem.steps, **more)


def _fit(problem, variants, task, soft, batches, steps, **more) -> Fit:
    falling = cosine(problem.study.learning_rate, steps * problem.study.epochs)
    constant = np.full_like(falling, RATE)
    rates = np.stack([constant if Fault.CONSTANT_RATE in v.faults else falling for v in variants], axis=1)
    return problem.fit(
        task, (problem.labels, soft), loss(variants[0].faults), weights=start(problem, variants), batches=batches,
        steps=steps, rates=np.repeat(rates, problem.study.seeds, axis=1), **settings(problem, variants), **more,
    )  # fmt: skip


def accuracy(problem: Problem, weights, split) -> np.ndarray:
    """Accuracy of each student on a split (variant, seed); a sigmoid would not change which output is the largest."""
    right = predict(weights, problem.scaled(split.x)).argmax(axis=2) == split.y
    return right.mean(axis=1).reshape(-1, problem.study.seeds)


@method("KD, as in the original")
def kd_original(problem: Problem) -> Trained:
    """The original's student, with all of its faults."""
    variant = Variant(ALL, problem.study.temperature, problem.study.alpha)
    soft, updates = soft_targets(shortened(problem, ALL), [variant])
    fit = train(problem, [variant], "kd_original", soft)

    def log_probabilities(x, d=None):
        # Sigmoids that do not sum to one are divided by their sum.
        return targets.log_softmax(np.log(sigmoid(predict(fit.weights, problem.scaled(x))) + 1e-30))

    return Trained(log_probabilities, {"student": fit}, fit.updates, updates)


def ladder() -> dict[str, frozenset[Fault]]:
    """The faults that are left on each rung, from all to none, by the rung's label."""
    faults = list(Fault)
    rungs = {"as in the original": ALL}
    return rungs | {MENDS[mended]: ALL - set(faults[: i + 1]) for i, mended in enumerate(faults)}


def climb(problem: Problem) -> pd.DataFrame:
    """Accuracy of each rung, and of the original's two explanations of its loss, on the reported split.

    Columns `what`, `label`, `seed`, `accuracy`. An explanation is tried by mending it alone: mixing the domains,
    selecting the best epoch, or both. Rungs get at most `LADDER_SEEDS` seeds; the explanations, which are as short as
    the original, get all.
    """
    split, rows = problem.splits[problem.reported], []

    def note(what, labels, values):
        rows.extend([what, label, s, v] for label, of in zip(labels, values, strict=True) for s, v in enumerate(of))

    def variants(*faults):
        return [Variant(each, problem.study.temperature, problem.study.alpha) for each in faults]

    tried = train(problem, variants(ALL, ALL - {Fault.ORDERED}), "explanations", keep_best=True)
    note("explanation", ["as in the original", "domains mixed"], accuracy(problem, tried.weights, split))
    note("explanation", ["best epoch selected", "both"], accuracy(problem, tried.best, split))
    fewer, rungs = problem.first(LADDER_SEEDS), ladder()
    note("ladder", ["as in the original"], accuracy(problem, tried.weights, split)[:1, : fewer.study.seeds])
    del rungs["as in the original"]
    for shared in dict.fromkeys(faults & {Fault.SIGMOID, Fault.FEW_UPDATES} for faults in rungs.values()):
        same = {label: f for label, f in rungs.items() if f & {Fault.SIGMOID, Fault.FEW_UPDATES} == shared}
        fit = train(fewer, variants(*same.values()), "ladder")
        note("ladder", same, accuracy(fewer, fit.weights, split))
    return pd.DataFrame(rows, columns=["what", "label", "seed", "accuracy"])
