"""The candidates of a portfolio: teachers of many kinds, each fitted without each of five folds.

They are machines of scikit-learn, for all domains at once or one per domain under a gate, and ensembles of the
student's own network, of which some tell the domains apart. A machine's settings are chosen once, on all training
points, and kept in all folds: choosing in every fold takes five times as long. Out of scope: a search for the settings
of trees and networks; how candidates are weighted (`portfolio`).
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kdlib.methods.kernel_teachers import KernelMachine, search
from kdlib.methods.problem import Problem
from kdlib.methods.students import noisy_copies
from kdlib.methods.targets import log_softmax
from kdlib.methods.teachers import GATE, POOLED, Mixture, SharedTeacher, SklearnTeacher, Teacher, fit_teacher
from kdlib.training.batches import Shuffled, Together
from kdlib.training.networks import Architecture, initial_weights, predict
from kdlib.training.plan import TrainingPlan

FOLDS = 5
MEMBERS = 2  #: networks of each kind in each fold
UPDATES = 8000  #: of each of these networks, at most
NETWORK_COPIES = 10  #: of each point, for networks that learn from noisy copies


class LinearMachine(SklearnTeacher):
    """Logistic regression, its regularisation chosen by cross-validated likelihood."""

    def choose(self, x: np.ndarray, y: np.ndarray):
        machine = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        return search([(machine, {"logisticregression__C": 10.0 ** np.arange(-2, 3)})], x, y)


class BoostedTrees(SklearnTeacher):
    """Gradient boosting of small trees (Friedman 2001)."""

    def choose(self, x: np.ndarray, y: np.ndarray):
        settings = {"max_iter": 60, "max_leaf_nodes": 8, "l2_regularization": 1.0, "early_stopping": False}
        return HistGradientBoostingClassifier(**settings, random_state=0).fit(x, y)


class Networks:
    """An ensemble of networks, as one member; their outputs are the pairs of a domain and a class.

    gate: P(k | x), where the networks are told the domain: their answers are averaged over it.
    """

    def __init__(self, problem: Problem, weights: list[np.ndarray], gate: Teacher | None = None):
        self.problem, self.weights, self.gate = problem, weights, gate
        self.content = weights, gate, problem.mean, problem.deviation, problem.domains

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes)."""
        domains = self.problem.domains
        if self.gate is None:
            p = self._answers(x, np.zeros(domains))
        else:
            gate = np.exp(self.gate.log_probabilities(x))[0]
            p = sum(gate[:, k, None] * self._answers(x, told) for k, told in enumerate(np.eye(domains)))
        return np.log(np.maximum(p, 1e-30))[None]

    def _answers(self, x, told):
        outputs = predict(self.weights, with_domain(self.problem.scaled(x), told)).astype(np.float64)
        pairs = np.exp(log_softmax(outputs)).mean(axis=0)
        return pairs.reshape(len(x), self.problem.domains, -1).sum(axis=1)


def with_domain(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Features (n, features) and the one-hot domain beside them (n, domains); zeros for a network not told it."""
    return np.concatenate([x, np.broadcast_to(np.float32(told), (len(x), told.shape[-1]))], axis=1)


@dataclass(frozen=True)
class Way:
    """How the networks of one candidate are trained."""

    copied: bool = False  #: on noisy copies of the points too
    told: bool = False  #: with the domain among the inputs
    joint: bool = False  #: towards the domain and the class, instead of the class alone
    decay: float = 0.0  #: of weights, per step in units of the rate


WAYS = {
    "networks": Way(),
    "networks told the domain": Way(told=True, copied=True, decay=0.3),
    "networks of domain and class": Way(joint=True, copied=True, decay=0.3),
}


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
    return [chosen.refit(train.x[kept], y[kept], outputs) for kept in (rows[fold[rows] != f] for f in range(FOLDS))]


def gates(problem: Problem) -> list[Teacher]:
    """P(k | x), fitted without each fold."""
    return [SharedTeacher(gate) for gate in without_each(problem, KernelMachine, GATE)]


def per_domain(problem: Problem, make: type[SklearnTeacher]) -> list[Teacher]:
    """A teacher per domain under the gate, all fitted without each fold."""
    teachers = zip(*(without_each(problem, make, k) for k in range(problem.domains)), strict=True)
    return [Mixture(*each) for each in zip(teachers, problem.once(gates), strict=True)]


def network_plan(problem: Problem, ways: list[Way]) -> TrainingPlan:
    """All networks as one population; members are (way, fold, member), the last fastest.

    They learn from one table, in which each way has rows of its own: the points, then their copies if it uses them.
    """
    train, classes, domains, settings = problem.train, problem.classes, problem.domains, problem.settings
    points, origin = noisy_copies(train, NETWORK_COPIES)
    points, fold = problem.scaled(points), problem.once(folds)
    epochs = min(settings.epochs, -(-UPDATES // problem.steps))
    seeds = [tuple(range(f * MEMBERS, (f + 1) * MEMBERS)) for f in range(FOLDS)]
    x, wanted, batches = [], [], []
    for way in ways:
        of = origin if way.copied else problem.rows
        first = sum(map(len, x))
        x.append(with_domain(points[: len(of)], np.eye(domains)[train.d[of]] if way.told else np.zeros(domains)))
        wanted.append(train.y[of] + (train.d[of] * classes if way.joint else 0))
        for f, members in enumerate(seeds):
            rows = first + np.flatnonzero(fold[of] != f)
            batches.append(Shuffled(rows, settings.batch_size, problem.steps, epochs, members))
    outputs = domains * classes
    architecture = Architecture(x[0].shape[1], settings.hidden, (outputs,))
    return problem.plan(
        "networks of the portfolio", (np.eye(outputs)[np.concatenate(wanted)],), x=np.concatenate(x), watch=None,
        weights=initial_weights(architecture, [seed for members in seeds for seed in members] * len(ways)),
        batches=Together(tuple(batches)), weight_decay=np.repeat([way.decay for way in ways], FOLDS * MEMBERS),
    )  # fmt: skip


def candidates(problem: Problem) -> tuple[list[Candidate], int]:
    """All candidates and the updates of their networks; with one domain, those that need no other."""
    machines = {
        "kernel machine": ("kernel machines", KernelMachine),
        "linear machine": ("linear", LinearMachine),
        "boosted trees": ("trees", BoostedTrees),
    }
    several = problem.domains > 1
    made = [Candidate(title, kind, False, without_each(problem, make)) for title, (kind, make) in machines.items()]
    for title, (kind, make) in list(machines.items())[: 2 if several else 0]:
        made.append(Candidate(f"{title} per domain", kind, True, per_domain(problem, make)))
    ways = {title: way for title, way in WAYS.items() if several or not (way.told or way.joint)}
    fit = problem.run(network_plan(problem, list(ways.values())))
    of_fold = zip(*(np.split(layer, len(ways) * FOLDS) for layer in fit.weights), strict=True)
    for title, way in ways.items():
        given = problem.once(gates) if way.told else [None] * FOLDS
        teachers = [Networks(problem, list(next(of_fold)), gate) for gate in given]
        made.append(Candidate(title, "networks", way.told or way.joint, teachers))
    return made, fit.updates * len(ways) * FOLDS * MEMBERS
