"""Bounds: what no method can exceed, known where the data-generating distribution is."""

import numpy as np

from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, Trained, method
from kdlib.methods.students import distil_on_queries


class ExactPosterior:
    """The posterior P(y | x) of a known distribution, as a teacher."""

    def __init__(self, problem: Problem):
        self.distribution = problem.distribution

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.distribution.posterior(x))[None]


@method("Bayes", role="bound", section="bounds", needs_known_distribution=True)
def bayes(problem: Problem) -> Trained:
    """The best that any classifier can do that sees the point but not its domain: the exact posterior."""
    posterior = ExactPosterior(problem)
    return Trained(lambda x, d=None: np.maximum(posterior.log_probabilities(x), np.log(1e-30)))


@method("KD, taught by Bayes", role="bound", section="student's bound", needs_known_distribution=True)
def bayes_taught(problem: Problem) -> Student:
    """The student's own ceiling: taught by the exact posterior, on the same queries."""
    return distil_on_queries(problem, "bayes_taught", ExactPosterior(problem))
