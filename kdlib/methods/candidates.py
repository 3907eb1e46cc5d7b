"""The candidates of a portfolio: teachers of many kinds, each fitted without each of five folds.

They are machines of scikit-learn, for all domains at once or one per domain under a gate, and ensembles of the
student's own network, of which some tell the domains apart. A machine's settings are chosen once, on all training
points, and kept in all folds: choosing in every fold takes five times as long. Out of scope: a search for the settings
of trees and networks; how candidates are weighted (`portfolio`).
"""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler

from kdlib.methods.kernel_teachers import KernelMachine, search
from kdlib.methods.problem import Problem
from kdlib.methods.students import noisy_copies
from kdlib.methods.targets import log_softmax
from kdlib.methods.teachers import (
    GATE,
    POOLED,
    LazyTeacher,
    Mixture,
    SharedTeacher,
    SklearnTeacher,
    Teacher,
    fit_teacher,
)
from kdlib.methods.tuning import Choice, direct_plan
from kdlib.training.batches import Shuffled, Together
from kdlib.training.networks import Architecture, initial_weights, predict
from kdlib.training.plan import TrainingPlan, stack

FOLDS = 5
MEMBERS = 2  #: networks of each kind in each fold
SEEDS = [tuple(range(f * MEMBERS, (f + 1) * MEMBERS)) for f in range(FOLDS)]
UPDATES = 8000  #: of each network that learns from domains, at most
NETWORK_COPIES = 10  #: of each point, for networks that learn from noisy copies


class LinearMachine(SklearnTeacher):
    """Logistic regression, its regularisation chosen by cross-validated likelihood."""

    def choose(self, x: np.ndarray, y: np.ndarray):
        return search([([StandardScaler()], 10.0 ** np.arange(-2, 3))], x, y)


class BoostedTrees(SklearnTeacher):
    """Gradient boosting of small trees (Friedman 2001)."""

    def choose(self, x: np.ndarray, y: np.ndarray):
        settings = {"max_iter": 60, "max_leaf_nodes": 8, "l2_regularization": 1.0, "early_stopping": False}
        return HistGradientBoostingClassifier(**settings, random_state=0).fit(x, y)


class Networks:
    """An ensemble of networks, as one member; their outputs are classes, or the pairs of a domain and a class.

    gate: P(k | x), where the networks are told the domain: their answers are averaged over it.
    """

    def __init__(self, problem: Problem, weights: list[np.ndarray], gate: Teacher | None = None):
        self.problem, self.weights, self.gate = problem, weights, gate
        self.content = weights, gate, problem.mean, problem.deviation, problem.domains

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes)."""
        scaled = self.problem.scaled(x)
        if self.gate is None:
            columns = self.weights[0].shape[1] - scaled.shape[1]  # of the domain, which is not told
            p = self._answers(with_domain(scaled, np.zeros(columns)))
        else:
            gate = np.exp(self.gate.log_probabilities(x))[0]
            each = (self._answers(with_domain(scaled, told)) for told in np.eye(self.problem.domains))
            p = sum(gate[:, k, None] * answers for k, answers in enumerate(each))
        return np.log(np.maximum(p, 1e-30))[None]

    def _answers(self, inputs):
        outputs = np.exp(log_softmax(predict(self.weights, inputs).astype(np.float64))).mean(axis=0)
        return outputs.reshape(len(inputs), -1, self.problem.classes).sum(axis=1)


def with_domain(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Features (n, features) and the one-hot domain beside them (n, domains); zeros for a network not told it."""
    return np.concatenate([x, np.broadcast_to(np.float32(told), (len(x), told.shape[-1]))], axis=1)


NETWORKS = "networks as in FFNN, tuned"
WAYS = {"networks told the domain": (True, False), "networks of domain and class": (False, True)}
"""Candidates of networks that learn from domains: whether these are among the inputs, and whether they are predicted
beside the class. They learn from noisy copies of the points too."""
DECAY = 0.3  #: of their weights, per step in units of the rate


@dataclass(frozen=True)
class Candidate:
    """A kind of teacher, fitted without each fold."""

    title: str
    kind: str  #: "kernel machines", "linear", "trees" or "networks"
    tells_domains: bool  #: whether it learns from the domains of the training points
    teachers: list[Teacher]  #: (fold,)


def folds(problem: Problem) -> np.ndarray:
    """The fold of each training point (n,); the points of each domain and class are spread evenly over the folds."""
    train, fold = problem.train, np.empty(len(problem.train), int)
    order = np.lexsort((np.random.default_rng(0).permutation(len(train)), train.y, train.d))
    fold[order] = np.arange(len(train)) % FOLDS
    return fold


