"""Kernel machines: the choice is that of one search by scikit-learn over all of them, and a refit keeps it."""

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from small_datasets import small_dataset

from kdlib.methods import METHODS, Problem, kernel_teachers, students
from kdlib.methods.kernel_teachers import KernelMachine, kernel_mixture_of, undistilled
from kdlib.settings import Settings

RNG = np.random.default_rng(3)
X = RNG.normal(size=(150, 2))
LABELS = {
    "quadratic": (np.linalg.norm(X, axis=1) > 1.2).astype(int),
    "nystroem": (np.sin(3 * X[:, 0]) > 0).astype(int),
}
POINTS = RNG.normal(size=(50, 2))


@pytest.fixture(scope="module", params=LABELS)
def machine(request):
    return request.param, LABELS[request.param], KernelMachine().fit(X, LABELS[request.param], 2)


@pytest.mark.slow
def test_the_choice_is_that_of_one_search_over_both_kinds_of_machine(machine):
    kind, y, teacher = machine
    steps = [("scale", StandardScaler()), ("features", None), ("rescale", None), ("classify", None)]
    penalties = [LogisticRegression(C=10.0**power, max_iter=2000) for power in range(-1, 6)]
    nystroem = [Nystroem(gamma=gamma / 2, random_state=0, n_components=75) for gamma in (0.1, 0.3, 1.0)]
    both = [
        {"features": [PolynomialFeatures(2, include_bias=False)], "rescale": [StandardScaler()], "classify": penalties},
        {"features": nystroem, "rescale": ["passthrough"], "classify": penalties[1:5]},
    ]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(Pipeline(steps), both, scoring="neg_log_loss", cv=folds).fit(X, y)
    np.testing.assert_allclose(
        np.exp(teacher.log_probabilities(POINTS)[0]), search.predict_proba(POINTS), rtol=1e-6, atol=1e-9
    )
    assert (type(search.best_params_["features"]) is Nystroem) == (kind == "nystroem")
    right = (teacher.log_probabilities(X)[0].argmax(axis=1) == y).mean()
    assert right > 0.9


@pytest.mark.slow
def test_a_refit_keeps_the_choice(machine):
    _, y, teacher = machine
    same, other = teacher.refit(X, y, 2), teacher.refit(X + 0.5, 1 - y, 2)
    np.testing.assert_allclose(same.log_probabilities(POINTS), teacher.log_probabilities(POINTS))
    chosen, kept = (str(each.fitted.get_params()["logisticregression"]) for each in (teacher, other))
    assert chosen == kept
    assert [name for name, _ in other.fitted.steps] == [name for name, _ in teacher.fitted.steps]
    assert np.abs(np.exp(other.log_probabilities(POINTS)) - np.exp(teacher.log_probabilities(POINTS))).max() > 0.1


@pytest.mark.slow
def test_a_refit_of_a_lone_class_chooses_when_there_are_two():
    y = LABELS["quadratic"]
    again = KernelMachine().fit(X, np.zeros(150, int), 2).refit(X, y, 2)
    expected = KernelMachine().fit(X, y, 2)
    np.testing.assert_allclose(again.log_probabilities(POINTS), expected.log_probabilities(POINTS))


def test_of_many_features_there_are_no_squares():
    x = RNG.normal(size=(60, kernel_teachers.MAX_QUADRATIC + 1))
    teacher = KernelMachine().fit(x, (x[:, 0] > 0).astype(int), 2)
    assert "nystroem" in teacher.fitted.named_steps


def test_a_class_of_one_sample_leaves_nothing_to_choose_by():
    y = np.zeros(150, int)
    y[7] = 1
    teacher = KernelMachine().fit(X, y, 2)
    assert "polynomialfeatures" in teacher.fitted.named_steps
    assert teacher.fitted.named_steps["logisticregression"].C == 1


@pytest.fixture
def problem(monkeypatch):
    """A quick search, on a domain that lacks a class."""
    monkeypatch.setattr(kernel_teachers, "FOLDS", 2)
    monkeypatch.setattr(kernel_teachers, "CENTRES", 10)
    monkeypatch.setattr(students, "MAX_QUERIES", 480)
    dataset = small_dataset(classes=2, domains=2)
    dataset.train.y.setflags(write=True)
    dataset.train.y[dataset.train.d == 1] = 0
    return Problem(dataset, Settings(seeds=2, epochs=1, hidden=(4,)))


@pytest.mark.slow
def test_the_student_imitates_the_gated_mixture_also_where_a_domain_lacks_a_class(problem):
    mixture, student = kernel_mixture_of(problem), METHODS["kd_kernel_teachers"].train(problem)
    x = problem.report.x
    expected = mixture.log_probabilities(x)
    np.testing.assert_array_equal(student.target(x, None), expected)
    found = undistilled(problem, mixture).log_probabilities(x)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-30)


@pytest.mark.slow
def test_the_machine_on_all_domains_is_fitted_to_all_samples(problem):
    train, x = problem.train, problem.report.x
    expected = KernelMachine().fit(train.x, train.y, 2).log_probabilities(x)
    np.testing.assert_allclose(METHODS["kernel_direct"].train(problem).log_probabilities(x), expected)
    np.testing.assert_allclose(METHODS["kd_kernel_direct"].train(problem).target(x, None), expected)
