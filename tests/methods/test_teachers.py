"""Teachers of every kind, several as one, and refits that keep what was chosen."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from small_datasets import small_dataset

from kdlib.data import gaussians
from kdlib.methods import Problem, network_teachers
from kdlib.methods.direct import two_headed_network
from kdlib.methods.teachers import (
    GATE,
    POOLED,
    Ensemble,
    Mixture,
    SharedTeacher,
    SklearnTeacher,
    fit_teacher,
    gated_mixture,
)
from kdlib.settings import Settings
from kdlib.training.networks import predict

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(60, 2)), RNG.integers(0, 3, 60)
POINTS = RNG.normal(size=(9, 2))
SETTINGS = Settings(seeds=2, epochs=2, hidden=(4,))


def logistic():
    return SklearnTeacher(LogisticRegression(C=0.5))


class Fixed:
    """A teacher that says the same of all points: log-probabilities (member, classes)."""

    def __init__(self, p):
        self.p = np.array(p)

    def log_probabilities(self, x):
        return np.log(np.repeat(self.p[:, None], len(x), axis=1))


def test_a_scikit_learn_teacher_says_what_its_classifier_says():
    log_p = logistic().fit(X, Y, 3).log_probabilities(POINTS)
    expected = LogisticRegression(C=0.5).fit(X, Y).predict_proba(POINTS)
    assert log_p.shape == (1, 9, 3)
    np.testing.assert_allclose(np.exp(log_p[0]), expected)


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_a_class_without_samples_has_no_probability(missing):
    y = np.array([k for k in range(4) if k != missing])[Y]
    p = np.exp(logistic().fit(X, y, 4).log_probabilities(POINTS)[0])
    np.testing.assert_array_equal(p[:, missing], 0)
    expected = LogisticRegression(C=0.5).fit(X, y).predict_proba(POINTS)
    np.testing.assert_allclose(np.delete(p, missing, axis=1), expected)


def test_a_shared_teacher_is_asked_once_about_the_same_points():
    shared, other = SharedTeacher(logistic().fit(X, Y, 3)), POINTS + 1
    for points in (POINTS, other, POINTS):
        np.testing.assert_array_equal(shared.log_probabilities(points), shared.teacher.log_probabilities(points))
    shared.teacher = None
    assert shared.log_probabilities(POINTS).shape == (1, 9, 3)


def test_a_lone_class_is_certain():
    p = np.exp(logistic().fit(X, np.full(60, 2), 3).log_probabilities(POINTS)[0])
    np.testing.assert_array_equal(p, np.eye(3)[np.full(9, 2)])


def test_a_refit_is_another_teacher_of_the_same_classifier():
    teacher = SklearnTeacher(DecisionTreeClassifier(max_depth=2, random_state=0)).fit(X, Y, 3)
    before = teacher.log_probabilities(POINTS)
    other = teacher.refit(X[::-1] + 1, Y, 3)
    expected = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X[::-1] + 1, Y).predict_proba(POINTS)
    np.testing.assert_allclose(np.exp(other.log_probabilities(POINTS)[0]), expected)
    np.testing.assert_array_equal(teacher.log_probabilities(POINTS), before)


def test_a_refit_may_have_classes_that_the_first_fit_had_not():
    lone = logistic().fit(X, np.zeros(60, int), 3)
    np.testing.assert_allclose(
        lone.refit(X, Y, 3).log_probabilities(POINTS), logistic().fit(X, Y, 3).log_probabilities(POINTS)
    )


def test_a_mixture_is_the_sum_over_teachers_of_gate_times_answer():
    teachers = [Fixed([[0.9, 0.1]]), Fixed([[0.2, 0.8], [0.5, 0.5]])]  # one member, and two
    found = np.exp(Mixture(teachers, Fixed([[0.75, 0.25]])).log_probabilities(POINTS))
    assert found.shape == (2, 9, 2)
    np.testing.assert_allclose(found[:, 0], [[0.725, 0.275], [0.8, 0.2]])


def test_an_ensemble_is_the_mean_of_its_members_probabilities():
    found = np.exp(Ensemble(Fixed([[0.9, 0.1], [0.5, 0.5]])).log_probabilities(POINTS))
    assert found.shape == (1, 9, 2)
    np.testing.assert_allclose(found[0], np.tile([0.7, 0.3], (9, 1)))


# --- Teachers of a problem ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    return Problem(small_dataset(classes=3, domains=3), SETTINGS)


def test_teachers_are_fitted_to_a_domain_to_all_samples_or_to_the_domains(problem):
    train = problem.train
    for part, rows, y in ((1, train.d == 1, train.y), (POOLED, slice(None), train.y), (GATE, slice(None), train.d)):
        found = np.exp(fit_teacher(problem, logistic, part).log_probabilities(POINTS)[0])
        expected = LogisticRegression(C=0.5).fit(train.x[rows], y[rows]).predict_proba(POINTS)
        np.testing.assert_allclose(found, expected)


def test_the_gated_mixture_has_a_teacher_for_each_domain_and_is_fitted_once(problem):
    mixture = gated_mixture(problem, logistic, logistic)
    gate, *teachers = (np.exp(fit_teacher(problem, logistic, part).log_probabilities(POINTS)[0])
                       for part in (GATE, 0, 1, 2))  # fmt: skip
    expected = sum(gate[:, k, None] * teacher for k, teacher in enumerate(teachers))
    np.testing.assert_allclose(np.exp(mixture.log_probabilities(POINTS)[0]), expected)
    again = gated_mixture(problem, logistic, logistic)
    assert again.teachers == mixture.teachers and again.gate is mixture.gate


class Choosing(SklearnTeacher):
    """Chooses the regularisation by the number of samples, which shows where it chose."""

    def choose(self, x, y):
        return LogisticRegression(C=1 / len(x)).fit(x, y)


def test_choices_of_another_problem_are_kept_and_fitted_to_the_own_samples(problem):
    half = problem.train.take(np.arange(0, 240, 2))
    found = {}
    for chosen_by in (None, problem):
        part = problem.trained_on(half, [0], machines_from=chosen_by)
        found[chosen_by] = np.exp(fit_teacher(part, Choosing, POOLED).log_probabilities(POINTS)[0])
    for chosen_by, samples in ((None, 120), (problem, 240)):
        expected = LogisticRegression(C=1 / samples).fit(half.x, half.y).predict_proba(POINTS)
        np.testing.assert_allclose(found[chosen_by], expected)


def test_network_teachers_learn_their_domain_alone(problem):
    (_, teacher, _) = problem.once(network_teachers.domain_teachers)
    own = problem.trained_on(problem.train.take(problem.domain_rows[1]), problem.seeds)
    steps = network_teachers.teacher_steps(problem, 1)
    alone = own.run(own.plan("alone", (own.labels,), batches=own.shuffled(steps=steps)))
    for ours, theirs in zip(teacher.training.weights, alone.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert teacher.training.updates == 2 * (80 // 32)
    logits = network_teachers.teacher_logits(problem, POINTS)
    assert logits.shape == (3, 2, 9, 3)
    np.testing.assert_array_equal(logits[1], predict(alone.weights, problem.scaled(POINTS)))


def test_a_network_teacher_may_be_refitted_or_cut_to_fewer_seeds(problem):
    (teacher, *_) = problem.once(network_teachers.domain_teachers)
    rows = problem.domain_rows[2]
    refitted = teacher.refit(problem.train.x[rows], problem.train.y[rows], 3)
    assert refitted.steps == teacher.steps
    assert not np.allclose(refitted.log_probabilities(POINTS), teacher.log_probabilities(POINTS))
    few = teacher.first(1)
    np.testing.assert_allclose(few.logits(POINTS), teacher.logits(POINTS)[:1], rtol=1e-5, atol=1e-6)
    assert teacher.logits(POINTS).shape[0] == 2


def test_the_learned_gate_is_the_softmax_of_the_domain_head(problem):
    gate = network_teachers.learned_gate(problem, POINTS)
    heads = predict(two_headed_network(problem).weights, problem.scaled(POINTS)).astype(float)[..., 3:]
    np.testing.assert_allclose(gate, np.exp(heads) / np.exp(heads).sum(axis=2, keepdims=True), rtol=1e-5)
    assert gate.shape == (2, 9, 3)


@pytest.mark.slow
def test_teachers_know_their_own_domain_best():
    """Trained longer: each teacher on each domain; only those of its own domain are well classified."""
    problem = Problem(gaussians.generate(1.0), Settings(seeds=2, epochs=120))
    test = problem.dataset.test
    right = network_teachers.teacher_logits(problem, test.x).argmax(axis=3) == test.y  # (teacher, member, n)
    table = np.array([right[:, :, test.d == k].mean(axis=(1, 2)) for k in range(3)]).T  # (teacher, domain)
    assert np.diag(table).min() > 0.9
    assert table[~np.eye(3, dtype=bool)].max() < 0.75
