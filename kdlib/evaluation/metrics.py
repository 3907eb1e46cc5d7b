"""How good predictions are: each metric takes log-probabilities of a population and gives a number per member.

`log_p` is (member, n, classes), `y` the labels (n,). A metric is entered in `METRICS`. Out of scope: comparing members
or methods, which is in `comparison`.
"""

from collections.abc import Callable
from copy import copy

import numpy as np

BINS = 15  #: of confidence, all of one width, in `reliability` (Guo et al. 2017)


def accuracy(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of points whose most probable class is theirs (member,)."""
    return (log_p.argmax(axis=2) == y).mean(axis=1)


def nll(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of the labels, in nats per point (member,)."""
    return -log_p[:, np.arange(len(y)), y].mean(axis=1)


def reliability(log_p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per bin of confidence: mean confidence, accuracy and share of the points, each (member, bins)."""
    members, n = log_p.shape[:2]
    confidence = np.exp(log_p.max(axis=2))
    right = log_p.argmax(axis=2) == y
    index = np.minimum((confidence * BINS).astype(int), BINS - 1) + BINS * np.arange(members)[:, None]

    def total(values=None):
        weights = None if values is None else values.ravel()
        return np.bincount(index.ravel(), weights, minlength=members * BINS).reshape(members, BINS)

    count = total()
    some = np.maximum(count, 1)
    return total(confidence) / some, total(right) / some, count / n


def agreement(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Share of points on which two populations' members choose the same class (member,) (Stanton et al. 2021)."""
    return (log_p.argmax(axis=2) == log_q.argmax(axis=2)).mean(axis=1)


class Mean:
    """A metric that is the mean of a number per block of points, weighted by the blocks' sizes."""

    def __init__(self, metric: Callable, by_domain: bool = False):
        self.metric, self.by_domain = metric, by_domain
        self.total, self.count = 0.0, 0

    def add(self, log_p, y):
        points = log_p.shape[1]
        self.total, self.count = self.total + points * self.metric(log_p, y), self.count + points

    def value(self):
        return self.total / self.count


class CalibrationError:
    """The expected calibration error: |accuracy - confidence|, mean over bins of confidence, weighted by their shares.

    Naeini et al. 2015; Guo et al. 2017, eq. 5. Bins are summed over blocks.
    """

    by_domain = False
    bins, count = 0.0, 0

    def add(self, log_p, y):
        confidence, right, share = reliability(log_p, y)
        self.bins = self.bins + len(y) * np.stack([confidence * share, right * share, share])
        self.count += len(y)

    def value(self):
        confidence, right, _ = self.bins
        return np.abs(right - confidence).sum(axis=1) / self.count

    def reliability(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the function of this name, of all blocks."""
        confidence, right, points = self.bins
        some = np.maximum(points, 1)
        return confidence / some, right / some, points / self.count


class Pooled:
    """A metric that needs all points at once, such as an area under a curve; it keeps their log-probabilities."""

    def __init__(self, metric: Callable, by_domain: bool = False):
        self.metric, self.by_domain, self.blocks = metric, by_domain, ()

    def add(self, log_p, y):
        self.blocks += ((log_p, y),)

    def value(self):
        log_p, y = zip(*self.blocks, strict=True)
        return self.metric(np.concatenate(log_p, axis=1), np.concatenate(y))


METRICS = {"accuracy": Mean(accuracy, by_domain=True), "nll": Mean(nll), "ece": CalibrationError()}
"""Every metric of a report, by name: what is entered here is in `results.csv`, once per method, seed and split."""
AGREEMENT = {"agreement": Mean(agreement)}
"""The one metric that is of two populations, where a student has something to imitate."""


class Accumulator:
    """Every metric of a population on a split that comes in blocks, so that memory holds one block at a time."""

    def __init__(self):
        self._sums = {}  # copies of metrics, to which blocks are added, by domain and name

    def add(self, log_p: np.ndarray, y: np.ndarray, d=None, target: np.ndarray | None = None) -> None:
        """A block: log-probabilities (member, n, classes), labels and domains (n,), and what students imitate."""
        for name, metric in METRICS.items():
            self._sum("all", name).add(log_p, y)
            for k in [] if d is None or not metric.by_domain else np.unique(d):
                self._sum(str(k), name).add(log_p[:, d == k], y[d == k])
        if target is not None:
            self._sum("all", "agreement").add(log_p, target)

    def _sum(self, domain, name):
        if (domain, name) not in self._sums:
            self._sums[domain, name] = copy((METRICS | AGREEMENT)[name])
        return self._sums[domain, name]

    def values(self) -> dict[tuple[str, str], np.ndarray]:
        """(domain, metric) -> (member,); domain `all`, or one, for the metrics that are told by domain."""
        names = [*METRICS, *AGREEMENT]
        order = sorted(self._sums, key=lambda key: (key[0] != "all", names.index(key[1]), key[0].zfill(9)))
        return {key: self._sums[key].value() for key in order}

    def reliability(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean confidence, accuracy and share of the points per bin of confidence, each (member, bins)."""
        return self._sums["all", "ece"].reliability()
