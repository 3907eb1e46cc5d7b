"""How good predictions are: each metric takes log-probabilities of a population and gives a number per member.

`log_p` is (member, n, classes), `y` the labels (n,). Leaves out what compares members or methods: `statistics`.
"""

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


class Tally:
    """Every metric of a population on a split that comes in blocks, so that memory holds one block at a time."""

    def __init__(self):
        self._sums, self._counts, self._bins = {}, {}, 0

    def add(self, log_p: np.ndarray, y: np.ndarray, d=None, taught: np.ndarray | None = None) -> None:
        """A block: log-probabilities (member, n, classes), labels and domains (n,), and what its teacher says."""
        n = len(y)
        self._note("all", "accuracy", accuracy(log_p, y), n)
        self._note("all", "nll", nll(log_p, y), n)
        if taught is not None:
            self._note("all", "agreement", agreement(log_p, taught), n)
        for k in [] if d is None else np.unique(d):
            self._note(str(k), "accuracy", accuracy(log_p[:, d == k], y[d == k]), int((d == k).sum()))
        confidence, right, share = reliability(log_p, y)
        self._bins = self._bins + n * np.stack([confidence * share, right * share, share])

    def _note(self, domain, metric, values, n):
        self._sums[domain, metric] = self._sums.get((domain, metric), 0) + n * values
        self._counts[domain, metric] = self._counts.get((domain, metric), 0) + n

    def values(self) -> dict[tuple[str, str], np.ndarray]:
        """(domain, metric) -> (member,); domain `all`, or one, with accuracy alone."""
        found = {key: total / self._counts[key] for key, total in self._sums.items()}
        confidence, right, _ = self._bins
        found["all", "ece"] = np.abs(right - confidence).sum(axis=1) / self._counts["all", "accuracy"]
        overall = [("all", metric) for metric in ("accuracy", "nll", "ece", "agreement") if ("all", metric) in found]
        domains = sorted(found.keys() - overall, key=lambda key: int(key[0]))
        return {key: found[key] for key in [*overall, *domains]}

    def reliability(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the function of this name, of all blocks."""
        confidence, right, count = self._bins
        some = np.maximum(count, 1)
        return confidence / some, right / some, count / self._counts["all", "accuracy"]
