"""Tuning: the lowest cross-entropy on the selection split is chosen, and what is trained is what was chosen."""

from dataclasses import replace

import numpy as np
import pytest
from small_datasets import arrays, small_dataset

from kdlib.data import from_arrays
from kdlib.methods import METHODS, Problem, students, tuning
from kdlib.methods.tuning import Choice
from kdlib.settings import Settings
from kdlib.training.loop import cosine

SETTINGS = Settings(seeds=3, epochs=6, hidden=(6,))


@pytest.fixture
def problem(monkeypatch):
    monkeypatch.setattr(students, "MAX_QUERIES", 500)  # two copies of each point
    return Problem(small_dataset(classes=3), SETTINGS)


def test_a_choice_varies_length_decay_labels_and_points(problem):
    plain = tuning.direct_plan(problem, Choice(1.0, 0.0))
    assert plain.batches.updates == 6 * problem.steps and plain.batches.rows is problem.rows
    varied = tuning.direct_plan(problem, Choice(1 / 3, 0.3, copied=True, smoothing=0.1))
    assert varied.batches.updates == len(varied.rates) == 2 * problem.steps
    np.testing.assert_allclose(varied.rates, cosine(SETTINGS.learning_rate, 2 * problem.steps))
    assert varied.weight_decay == 0.3 and varied.settings["smoothing"] == 0.1
    np.testing.assert_array_equal(varied.batches.rows, np.arange(480))
    assert varied.x is plain.x and plain.x.shape == (480, 2)
    np.testing.assert_array_equal(varied.targets[0], np.tile(problem.labels, (2, 1)))


def test_the_grid_is_told_in_words():
    assert Choice(1 / 3, 0.03, copied=True, smoothing=0.1).describe(300) == (
        "100 epochs, weight decay 0.03, noisy copies, label smoothing 0.1"
    )
    assert Choice(1.0, 0.0).describe(300) == "300 epochs, no weight decay"
    assert Choice(0.1, 0.0).describe(3) == "1 epoch, no weight decay"
    assert len(set(tuning.GRID)) == len(tuning.GRID)


def few_plans(problem):
    choices = Choice(0.1, 0.3), Choice(1.0, 0.0), Choice(1.0, 0.3, smoothing=0.1)
    return [tuning.direct_plan(problem, choice) for choice in choices]


@pytest.mark.slow
def test_the_lowest_loss_on_the_selection_split_is_chosen(problem):
    plans = few_plans(problem)
    seeds = min(tuning.MAX_SEEDS, SETTINGS.seeds)
    losses = [problem.run(plan).watched["loss"][-1][:seeds].mean() for plan in plans]
    number, updates = tuning.choose(problem, plans)
    assert number == np.argmin(losses)
    assert updates == seeds * sum(plan.batches.updates for plan in plans)


@pytest.mark.slow
def test_a_plan_that_diverges_is_not_chosen(problem):
    plans = few_plans(problem)
    spoilt = [replace(plan, weights=[np.full_like(w, np.nan) for w in plan.weights]) for plan in plans]
    assert tuning.choose(problem, [spoilt[1], plans[0], spoilt[2]])[0] == 1


@pytest.mark.slow
def test_labels_of_the_reported_split_choose_nothing(problem):
    given = arrays(classes=3)
    turned = Problem(from_arrays("small", given | {"y_test": 2 - given["y_test"]}), SETTINGS)
    assert METHODS["ffnn_tuned"].define(problem).choice == METHODS["ffnn_tuned"].define(turned).choice


@pytest.mark.slow
def test_the_network_is_trained_as_chosen_and_pays_for_the_search(problem):
    trained = METHODS["ffnn_tuned"].train(problem)
    choices = {choice.describe(SETTINGS.epochs): choice for choice in tuning.GRID}
    plan = tuning.direct_plan(problem, choices[trained.choice])
    for ours, theirs in zip(trained.fits["student"].weights, problem.run(plan).weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    search = sum(tuning.direct_plan(problem, choice).batches.updates for choice in tuning.GRID)
    seeds = min(tuning.MAX_SEEDS, SETTINGS.seeds)
    assert trained.teacher_updates == -(-search * seeds // SETTINGS.seeds)
