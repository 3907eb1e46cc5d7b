"""The study of labels and widths: own labelled rows, equal budgets, and sentences that turn."""

import numpy as np
import pandas as pd
import pytest
from small_datasets import arrays, small_dataset

from kdlib.data import from_arrays
from kdlib.data.contract import REQUIRED
from kdlib.methods import Problem, kernel_teachers
from kdlib.settings import Settings
from kdlib.studies import label_budget

SETTINGS = Settings(seeds=2, epochs=3, batch_size=16)


@pytest.fixture
def quick_search(monkeypatch):
    monkeypatch.setattr(kernel_teachers, "FOLDS", 2)
    monkeypatch.setattr(kernel_teachers, "CENTRES", 10)
    monkeypatch.setattr(label_budget, "MAX_QUERIES", 500)


def test_members_are_fractions_by_seeds_and_see_their_own_rows_in_as_many_batches():
    problem = Problem(small_dataset(), SETTINGS)
    parts = [np.arange(5), np.arange(5, 10)], [problem.rows.copy(), problem.rows.copy()]  # (fraction, seed)
    plan = label_budget.direct_plan(problem, parts)
    batches = np.stack(list(plan.batches))  # (epoch, step, member, batch)
    assert batches.shape == (3, 15, 4, 16)
    for i, rows in enumerate([*parts[0], *parts[1]]):
        assert set(batches[:, :, i].ravel()) == set(rows)
    np.testing.assert_array_equal(batches[:, :, 2:], np.stack(list(problem.shuffled())))
    np.testing.assert_array_equal(plan.weights[0], problem.initial_weights()[0][[0, 1, 0, 1]])


@pytest.mark.slow
def test_no_label_outside_its_part_reaches_a_student(quick_search):
    part = np.arange(0, 240, 4)
    given = arrays()
    other = np.where(np.isin(np.arange(240), part), given["y_train"], 1 - given["y_train"])
    plans = [
        label_budget.student_plan(Problem(from_arrays("small", given | {"y_train": y}), SETTINGS), [(part, part[::2])])
        for y in (given["y_train"], other)
    ]
    (mine,), (theirs,) = (plan.targets for plan in plans)
    np.testing.assert_array_equal(mine, theirs)
    assert plans[0].members == 2 and plans[0].x.shape == (480, 2), "all points are asked about"
    assert not np.allclose(mine[0], mine[1]), "each member has teachers of its own"


@pytest.mark.slow
def test_the_study_runs_on_one_domain_with_equal_updates(quick_search, monkeypatch):
    monkeypatch.setattr(label_budget, "FRACTIONS", (0.1, 1.0))
    monkeypatch.setattr(label_budget, "WIDTHS", (2, 4))
    problem = Problem(small_dataset(REQUIRED, samples=90, features=3, classes=3, domains=1), SETTINGS)
    updates, run = [], Problem.run
    monkeypatch.setattr(Problem, "run", lambda *given: updates.append((fit := run(*given)).updates) or fit)
    frame = label_budget.run(problem)
    assert updates == [problem.steps * SETTINGS.epochs] * 4  # two widths of two methods
    assert list(frame.columns) == label_budget.COLUMNS and len(frame) == 2 * 2 * 2 * 2
    assert set(frame.split) == {"valid"} and set(frame.labelled) == {9, 81}
    assert frame.accuracy.between(0, 1).all()


# --- Figures and sentences ----------------------------------------------------------------------------------------


def made_up(gain):
    """Accuracies with gain(fraction, width) of the student over ffnn, which knows more with more labels."""
    rows = [
        ("x", f, round(2400 * f), w, method, seed, "fresh", 0.8 + 0.1 * f + 1e-4 * seed
         + (method == label_budget.STUDENT) * (gain(f, w) + 1e-5 * (seed % 2)))
        for f in label_budget.FRACTIONS for w in label_budget.WIDTHS
        for method in (label_budget.BASELINE, label_budget.STUDENT) for seed in range(5)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=label_budget.COLUMNS)


def test_figures_and_table_have_a_place_for_each_fraction():
    frame = made_up(lambda f, w: 0.1 * (1 - f))
    for plot in (label_budget.heat_map(frame), label_budget.curves(frame)):
        assert plot.caption and plot.alt
    table = label_budget.table(frame)
    assert list(table.index) == ["2%", "5%", "10%", "25%", "50%", "100%"]
    assert table["labelled samples"].tolist() == [48, 120, 240, 600, 1200, 2400]
    assert table["difference, points"].tolist() == ["+9.80", "+9.50", "+9.00", "+7.50", "+5.00", "+0.00"]
    assert table["FFNN"].tolist()[::5] == ["80.22", "90.02"]


def test_sentences_turn_with_the_numbers():
    text = label_budget.sentence(made_up(lambda f, w: 0.1 * (1 - f) + 0.04 / w))
    assert "clearly ahead in 36 of 36 cells and clearly behind in none" in text
    assert "helps more where labels are few" in text and "helps more where the student is small" in text
    assert "reaches with 2% of the labels" in text or "reaches with 5% of the labels" in text
    text = label_budget.sentence(made_up(lambda f, w: -0.1 * (1 - f) - 0.04 / w))
    assert "clearly ahead in 0 of 36 cells and clearly behind in 36" in text
    assert "helps less where labels are few" in text and "helps less where the student is small" in text
    assert "no share of the labels" in text


def test_noise_is_seldom_called_clear():
    noise = made_up(lambda f, w: 0.0)
    noise["accuracy"] += np.random.default_rng(0).normal(0, 0.01, len(noise))
    assert label_budget.differences(noise)["clear"].mean() < 0.2
