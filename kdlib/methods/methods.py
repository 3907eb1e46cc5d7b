"""The methods: one function per row of the results table.

All students are the same network with the same number of updates, from the same initial weights, unless the method
says otherwise. The students of this room differ in their target alone; the original's replica is in `replica`, kernel
teachers and their controls are in `kernels`. Leaves out scoring: `experiment`.
"""

from collections.abc import Callable

import numpy as np

from kdlib.data import gaussians
from kdlib.methods import targets
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Trained, method
from kdlib.training import losses
from kdlib.training.loop import Fit
from kdlib.training.networks import predict

SMOOTHING = 0.1  #: of labels (Szegedy et al. 2016)


def student(problem: Problem, fit: Fit, **more) -> Trained:
    """A trained network that answers by its label head, which is the first."""

    def log_probabilities(x, d=None):
        outputs = predict(fit.weights, problem.scaled(x))[..., : problem.classes]
        return targets.log_softmax(outputs.astype(np.float64))

    return Trained(log_probabilities, {"student": fit}, fit.updates, **more)


def taught(
    problem: Problem, task: str, target: Callable[[np.ndarray, np.ndarray | None], np.ndarray], **more
) -> Trained:
    """A student of Hinton's loss on the training points; `target(x, d)`: teacher's logits (member, n, classes)."""
    study = problem.study
    soft = targets.soften(target(problem.train.x, problem.train.d), study.temperature)
    fit = problem.fit(
        task, (problem.labels, soft), losses.distillation,
        alpha=study.alpha, temperature=study.temperature, scale=study.temperature**2,
    )  # fmt: skip
    return student(problem, fit, **({"teacher_updates": teacher_updates(problem)} | more))


def teacher_updates(problem: Problem) -> int:
    """Updates of all single-domain teachers, per seed."""
    return sum(fit.updates for fit in problem.teachers)


# --- Trained directly ---------------------------------------------------------------------------------------------


@method("FFNN")
def ffnn(problem: Problem) -> Trained:
    """The basic multi-domain network: trained on the labels of all domains, mixed."""
    return student(problem, problem.direct)


@method("FFNN, domains in order", several=True)
def ffnn_ordered(problem: Problem) -> Trained:
    """The same, but each epoch visits the domains one after the other: the control for order."""
    return student(problem, problem.fit("ffnn_ordered", (problem.labels,), batches=problem.in_order()))


@method("FFNN, smoothed labels")
def ffnn_smoothed(problem: Problem) -> Trained:
    """The same with a tenth of each label spread over all classes: soft targets without a teacher."""
    labels = (1 - SMOOTHING) * problem.labels + SMOOTHING / problem.classes
    return student(problem, problem.fit("ffnn_smoothed", (labels,)))


@method("FFNN, two heads", several=True)
def ffnn_two_heads(problem: Problem) -> Trained:
    """The same with a second head that learns the domain beside the label."""
    return student(problem, problem.two_heads)


@method("Teachers, told the domain")
def teachers(problem: Problem) -> Trained:
    """One network per domain, trained on that domain alone; each answers for the points of its own domain."""

    def log_probabilities(x, d):
        return targets.log_softmax(targets.routed(problem.teacher_logits(x), d).astype(np.float64))

    fits = {f"Teacher of domain {k}": fit for k, fit in enumerate(problem.teachers)}
    return Trained(log_probabilities, fits, teacher_updates(problem), told_domain=True)


@method("FFNN, told the domain", several=True)
def ffnn_told(problem: Problem) -> Trained:
    """A network that sees the domain beside the point: another task, and a category of its own."""

    def inputs(x, d):
        return np.concatenate([problem.scaled(x), np.eye(problem.domains)[d]], axis=1)

    x = inputs(problem.train.x, problem.train.d)
    watch = None if problem.select.d is None else inputs(problem.select.x, problem.select.d)
    fit = problem.fit("ffnn_told", (problem.labels,), weights=problem.start(features=x.shape[1]), x=x, watch=watch)

    def log_probabilities(x, d):
        return targets.log_softmax(predict(fit.weights, inputs(x, d)).astype(np.float64))

    return Trained(log_probabilities, {"student": fit}, fit.updates, told_domain=True)


# --- Taught by three networks, one per domain ---------------------------------------------------------------------


@method("KD, routed")
def kd_routed(problem: Problem) -> Trained:
    """Each sample is taught by its own domain's teacher; logits, T^2, mixed batches."""
    return taught(problem, "kd_routed", lambda x, d: targets.routed(problem.teacher_logits(x), d))


