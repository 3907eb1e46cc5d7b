"""Direct training at its best.

A network that trains for a fixed number of epochs without regularisation overfits noisy data, and anything smoother
beats it. Here a small grid is searched: the training points alone or with noisy copies, weight decay, label smoothing
and the number of epochs, each with a learning rate that falls to zero. What is chosen has the lowest cross-entropy on
the selection split, which is never reported, averaged over a few seeds. All settings of one length are one population.

Out of scope: the best epoch of a single seed. With a falling rate it is no better than a shorter training where data
are noisy, and worse where they are not: selection then takes an epoch whose rate is still high. Students of soft
targets do not need the grid either: chosen on few points, theirs is no better than the full training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, method
from kdlib.methods.students import copied_points
from kdlib.training import losses
from kdlib.training.loop import cosine
from kdlib.training.plan import TrainingPlan, repeat, stack

MAX_SEEDS = 2  #: of the search
LENGTHS = (0.1, 1 / 3, 1.0)  #: of the training, as a share of all epochs
DECAYS = (0.0, 0.03, 0.3)  #: decoupled weight decay, per step in units of the rate
COPIED = (False, True)  #: whether noisy copies of the training points are trained on as well
SMOOTHINGS = (0.0, 0.1)


@dataclass(frozen=True)
class Choice:
    """One point of the grid."""

    length: float
    decay: float
    copied: bool = False
    smoothing: float = 0.0

    def describe(self, epochs: int) -> str:
        """In words; epochs: of a training of length 1."""
        epochs = shorten(epochs, self.length)
        return ", ".join([
            f"{epochs} epoch{'s' if epochs > 1 else ''}",
            f"weight decay {self.decay:g}" if self.decay else "no weight decay",
            *(["noisy copies"] if self.copied else []),
            *([f"label smoothing {self.smoothing:g}"] if self.smoothing else []),
        ])  # fmt: skip


GRID = [Choice(*each) for each in product(LENGTHS, DECAYS, COPIED, SMOOTHINGS)]


def shorten(epochs: int, length: float) -> int:
    return max(1, round(epochs * length))


def vary(plan: TrainingPlan, choice: Choice) -> TrainingPlan:
    """A plan with another length and weight decay; its rate falls to zero at the end."""
    batches = replace(plan.batches, epochs=shorten(plan.batches.epochs, choice.length))
    rates = cosine(float(np.ravel(plan.rates)[0]), batches.updates)
    return replace(plan, batches=batches, rates=rates, weight_decay=choice.decay)


def direct_plan(problem: Problem, choice: Choice, of: np.ndarray | None = None) -> TrainingPlan:
    """Direct training with a choice of the grid; of: the training points it uses, all if none are given."""
    x, origin = problem.once(copied_points)
    # The copies begin with the points themselves, so that both kinds of training share one array.
    rows = problem.once(_all_rows) if choice.copied else problem.rows
    batches = problem.shuffled(rows if of is None else rows[np.isin(origin[rows], of)])
    plan = problem.plan(
        "ffnn_tuned", (problem.once(_copied_labels),), losses.smoothed_cross_entropy, x=x, batches=batches,
        settings={"smoothing": choice.smoothing},
    )  # fmt: skip
    return vary(plan, choice)


def _copied_labels(problem: Problem) -> np.ndarray:
    return problem.labels[problem.once(copied_points)[1]]


def _all_rows(problem: Problem) -> np.ndarray:
    return np.arange(len(problem.once(copied_points)[1]))


def choose(problem: Problem, plans: Sequence[TrainingPlan]) -> tuple[int, int]:
    """The number of the plan with the lowest cross-entropy on the selection split, and the updates of the search.

    Updates are those of all plans and seeds together.
    """
    seeds = min(MAX_SEEDS, len(problem.seeds))
    losses, numbers, populations = np.full(len(plans), np.inf), [], []
    for length in dict.fromkeys(plan.batches.updates for plan in plans):
        numbers.append([number for number, plan in enumerate(plans) if plan.batches.updates == length])
        population = stack([repeat(plans[number], 1, seeds) for number in numbers[-1]])
        populations.append(replace(population, task=f"search: {population.task}"))
        problem.offer(populations[-1])
    for same, population in zip(numbers, populations, strict=True):
        last = problem.run(population).watched["loss"][-1].reshape(len(same), seeds).mean(axis=1)
        losses[same] = np.where(np.isfinite(last), last, np.inf)
    updates = sum(population.batches.updates * population.members for population in populations)
    return int(losses.argmin()), updates


def tuned(problem: Problem) -> tuple[Choice, int]:
    """What is chosen of the grid, and the updates of the search, of all its trainings together."""
    number, updates = choose(problem, [direct_plan(problem, choice) for choice in GRID])
    return GRID[number], updates


@method("FFNN, tuned", role="baseline", section="direct training", in_summary=True)
def ffnn_tuned(problem: Problem) -> Student:
    """Direct training at its best: epochs, weight decay, noisy copies and label smoothing are chosen."""
    choice, updates = problem.once(tuned)
    words = choice.describe(problem.settings.epochs)
    return Student(direct_plan(problem, choice), -(-updates // len(problem.seeds)), choice=words)
