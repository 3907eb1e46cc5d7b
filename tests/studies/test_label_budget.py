"""The sweep over labels and widths: nested parts, equal budgets, and sentences that turn."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from kdlib.data import gaussians
from kdlib.data.dataset import from_arrays
from kdlib.methods.problem import Problem
from kdlib.settings import Settings
from kdlib.studies import label_budget
from kdlib.training import batches


def groups(d, y):
    return np.unique(np.stack([d, y]), axis=1, return_counts=True)[1]


def test_labelled_parts_are_nested_stratified_and_never_empty():
    train = gaussians.generate(1.0).train
    parts = batches.labelled(train.d, train.y, label_budget.FRACTIONS, seed=0)
    assert all(set(small) < set(large) for small, large in pairwise(parts))
    np.testing.assert_array_equal(parts[-1], np.arange(len(train)))
    for fraction, rows in zip(label_budget.FRACTIONS, parts, strict=True):
        np.testing.assert_allclose(groups(train.d[rows], train.y[rows]), fraction * groups(train.d, train.y), atol=0.5)
    assert not np.array_equal(parts[0], batches.labelled(train.d, train.y, label_budget.FRACTIONS, seed=1)[0])


def test_a_rare_class_keeps_two_labels_or_the_only_one():
    d, y = np.repeat([0, 1], 50), np.zeros(100, int)
    y[:5], y[99] = 1, 2
    part = batches.labelled(d, y, [0.02], seed=3)[0]
    assert sorted(zip(d[part], y[part], strict=True)) == [(0, 0)] * 2 + [(0, 1)] * 2 + [(1, 0)] * 2 + [(1, 2)]


def test_members_see_their_own_rows_and_as_many_batches():
    problem = Problem(gaussians.generate(1.0), Settings(seeds=2, epochs=2))
    parts = [np.arange(5), np.arange(5, 10), np.arange(2400), np.arange(2400)]
    epochs = list(label_budget.members_batches(problem, parts))
    assert [epoch.shape for epoch in epochs] == [(75, 4, 32)] * 2
    for i, rows in enumerate(parts):
        assert set(np.unique(np.stack(epochs)[:, :, i])) <= set(rows)
    np.testing.assert_array_equal(np.stack(epochs)[:, :, 2:], np.stack(list(problem.mixed())))  # those of the full


@pytest.fixture(scope="module")
def other():
    """One domain, three classes, three features, no test split, no known law."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("train", 90), ("valid", 30)):
        y = np.arange(n) % 3
        arrays |= {f"x_{part}": rng.normal(size=(n, 3)) + 2 * y[:, None], f"y_{part}": y}
    return from_arrays("other", arrays | {"d_train": np.zeros(90, int)})


def test_the_sweep_runs_on_other_data_with_equal_updates(other, monkeypatch, tmp_path):
    monkeypatch.setattr(label_budget, "FRACTIONS", (0.1, 1.0))
    monkeypatch.setattr(label_budget, "WIDTHS", (2, 4))
    monkeypatch.setattr(label_budget, "MOST_QUERIES", 200)
    fits, fit = [], Problem.fit
    monkeypatch.setattr(Problem, "fit", lambda *a, **k: fits.append(fit(*a, **k)) or fits[-1])
    frame = label_budget.run(Problem(other, Settings(seeds=2, epochs=3, batch_size=16)))
    assert len(fits) == 4 and len({fit.updates for fit in fits}) == 1
    assert list(frame.columns) == label_budget.COLUMNS and len(frame) == 2 * 2 * 2 * 2
    assert set(frame.split) == {"valid"} and set(frame.labelled) == {9, 81}
    assert frame.accuracy.between(0, 1).all()
    for plot in (label_budget.heat_map(frame), label_budget.curves(frame)):
        assert plot.caption and plot.alt
    assert len(label_budget.table(frame)) == 2
    assert label_budget.write(frame, tmp_path) == "checksums of when.csv"


def made_up(gain):
    """Accuracies with gain(fraction, width) of kd_best over ffnn, which knows more with more labels."""
    rows = [
        ("x", f, round(2400 * f), w, method, seed, "fresh", 0.8 + 0.1 * f + 1e-4 * seed + (method == "kd_best") * (
            gain(f, w) + 1e-5 * (seed % 2)))
        for f in label_budget.FRACTIONS for w in label_budget.WIDTHS
        for method in ("ffnn", "kd_best") for seed in range(5)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=label_budget.COLUMNS)


def test_sentences_turn_with_the_numbers():
    text = label_budget.sentence(made_up(lambda f, w: 0.1 * (1 - f) + 0.04 / w))
    assert "clearly ahead in 36 of 36 cells and clearly behind in none" in text
    assert "helps more where labels are few" in text and "helps more where the student is small" in text
    assert "reaches with 2% of the labels" in text or "reaches with 5% of the labels" in text
    text = label_budget.sentence(made_up(lambda f, w: -0.1 * (1 - f) - 0.04 / w))
    assert "clearly ahead in 0 of 36 cells and clearly behind in 36" in text
    assert "helps less where labels are few" in text and "helps less where the student is small" in text
    assert "no share of the labels" in text
    noise = made_up(lambda f, w: 0.0)
    noise["accuracy"] += np.random.default_rng(0).normal(0, 0.01, len(noise))
    assert label_budget.differences(noise)["clear"].mean() < 0.2
