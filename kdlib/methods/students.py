"""How students are trained: on what points, towards which target.

All students are the same network with the same number of updates, from the same initial weights, unless their method
says otherwise.
"""

import numpy as np

from kdlib.data import Split
from kdlib.data.dataset import MAX_VALUES
from kdlib.methods.problem import Problem
from kdlib.methods.registry import LogProbabilities, Student
from kdlib.methods.targets import soften
from kdlib.methods.teachers import Teacher
from kdlib.training import losses
from kdlib.training.plan import TrainingPlan

COPIES = 100  #: queries per training point, the point itself among them
NOISE = 0.25  #: of the copies, in standard deviations of their domain
MAX_QUERIES = 400_000


def distil(problem: Problem, task: str, target: LogProbabilities, agreement: bool = True, **more) -> Student:
    """A student of Hinton's loss on the training points.

    target: log-probabilities or logits of the teacher, (x, d) -> (member, n, classes). agreement: whether how often the
    student decides as its target is measured, for which that must have a value at any point. more: fields of `Student`.
    """
    plan = hinton_plan(problem, task, problem.labels, target(problem.train.x, problem.train.d))
    return Student(plan, target=target if agreement else None, **more)


def hinton_plan(problem: Problem, task: str, labels: np.ndarray, logits: np.ndarray, **changes) -> TrainingPlan:
    """A training with Hinton's loss, towards labels and a teacher's logits; changes: as in `Problem.plan`."""
    alpha, temperature = problem.settings.alpha, problem.settings.temperature
    numbers = {"alpha": alpha, "temperature": temperature, "scale": temperature**2}
    return problem.plan(task, (labels, soften(logits, temperature)), losses.distillation, settings=numbers, **changes)


def distil_on_queries(problem: Problem, task: str, teacher: Teacher, copies: int = COPIES, **more) -> Student:
    """A student of a teacher's answers alone, at the training points and at noisy copies of them; no label is used."""
    x, _ = problem.once(queries, copies, of_pool=True)
    wanted = np.exp(problem.answers(teacher, x))
    scaled, rows = problem.once(scaled_queries, copies, of_pool=True)
    plan = problem.plan(task, (wanted[0] if len(wanted) == 1 else wanted,), x=scaled, batches=problem.shuffled(rows))
    target = lambda points, d=None: problem.answers(teacher, points)  # noqa: E731
    return Student(plan, queries=len(rows) - len(problem.pool), target=target, **more)


def queries(problem: Problem, copies: int = COPIES) -> tuple[np.ndarray, np.ndarray]:
    """The points that teachers are asked about: x (n * copies, features), and the row that each is a copy of.

    These are the problem's pool, and copies of it with Gaussian noise in proportion to each domain's spread.
    """
    return noisy_copies(problem.pool, copies)


def noisy_copies(split: Split, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """A split's points, then copies of them (n * copies, features), and the row that each is a copy of.

    There are fewer copies where they would be more than `MAX_QUERIES` points or `MAX_VALUES` features.
    """
    copies = max(1, min(copies, MAX_QUERIES // len(split), MAX_VALUES // split.x.size))
    if copies == 1:
        return split.x, np.arange(len(split))
    spread, rng = np.empty_like(split.x), np.random.default_rng(0)
    for k in np.unique(split.d):
        spread[split.d == k] = split.x[split.d == k].std(axis=0)
    points = np.empty((copies, *split.x.shape))
    for copy in points:
        np.add(split.x, rng.standard_normal(split.x.shape) * NOISE * spread, out=copy)
    points[0] = split.x
    return points.reshape(-1, split.x.shape[1]), np.tile(np.arange(len(split)), copies)


def scaled_queries(problem: Problem, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """The queries as networks see them, and their rows (n * copies,)."""
    x, _ = problem.once(queries, copies, of_pool=True)
    return problem.x if x is problem.train.x else problem.scaled(x), np.arange(len(x))


def copied_points(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The training points and noisy copies of them as networks see them, and the row that each is a copy of."""
    if problem.pool is problem.train:
        return problem.once(scaled_queries, COPIES, of_pool=True)[0], problem.once(queries, COPIES, of_pool=True)[1]
    x, origin = noisy_copies(problem.train, COPIES)
    return problem.scaled(x), origin
