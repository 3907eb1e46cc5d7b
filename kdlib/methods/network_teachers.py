"""Teachers that are networks, one per domain, and students of their outputs on the training points.

The students differ in their target alone: which teacher a point is taught by, or how several are averaged.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from kdlib.methods import targets
from kdlib.methods.direct import plain_network, two_headed_network
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, Trained, method
from kdlib.methods.students import distil
from kdlib.training.loop import Fit
from kdlib.training.networks import predict
from kdlib.training.plan import TrainingPlan


class NetworkTeacher:
    """The student's own network as a teacher: one per seed, trained as the problem trains all its networks.

    steps: updates per epoch.
    """

    def __init__(self, problem: Problem, task: str, steps: int):
        self.problem, self.task, self.steps = problem, task, steps
        self.plan: TrainingPlan | None = None

    @cached_property
    def training(self) -> Fit:
        return self.problem.run(self.plan)

    @property
    def content(self) -> tuple:
        return self.training.weights, self.problem.mean, self.problem.deviation

    def fit(self, x: np.ndarray, y: np.ndarray, classes: int) -> "NetworkTeacher":
        problem = self.problem
        labels, batches = np.eye(classes)[y], problem.shuffled(np.arange(len(x)), self.steps)
        weights = problem.initial_weights((classes,))
        planned = {"weights": weights, "x": problem.scaled(x), "batches": batches, "watch": None}
        self.plan = problem.plan(self.task, (labels,), **planned)
        problem.offer(self.plan)
        return self

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Of points in the features' own units (n, features): (member, n, classes)."""
        return predict(self.training.weights, self.problem.scaled(x))

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        return targets.log_softmax(self.logits(x))

    def refit(self, x: np.ndarray, y: np.ndarray, classes: int) -> "NetworkTeacher":
        return NetworkTeacher(self.problem, self.task, self.steps).fit(x, y, classes)

    def first(self, seeds: int) -> "NetworkTeacher":
        """The teachers of the first seeds."""
        other = NetworkTeacher(self.problem, self.task, self.steps)
        other.training = replace(self.training, weights=[w[:seeds] for w in self.training.weights])
        return other


