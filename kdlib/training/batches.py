"""Which samples each member sees, and when.

A specification of batches is a frozen value; iterating over it gives row indices, one array (steps, member, batch) per
epoch. Every member draws from its own random stream, which depends on its seed alone, so that methods that train on
the same rows see the same batches. Rows are passed over in random order, again and again, and cut into batches without
regard to where one pass ends: all rows are seen equally often, to within one, whatever the batch size, and no batch is
short.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MIN_LABELLED = 2  #: labelled samples of each domain and class, where there are as many


@dataclass(frozen=True, eq=False)
class Shuffled:
    """Batches of `size` from all `rows`, mixed at random: `steps` batches in each of `epochs`."""

    rows: np.ndarray
    size: int
    steps: int
    epochs: int
    seeds: tuple[int, ...]
    extra_steps: int = 0  #: batches after the last whole epoch, in a short one of their own
    stream: int = 0  #: another number gives other batches for the same seeds

    @property
    def members(self) -> int:
        return len(self.seeds)

    @property
    def updates(self) -> int:
        return self.steps * self.epochs + self.extra_steps

    @property
    def key(self) -> tuple:
        """Specifications of equal keys give the same batches."""
        return id(self.rows), self.size, self.steps, self.epochs, self.seeds, self.extra_steps, self.stream

    def __iter__(self) -> Iterator[np.ndarray]:
        stream = _Stream(self.rows, self.seeds, self.stream)
        for steps in [self.steps] * self.epochs + [self.extra_steps] * (self.extra_steps > 0):
            taken = stream.take(steps * self.size)
            yield taken.reshape(self.members, steps, self.size).swapaxes(0, 1)


@dataclass(frozen=True, eq=False)
class InOrder:
    """Batches of one group of rows after the other, in the same order in each epoch, as the original visits domains.

    Each group gets its share of the `steps`, by number of rows.
    """

    groups: tuple[np.ndarray, ...]
    size: int
    steps: int
    epochs: int
    seeds: tuple[int, ...]

    @property
    def members(self) -> int:
        return len(self.seeds)

    @property
    def updates(self) -> int:
        return self.steps * self.epochs

    @property
    def key(self) -> tuple:
        return tuple(map(id, self.groups)), self.size, self.steps, self.epochs, self.seeds

    def __iter__(self) -> Iterator[np.ndarray]:
        sizes = np.array([len(group) for group in self.groups])
        ends = np.round(np.cumsum(sizes / sizes.sum()) * self.steps).astype(int)
        parts = [
            Shuffled(group, self.size, int(steps), self.epochs, self.seeds, stream=stream)
            for stream, (group, steps) in enumerate(zip(self.groups, np.diff(ends, prepend=0), strict=True), start=1)
            if steps
        ]
        for epoch in zip(*parts, strict=True):
            yield np.concatenate(epoch)


@dataclass(frozen=True, eq=False)
class Together:
    """The members of several specifications side by side; equal specifications are drawn once."""

    parts: tuple

    @property
    def members(self) -> int:
        return sum(part.members for part in self.parts)

    @property
    def size(self) -> int:
        return self.parts[0].size

    @property
    def steps(self) -> int:
        return self.parts[0].steps

    @property
    def epochs(self) -> int:
        return self.parts[0].epochs

    @property
    def updates(self) -> int:
        return self.parts[0].updates

    @property
    def key(self) -> tuple:
        return tuple(part.key for part in self.parts)

    def __iter__(self) -> Iterator[np.ndarray]:
        drawn = {part.key: part for part in self.parts}
        for epoch in zip(*drawn.values(), strict=True):
            batches = dict(zip(drawn, epoch, strict=True))
            yield np.concatenate([batches[part.key] for part in self.parts], axis=1)


class _Stream:
    """Endless random passes over `rows`, one per seed."""

    def __init__(self, rows: np.ndarray, seeds, stream: int):
        self.rows = np.asarray(rows, np.intp)
        self.rngs = [np.random.default_rng([1, seed, stream]) for seed in seeds]
        self.left = np.empty((len(self.rngs), 0), np.intp)

    def take(self, count: int) -> np.ndarray:
        """The next rows of each member (member, count)."""
        while self.left.shape[1] < count:
            kept = self.left.shape[1]
            left = np.empty((len(self.rngs), kept + len(self.rows)), np.intp)  # in place: it can be the largest of all
            left[:, :kept] = self.left
            for rng, more in zip(self.rngs, left[:, kept:], strict=True):
                more[:] = rng.permutation(self.rows)
            self.left = left
        taken, self.left = self.left[:, :count], self.left[:, count:]
        return taken


def labelled(d: np.ndarray, y: np.ndarray, fractions, seed: int) -> list[np.ndarray]:
    """Rows that keep their labels, sorted, for each fraction: drawn per domain and class, each part within the next.

    d, y: domains and classes (n,). A group keeps its share, rounded, and at least `MIN_LABELLED` of its samples.
    """
    rng = np.random.default_rng([2, seed])
    _, group = np.unique(np.stack([d, y]), axis=1, return_inverse=True)
    groups = [rng.permutation(np.flatnonzero(group.ravel() == g)) for g in range(group.max() + 1)]
    return [
        np.sort(np.concatenate([rows[: max(MIN_LABELLED, round(fraction * len(rows)))] for rows in groups]))
        for fraction in fractions
    ]
