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


METRICS = {"accuracy": accuracy, "nll": nll, "ece": expected_calibration_error}
