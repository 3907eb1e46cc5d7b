"""How good predictions are: each metric takes log-probabilities of a population and gives a number per member.

`log_p` is (member, n, classes), `y` the labels (n,). A metric is entered in `METRICS`. Out of scope: comparing members
or methods, which is in `comparison`.
"""

from collections.abc import Callable

import numpy as np

BINS = 15  #: of confidence, all of one width, in `expected_calibration_error` (Guo et al. 2017)


def accuracy(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of points whose most probable class is theirs (member,)."""
    return (log_p.argmax(axis=2) == y).mean(axis=1)


def nll(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of the labels, in nats per point (member,)."""
    return -log_p[:, np.arange(len(y)), y].mean(axis=1)


def reliability(log_p: np.ndarray, y: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per bin of confidence: mean confidence, accuracy and share of the points, each (member, bins)."""
    members, n = log_p.shape[:2]
    confidence = np.exp(log_p.max(axis=2))
    right = log_p.argmax(axis=2) == y
    index = np.minimum((confidence * bins).astype(int), bins - 1) + bins * np.arange(members)[:, None]

    def total(values=None):
        weights = None if values is None else values.ravel()
        return np.bincount(index.ravel(), weights, minlength=members * bins).reshape(members, bins)

    count = total()
    some = np.maximum(count, 1)
    return total(confidence) / some, total(right) / some, count / n


def expected_calibration_error(log_p: np.ndarray, y: np.ndarray, bins: int = BINS) -> np.ndarray:
    """sum over bins of share * |accuracy - confidence| (member,) (Naeini et al. 2015; Guo et al. 2017, eq. 5)."""
    confidence, right, share = reliability(log_p, y, bins)
    return (share * np.abs(right - confidence)).sum(axis=1)


def agreement(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Share of points on which two populations' members choose the same class (member,) (Stanton et al. 2021)."""
    return (log_p.argmax(axis=2) == log_q.argmax(axis=2)).mean(axis=1)


class Mean:
    """A metric that is the mean of a number per block of points, weighted by the blocks' sizes."""

    def __init__(self, metric: Callable, by_domain: bool = False):
        self.metric, self.by_domain = metric, by_domain

    def start(self):
        return 0.0, 0

    def add(self, state, log_p, y):
        total, count = state
        return total + len(y) * self.metric(log_p, y), count + len(y)

    def value(self, state):
        total, count = state
        return total / count


class CalibrationError:
    """`expected_calibration_error`, whose bins are summed over blocks."""

    by_domain = False

    def start(self):
        return 0.0, 0

    def add(self, state, log_p, y):
        bins, count = state
        confidence, right, share = reliability(log_p, y)
        return bins + len(y) * np.stack([confidence * share, right * share, share]), count + len(y)

    def value(self, state):
        (confidence, right, _), count = state
        return np.abs(right - confidence).sum(axis=1) / count

    @staticmethod
    def reliability(state) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the function of this name, of all blocks."""
        (confidence, right, points), count = state
        some = np.maximum(points, 1)
        return confidence / some, right / some, points / count


class Pooled:
    """A metric that needs all points at once, such as an area under a curve; it keeps their log-probabilities."""

    def __init__(self, metric: Callable, by_domain: bool = False):
        self.metric, self.by_domain = metric, by_domain

    def start(self):
        return []

    def add(self, state, log_p, y):
        return [*state, (log_p, y)]

    def value(self, state):
        log_p, y = zip(*state, strict=True)
        return self.metric(np.concatenate(log_p, axis=1), np.concatenate(y))


METRICS = {"accuracy": Mean(accuracy, by_domain=True), "nll": Mean(nll), "ece": CalibrationError()}
"""Every metric of a report, by name: what is entered here is in `results.csv`, once per method, seed and split."""


class Accumulator:
    """Every metric of a population on a split that comes in blocks, so that memory holds one block at a time."""

    def __init__(self):
        self._states = {("all", name): metric.start() for name, metric in METRICS.items()}
        self._agreement = Mean(agreement)

    def add(self, log_p: np.ndarray, y: np.ndarray, d=None, target: np.ndarray | None = None) -> None:
        """A block: log-probabilities (member, n, classes), labels and domains (n,), and what students imitate."""
        for name, metric in METRICS.items():
            self._add(("all", name), metric, log_p, y)
            for k in [] if d is None or not metric.by_domain else np.unique(d):
                self._add((str(k), name), metric, log_p[:, d == k], y[d == k])
        if target is not None:
            key = "all", "agreement"
            total, count = self._states.get(key, self._agreement.start())
            self._states[key] = total + len(y) * agreement(log_p, target), count + len(y)

    def _add(self, key, metric, log_p, y):
        self._states[key] = metric.add(self._states.get(key, metric.start()), log_p, y)

    def values(self) -> dict[tuple[str, str], np.ndarray]:
        """(domain, metric) -> (member,); domain `all`, or one, for the metrics that are told by domain."""
        metrics = METRICS | {"agreement": self._agreement}
        order = sorted(self._states, key=lambda key: (key[0] != "all", list(metrics).index(key[1]), key[0].zfill(9)))
        return {key: metrics[key[1]].value(self._states[key]) for key in order}

    def reliability(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean confidence, accuracy and share of the points per bin of confidence, each (member, bins)."""
        return CalibrationError.reliability(self._states["all", "ece"])