def teacher_steps(problem: Problem, k: int) -> int:
    """Updates per epoch of the teacher of domain k: as many as its own samples fill."""
    return max(1, int(problem.domain_sizes[k]) // problem.settings.batch_size)


def domain_teachers(problem: Problem) -> list[NetworkTeacher]:
    """One population per domain, each trained on its own domain's rows only."""
    return [
        NetworkTeacher(problem, f"teacher of domain {k}", teacher_steps(problem, k)).fit(
            problem.train.x[rows], problem.train.y[rows], problem.classes
        )
        for k, rows in enumerate(problem.domain_rows)
    ]


def teacher_logits(problem: Problem, x: np.ndarray) -> np.ndarray:
    """What each teacher says of points in the features' own units (n, features): (domain, member, n, classes).

    Several students ask about the same points, so that answers are remembered.
    """
    known, key = problem.once(_known_logits), hashlib.sha256(np.ascontiguousarray(x)).digest()
    if key not in known:
        known[key] = np.stack([teacher.logits(x) for teacher in problem.once(domain_teachers)])
    return known[key]


def _known_logits(problem: Problem) -> dict[bytes, np.ndarray]:
    return {}


def teacher_updates(problem: Problem) -> int:
    """Updates of all single-domain teachers, per seed."""
    return sum(teacher.training.updates for teacher in problem.once(domain_teachers))


def learned_gate(problem: Problem, x: np.ndarray) -> np.ndarray:
    """P(k | x) of points in the features' own units, from the two-headed network: (member, n, domain)."""
    heads = predict(two_headed_network(problem).weights, problem.scaled(x))
    return targets.soften(heads[..., problem.classes :], 1.0)


def student_of_teachers(problem: Problem, task: str, target, **more) -> Student:
    """A student of the single-domain teachers; target as in `distil`, and the costs that are theirs."""
    return distil(problem, task, target, **({"teacher_updates": teacher_updates(problem)} | more))


def student_of_mixture(problem: Problem, task: str, weigh: Callable, **more) -> Student:
    """A student of the weighted mean of all teachers' probabilities.

    weigh: weights (n, domain), or (member, n, domain), of points and what the teachers say of them, their logits.
    """

    def target(x, d=None):
        logits = teacher_logits(problem, x)
        return targets.mixture(logits, weigh(x, logits))

    return student_of_teachers(problem, task, target, **more)


@method("Teachers, told the domain", role="teacher", section="teachers", uses_domain=True)
def teachers(problem: Problem) -> Trained:
    """One network per domain, trained on that domain alone; each answers for the points of its own domain."""

    def log_probabilities(x, d):
        return targets.log_softmax(targets.routed(teacher_logits(problem, x), d).astype(np.float64))

    fits = {f"Teacher of domain {k}": each.training for k, each in enumerate(problem.once(domain_teachers))}
    return Trained(log_probabilities, fits, teacher_updates(problem))


@method(
    "KD, routed", section="routed", in_summary=True, control_of="kd_gated",
    isolates="all teachers, weighted by P(k | x), teach a point better than its own domain's alone",
)  # fmt: skip
def kd_routed(problem: Problem) -> Student:
    """Each sample is taught by its own domain's teacher; logits, T², mixed batches."""

    def target(x, d):
        return targets.routed(teacher_logits(problem, x), d)

    return student_of_teachers(problem, "kd_routed", target, agreement=False)


@method(
    "KD, mean of probabilities", section="averaged", in_summary=True, needs_multiple_domains=True,
    control_of="kd_gated", isolates="the weights P(k | x) matter, not only that all teachers are asked",
)  # fmt: skip
def kd_mean(problem: Problem) -> Student:
    """Taught by the plain mean of the teachers' probabilities, as if each knew all domains (You et al. 2017)."""
    return student_of_mixture(problem, "kd_mean", lambda x, _: np.full((len(x), problem.domains), 1 / problem.domains))


@method("KD, gated", section="averaged", in_summary=True, needs_multiple_domains=True)
def kd_gated(problem: Problem) -> Student:
    """Taught by all teachers, each weighted by P(k | x) from the domain head of the two-headed network."""
    updates = teacher_updates(problem) + two_headed_network(problem).updates
    return student_of_mixture(problem, "kd_gated", lambda x, _: learned_gate(problem, x), teacher_updates=updates)


@method("KD, mean of logits", section="other weights", needs_multiple_domains=True)
def kd_mean_logits(problem: Problem) -> Student:
    """Taught by the mean of the teachers' logits, a common mistake for the mean of probabilities."""

    def target(x, d=None):
        return targets.log_softmax(teacher_logits(problem, x).mean(axis=0))

    return student_of_teachers(problem, "kd_mean_logits", target)


@method("KD, weighted by entropy", section="other weights", needs_multiple_domains=True)
def kd_entropy(problem: Problem) -> Student:
    """Teachers weigh more where they are surer: per sample, the softmax of minus their entropies."""
    return student_of_mixture(problem, "kd_entropy", lambda _, logits: targets.entropy_weights(logits))


@method("KD, weighted by labels (CA-MKD)", section="other weights", needs_multiple_domains=True)
def kd_confidence(problem: Problem) -> Student:
    """Teachers weigh more where they are right about the label (CA-MKD, Zhang et al. 2022, eq. 3)."""

    def weigh(_, logits):
        return targets.confidence_weights(logits, problem.train.y)

    return student_of_mixture(problem, "kd_confidence", weigh, agreement=False)


@method("KD, true gate", section="other weights", needs_multiple_domains=True, needs_known_distribution=True)
def kd_gated_true(problem: Problem) -> Student:
    """Taught by all teachers, each weighted by the true P(k | x): what a better gate could give."""
    return student_of_mixture(problem, "kd_gated_true", lambda x, _: problem.distribution.domain_posterior(x))


@method("KD from itself", role="control", section="other teachers")
def kd_self(problem: Problem) -> Student:
    """Self-distillation: each student is taught by the FFNN of its own seed (Furlanello et al. 2018)."""
    direct = plain_network(problem)

    def target(x, d=None):
        return targets.log_softmax(predict(direct.weights, problem.scaled(x)))

    return distil(problem, "kd_self", target, teacher_updates=direct.updates)


@method(
    "KD from an ensemble of FFNN", role="control", section="other teachers", control_of="kd_kernel_teachers",
    isolates="teachers of different domains matter, not only the averaging of networks",
)  # fmt: skip
def kd_ensemble(problem: Problem) -> Student:
    """Taught by the mean of all seeds' FFNN: is it the teachers or the averaging?"""
    direct = plain_network(problem)

    def target(x, d=None):
        log_p = targets.log_softmax(predict(direct.weights, problem.scaled(x)))
        mean = np.log(np.maximum(np.exp(log_p).mean(axis=0, keepdims=True), 1e-30))
        return np.broadcast_to(mean, log_p.shape)

    return distil(problem, "kd_ensemble", target, teacher_updates=direct.updates * len(problem.seeds))
