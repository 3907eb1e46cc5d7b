"""Batches: every row equally often, each member's own random order, and budgets that hold."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from kdlib.training.batches import InOrder, Shuffled, Together, labelled


def shuffled(rows=64, size=16, steps=4, epochs=3, seeds=(0, 1), **more):
    return Shuffled(np.arange(rows), size, steps, epochs, seeds, **more)


def test_shuffled_batches_see_every_row_once_per_pass():
    for epoch in shuffled():
        assert epoch.shape == (4, 2, 16)
        for i in range(2):
            assert sorted(epoch[:, i].ravel()) == list(range(64))


def test_passes_go_on_where_rows_do_not_fill_batches():
    seen = np.concatenate([epoch[:, 0].ravel() for epoch in shuffled(rows=50, steps=3, epochs=25, seeds=(0,))])
    counts = np.bincount(seen, minlength=50)
    assert len(seen) == 1200
    assert counts.min() == counts.max() == 24


def test_batches_depend_on_the_seed_alone():
    together, alone = (next(iter(shuffled(seeds=seeds))) for seeds in ((4, 5, 6), (5,)))
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])
    assert not np.array_equal(together[:, 0], together[:, 1])
    assert not np.array_equal(alone, next(iter(shuffled(seeds=(5,), stream=1))))
    np.testing.assert_array_equal(alone, next(iter(shuffled(seeds=(5,)))))


def test_in_order_visits_one_group_after_the_other():
    groups = np.arange(0, 40), np.arange(40, 60)
    for epoch in InOrder(groups, size=5, steps=12, epochs=2, seeds=(0, 1)):
        assert sorted(np.unique(epoch[:8])) == list(range(40))
        assert sorted(np.unique(epoch[8:])) == list(range(40, 60))


@pytest.mark.parametrize("sizes", [(10, 10, 10), (1, 40, 3), (7, 90)])
def test_groups_get_their_share_of_the_steps(sizes):
    ends = np.cumsum(sizes)
    groups = tuple(np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True))
    (epoch,) = InOrder(groups, size=4, steps=20, epochs=1, seeds=(0,))
    group = np.searchsorted(ends, epoch[:, 0, 0], side="right")
    assert (np.diff(group) >= 0).all()
    shares = np.bincount(group, minlength=len(sizes))
    np.testing.assert_allclose(shares, 20 * np.array(sizes) / sum(sizes), atol=1)


@pytest.mark.parametrize(
    "batches",
    [
        shuffled(),
        shuffled(extra_steps=2),
        InOrder((np.arange(5), np.arange(5, 40)), 3, 7, 2, (0, 1)),
        Together((shuffled(), shuffled(seeds=(8,)))),
    ],
    ids=["shuffled", "with a short epoch", "in order", "together"],
)
def test_updates_and_members_are_as_announced(batches):
    epochs = list(batches)
    assert sum(map(len, epochs)) == batches.updates
    assert {epoch.shape[1] for epoch in epochs} == {batches.members}


def test_extra_steps_go_on_with_the_same_pass():
    whole = np.concatenate(list(shuffled(rows=50, steps=3, epochs=2)))
    (first, rest) = shuffled(rows=50, steps=3, epochs=1, extra_steps=2)
    assert (len(first), len(rest)) == (3, 2)
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole[:5])


@dataclass(frozen=True, eq=False)
class Counted(Shuffled):
    drawn: list = field(default_factory=list)

    def __iter__(self):
        self.drawn.append(self.seeds)
        return super().__iter__()


def test_together_gives_what_its_parts_give_and_draws_equal_ones_once():
    rows, drawn = np.arange(64), []
    parts = [Counted(rows, 16, 4, 2, seeds, drawn=drawn) for seeds in ((0, 1), (7,), (0, 1))]
    together = list(Together(tuple(parts)))
    assert drawn == [(0, 1), (7,)]
    for epoch, *of_parts in zip(together, *parts, strict=True):
        np.testing.assert_array_equal(epoch, np.concatenate(of_parts, axis=1))


def test_together_tells_apart_what_differs_in_its_rows_alone():
    one, other = (Shuffled(rows, 4, 2, 1, (0,)) for rows in (np.arange(8), np.arange(8, 16)))
    (epoch,) = Together((one, other))
    assert (epoch[:, 0] < 8).all() and (epoch[:, 1] >= 8).all()


# --- Rows that keep their labels ----------------------------------------------------------------------------------

FRACTIONS = 0.02, 0.1, 0.5, 1.0


def test_labelled_parts_are_nested_stratified_and_never_empty():
    rng = np.random.default_rng(0)
    d, y = rng.choice(3, 2400, p=[0.2, 0.3, 0.5]), rng.integers(0, 2, 2400)

    def counts(rows):
        return np.bincount(2 * d[rows] + y[rows])

    parts = labelled(d, y, FRACTIONS, seed=0)
    assert all(set(small) < set(large) for small, large in pairwise(parts))
    np.testing.assert_array_equal(parts[-1], np.arange(2400))
    for fraction, rows in zip(FRACTIONS, parts, strict=True):
        np.testing.assert_allclose(counts(rows), fraction * counts(slice(None)), atol=0.5)
    assert not np.array_equal(parts[0], labelled(d, y, FRACTIONS, seed=1)[0])


def test_a_rare_class_keeps_two_labels_or_the_only_one():
    d, y = np.repeat([0, 1], 50), np.zeros(100, int)
    y[:5], y[99] = 1, 2
    (part,) = labelled(d, y, [0.02], seed=3)
    assert sorted(zip(d[part], y[part], strict=True)) == [(0, 0)] * 2 + [(0, 1)] * 2 + [(1, 0)] * 2 + [(1, 2)]
