"""The original's student, rebuilt, and how it deviates from `kd_routed`: why it lost.

It deviates in six ways (`Deviation`), each of which can be fixed alone. All six give `kd_original`, none gives
`kd_routed`. How long the original trained, its temperature, alpha, widths and optimizer are not known: a twelfth of the
other methods' epochs comes near its published accuracies, Adam at Keras's default rate is assumed, and temperature and
alpha are those of the other students. Out of scope: its three runs, and the order of its code.

Students with different deviations are one population, as long as they share loss and number of epochs; each sample
is taught by its own domain's teacher, which has those of the student's deviations that a teacher can have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from kdlib.methods import targets
from kdlib.methods.network_teachers import domain_teachers, teacher_logits, teacher_steps, teacher_updates
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, method
from kdlib.training import losses
from kdlib.training.loop import cosine
from kdlib.training.networks import glorot_uniform, predict, small_normal
from kdlib.training.plan import TrainingPlan, stack

RATE = 1e-3  #: Adam's default in Keras, held constant
ABLATION_SEEDS = 5
EPOCHS = 1 / 12  #: of the other methods' epochs: 25 of 300


class Deviation(StrEnum):
    """What the original does otherwise; the order is that of the ablation, which fixes one after the other."""

    FEW_UPDATES = "few updates"
    CONSTANT_RATE = "constant rate"
    SMALL_WEIGHTS = "small initial weights"
    ORDERED = "domains in fixed order"
    SIGMOID = "softmax over sigmoids"
    UNSCALED = "no T²"


FIXES = {
    Deviation.FEW_UPDATES: "more updates",
    Deviation.CONSTANT_RATE: "falling rate",
    Deviation.SMALL_WEIGHTS: "larger initial weights",
    Deviation.ORDERED: "domains mixed",
    Deviation.SIGMOID: "softmax over logits",
    Deviation.UNSCALED: "soft term times T²",
}  #: what a deviation's absence is called
ALL = frozenset(Deviation)
NOT_TEACHERS = {Deviation.ORDERED, Deviation.UNSCALED}  #: a teacher has one domain, and learns from labels alone
COMMON = {Deviation.SIGMOID, Deviation.FEW_UPDATES}  #: what the members of one population must agree in
AS_PUBLISHED = "as in the original"


@dataclass(frozen=True)
class Variant:
    """A student with some of the deviations."""

    deviations: frozenset[Deviation]
    temperature: float
    alpha: float

    def has(self, deviation: Deviation) -> bool:
        return deviation in self.deviations


def shortened(problem: Problem, deviations: frozenset[Deviation]) -> Problem:
    """The problem with as many epochs as the original is assumed to have had, if that is among the deviations."""
    if Deviation.FEW_UPDATES not in deviations:
        return problem
    return problem.with_settings(epochs=max(1, round(problem.settings.epochs * EPOCHS)))


def plan(problem: Problem, variant: Variant, task: str, soft: np.ndarray, batches=None) -> TrainingPlan:
    """The training of one student; soft: its teachers' softened outputs (seed, n, classes).

    Epochs are the problem's, so `shortened` comes first.
    """
    if batches is None:
        batches = problem.in_order() if variant.has(Deviation.ORDERED) else problem.shuffled()
    falling = cosine(problem.settings.learning_rate, batches.updates)
    rates = np.full_like(falling, RATE) if variant.has(Deviation.CONSTANT_RATE) else falling
    scale = 1 if variant.has(Deviation.UNSCALED) else variant.temperature**2
    members = len(problem.seeds)
    numbers = {"alpha": variant.alpha, "temperature": variant.temperature, "scale": scale}
    return problem.plan(
        task, (problem.labels, soft), losses.original if variant.has(Deviation.SIGMOID) else losses.distillation,
        weights=problem.initial_weights(
            kernel=small_normal if variant.has(Deviation.SMALL_WEIGHTS) else glorot_uniform
        ),
        batches=batches, rates=np.tile(rates[:, None], members),
        settings={name: np.full(members, value, np.float32) for name, value in numbers.items()},
    )  # fmt: skip


def soft_targets(problem: Problem, variants: Sequence[Variant]) -> tuple[list[np.ndarray], int]:
    """What its own domain's teacher, softened, says of each training sample, for each variant (seed, n, classes).

    Also the updates of all teachers, per seed. Teachers with the same deviations are trained once.
    """
    kinds = list(dict.fromkeys(variant.deviations - NOT_TEACHERS for variant in variants))
    if kinds == [frozenset()]:  # the teachers of all other students
        outputs = targets.routed(teacher_logits(problem, problem.train.x), problem.train.d)
        return [targets.soften(outputs, variant.temperature) for variant in variants], teacher_updates(problem)
    outputs = np.empty((len(problem.train), len(kinds) * len(problem.seeds), problem.classes))
    updates = 0
    for k, rows in enumerate(problem.domain_rows):
        batches, task = problem.shuffled(rows, teacher_steps(problem, k)), f"teacher of domain {k}"
        as_teachers = [Variant(kind, temperature=1.0, alpha=1.0) for kind in kinds]
        planned = stack([plan(problem, each, task, problem.labels, batches) for each in as_teachers])
        fit = problem.run(replace(planned, watch=None))
        logits = predict(fit.weights, problem.x[rows])
        outputs[rows] = np.moveaxis(targets.sigmoid(logits) if Deviation.SIGMOID in kinds[0] else logits, 1, 0)
        updates += fit.updates
    by_kind = dict(zip(kinds, np.split(outputs.swapaxes(0, 1), len(kinds)), strict=True))
    return [
        targets.soften(by_kind[each.deviations - NOT_TEACHERS], each.temperature) for each in variants
    ], updates  # fmt: skip


def population(problem: Problem, variants: Sequence[Variant], task: str) -> TrainingPlan:
    """Students that agree in `COMMON` as one population: members are (variant, seed), seeds fastest."""
    common = {variant.deviations & COMMON for variant in variants}
    if len(common) > 1:
        raise ValueError("variants of one population must share loss and number of epochs")
    problem = shortened(problem, *common)
    soft, _ = soft_targets(problem, variants)
    return stack([plan(problem, each, task, its) for each, its in zip(variants, soft, strict=True)])


def accuracy(problem: Problem, weights, split) -> np.ndarray:
    """Accuracy of each student on a split (variant, seed); a sigmoid would not change which output is the largest."""
    right = predict(weights, problem.scaled(split.x)).argmax(axis=2) == split.y
    return right.mean(axis=1).reshape(-1, len(problem.seeds))


@method("KD, as in the original", section="the original", in_summary=True, needs_original=True)
def kd_original(problem: Problem) -> Student:
    """The original's student, with all of its deviations."""
    variant = Variant(ALL, problem.settings.temperature, problem.settings.alpha)
    short = shortened(problem, ALL)
    (soft,), updates = soft_targets(short, [variant])
    return Student(plan(short, variant, "kd_original", soft), updates, activation="sigmoid")


