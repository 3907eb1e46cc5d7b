"""Students: Hinton's loss on the training points, and the points at which teachers are asked."""

import keras
import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.methods import Problem, students
from kdlib.settings import Settings
from kdlib.training.networks import predict

SETTINGS = Settings(seeds=2, epochs=2, hidden=(4,), temperature=3.0, alpha=0.25)


@pytest.fixture
def problem(monkeypatch):
    monkeypatch.setattr(students, "MAX_QUERIES", 240 * 50)
    return Problem(small_dataset(features=3, classes=4, domains=3), SETTINGS)


def teacher_logits(x, d=None):
    """(member, n, classes)."""
    return np.sin(np.einsum("nf,mfc->mnc", x, np.random.default_rng(1).normal(size=(2, 3, 4))))


def test_distil_plans_the_loss_of_keras_distillation(problem):
    plan = students.distil(problem, "test", teacher_logits).plan
    logits = predict(plan.weights, plan.x)
    ours = plan.loss(logits, [np.broadcast_to(np.float32(t), (2, 240, 4)) for t in plan.targets],
                     {name: np.full(2, value, np.float32) for name, value in plan.settings.items()})  # fmt: skip
    hard = keras.losses.CategoricalCrossentropy(from_logits=True)
    soft = keras.distillation.LogitsDistillation(3.0, keras.losses.KLDivergence())
    teacher = teacher_logits(problem.train.x)
    for i in range(2):
        expected = 0.25 * hard(problem.labels, logits[i]) + 0.75 * soft.compute_loss(teacher[i], logits[i])
        assert float(ours[i]) == pytest.approx(float(expected), rel=1e-4)


def test_agreement_is_measured_where_the_target_has_a_value_at_any_point(problem):
    assert students.distil(problem, "test", teacher_logits).target is teacher_logits
    assert students.distil(problem, "test", teacher_logits, agreement=False).target is None


def test_queries_are_the_points_and_noisy_copies_in_proportion_to_each_domains_spread(problem):
    x, origin = students.queries(problem, copies=40)
    train = problem.train
    np.testing.assert_array_equal(x[:240], train.x)
    np.testing.assert_array_equal(origin, np.tile(np.arange(240), 40))
    noise = (x - train.x[origin])[240:]
    for k in range(3):
        own = noise[train.d[origin[240:]] == k]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.02 * own.std(axis=0).max() * 3)
        np.testing.assert_allclose(own.std(axis=0), students.NOISE * train.x[train.d == k].std(axis=0), rtol=0.05)
    np.testing.assert_array_equal(x, students.queries(problem, copies=40)[0])


def test_queries_are_no_more_than_are_allowed_but_at_least_the_points(problem, monkeypatch):
    assert len(students.queries(problem)[0]) == 240 * 50
    monkeypatch.setattr(students, "MAX_QUERIES", 10)
    np.testing.assert_array_equal(students.queries(problem)[0], problem.train.x)


class Linear:
    def log_probabilities(self, x):
        logits = teacher_logits(x)
        return logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)


def test_a_student_of_queries_learns_the_answers_alone(problem):
    student = students.distil_on_queries(problem, "test", Linear(), copies=5)
    x, _ = students.queries(problem, copies=5)
    np.testing.assert_array_equal(student.plan.x, problem.scaled(x))
    np.testing.assert_allclose(student.plan.targets[0], np.exp(Linear().log_probabilities(x)))
    assert len(student.plan.targets) == 1, "no label is among the targets"
    assert student.queries == 4 * 240
    assert student.plan.batches.updates == problem.steps * SETTINGS.epochs
    trained = student.trained(problem, problem.run(student.plan))
    np.testing.assert_array_equal(trained.target(x[:5], None), Linear().log_probabilities(x[:5]))


def test_with_part_of_the_samples_teachers_are_asked_about_all_points_but_labels_are_copied_from_the_part(problem):
    part = problem.trained_on(problem.train.take(np.arange(60)), [0])
    assert len(students.distil_on_queries(part, "test", Linear(), copies=2).plan.x) == 2 * 240
    x, origin = students.copied_points(part)
    np.testing.assert_array_equal(x[:60], part.x)
    assert set(origin) == set(range(60))
    whole, _ = students.copied_points(problem)
    np.testing.assert_array_equal(whole[:240], problem.x)
