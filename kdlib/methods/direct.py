"""Direct training: networks that learn from the labels alone."""

import numpy as np

from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, method
from kdlib.methods.students import copied_points
from kdlib.training import losses
from kdlib.training.loop import Fit
from kdlib.training.plan import TrainingPlan

SMOOTHING = 0.1  #: of labels (Szegedy et al. 2016)


def plain_plan(problem: Problem) -> TrainingPlan:
    return problem.plan("ffnn", (problem.labels,))


def plain_network(problem: Problem) -> Fit:
    """The basic multi-domain network, trained; other methods use it as a teacher."""
    return problem.run(problem.once(plain_plan))


def two_headed_plan(problem: Problem) -> TrainingPlan:
    domains = np.eye(problem.domains)[problem.train.d]
    weights = problem.initial_weights((problem.classes, problem.domains))
    return problem.plan("ffnn_two_heads", (problem.labels, domains), losses.two_heads, weights=weights)


def two_headed_network(problem: Problem) -> Fit:
    """The network with a head for the label and one for the domain, trained; its second head is a gate."""
    return problem.run(problem.once(two_headed_plan))


@method("FFNN", role="baseline", section="direct training", in_summary=True)
def ffnn(problem: Problem) -> Student:
    """The basic multi-domain network: trained on the labels of all domains, mixed."""
    return Student(problem.once(plain_plan))


@method("FFNN, two heads", role="control", section="direct training", needs_multiple_domains=True)
def ffnn_two_heads(problem: Problem) -> Student:
    """The same with a second head that learns the domain beside the label."""
    return Student(problem.once(two_headed_plan))


@method("FFNN, domains in order", role="control", section="direct training, varied", needs_multiple_domains=True)
def ffnn_ordered(problem: Problem) -> Student:
    """The same, but each epoch visits the domains one after the other: the control for order."""
    return Student(problem.plan("ffnn_ordered", (problem.labels,), batches=problem.in_order()))


@method("FFNN, smoothed labels", role="control", section="direct training, varied")
def ffnn_smoothed(problem: Problem) -> Student:
    """The same with a tenth of each label spread over all classes: soft targets without a teacher."""
    labels = (1 - SMOOTHING) * problem.labels + SMOOTHING / problem.classes
    return Student(problem.plan("ffnn_smoothed", (labels,)))


@method(
    "FFNN, noisy copies", role="control", section="direct training", control_of="kd_kernel_teachers",
    isolates="the teachers' answers matter, not only that there are more points",
)  # fmt: skip
def ffnn_noisy(problem: Problem) -> Student:
    """Trained on noisy copies of the training points, each with the label of the point that it copies."""
    x, origin = problem.once(copied_points)
    batches = problem.shuffled(np.arange(len(origin)))
    return Student(problem.plan("ffnn_noisy", (problem.labels[origin],), x=x, batches=batches))


@method(
    "FFNN, told the domain", role="control", section="direct training, varied", uses_domain=True,
    needs_multiple_domains=True,
)  # fmt: skip
def ffnn_told(problem: Problem) -> Student:
    """A network that sees the domain beside the point: another task, and a category of its own."""

    def inputs(x, d):
        return np.concatenate([problem.scaled(x), np.eye(problem.domains)[d]], axis=1)

    x, select, watch = inputs(problem.train.x, problem.train.d), problem.select, None
    if select.d is not None:
        watch = inputs(select.x, select.d), np.eye(problem.classes)[select.y]
    weights = problem.initial_weights(features=x.shape[1])
    return Student(problem.plan("ffnn_told", (problem.labels,), weights=weights, x=x, watch=watch), inputs=inputs)
