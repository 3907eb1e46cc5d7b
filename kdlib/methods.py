"""The methods: one function per row of the results table, and their registry.

A method takes a `Problem` and returns a `Trained`. All students are the same network with the same number of
updates, from the same initial weights, unless the method says otherwise. Leaves out scoring: `experiment`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from kdlib import distillation, gaussians
from kdlib.networks import predict, small_normal
from kdlib.problem import Problem
from kdlib.training import Fit

ORIGINAL_RATE = 1e-3  #: Adam's default in Keras, held constant; the original does not tell its own
ORIGINAL_EPOCHS = 1 / 6  #: of the study's: 50 of 300 come nearest to the original's accuracies


@dataclass
class Trained:
    """A population that a method made, and what it cost."""

    log_probabilities: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    """(x (n, features) in the features' own units, domains (n,) or None) -> (member, n, classes)"""
    fits: dict[str, Fit] = field(default_factory=dict)  #: what was trained, by a title
    updates: int = 0  #: of the network that predicts, per member
    teacher_updates: int = 0  #: spent on teachers, per member
    told_domain: bool = False  #: whether predictions use the point's domain, which students do not see


@dataclass(frozen=True)
class Method:
    """A registered method."""

    name: str
    title: str  #: in tables and figures
    run: Callable[[Problem], Trained]
    fresh_only: bool = False  #: needs the law of the data

    @property
    def what(self) -> str:
        """The first line of its docstring: what the method is."""
        return self.run.__doc__.strip().splitlines()[0]


METHODS: dict[str, Method] = {}


def method(title: str, **more):
    """Registers a function under its own name."""

    def register(run):
        METHODS[run.__name__] = Method(run.__name__, title, run, **more)
        return run

    return register


def _student(problem: Problem, fit: Fit, title: str = "student", teacher_updates: int = 0) -> Trained:
    def log_probabilities(x, d=None):
        outputs = predict(fit.weights, problem.scaled(x))[..., : problem.classes]
        return distillation.log_softmax(outputs.astype(np.float64))

    return Trained(log_probabilities, {title: fit}, fit.updates, teacher_updates)


def _teachers_updates(problem: Problem) -> int:
    return sum(fit.updates for fit in problem.teachers)


@method("FFNN")
def ffnn(problem: Problem) -> Trained:
    """The basic multi-domain network: trained on the labels of all domains, mixed."""
    return _student(problem, problem.fit("ffnn", (problem.labels,)), "FFNN")


@method("FFNN, two heads")
def ffnn_two_heads(problem: Problem) -> Trained:
    """The same with a second head that learns the domain beside the label."""
    domains = np.eye(problem.domains)[problem.train.d]
    fit = problem.fit(
        "ffnn_two_heads",
        (problem.labels, domains),
        distillation.two_heads,
        weights=problem.start((problem.classes, problem.domains)),
    )
    return _student(problem, fit, "FFNN, two heads")


@method("Teachers, told the domain")
def teachers(problem: Problem) -> Trained:
    """One network per domain, trained on that domain alone; each answers for the points of its own domain."""

    def log_probabilities(x, d):
        return distillation.log_softmax(distillation.routed(problem.teacher_logits(x), d).astype(np.float64))

    fits = {f"Teacher of domain {k}": fit for k, fit in enumerate(problem.teachers)}
    return Trained(log_probabilities, fits, _teachers_updates(problem), told_domain=True)


@method("KD, as in the original")
def kd_original(problem: Problem) -> Trained:
    """The original's student, rebuilt: softmax over sigmoids, no T^2, domains in order, small weights, few updates."""
    epochs = max(1, round(problem.study.epochs * ORIGINAL_EPOCHS))
    short = Problem(problem.dataset, replace(problem.study, epochs=epochs))
    short.progress = problem.progress
    study = short.study

    def rebuilt(task, soft, steps, batches, **settings):
        return short.fit(
            task, (short.labels, soft), distillation.original, weights=short.start(kernel=small_normal), steps=steps,
            batches=batches, rates=np.full(steps * epochs, ORIGINAL_RATE, np.float32), scale=1, **settings,
        )  # fmt: skip

    outputs, updates = [], 0
    for k, rows in enumerate(short.domain_rows):
        steps = short.teacher_steps(k)
        teacher = rebuilt(
            f"the original's teacher of domain {k}",
            short.labels,
            steps,
            short.mixed(rows, steps),
            alpha=1,
            temperature=1,
        )
        outputs.append(1 / (1 + np.exp(-predict(teacher.weights, short.x))))
        updates += teacher.updates
    soft = distillation.soften(distillation.routed(np.array(outputs), short.train.d), study.temperature)
    fit = rebuilt("kd_original", soft, short.steps, short.in_order(), alpha=study.alpha, temperature=study.temperature)

    def log_probabilities(x, d=None):  # sigmoids that do not sum to one are divided by their sum
        outputs = 1 / (1 + np.exp(-predict(fit.weights, short.scaled(x)).astype(np.float64)))
        return np.log(outputs / outputs.sum(axis=2, keepdims=True))

    return Trained(log_probabilities, {"KD, as in the original": fit}, fit.updates, updates)


@method("KD, routed")
def kd_routed(problem: Problem) -> Trained:
    """A student of logits with T^2, in mixed batches; each sample is taught by its own domain's teacher."""
    study = problem.study
    taught = distillation.routed(problem.teacher_logits(problem.train.x), problem.train.d)
    fit = problem.fit(
        "kd_routed", (problem.labels, distillation.soften(taught, study.temperature)), distillation.distillation,
        alpha=study.alpha, temperature=study.temperature, scale=study.temperature**2,
    )  # fmt: skip
    return _student(problem, fit, "KD, routed", _teachers_updates(problem))


@method("Bayes", fresh_only=True)
def bayes(problem: Problem) -> Trained:
    """The best that any classifier can do that sees the point but not its domain: the exact posterior."""

    def log_probabilities(x, d=None):
        return np.log(np.maximum(gaussians.posterior(problem.distance, x), 1e-30))[None]

    return Trained(log_probabilities)