def ablation_steps() -> dict[str, frozenset[Deviation]]:
    """The deviations that are left at each step of the cumulative ablation, from all to none, by the step's label."""
    deviations = list(Deviation)
    steps = {AS_PUBLISHED: ALL}
    return steps | {FIXES[fixed]: ALL - set(deviations[: i + 1]) for i, fixed in enumerate(deviations)}


def cumulative_ablation(problem: Problem) -> pd.DataFrame:
    """Accuracy as one deviation after the other is fixed, and of the original's own two explanations of its loss.

    On the reported split. Columns `kind` (step or explanation), `label`, `seed`, `accuracy`. An explanation is tried by
    fixing it alone: mixing the domains, selecting the best epoch, or both. Steps get at most `ABLATION_SEEDS` seeds;
    the explanations, which are as short as the original, get all.
    """
    split, rows = problem.splits[problem.reported], []

    def add(kind, labels, values):
        rows.extend([kind, label, s, v] for label, of in zip(labels, values, strict=True) for s, v in enumerate(of))

    def variants(*deviations):
        return [Variant(each, problem.settings.temperature, problem.settings.alpha) for each in deviations]

    plans = [population(problem, [each], "explanations") for each in variants(ALL, ALL - {Deviation.ORDERED})]
    tried = [problem.run(replace(plan, keep_best=True)) for plan in plans]  # of a size that has its program already
    last = [accuracy(problem, fit.weights, split) for fit in tried]
    add("explanation", [AS_PUBLISHED, "domains mixed"], np.concatenate(last))
    best = [accuracy(problem, fit.best, split) for fit in tried]
    add("explanation", ["best epoch selected", "both"], np.concatenate(best))
    fewer, steps = problem.first(ABLATION_SEEDS), ablation_steps()
    seeds = len(fewer.seeds)
    fewer.keep(domain_teachers, [teacher.first(seeds) for teacher in problem.once(domain_teachers)])
    add("step", [AS_PUBLISHED], last[0][:, :seeds])
    del steps[AS_PUBLISHED]
    for common in dict.fromkeys(deviations & COMMON for deviations in steps.values()):
        same = {label: left for label, left in steps.items() if left & COMMON == common}
        fit = fewer.run(replace(population(fewer, variants(*same.values()), "ablation"), watch=None))
        add("step", same, accuracy(fewer, fit.weights, split))
    return pd.DataFrame(rows, columns=["kind", "label", "seed", "accuracy"])
