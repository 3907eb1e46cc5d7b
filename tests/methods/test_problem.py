"""A problem: the same scale, initial weights, batches and budget for all methods, and what is made once."""

import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.data import dataset as dataset_module
from kdlib.data import gaussians
from kdlib.data.contract import REQUIRED
from kdlib.methods import METHODS, Problem
from kdlib.methods import problem as problem_module
from kdlib.methods.direct import plain_network, plain_plan
from kdlib.settings import Settings
from kdlib.training.loop import TrainingError

SETTINGS = Settings(seeds=3, epochs=2, hidden=(4,))


@pytest.fixture
def problem():
    return Problem(small_dataset(features=3), SETTINGS)


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_features_are_standardised_by_the_training_split_alone(problem):
    np.testing.assert_allclose(problem.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(problem.x.std(axis=0), 1, rtol=1e-6)
    x, train = problem.report.x, problem.train.x
    np.testing.assert_allclose(problem.scaled(x), (x - train.mean(axis=0)) / train.std(axis=0), rtol=1e-6)


def test_a_bounded_problem_has_the_same_share_of_each_domain_and_class(problem, monkeypatch):
    assert problem.bounded() is problem
    monkeypatch.setattr(problem_module, "MAX_SAMPLES", 60)
    few = problem.bounded()
    assert len(few.train) == 60 and few.steps == problem.steps and few.bounded() is few
    group, whole = (2 * each.train.d + each.train.y for each in (few, problem))
    np.testing.assert_allclose(np.bincount(group), np.bincount(whole) / 4, atol=0.5)
    np.testing.assert_array_equal(few.mean, problem.mean)


def test_a_teacher_of_many_points_is_asked_block_by_block(problem, monkeypatch):
    class Counting:
        content = asked = ()

        def log_probabilities(self, x):
            self.asked += (len(x),)
            return np.log(np.stack([np.full(len(x), 0.5), x[:, 0] ** 2], axis=1))[None]

    expected = Counting().log_probabilities(problem.train.x)
    monkeypatch.setattr(dataset_module, "BLOCK_VALUES", 3 * 100)
    np.testing.assert_array_equal(problem.answers(teacher := Counting(), problem.train.x), expected)
    assert teacher.asked == (100, 100, 40)


def test_a_constant_feature_is_zero_and_divides_by_nothing():
    dataset = small_dataset()
    dataset.train.x.setflags(write=True)
    dataset.train.x[:, 1] = 1e6 + 1e-9 * np.arange(len(dataset.train))  # constant but for rounding
    scaled = Problem(dataset, SETTINGS).x
    assert np.abs(scaled[:, 1]).max() < 1e-5
    assert scaled[:, 0].std() == pytest.approx(1)


def test_what_selects_is_not_reported():
    told = Problem(small_dataset(), SETTINGS)
    assert told.reported == "test" and list(told.splits) == ["valid", "test"]
    np.testing.assert_array_equal(told.select.x, told.dataset.valid.x)
    assert told.splits["test"] is told.report is told.dataset.test
    few = Problem(small_dataset(REQUIRED), SETTINGS)
    assert few.reported == "valid" and list(few.splits) == ["valid"]
    rows = {tuple(point) for point in few.select.x}
    assert rows < {tuple(point) for point in few.dataset.train.x}
    assert not rows & {tuple(point) for point in few.train.x}


def test_of_a_known_distribution_fresh_points_are_reported():
    problem = Problem(gaussians.generate(0.5), SETTINGS)
    fresh = problem.splits["fresh"]
    assert problem.reported == "fresh" and problem.distribution.name == "three Gaussians, d = 0.5"
    assert len(fresh) == 100_000
    again = Problem(gaussians.generate(0.5), SETTINGS).splits["fresh"]
    np.testing.assert_array_equal(fresh.x, again.x)


def test_a_batch_larger_than_the_training_split_is_refused_before_any_training():
    with pytest.raises(TrainingError, match="batch_size: expected at most the 240 training samples of small, got 241"):
        Problem(small_dataset(), Settings(batch_size=241))


def test_the_budget_is_epochs_of_as_many_updates_as_the_samples_fill(problem):
    plan = problem.plan("test", (problem.labels,))
    assert problem.steps == 240 // 32
    assert plan.batches.updates == len(plan.rates) == 2 * 7
    assert plan.rates[0] == np.float32(SETTINGS.learning_rate) and plan.rates[-1] < 0.1 * SETTINGS.learning_rate
    other = problem.plan("test", (problem.labels,), batches=problem.shuffled(np.arange(10), steps=3))
    assert len(other.rates) == 6 and np.stack(list(other.batches)).max() == 9


def test_each_domains_rows_are_its_own(problem):
    for k, rows in enumerate(problem.domain_rows):
        assert (problem.train.d[rows] == k).all()
    assert sorted(np.concatenate(problem.domain_rows)) == problem.rows.tolist()


def test_domains_in_order_of_one_domain_are_plain_shuffled_batches():
    problem = Problem(small_dataset(domains=1), SETTINGS)
    assert_equal(problem.in_order(), problem.shuffled())


# --- What is made once --------------------------------------------------------------------------------------------


def test_what_several_methods_need_is_made_once_for_each_argument(problem):
    calls = []

    def make(given, number):
        assert given is problem
        calls.append(number)
        return [number]

    assert problem.once(make, 1) is problem.once(make, 1)
    assert problem.once(make, 2) == [2]
    assert calls == [1, 2]
    problem.keep(plain_plan, "kept")
    assert problem.once(plain_plan) == "kept"


def test_the_same_plan_is_trained_once_and_heard_of_once(problem):
    heard = []
    problem.progress = lambda *told: heard.append(told)
    plan = problem.plan("some task", (problem.labels,))
    assert problem.run(plan) is problem.run(plan)
    assert heard == [("some task", 1, 2), ("some task", 2, 2)]
    other = problem.run(problem.plan("some task", (problem.labels,)))
    assert_equal(other.weights, problem.run(plan).weights)
    assert other is not problem.run(plan)


def test_made_things_belong_to_one_problem_but_those_of_the_pool_are_shared(problem):
    def make(given):
        return [given]

    part = problem.trained_on(problem.train.take(np.arange(50)), [1])
    for other in (part, problem.first(1), problem.with_settings(epochs=1)):
        assert other.once(make) == [other] and problem.once(make) == [problem]
    assert part.once(make, of_pool=True) is problem.once(make, of_pool=True)


# --- Problems made from others ------------------------------------------------------------------------------------


def test_with_other_training_samples_scale_splits_and_budget_stay(problem):
    rows = np.arange(0, 240, 3)
    part = problem.trained_on(problem.train.take(rows), [5, 1])
    np.testing.assert_array_equal(part.x, problem.x[rows])
    np.testing.assert_array_equal(part.labels, problem.labels[rows])
    assert part.pool is problem.train and part.select is problem.select and part.report is problem.report
    plan = part.plan("test", (part.labels,))
    assert plan.members == 2 and plan.batches.updates == problem.steps * 2
    assert {*np.unique(np.stack(list(plan.batches)))} == set(range(len(rows)))
    np.testing.assert_array_equal(plan.weights[0][1], problem.initial_weights()[0][1])
    (ours, *_), (theirs, *_) = part.shuffled(), problem.shuffled(part.rows)
    np.testing.assert_array_equal(ours[:, 1], theirs[:, 1])


@pytest.mark.slow
def test_the_first_seeds_train_as_they_do_among_all(problem):
    few = problem.first(2)
    assert few.settings.seeds == 2 and list(few.seeds) == [0, 1]
    for ours, all_seeds in zip(plain_network(few).weights, plain_network(problem).weights, strict=True):
        np.testing.assert_allclose(ours, all_seeds[:2], rtol=1e-4, atol=1e-5)
    assert problem.first(10).settings.seeds == 3


@pytest.mark.slow
def test_with_other_settings_only_those_change(problem):
    longer = problem.with_settings(epochs=5, hidden=(6,))
    fit = plain_network(longer)
    assert fit.updates == 5 * problem.steps and fit.weights[0].shape == (3, 3, 6)
    assert plain_network(problem).updates == 2 * problem.steps
    np.testing.assert_array_equal(longer.x, problem.x)


@pytest.mark.slow
def test_a_fraction_keeps_the_budget_and_nests():
    dataset = small_dataset(samples=600, domains=3)
    tenth, half, whole = (Problem(dataset, SETTINGS, fraction=fraction) for fraction in (0.1, 0.5, 1.0))
    rows = [{tuple(point) for point in problem.train.x} for problem in (tenth, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    assert tenth.steps == half.steps == whole.steps
    np.testing.assert_array_equal(tenth.domain_sizes, whole.domain_sizes)
    assert METHODS["ffnn"].train(tenth).updates == METHODS["ffnn"].train(whole).updates
    assert METHODS["kd_routed"].train(tenth).teacher_updates == METHODS["kd_routed"].train(whole).teacher_updates