def without_each(problem: Problem, make: type[SklearnTeacher], part: int | str = POOLED) -> list[Teacher]:
    """A teacher of one part of the samples, as `fit_teacher` has them, with its choices fitted without each fold."""
    train, fold, chosen = problem.train, problem.once(folds), problem.once(fit_teacher, make, part)
    y, outputs = (train.d, problem.domains) if part == GATE else (train.y, problem.classes)
    rows = problem.domain_rows[part] if isinstance(part, int) else problem.rows

    def without(f):
        kept = rows[fold[rows] != f]
        # All folds share the points: a copy for each of them would be the largest of all arrays.
        fit = lambda: chosen.fitted.refit(train.x[kept], y[kept], outputs)  # noqa: E731
        return LazyTeacher(fit, chosen.content, train.x, y, kept, outputs)

    return [without(f) for f in range(FOLDS)]


def gates(problem: Problem) -> list[Teacher]:
    """P(k | x), fitted without each fold."""
    return [SharedTeacher(gate) for gate in without_each(problem, KernelMachine, GATE)]


def per_domain(problem: Problem, make: type[SklearnTeacher]) -> list[Teacher]:
    """A teacher per domain under the gate, all fitted without each fold."""
    teachers = zip(*(without_each(problem, make, k) for k in range(problem.domains)), strict=True)
    return [Mixture(*each) for each in zip(teachers, problem.once(gates), strict=True)]


def direct_networks(problem: Problem, choice: Choice) -> TrainingPlan:
    """Direct training at its best without each fold; members are (fold, member), the last fastest."""
    architecture = Architecture(problem.x.shape[1], problem.settings.hidden, (problem.classes,))
    plans = []
    for f, seeds in enumerate(SEEDS):
        plan = direct_plan(problem, choice, np.flatnonzero(problem.once(folds) != f))
        batches = replace(plan.batches, seeds=seeds)
        plans.append(replace(plan, weights=initial_weights(architecture, seeds), batches=batches, watch=None))
    return replace(stack(plans), task="networks of the portfolio")


def domain_networks(problem: Problem) -> TrainingPlan:
    """Networks that learn from domains, without each fold; members are (way, fold, member), the last fastest.

    They learn from one table, in which each way has rows of its own.
    """
    train, classes, domains, settings = problem.train, problem.classes, problem.domains, problem.settings
    points, origin = noisy_copies(train, NETWORK_COPIES)
    points, held_out = problem.scaled(points), problem.once(folds)[origin]
    epochs = min(settings.epochs, -(-UPDATES // problem.steps))
    x, wanted, batches = np.tile(with_domain(points, np.zeros(domains)), (len(WAYS), 1)), [], []
    for first, (told, joint) in zip(count(0, len(origin)), WAYS.values(), strict=False):
        x[first : first + len(origin), -domains:] = told * np.eye(domains)[train.d[origin]]
        wanted.append(train.y[origin] + (train.d[origin] * classes if joint else 0))
        for f, seeds in enumerate(SEEDS):
            rows = first + np.flatnonzero(held_out != f)
            batches.append(Shuffled(rows, settings.batch_size, problem.steps, epochs, seeds))
    outputs = domains * classes
    architecture = Architecture(x.shape[1], settings.hidden, (outputs,))
    return problem.plan(
        "networks of the portfolio", (np.eye(outputs)[np.concatenate(wanted)],), x=x, watch=None,
        weights=initial_weights(architecture, sum(SEEDS, ()) * len(WAYS)), batches=Together(tuple(batches)),
        weight_decay=DECAY,
    )  # fmt: skip


def candidates(problem: Problem, choice: Choice) -> tuple[list[Candidate], int]:
    """All candidates and the updates of their networks; with one domain, those that need no other.

    choice: of direct training at its best.
    """
    machines = {
        "kernel machine": ("kernel machines", KernelMachine),
        "linear machine": ("linear", LinearMachine),
        "boosted trees": ("trees", BoostedTrees),
    }
    several = problem.domains > 1
    made = [Candidate(title, kind, False, without_each(problem, make)) for title, (kind, make) in machines.items()]
    for title, (kind, make) in list(machines.items())[: 2 if several else 0]:
        made.append(Candidate(f"{title} per domain", kind, True, per_domain(problem, make)))
    plans = {(NETWORKS,): direct_networks(problem, choice)}
    if several:
        plans[tuple(WAYS)] = domain_networks(problem)
    for plan in plans.values():
        problem.offer(plan)
    for titles, plan in plans.items():
        weights = problem.run(plan).weights
        of_fold = zip(*(np.split(layer, len(titles) * FOLDS) for layer in weights), strict=True)
        for title in titles:
            told, joint = WAYS.get(title, (False, False))
            given = problem.once(gates) if told else [None] * FOLDS
            teachers = [Networks(problem, list(next(of_fold)), gate) for gate in given]
            made.append(Candidate(title, "networks", told or joint, teachers))
    return made, sum(plan.batches.updates * plan.members for plan in plans.values())