@method("KD, mean of probabilities", several=True)
def kd_mean(problem: Problem) -> Trained:
    """Taught by the plain mean of the teachers' probabilities, as if each knew all domains (You et al. 2017)."""

    def target(x, d=None):
        return targets.mixture(problem.teacher_logits(x), np.full((len(x), problem.domains), 1 / problem.domains))

    return taught(problem, "kd_mean", target, teacher=target)


@method("KD, mean of logits", several=True)
def kd_mean_logits(problem: Problem) -> Trained:
    """Taught by the mean of the teachers' logits, a common slip for the mean of probabilities."""

    def target(x, d=None):
        return targets.log_softmax(problem.teacher_logits(x).mean(axis=0))

    return taught(problem, "kd_mean_logits", target, teacher=target)


@method("KD, weighted by entropy", several=True)
def kd_entropy(problem: Problem) -> Trained:
    """Teachers weigh more where they are surer: per sample, the softmax of minus their entropies."""

    def target(x, d=None):
        logits = problem.teacher_logits(x)
        return targets.mixture(logits, targets.entropy_weights(logits))

    return taught(problem, "kd_entropy", target, teacher=target)


@method("KD, weighted by labels (CA-MKD)", several=True)
def kd_confidence(problem: Problem) -> Trained:
    """Teachers weigh more where they are right about the label (CA-MKD, Zhang et al. 2022, eq. 3)."""

    def target(x, d):
        logits = problem.teacher_logits(x)
        return targets.mixture(logits, targets.confidence_weights(logits, problem.train.y))

    return taught(problem, "kd_confidence", target)


@method("KD, gated", several=True)
def kd_gated(problem: Problem) -> Trained:
    """Taught by all teachers, each weighed by P(k | x) from the domain head of the two-headed network."""

    def target(x, d=None):
        return targets.mixture(problem.teacher_logits(x), problem.gate(x))

    return taught(
        problem, "kd_gated", target, teacher=target,
        teacher_updates=teacher_updates(problem) + problem.two_heads.updates,
    )  # fmt: skip


@method("KD, true gate", fresh_only=True, several=True)
def kd_gated_true(problem: Problem) -> Trained:
    """The same with the true P(k | x): what a better gate could give."""

    def target(x, d=None):
        return targets.mixture(problem.teacher_logits(x), gaussians.domain_posterior(problem.distance, x))

    return taught(problem, "kd_gated_true", target, teacher=target)


# --- Controls: taught, but not by three teachers ------------------------------------------------------------------


@method("KD from itself")
def kd_self(problem: Problem) -> Trained:
    """Self-distillation: each student is taught by the FFNN of its own seed (Furlanello et al. 2018)."""

    def target(x, d=None):
        return targets.log_softmax(predict(problem.direct.weights, problem.scaled(x)))

    return taught(problem, "kd_self", target, teacher=target, teacher_updates=problem.direct.updates)


@method("KD from an ensemble of FFNN")
def kd_ensemble(problem: Problem) -> Trained:
    """Taught by the mean of all seeds' FFNN: is it the teachers or the averaging?"""

    def target(x, d=None):
        log_p = targets.log_softmax(predict(problem.direct.weights, problem.scaled(x)))
        mean = np.log(np.maximum(np.exp(log_p).mean(axis=0, keepdims=True), 1e-30))
        return np.broadcast_to(mean, log_p.shape)

    updates = problem.direct.updates * problem.study.seeds
    return taught(problem, "kd_ensemble", target, teacher=target, teacher_updates=updates)


# --- Ceilings -----------------------------------------------------------------------------------------------------


@method("Bayes", fresh_only=True)
def bayes(problem: Problem) -> Trained:
    """The best that any classifier can do that sees the point but not its domain: the exact posterior."""

    def log_probabilities(x, d=None):
        return np.log(np.maximum(gaussians.posterior(problem.distance, x), 1e-30))[None]

    return Trained(log_probabilities)


@method("Bayes, told the domain", fresh_only=True)
def bayes_told(problem: Problem) -> Trained:
    """The rule of the point's own domain, which leaves no error."""

    def log_probabilities(x, d):
        return np.log(np.maximum(np.eye(2)[gaussians.own_rule(problem.distance, x, d)], 1e-30))[None]

    return Trained(log_probabilities, told_domain=True)
