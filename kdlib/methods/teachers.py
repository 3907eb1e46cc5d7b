"""What a teacher is, and how several become one.

A teacher is fitted to some rows, gives log-probabilities of points, and can be fitted again to other rows without
choosing anew. Networks (`network_teachers`), kernel machines (`kernel_teachers`) and any scikit-learn classifier are
teachers alike; a gate, which tells how probable each domain is at a point, is a teacher of domains.

`Problem.answers` asks a teacher, or the cache. What decides a teacher's answers is all that it holds; one that holds
more, such as a problem, names it as its `content`.
"""

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from kdlib.methods.problem import Problem


class Teacher(Protocol):
    """Anything that learns P(y | x) from samples and can be asked about any point."""

    def fit(self, x: np.ndarray, y: np.ndarray, classes: int) -> Self:
        """Learns from x (n, features) and y (n,), classes from 0, of which some may be missing; returns itself."""

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """Of points (n, features): (member, n, classes); one member, or as many as there are seeds."""

    def refit(self, x: np.ndarray, y: np.ndarray, classes: int) -> Self:
        """Another teacher with this one's choices, such as those of a search, fitted to other samples."""


class SklearnTeacher:
    """A scikit-learn classifier that gives probabilities; a class without samples gets probability 0."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def choose(self, x: np.ndarray, y: np.ndarray):
        """The fitted estimator; subclasses choose one, and are given none."""
        return clone(self.estimator).fit(x, y)

    @threadpool_limits.wrap(limits=1)  # products are small, and another number of threads would round otherwise
    def fit(self, x, y, classes):
        self.classes, self.present = classes, np.unique(y)
        self.fitted = self.choose(x, y) if len(self.present) > 1 else None
        return self

    @threadpool_limits.wrap(limits=1)
    def log_probabilities(self, x):
        p = np.zeros((len(x), self.classes))
        p[:, self.present] = 1 if self.fitted is None else self.fitted.predict_proba(x)
        with np.errstate(divide="ignore"):
            return np.log(p)[None]

    def refit(self, x, y, classes):
        other = copy(self) if self.fitted is None else SklearnTeacher(self.fitted)  # of one class nothing was chosen
        return other.fit(x, y, classes)


class LazyTeacher:
    """A teacher that is fitted when it is first asked, which is never if the cache has all its answers.

    fit: returns the fitted teacher. content: all that decides it, for the cache.
    """

    def __init__(self, fit: Callable[[], Teacher], *content):
        self._fit, self.content = fit, content

    @cached_property
    def fitted(self) -> Teacher:
        return self._fit()

    def log_probabilities(self, x):
        return self.fitted.log_probabilities(x)

    def refit(self, x, y, classes):
        return LazyTeacher(lambda: self.fitted.refit(x, y, classes), self.content, x, y, classes)


class SharedTeacher:
    """A teacher in several mixtures: its answers for the array that it was asked about last are remembered."""

    def __init__(self, teacher: Teacher):
        self.teacher, self.content = teacher, teacher
        self._asked = None, None

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        if x is not self._asked[0]:
            self._asked = x, self.teacher.log_probabilities(x)
        return self._asked[1]


class Mixture:
    """sum_k P(k | x) T_k(y | x): what a student that does not see the domain should learn from teachers of domains.

    gate: P(k | x), a teacher of domains.
    """

    def __init__(self, teachers: Sequence[Teacher], gate: Teacher):
        self.teachers, self.gate = teachers, gate

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(member, n, classes)."""
        gate = np.exp(self.gate.log_probabilities(x))
        total = 0
        for k, teacher in enumerate(self.teachers):
            total = total + gate[..., k, None] * np.exp(teacher.log_probabilities(x))
        with np.errstate(divide="ignore"):
            return np.log(total)


class Ensemble:
    """The mean of a teacher's members, as one member."""

    def __init__(self, teacher: Teacher):
        self.teacher = teacher

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes)."""
        with np.errstate(divide="ignore"):
            return np.log(np.exp(self.teacher.log_probabilities(x)).mean(axis=0, keepdims=True))


GATE, POOLED = "gate", "pooled"


def fit_teacher(problem: Problem, make: Callable[[], Teacher], part: int | str) -> Teacher:
    """A teacher of one domain (by its number), of all samples at once (`POOLED`), or of the domains (`GATE`).

    It is fitted to the problem's `bounded` samples.

    Where the problem keeps the choices of another (`machines_from`), the teacher of that one is fitted anew.
    """
    problem = problem.once(Problem.bounded)
    train = problem.train
    y, outputs = (train.d, problem.domains) if part == GATE else (train.y, problem.classes)
    rows = problem.domain_rows[part] if isinstance(part, int) else slice(None)
    samples = train.x[rows], y[rows], outputs
    if problem.machines_from is not None:
        return problem.machines_from.once(fit_teacher, make, part).refit(*samples)
    teacher = make()
    return LazyTeacher(lambda: teacher.fit(*samples), type(teacher), vars(teacher).copy(), *samples)


def gated_mixture(problem: Problem, make: Callable[[], Teacher], make_gate: Callable[[], Teacher]) -> Mixture:
    """One teacher per domain under a gate, each fitted once per problem."""
    teachers = [problem.once(fit_teacher, make, k) for k in range(problem.domains)]
    return Mixture(teachers, problem.once(fit_teacher, make_gate, GATE))
