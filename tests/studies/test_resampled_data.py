"""Fresh draws: each member trains on its own data, and the sentences say what the numbers say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_datasets import small_dataset

from kdlib.data import Split, gaussians
from kdlib.evaluation import results
from kdlib.methods import METHODS, Problem, kernel_teachers, problem
from kdlib.methods.tuning import Choice, vary
from kdlib.settings import Settings
from kdlib.studies import resampled_data
from kdlib.training.networks import predict
from kdlib.training.plan import stack

SETTINGS = Settings(seeds=2, epochs=3, hidden=(16, 8))


@pytest.fixture(scope="module")
def given():
    return Problem(gaussians.generate(1.0), SETTINGS)


def test_draws_differ_and_share_initial_weights_scale_and_batches_with_the_given_data(given):
    draws = [resampled_data.draw(given, seed) for seed in given.seeds]
    assert not np.array_equal(draws[0].train.x, draws[1].train.x)
    for seed, each in enumerate(draws):
        np.testing.assert_array_equal(each.train.d, given.train.d)
        np.testing.assert_array_equal(each.x, given.scaled(each.train.x))
        for mine, all_seeds in zip(each.initial_weights(), given.initial_weights(), strict=True):
            np.testing.assert_array_equal(mine[0], all_seeds[seed])
        for mine, all_seeds in zip(each.shuffled(), given.shuffled(), strict=True):
            np.testing.assert_array_equal(mine[:, 0], all_seeds[:, seed])
    again = resampled_data.draw(given, 1)
    np.testing.assert_array_equal(again.train.x, draws[1].train.x)


@pytest.mark.slow
def test_each_member_fits_its_own_draw_better_than_the_others(given):
    first, second = (resampled_data.draw(given, seed) for seed in given.seeds)
    train = second.train
    second = second.trained_on(Split(train.x, 1 - train.y, train.d), [1])  # contradicts the first
    plan = stack([METHODS["ffnn"].define(each).plan for each in (first, second)])
    logits = predict(given.run(plan).weights, plan.x)  # (member, n, classes), each on its own draw
    own = logits.argmax(axis=2) == plan.targets[0].argmax(axis=2)
    assert (own.mean(axis=1) > 0.6).all()  # on the other's labels it would be below 0.5


@pytest.mark.slow
def test_draws_for_which_another_length_was_chosen_keep_their_places(given):
    draws = [resampled_data.draw(given, seed) for seed in (0, 1, 0)]
    students = [METHODS["ffnn"].define(each) for each in draws]
    short = vary(students[0].plan, Choice(1 / 3, 0.0))
    students[0] = replace(students[0], plan=short)
    x = given.splits["valid"].x
    together = resampled_data.train(given, students).log_probabilities(x)
    for log_p, student in zip(together, students, strict=True):
        alone = student.trained(given, given.run(student.plan)).log_probabilities(x)[0]
        np.testing.assert_allclose(log_p, alone, rtol=1e-3, atol=1e-4)
    assert not np.allclose(together[0], together[2], atol=1e-2)


@pytest.fixture
def quick(monkeypatch):
    """Few kernels, few queries, few points to score on, and methods whose teachers take no training."""
    monkeypatch.setattr(kernel_teachers, "FOLDS", 2)
    monkeypatch.setattr(kernel_teachers, "CENTRES", 10)
    monkeypatch.setattr(problem, "FRESH_POINTS", 300)
    monkeypatch.setattr(resampled_data, "COPIES", 2)
    compared = {name: METHODS[name] for name in ("ffnn", "kd_kernel_teachers")}
    monkeypatch.setattr(resampled_data, "compared", lambda: compared)


@pytest.mark.slow
def test_a_run_is_tidy_and_its_students_take_the_same_updates(quick, monkeypatch):
    given, updates, run = Problem(gaussians.generate(1.0), SETTINGS), [], Problem.run
    monkeypatch.setattr(Problem, "run", lambda *each: updates.append((fit := run(*each)).updates) or fit)
    frame = resampled_data.run(given)
    assert updates == [given.steps * SETTINGS.epochs] * 4  # two methods, on the given data and on draws
    counts = results.select(frame).groupby(["training", "method"]).size()
    assert (counts[["draws"]] == 2).all() and counts["given", "bayes"] == 1
    assert list(frame.columns) == resampled_data.COLUMNS and set(frame.split) == {"fresh"}
    table = resampled_data.compare(frame)
    assert len(resampled_data.forest(table)) == 2
    assert resampled_data.numbers(table)["over"].tolist() == ["fresh draws", "given data"]


@pytest.mark.slow
def test_teachers_of_a_draw_are_fitted_to_it_with_the_choices_of_the_given_data(quick):
    given = Problem(gaussians.generate(1.0), SETTINGS)
    student = METHODS["kd_kernel_teachers"].define(resampled_data.draw(given, 0), copies=2)
    own, _, _ = kernel_teachers.kernel_mixture_of(given).teachers
    train = resampled_data.draw(given, 0).train
    of_draw = own.refit(train.x[train.d == 0], train.y[train.d == 0], 2)
    x = given.train.x[:50]
    gate = np.exp(student_gate(given, train).log_probabilities(x)[0])
    answers = np.exp(of_draw.log_probabilities(x)[0])
    sure = gate[:, 0] > 0.9999
    assert sure.sum() > 5
    np.testing.assert_allclose(student.plan.targets[0][:50][sure], answers[sure], atol=1e-3)


def student_gate(given, train):
    return kernel_teachers.kernel_mixture_of(given).gate.refit(train.x, train.d, 3)


def test_of_an_unknown_distribution_there_are_no_rows(tmp_path):
    frame = resampled_data.run(Problem(small_dataset(), SETTINGS))
    assert frame.empty
    assert results.write_tables({"draws": frame}, tmp_path) == "checksums of draws.csv"
    assert list(pd.read_csv(tmp_path / "draws.csv").columns) == resampled_data.COLUMNS


# --- Sentences ----------------------------------------------------------------------------------------------------


def made_up(over_draws, over_starts, seeds=12):
    """Results in which kd_routed differs from ffnn by so much, in mean and sd, for each source of chance."""
    rng = np.random.default_rng(0)
    rows = [("given", "bayes", 0, 1.0)]
    for training, (mean, sd) in {"draws": over_draws, "given": over_starts}.items():
        noise = rng.normal(size=seeds)
        difference = mean + sd * (noise - noise.mean()) / noise.std(ddof=1)
        for seed in range(seeds):
            for name, value in {"ffnn": 0, "kd_routed": difference[seed], "kd_gated": -difference[seed]}.items():
                rows.append((training, name, seed, 0.9 + value))
    frame = pd.DataFrame(rows, columns=["training", "method", "seed", "value"])
    return frame.assign(dataset="x", split="fresh", domain="all", metric="accuracy")[resampled_data.COLUMNS]


def test_sentences_turn_with_the_numbers():
    table = resampled_data.compare(made_up((0.05, 0.01), (0.04, 0.002)))
    text = resampled_data.sentence(table, "kd_routed")
    assert "KD, routed is better than" in text and "+5.00 [" in text and "the same verdict, better" in text
    assert "closes 50% of the gap to Bayes over draws, 40% on the given data" in text
    assert "draw of the training data matters 5.0 times as much" in text
    assert "KD, gated is worse than" in resampled_data.sentence(table, "kd_gated")
    turned = resampled_data.compare(made_up((-0.05, 0.002), (0.04, 0.01)))
    text = resampled_data.sentence(turned, "kd_routed")
    assert "is worse than" in text and "−5.00 [" in text and "initialisation matters" in text
    assert "there the verdict is better, here worse" in text
    noisy = resampled_data.compare(made_up((0.001, 0.05), (0.001, 0.05)))
    assert "shows no significant difference" in resampled_data.sentence(noisy, "kd_routed")
