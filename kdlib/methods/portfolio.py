"""A portfolio: teachers of many kinds, weighted by how well they answer for points that they were not fitted to.

Each of the `candidates` is fitted five times, each time without one of five folds. Its answers for the folds left out
give it a temperature (Guo et al. 2017) and a weight: those of the most likely mixture of all candidates (Smyth and
Wolpert 1999). The student learns this mixture at the training points and at noisy copies of them. The recipe is the
same for all datasets. Networks trained directly, as well as can be, are among the candidates: where nothing is better
out of fold, they have all the weight, and the student is trained directly, too. Out of scope: to compare the student
with direct training on the selection split, which favours what was chosen there.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from kdlib.methods.candidates import NETWORKS, candidates, folds
from kdlib.methods.kernel_teachers import undistilled
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, Trained, method
from kdlib.methods.students import distil_on_queries
from kdlib.methods.targets import soften
from kdlib.methods.tuning import ffnn_tuned, tuned

QUERIES = 25_000  #: of the student, as far as the number of copies allows
COPIES = 4, 60  #: fewest and most queries per point
FLOOR = 0.005  #: of each answer, shared by the classes, so that none is certain of a point it has not seen
TEMPERATURES = 0.5, 1.0  #: lowest and highest; a mean of five fits is less certain than one, and needs no softening
ROUNDS = 200  #: of expectation and maximisation
MIN_WEIGHT = 0.01  #: candidates of less are left out of the mixture


class Portfolio:
    """The mixture of all candidates: a teacher, and how it came about.

    For each candidate there are its temperature, its weight, and the cross-entropy of its `answers` for the training
    points (candidate, n, classes), each given by the fit without that point's fold.
    """

    def __init__(self, problem: Problem):
        choice, search = problem.once(tuned)
        problem = problem.once(Problem.bounded)
        train, fold = problem.train, problem.once(folds)
        self.candidates, updates = candidates(problem, choice)
        self.updates = -(-(updates + search) // len(problem.seeds))  #: per seed: all seeds share the portfolio
        answers = np.empty((len(self.candidates), len(train), problem.classes))
        for each, candidate in zip(answers, self.candidates, strict=True):
            for f, teacher in enumerate(candidate.teachers):
                each[fold == f] = np.exp(problem.answers(teacher, train.x[fold == f]))[0]
        self.temperatures = np.array([best_temperature(each, train.y) for each in answers])
        self.answers = np.stack([softened(*each) for each in zip(answers, self.temperatures, strict=True)])
        likelihoods = self.answers[:, problem.rows, train.y]
        self.cross_entropies = -np.log(likelihoods).mean(axis=1)
        weights = mixture_weights(likelihoods)
        weights[weights < MIN_WEIGHT] = 0
        self.weights = weights / weights.sum()

    @property
    def is_direct_training(self) -> bool:
        """Whether nothing is better out of fold than networks trained directly."""
        titles = [candidate.title for candidate, weight in zip(self.candidates, self.weights, strict=True) if weight]
        return titles == [NETWORKS]

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes); every candidate answers by the mean of its fits."""
        mixed = np.zeros((len(x), self.answers.shape[2]))
        for candidate, temperature, weight in zip(self.candidates, self.temperatures, self.weights, strict=True):
            if weight:
                fits = [np.exp(teacher.log_probabilities(x))[0] for teacher in candidate.teachers]
                mixed += weight * softened(np.mean(fits, axis=0), temperature)
        return np.log(mixed)[None]

    def table(self) -> pd.DataFrame:
        """One row per candidate: what it is, its temperature, cross-entropy for the folds left out, and weight."""
        return pd.DataFrame({
            "candidate": [candidate.title for candidate in self.candidates],
            "kind": [candidate.kind for candidate in self.candidates],
            "tells_domains": [candidate.tells_domains for candidate in self.candidates],
            "temperature": self.temperatures,
            "cross_entropy": self.cross_entropies,
            "weight": self.weights,
        })  # fmt: skip


def softened(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, classes) at a temperature; none of them is 0."""
    return soften(np.log((1 - FLOOR) * p + FLOOR / p.shape[1]), temperature)


def best_temperature(p: np.ndarray, y: np.ndarray) -> float:
    """The temperature at which probabilities (n, classes) make the classes y (n,) most likely."""

    def loss(log_temperature):
        return -np.log(softened(p, np.exp(log_temperature))[np.arange(len(y)), y]).mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def mixture_weights(likelihoods: np.ndarray) -> np.ndarray:
    """Convex weights (candidates,) of the mixture that is most likely, from likelihoods (candidates, n)."""
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(ROUNDS):  # expectation and maximisation
        shares = weights[:, None] * likelihoods
        weights = (shares / shares.sum(axis=0)).mean(axis=1)
    return weights


@method("KD, portfolio", section="portfolio", in_summary=True, teacher="portfolio")
def kd_portfolio(problem: Problem) -> Student:
    """Taught by the portfolio: the mixture of many kinds of teachers that is most likely out of fold."""
    teacher = problem.once(Portfolio)
    if teacher.is_direct_training:
        direct = ffnn_tuned(problem)
        return replace(direct, teacher_updates=teacher.updates, choice=f"direct training: {direct.choice}")
    copies = int(np.clip(QUERIES // len(problem.pool), *COPIES))
    return distil_on_queries(problem, "kd_portfolio", teacher, copies, teacher_updates=teacher.updates)


@method("Portfolio, undistilled", role="teacher", section="portfolio")
def portfolio(problem: Problem) -> Trained:
    """What the student of the portfolio imitates: the mixture itself."""
    return undistilled(problem, problem.once(Portfolio))
