"""Distributions whose classes are mixtures of Gaussians in every domain, with exact posteriors.

Each domain has one covariance, which all its Gaussians share; chains of small Gaussians make curved classes. Labels
may be noisy. Out of scope: estimation (`sklearn.mixture` does that), and a covariance for each Gaussian.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, ndtr, softmax


@dataclass(frozen=True, eq=False)
class GaussianMixtures:
    """P(k, y, x) = sum over i of weights[k, y, i] N(x; means[k, y, i], covariances[k]): a `KnownDistribution`.

    Raises ValueError for shapes that do not fit, weights that are not positive or do not sum to one, and label noise
    outside 0 to 1.
    """

    name: str
    description: str
    means: np.ndarray  #: (domains, classes, components, features)
    covariances: np.ndarray  #: (domains, features, features)
    weights: np.ndarray  #: (domains, classes, components), all positive; they sum to one
    label_noise: float = 0.0  #: share of labels replaced by a class drawn uniformly, which may be the same one

    def __post_init__(self):
        if self.means.ndim != 4 or self.weights.shape != self.means.shape[:3]:
            raise ValueError(
                "expected means (domains, classes, components, features) and weights (domains, classes, components), "
                f"got {self.means.shape} and {self.weights.shape}"
            )
        if self.covariances.shape != (self.domains, self.features, self.features):
            expected = (self.domains, self.features, self.features)
            raise ValueError(f"expected covariances {expected}, got {self.covariances.shape}")
        if self.weights.min() <= 0 or not np.isclose(self.weights.sum(), 1):
            raise ValueError(f"expected positive weights that sum to 1, got {self.weights.min()}, {self.weights.sum()}")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"expected label noise from 0 to 1, got {self.label_noise}")

    @property
    def domains(self) -> int:
        return self.means.shape[0]

    @property
    def classes(self) -> int:
        return self.means.shape[1]

    @property
    def features(self) -> int:
        return self.means.shape[3]

    @property
    def domain_weights(self) -> np.ndarray:
        return self.weights.sum(axis=(1, 2))

    @cached_property
    def _cholesky(self) -> np.ndarray:
        return np.linalg.cholesky(self.covariances)  # lower triangles (domains, features, features)

    def sample(self, domains: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., features) and classes (...) of the given domains (...).

        Each point takes as many random numbers as every other, so a longer sample begins with a shorter one.
        """
        random = rng.standard_normal((*domains.shape, self.features + 2))
        noise, uniform = random[..., : self.features], ndtr(random[..., self.features :])
        share = self.weights.reshape(self.domains, -1).cumsum(axis=1) / self.domain_weights[:, None]
        chosen = (uniform[..., :1] >= share[domains, :-1]).sum(axis=-1)  # a class and a component, as one number
        y, component = np.divmod(chosen, self.weights.shape[2])
        x = self.means[domains, y, component]
        for k in range(self.domains):
            x[domains == k] += np.einsum("nj,ij->ni", noise[domains == k], self._cholesky[k])
        if self.label_noise:
            replaced = uniform[..., 1] < self.label_noise
            y = np.where(replaced, (uniform[..., 1] / self.label_noise * self.classes).astype(np.int64), y)
        return x, y

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """P(y | x) of points (n, features) of unknown domain, label noise included: (n, classes), exact."""
        clean = softmax(logsumexp(self._log_joint(x), axis=1), axis=1)
        return (1 - self.label_noise) * clean + self.label_noise / self.classes

    def domain_posterior(self, x: np.ndarray) -> np.ndarray:
        """P(k | x) of points (n, features): (n, domains), exact."""
        return softmax(logsumexp(self._log_joint(x), axis=2), axis=1)

    def _log_joint(self, x: np.ndarray) -> np.ndarray:
        """log P(k, y, x) before label noise (n, domains, classes), but for a constant."""
        logs = np.empty((len(x), self.domains, self.classes))
        for k, cholesky in enumerate(self._cholesky):
            centres = self.means[k].reshape(-1, self.features)
            white, white_centres = (solve_triangular(cholesky, points.T, lower=True).T for points in (x, centres))
            exponent = -0.5 * cdist(white, white_centres, "sqeuclidean") - np.log(np.diag(cholesky)).sum()
            exponent = exponent.reshape(len(x), self.classes, -1)  # (n, class, component)
            logs[:, k] = logsumexp(exponent + np.log(self.weights[k]), axis=2)
        return logs
