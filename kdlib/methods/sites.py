"""Sites that may not pool their samples: teachers, a gate, queries and a scale from what each site may tell.

A site tells how many samples it has, and answers: what its teacher says of points, how dense its samples are there, and
points drawn from its density. Its samples, labels and their statistics stay with it. The gate follows from Bayes' rule,

    P(k | x) = n_k p_k(x) / sum_j n_j p_j(x)

with sizes n_k and densities p_k. The student is taught sum_k P(k | x) T_k(x) at unlabelled points: public ones, where
the dataset has any, else points drawn from the densities. Networks see them in the scale of these points. Beside it
stand other weights that need no samples: the mean of logits (FedDF, Lin et al. 2020), and weights by how sure each
teacher is. A density is a mixture of Gaussians, in the site's own scale, whose number and kind the Bayesian information
criterion chooses (Schwarz 1978).

Out of scope: a guarantee of privacy. A teacher and a density tell something of the samples that they were fitted to.
"""

import warnings
from collections.abc import Callable
from functools import cached_property
from itertools import product

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kdlib.methods import targets
from kdlib.methods.kernel_teachers import KernelMachine, undistilled
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, Trained, method
from kdlib.methods.teachers import GATE, Mixture, fit_teacher

QUERIES = 100_000  #: drawn points, of all sites together
COMPONENTS = 1, 2, 4, 8  #: Gaussians of a density
COVARIANCES = "full", "diag"
MIN_SAMPLES = 5  #: of each Gaussian
MIN_VARIANCE = 1e-3  #: of each Gaussian, in the site's own scale
FLOOR = np.log(1e-30)  #: of log-probabilities, where they are averaged


class Site:
    """One site. What it tells is public here; its samples x (n, features), y (n,) and what it keeps are not."""

    def __init__(self, number: int, x: np.ndarray, y: np.ndarray, classes: int):
        self.number, self.size, self.classes = number, len(x), classes
        self._x, self._y = x, y

    @property
    def content(self) -> tuple:
        """All that decides its answers, for the cache."""
        return self.number, self._x, self._y, self.classes

    @cached_property
    def _teacher(self) -> KernelMachine:
        return KernelMachine().fit(self._x, self._y, self.classes)

    @cached_property
    @threadpool_limits.wrap(limits=1)  # another number of threads would round otherwise
    def _density(self) -> tuple[StandardScaler, GaussianMixture]:
        x = self._x if len(self._x) > 1 else np.repeat(self._x, 2, axis=0)
        scaler = StandardScaler().fit(x)
        scaled, fitted = scaler.transform(x), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # such a mixture is worse, and not chosen
            for count, kind in product(COMPONENTS, COVARIANCES):
                if count == 1 or count * MIN_SAMPLES <= len(x):
                    options = {"covariance_type": kind, "reg_covar": MIN_VARIANCE, "random_state": self.number}
                    fitted.append(GaussianMixture(count, **options).fit(scaled))
        return scaler, min(fitted, key=lambda each: each.bic(scaled))

    @property
    def components(self) -> int:
        """Gaussians of its density."""
        return self._density[1].n_components

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """What its teacher says of points (n, features): (1, n, classes)."""
        return self._teacher.log_probabilities(x)

    @threadpool_limits.wrap(limits=1)
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p_k(x) of points (n, features), per unit of the features' own scale: (n,)."""
        scaler, mixture = self._density
        return mixture.score_samples(scaler.transform(x)) - np.log(scaler.scale_).sum()

    def draw(self, count: int) -> np.ndarray:
        """Points from its density (count, features), the same each time."""
        scaler, mixture = self._density
        return scaler.inverse_transform(mixture.sample(count)[0])


def sites(problem: Problem) -> list[Site]:
    """The domains as sites. Whatever is computed afterwards asks them alone."""
    problem = problem.once(Problem.bounded)
    train = problem.train
    return [Site(k, train.x[rows], train.y[rows], problem.classes) for k, rows in enumerate(problem.domain_rows)]


def queries(problem: Problem) -> np.ndarray:
    """The points that sites are asked about (n, features): the dataset's public ones, or drawn ones, by sizes."""
    if problem.dataset.more is not None:
        return problem.dataset.more.x
    every = problem.once(sites)
    total = sum(site.size for site in every)
    return np.concatenate([site.draw(max(1, round(QUERIES * site.size / total))) for site in every])


