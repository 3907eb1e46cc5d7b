"""Which samples each member sees, and when: indices of batches, one array (steps, member, batch) per epoch.

Every member draws from its own random stream, which depends on its seed alone, so that methods that train on
the same rows see the same batches. Rows are passed over in random order, again and again, and cut into
batches without regard to where one pass ends: all rows are seen equally often, to one, whatever the batch
size, and no batch is short.
"""

from collections.abc import Iterator

import numpy as np

LEAST = 2  #: labelled samples of each domain and class, where there are as many


class _Stream:
    """Endless random passes over `rows`, one per seed."""

    def __init__(self, rows: np.ndarray, seeds, salt: int = 0):
        self.rows = np.asarray(rows, np.intp)
        self.rngs = [np.random.default_rng([1, seed, salt]) for seed in seeds]
        self.left = np.empty((len(self.rngs), 0), np.intp)

    def take(self, count: int) -> np.ndarray:
        """The next rows of each member (member, count)."""
        while self.left.shape[1] < count:
            more = np.stack([rng.permutation(self.rows) for rng in self.rngs])
            self.left = np.concatenate([self.left, more], axis=1)
        taken, self.left = self.left[:, :count], self.left[:, count:]
        return taken


def _batched(rows: np.ndarray, size: int) -> np.ndarray:
    return rows.reshape(len(rows), -1, size).swapaxes(0, 1)  # (steps, member, batch)


def mixed(rows: np.ndarray, size: int, steps: int, epochs: int, seeds) -> Iterator[np.ndarray]:
    """Batches from all `rows`, an epoch being `steps` batches: `epochs` arrays (steps, member, size)."""
    stream = _Stream(rows, seeds)
    for _ in range(epochs):
        yield _batched(stream.take(steps * size), size)


def in_order(groups: list[np.ndarray], size: int, steps: int, epochs: int, seeds) -> Iterator[np.ndarray]:
    """Batches of one group of rows after the other, in the same order in each epoch, as the original visits domains.

    Each group gets its share of the `steps`, by number of rows.
    """
    shares = np.array([len(group) for group in groups]) / sum(len(group) for group in groups)
    ends = np.round(np.cumsum(shares) * steps).astype(int)
    counts = np.diff(ends, prepend=0)
    streams = [_Stream(group, seeds, salt) for salt, group in enumerate(groups, start=1)]
    for _ in range(epochs):
        parts = [_batched(s.take(count * size), size) for s, count in zip(streams, counts, strict=True) if count]
        yield np.concatenate(parts)


def labelled(d: np.ndarray, y: np.ndarray, fractions, seed: int) -> list[np.ndarray]:
    """Rows that keep their labels, sorted, for each fraction: drawn per domain and class, each part within the next.

    d, y: domains and classes (n,). A group keeps its share, rounded, and at least `LEAST` samples if it has them.
    """
    rng = np.random.default_rng([2, seed])
    _, group = np.unique(np.stack([d, y]), axis=1, return_inverse=True)
    groups = [rng.permutation(np.flatnonzero(group.ravel() == g)) for g in range(group.max() + 1)]
    return [
        np.sort(np.concatenate([rows[: max(LEAST, round(fraction * len(rows)))] for rows in groups]))
        for fraction in fractions
    ]
