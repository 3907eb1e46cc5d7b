"""Known data-generating distributions: what they offer, and which of them a dataset was drawn from.

Where the distribution is known, a report has fresh points to score on, fresh training sets, and the Bayes classifier
as the ceiling. Out of scope: estimating a distribution from data.
"""

from typing import Protocol

import numpy as np

from kdlib.data.dataset import Dataset, Split


class KnownDistribution(Protocol):
    """A distribution of domain k, features x and class y from which one can sample, with its exact posteriors."""

    name: str  #: short, such as "three Gaussians, d = 0.5"
    description: str  #: one sentence
    domains: int
    classes: int
    features: int
    domain_weights: np.ndarray  #: P(k), (domains,); sums to one

    def sample(self, domains: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Features (..., features) and classes (...) of one point for each of the given domains (...)."""

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """P(y | x) of points (n, features) of unknown domain: (n, classes)."""

    def domain_posterior(self, x: np.ndarray) -> np.ndarray:
        """P(k | x) of points (n, features): (n, domains)."""


def fresh(distribution: KnownDistribution, n: int, seed: int) -> Split:
    """n new points in order of their domains, whose shares are `domain_weights` to within one point."""
    ends = np.ceil(np.round(n * np.cumsum(distribution.domain_weights), 6)).astype(int)  # rounded: 3 * (1 / 3) is 1
    domains = np.repeat(np.arange(distribution.domains), np.diff(ends, prepend=0))
    return Split(*distribution.sample(domains, np.random.default_rng(seed)), domains)


def recognise(dataset: Dataset) -> KnownDistribution | None:
    """The distribution that a dataset was drawn from, found by comparing its arrays with the recipes'; else None."""
    from kdlib.data import gaussians, synthetic  # here, because recipes draw with `fresh`

    return gaussians.recognise(dataset) or synthetic.recognise(dataset)