class DensityGate:
    """P(k | x) by Bayes' rule from the sites' densities and sizes, as a teacher of domains."""

    def __init__(self, sites: list[Site]):
        self.sites = sites

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, site)."""
        joint = [np.log(site.size) + site.log_density(x) for site in self.sites]
        return targets.log_softmax(np.stack(joint, axis=1))[None]


class WeightedSites:
    """The sites' answers under weights that follow from these answers alone, as a teacher.

    weigh: log-probabilities (site, 1, n, classes) -> weights (1, n, site); None: the mean of logits.
    """

    def __init__(self, sites: list[Site], weigh: Callable[[np.ndarray], np.ndarray] | None):
        self.sites, self.weigh = sites, weigh

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        """(1, n, classes)."""
        log_p = np.maximum([site.log_probabilities(x) for site in self.sites], FLOOR)
        return targets.mixture(log_p, self.weigh(log_p)) if self.weigh else targets.log_softmax(log_p.mean(axis=0))


def by_confidence(log_p: np.ndarray) -> np.ndarray:
    """Weights in proportion to each teacher's highest probability."""
    highest = np.moveaxis(np.exp(log_p.max(axis=3)), 0, 2)
    return highest / highest.sum(axis=2, keepdims=True)


def gated_sites(problem: Problem) -> Mixture:
    """The sites' teachers under the gate of their densities."""
    return Mixture(problem.once(sites), DensityGate(problem.once(sites)))


def taught_by_sites(problem: Problem, task: str, teacher) -> Student:
    """A student of the sites' answers at the queries; no sample of a site is used."""
    x = problem.once(queries)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation == 0] = 1

    def scaled(x, d=None):
        return np.float32((x - mean) / deviation)

    plan = problem.plan(
        task, (np.exp(problem.answers(teacher, x))[0],), x=scaled(x), watch=None,
        weights=problem.initial_weights(features=x.shape[1]), batches=problem.shuffled(np.arange(len(x))),
    )  # fmt: skip
    return Student(plan, queries=len(x), target=lambda x, d=None: problem.answers(teacher, x), inputs=scaled)


@method("Sites, gate by densities", section="unpooled sites", needs_multiple_domains=True, teacher="sites_mixture")
def sites_gated(problem: Problem) -> Student:
    """Taught by all sites' kernel machines, each weighted by P(k | x) from the sites' densities and sizes."""
    return taught_by_sites(problem, "sites_gated", gated_sites(problem))


@method("Sites, undistilled", role="teacher", section="unpooled sites", needs_multiple_domains=True)
def sites_mixture(problem: Problem) -> Trained:
    """What that student imitates: the sites' kernel machines under the gate of their densities."""
    return undistilled(problem, gated_sites(problem))


@method(
    "Sites, mean of logits (FedDF)", section="unpooled sites", needs_multiple_domains=True, control_of="sites_gated",
    isolates="the weights by density matter, not only that all sites are asked",
)  # fmt: skip
def sites_mean(problem: Problem) -> Student:
    """Taught by the plain mean of the sites' logits (FedDF, Lin et al. 2020)."""
    return taught_by_sites(problem, "sites_mean", WeightedSites(problem.once(sites), None))


@method(
    "Sites, weighted by confidence", section="unpooled sites", needs_multiple_domains=True, control_of="sites_gated",
    isolates="densities tell more than how probable a teacher finds its answer",
)  # fmt: skip
def sites_confidence(problem: Problem) -> Student:
    """Sites weigh more where their teacher's highest probability is higher."""
    return taught_by_sites(problem, "sites_confidence", WeightedSites(problem.once(sites), by_confidence))


@method(
    "Sites, weighted by entropy", section="unpooled sites", needs_multiple_domains=True, control_of="sites_gated",
    isolates="densities tell more than how sure a teacher is",
)  # fmt: skip
def sites_entropy(problem: Problem) -> Student:
    """Sites weigh more where their teacher is surer: the softmax of minus the entropies."""
    return taught_by_sites(problem, "sites_entropy", WeightedSites(problem.once(sites), targets.entropy_weights))


@method(
    "Sites, pooled gate", role="control", section="unpooled sites", needs_multiple_domains=True,
    control_of="sites_gated", isolates="a gate from densities is better than one that has learned from pooled samples",
)  # fmt: skip
def sites_pooled_gate(problem: Problem) -> Student:
    """The same, but the gate is a kernel machine that has learned the domains of all samples together."""
    teacher = Mixture(problem.once(sites), problem.once(fit_teacher, KernelMachine, GATE))
    return taught_by_sites(problem, "sites_pooled_gate", teacher)
