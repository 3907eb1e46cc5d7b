"""The portfolio: no answer for a point comes from a fit that saw it, and weights and temperatures are the likeliest."""

from copy import copy

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.neighbors import KNeighborsClassifier
from small_datasets import small_dataset

from kdlib.data import from_arrays
from kdlib.methods import METHODS, Problem, candidates, portfolio, tuning
from kdlib.methods.candidates import Candidate, Networks
from kdlib.methods.portfolio import Portfolio
from kdlib.methods.teachers import SklearnTeacher
from kdlib.methods.tuning import Choice
from kdlib.settings import Settings

SETTINGS = Settings(seeds=2, epochs=2, hidden=(4,), batch_size=32)


class Memory(SklearnTeacher):
    """Knows the class of every point that it was fitted to, and guesses that of the nearest for others."""

    def choose(self, x, y):
        return KNeighborsClassifier(1).fit(x, y)


class Fixed:
    """A gate that gives all points the same probabilities of the domains."""

    def __init__(self, *p):
        self.p = np.array(p)

    def log_probabilities(self, x):
        return np.log(np.tile(self.p, (1, len(x), 1)))


def random_labels():
    """A problem whose classes have nothing to do with its points."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part in ("train", "valid", "test"):
        arrays |= {
            f"x_{part}": rng.normal(size=(400, 2)),
            f"y_{part}": np.arange(400) % 2,
            f"d_{part}": np.arange(400) % 4 // 2,
        }
    return Problem(from_arrays("random", arrays), SETTINGS)


def test_folds_share_the_points_of_each_domain_and_class():
    problem = Problem(small_dataset(samples=230, classes=3, domains=2), SETTINGS)
    fold, train = candidates.folds(problem), problem.train
    for group in np.unique(train.d * 3 + train.y):
        counts = np.bincount(fold[train.d * 3 + train.y == group], minlength=candidates.FOLDS)
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(fold, candidates.folds(problem))


@pytest.mark.slow
def test_answers_for_a_point_come_from_a_fit_without_it(monkeypatch):
    problem = random_labels()
    memory = Candidate("memory", "neighbours", False, candidates.without_each(problem, Memory))
    monkeypatch.setattr(portfolio, "candidates", lambda *_: ([memory], 0))
    answers = Portfolio(problem).answers[0]
    right = (answers.argmax(axis=1) == problem.train.y).mean()
    assert 0.4 < right < 0.6  # a fit that saw the points would be right about all of them


@pytest.mark.parametrize("copied", [False, True])
def test_networks_of_a_fold_see_no_point_of_it(copied):
    problem = Problem(small_dataset(samples=90), SETTINGS)
    fold, members = candidates.folds(problem), candidates.FOLDS * candidates.MEMBERS
    direct = candidates.direct_networks(problem, Choice(1.0, 0.0, copied))
    told, joint = (slice(start, start + members) for start in (0, members))
    domains = candidates.domain_networks(problem)
    held_out = np.repeat(np.arange(candidates.FOLDS), candidates.MEMBERS)
    for plan, part, start in ((direct, slice(None), 0), (domains, told, 0), (domains, joint, 900)):
        rows = np.concatenate(list(plan.batches)).swapaxes(0, 1).reshape(plan.members, -1)[part] - start
        assert 0 <= rows.min()
        assert rows.max() >= len(fold) or (plan is direct and not copied)  # copies, too
        origin = rows % len(fold)
        assert (fold[origin] != held_out[:, None]).all()
        targets = plan.targets[0][rows + start].argmax(axis=2)
        np.testing.assert_array_equal(targets % problem.classes, problem.train.y[origin])


def test_a_temperature_that_was_planted_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3))  # of sharper answers, the floor is felt
    for planted in (0.7, 0.9):
        y = (softmax(logits / planted, axis=1).cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
        assert portfolio.best_temperature(softmax(logits, axis=1), y) == pytest.approx(planted, rel=0.05)


@pytest.mark.parametrize(("factor", "bound"), [(0.1, 0), (30, 1)])
def test_temperatures_are_bounded(factor, bound):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 2))
    y = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
    found = portfolio.best_temperature(softmax(factor * logits, axis=1), y)
    assert found == pytest.approx(portfolio.TEMPERATURES[bound], rel=1e-3)


def test_weights_are_those_that_an_optimiser_finds():
    likelihoods = np.random.default_rng(0).beta(2, 1, size=(3, 200))

    def loss(z):
        return -np.log(softmax(z) @ likelihoods).sum()

    expected = softmax(minimize(loss, np.zeros(3)).x)
    np.testing.assert_allclose(portfolio.mixture_weights(likelihoods), expected, atol=0.01)


def test_all_the_weight_goes_to_a_candidate_that_is_always_likelier():
    weights = portfolio.mixture_weights(np.array([[0.9] * 50, [0.5] * 50, [0.6] * 50]))
    np.testing.assert_allclose(weights, [1, 0, 0], atol=1e-3)


@pytest.mark.slow
def test_networks_told_the_domain_are_averaged_under_the_gate_and_over_the_members():
    problem = Problem(small_dataset(), SETTINGS)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((2, 4, 3), (2, 1, 3), (2, 3, 4), (2, 1, 4))]
    x, expected = problem.train.x[:5], 0
    for k, p in enumerate((0.3, 0.7)):
        for member in range(2):
            told = np.concatenate([problem.scaled(x), np.tile(np.eye(2)[k], (5, 1))], axis=1)
            hidden = np.maximum(told @ weights[0][member] + weights[1][member], 0)
            pairs = softmax(hidden @ weights[2][member] + weights[3][member], axis=1)
            expected = expected + p / 2 * (pairs[:, :2] + pairs[:, 2:])
    found = Networks(problem, weights, Fixed(0.3, 0.7)).log_probabilities(x)
    np.testing.assert_allclose(np.exp(found[0]), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    problem = Problem(small_dataset(samples=216, features=3, classes=3), SETTINGS)
    return problem, problem.once(Portfolio)


@pytest.mark.slow
def test_the_table_tells_of_every_candidate(trained):
    problem, made = trained
    table = made.table()
    assert table["weight"].sum() == pytest.approx(1)
    assert ((table["weight"] == 0) | (table["weight"] >= portfolio.MIN_WEIGHT)).all()
    assert table["temperature"].between(*portfolio.TEMPERATURES).all()
    assert set(table["kind"]) == {"kernel machines", "linear", "trees", "networks"}
    mixture = np.einsum("k,knc->nc", made.weights, made.answers)
    cross_entropy = -np.log(mixture[problem.rows, problem.train.y]).mean()
    assert cross_entropy < table["cross_entropy"].min() + 0.01  # dropped candidates aside, no one alone is likelier


@pytest.mark.slow
def test_the_student_learns_the_portfolio_which_is_the_same_twice(trained):
    problem, made = trained
    student = METHODS["kd_portfolio"].define(problem)
    p = np.exp(made.log_probabilities(problem.report.x))
    np.testing.assert_allclose(p.sum(axis=2), 1)
    answers = np.exp(made.log_probabilities(problem.train.x))[0]
    np.testing.assert_allclose(student.plan.targets[0][: len(answers)], answers)
    assert student.teacher_updates == made.updates
    choice, search = problem.once(tuning.tuned)
    _, networks = candidates.candidates(problem, choice)
    assert 2 * made.updates == search + networks  # of two seeds
    again = Portfolio(Problem(problem.dataset, SETTINGS))
    np.testing.assert_array_equal(p, np.exp(again.log_probabilities(problem.report.x)))


@pytest.mark.slow
def test_where_direct_training_has_all_the_weight_the_student_is_trained_directly(trained):
    problem, made = trained
    for title in ("kernel machine", candidates.NETWORKS):
        only = copy(made)
        only.weights = np.array([float(candidate.title == title) for candidate in made.candidates])
        problem.keep(Portfolio, only)
        student = METHODS["kd_portfolio"].define(problem)
        assert student.teacher_updates == made.updates
        assert (student.learns_from == "labels") == (title == candidates.NETWORKS)
        assert student.choice == (
            f"direct training: {METHODS['ffnn_tuned'].define(problem).choice}" if title == candidates.NETWORKS else ""
        )
    problem.keep(Portfolio, made)


@pytest.mark.slow
def test_with_one_domain_no_candidate_tells_domains_apart():
    made = Portfolio(Problem(small_dataset(samples=120, domains=1), SETTINGS))
    assert not made.table()["tells_domains"].any()


@pytest.mark.slow
def test_a_line_per_domain_is_found_where_no_line_suits_all():
    rng = np.random.default_rng(0)
    arrays = {}
    for part in ("train", "valid", "test"):
        d, x = np.arange(300) % 3, rng.normal(size=(300, 2))
        y = (x[:, 0] > 0) ^ (d == 1)  # the domain in the middle has its classes the other way round
        arrays |= {f"x_{part}": x + np.stack([0 * d, 8 * d], axis=1), f"y_{part}": y.astype(int), f"d_{part}": d}
    table = Portfolio(Problem(from_arrays("lines", arrays), SETTINGS)).table().set_index("candidate")
    assert table["cross_entropy"]["linear machine"] > 0.5
    assert table["cross_entropy"]["linear machine per domain"] < 0.1
    assert table["weight"][table["tells_domains"]].sum() > table["weight"][~table["tells_domains"]].sum()
