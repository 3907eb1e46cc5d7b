"""Teachers of which a dataset brings only the answers, such as closed models, and their students.

What is known of such a teacher is what it says of the dataset's own points: those that train, and perhaps unlabelled
ones, `x_more`. So a student is taught on these and on no others. At the unlabelled points, the teachers' answer stands
in for the label too. Which points the teachers have learned from is not known: what they reach on training points may
be memorised.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from kdlib.data import Split
from kdlib.data.contract import are_probabilities
from kdlib.methods import targets
from kdlib.methods.kernel_teachers import KernelMachine
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, method
from kdlib.methods.students import hinton_plan
from kdlib.methods.teachers import GATE, fit_teacher


class ExternalTeacher:
    """The answers of one teacher, as a `Teacher` that learns nothing and knows these points only.

    x: points (n, features). log_p: what it says of them (n, classes). Of equal points the last counts.
    """

    def __init__(self, x: np.ndarray, log_p: np.ndarray):
        self.rows, self.log_p = {point.tobytes(): row for row, point in enumerate(x)}, log_p

    def fit(self, x, y, classes) -> "ExternalTeacher":
        return self

    refit = fit

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes); raises LookupError for a point that is not among those that it knows."""
        rows = [self.rows.get(point.tobytes()) for point in np.ascontiguousarray(x, dtype=np.float64)]
        if None in rows:
            raise LookupError(f"a teacher's answers are known for {len(self.rows)} points; point {rows.index(None)} of "
                              f"{len(x)} is not one of them")  # fmt: skip
        return self.log_p[None, rows]


def log_answers(split: Split) -> np.ndarray:
    """What teachers say of a split's points, as log-probabilities (teacher, n, classes)."""
    if are_probabilities(split.t):
        return np.log(np.maximum(split.t / split.t.sum(axis=2, keepdims=True), 1e-30))
    return targets.log_softmax(split.t)


def answered(problem: Problem) -> dict[str, Split]:
    """The dataset's splits of which teachers say something, by name; `more` is the unlabelled one."""
    splits = problem.dataset.splits | {"more": problem.dataset.more}
    return {name: split for name, split in splits.items() if split is not None and split.t is not None}


def external_teachers(problem: Problem) -> list[ExternalTeacher]:
    splits = answered(problem).values()
    x, log_p = np.concatenate([s.x for s in splits]), np.concatenate([log_answers(s) for s in splits], axis=1)
    return [ExternalTeacher(x, each) for each in log_p]


def teacher_answers(problem: Problem, x: np.ndarray) -> np.ndarray:
    """What each teacher says of some of the dataset's points (n, features): (teacher, 1, n, classes)."""
    return np.stack([teacher.log_probabilities(x) for teacher in problem.once(external_teachers)])


def student(problem: Problem, task: str, points: list[Split], combine: Callable[[Split], np.ndarray]) -> Student:
    """A student on some points, of which the first are the training points.

    combine: the target at the points of a split, log-probabilities (1, n, classes).
    """
    target = np.concatenate([combine(split) for split in points], axis=1)[0]
    x = problem.scaled(np.concatenate([split.x for split in points]))
    labels = np.concatenate([problem.labels, np.exp(target[len(problem.train) :])])
    batches = problem.shuffled(np.arange(len(x)))
    return Student(
        hinton_plan(problem, task, labels, target, x=x, batches=batches), queries=len(x) - len(problem.train)
    )


def weighted(problem: Problem, task: str, weigh: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Student:
    """A student of the weighted mean of all teachers' probabilities, at the unlabelled points too.

    weigh: weights (n, teacher), or (1, n, teacher), of points and what the teachers say of them.
    """

    def combine(split):
        log_p = teacher_answers(problem, split.x)
        return targets.mixture(log_p, weigh(split.x, log_p))

    more = [split for name, split in answered(problem).items() if name == "more"]
    return student(problem, task, [problem.train, *more], combine)


def domain_gate(problem: Problem, x: np.ndarray) -> np.ndarray:
    """P(k | x) (n, domain), from a kernel machine that has learned the domains of the training points."""
    return np.exp(problem.answers(problem.once(fit_teacher, KernelMachine, GATE), x))[0]


@method(
    "KD, external, routed", section="external teachers", in_summary=True, needs_multiple_domains=True,
    needs_answers="per domain",
)  # fmt: skip
def kd_external_routed(problem: Problem) -> Student:
    """Each training point is taught by its own domain's external teacher."""

    def combine(split):
        return targets.routed(teacher_answers(problem, split.x), split.d)

    return student(problem, "kd_external_routed", [problem.train], combine)


@method("KD, external, mean", section="external teachers", in_summary=True, needs_answers="any")
def kd_external_mean(problem: Problem) -> Student:
    """Taught by the plain mean of the external teachers' probabilities."""
    return weighted(problem, "kd_external_mean", lambda x, log_p: np.full((len(x), len(log_p)), 1 / len(log_p)))


@method("KD, external, weighted", section="external teachers", in_summary=True, needs_answers="any")
def kd_external_weighted(problem: Problem) -> Student:
    """External teachers weigh more where they are surer: per point, the softmax of minus their entropies."""
    return weighted(problem, "kd_external_weighted", lambda x, log_p: targets.entropy_weights(log_p))


@method(
    "KD, external, gated", section="external teachers", in_summary=True, needs_multiple_domains=True,
    needs_answers="per domain",
)  # fmt: skip
def kd_external_gated(problem: Problem) -> Student:
    """Taught by all external teachers, each weighted by P(k | x) from a kernel machine on the domains."""
    return weighted(problem, "kd_external_gated", lambda x, log_p: domain_gate(problem, x))


def reached(problem: Problem) -> pd.DataFrame:
    """Accuracy of each external teacher and of their mean on the splits that they answer for; a row for each teacher.

    Where there is a teacher for each domain, also of each on the points of its own domain.
    """
    rows = {}
    for name, split in answered(problem).items():
        if name == "more":
            continue
        log_p = log_answers(split)
        per_domain = split.d is not None and len(log_p) == problem.domains > 1
        for k, each in enumerate([*log_p, np.logaddexp.reduce(log_p)]):
            right = each.argmax(axis=1) == split.y
            row = rows.setdefault(f"Teacher {k}" if k < len(log_p) else "Mean of all", {})
            row[name] = right.mean()
            if per_domain:
                own = right[split.d == k]  # none, of the mean of all
                row[f"{name}, own domain"] = own.mean() if len(own) else np.nan
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("teacher")
