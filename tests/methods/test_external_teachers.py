"""Teachers that are answers in a dataset: their students' targets, by hand, and what the teachers reach."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_datasets import arrays, small_dataset

from kdlib.data import from_arrays, gaussians, load, save
from kdlib.data.contract import REQUIRED
from kdlib.methods import METHODS, Problem, external_teachers
from kdlib.settings import Settings
from kdlib.studies.experiment import Experiment

SETTINGS = Settings(seeds=2, epochs=1, hidden=(4,), batch_size=32, temperature=2.0)
NAMES = [name for name, method in METHODS.items() if method.needs_answers]


def made(teachers=2, more=40, logits=False, keys=None):
    """Arrays of two domains, with what teachers say of every split and of unlabelled points."""
    given, rng = arrays(samples=96), np.random.default_rng(3)
    given = {key: given[key] for key in keys or given} | {"x_more": rng.normal(size=(more, 2))}
    for part in ("train", "valid", "test", "more"):
        if f"x_{part}" in given:
            p = rng.dirichlet([1, 1], (teachers, len(given[f"x_{part}"])))
            given[f"t_{part}"] = np.log(p) + 5 if logits else p
    return given


@pytest.fixture
def problem():
    return Problem(from_arrays("taught", made()), SETTINGS)


def softened(p, temperature):
    p = p ** (1 / temperature)
    return p / p.sum(axis=-1, keepdims=True)


def expected(problem, name, p, x, d):
    """The target at points (n, classes) of what teachers say (teacher, n, classes)."""
    match name:
        case "kd_external_routed":
            return p[d, np.arange(len(d))]
        case "kd_external_mean":
            return p.mean(axis=0)
        case "kd_external_weighted":
            weights = np.exp((p * np.log(p)).sum(axis=2))  # exp(-entropy)
            return np.einsum("kn,knc->nc", weights / weights.sum(axis=0), p)
        case "kd_external_gated":
            return np.einsum("nk,knc->nc", external_teachers.domain_gate(problem, x), p)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("logits", [False, True], ids=["probabilities", "logits"])
def test_a_student_learns_labels_and_the_softened_target(name, logits):
    problem = Problem(from_arrays("taught", made(logits=logits)), SETTINGS)
    data, plan = problem.dataset, METHODS[name].define(problem).plan
    as_probabilities = made()
    train = expected(problem, name, as_probabilities["t_train"], data.train.x, data.train.d)
    labels, soft = plan.targets
    np.testing.assert_allclose(labels[:96], np.eye(2)[data.train.y])
    np.testing.assert_allclose(soft[:96], softened(train, 2), rtol=1e-9)
    if name == "kd_external_routed":
        assert len(plan.x) == 96
        return
    more = expected(problem, name, as_probabilities["t_more"], data.more.x, None)
    np.testing.assert_allclose(labels[96:], more, rtol=1e-9)
    np.testing.assert_allclose(soft[96:], softened(more, 2), rtol=1e-9)
    np.testing.assert_array_equal(plan.x, problem.scaled(np.concatenate([data.train.x, data.more.x])))
    assert (plan.batches.updates, set(plan.batches.rows)) == (problem.steps, set(range(136)))


def test_without_a_test_split_each_row_keeps_what_is_said_of_it():
    problem = Problem(from_arrays("taught", made(keys=REQUIRED)), SETTINGS)
    assert len(problem.train) < len(problem.dataset.train)
    answers = external_teachers.teacher_answers(problem, problem.train.x)
    np.testing.assert_allclose(np.exp(answers[:, 0]), problem.train.t, rtol=1e-9)


def test_what_teachers_reach_is_counted_where_they_answer(problem):
    table, data = external_teachers.reached(problem), problem.dataset
    assert list(table.index) == ["Teacher 0", "Teacher 1", "Mean of all"]
    for part, split in data.splits.items():
        right = split.t.argmax(axis=2) == split.y
        np.testing.assert_allclose(table.loc[["Teacher 0", "Teacher 1"], part], right.mean(axis=1))
        own = [right[k, split.d == k].mean() for k in range(2)]
        np.testing.assert_allclose(table.loc[["Teacher 0", "Teacher 1"], f"{part}, own domain"], own)
        mean = split.t.mean(axis=0).argmax(axis=1) == split.y
        assert table.loc["Mean of all", part] == pytest.approx(mean.mean())


def test_a_teacher_says_which_point_it_does_not_know(problem):
    x = problem.dataset.more.x
    teacher, _ = external_teachers.external_teachers(problem)
    np.testing.assert_allclose(np.exp(teacher.log_probabilities(x)), problem.dataset.more.t[:1], rtol=1e-9)
    with pytest.raises(LookupError, match="known for 328 points; point 1 of 2 is not one of them"):
        teacher.log_probabilities(np.stack([x[0], x[1] + 1]))
    assert teacher.fit(x, None, 2) is teacher.refit(x, None, 2) is teacher


def test_the_program_of_the_readme_runs_as_it_stands(tmp_path, monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    save("data/data_d0.5.pkl", gaussians.generate(0.5))
    exec(program, {})
    taught = Problem(load("taught/taught.pkl"), SETTINGS)
    assert not any(METHODS[name].unfit(taught) for name in NAMES) and taught.is_original
    assert (external_teachers.reached(taught).loc["Teacher 0", ["train, own domain", "test, own domain"]] > 0.9).all()


def test_methods_say_why_they_do_not_fit():
    three = Problem(from_arrays("three", made(teachers=3)), SETTINGS)
    fit = {name for name in NAMES if not METHODS[name].unfit(three)}
    assert fit == {"kd_external_mean", "kd_external_weighted"}
    assert METHODS["kd_external_routed"].unfit(three) == "there are 3 teachers, not one for each of 2 domains"
    none = Problem(small_dataset(), SETTINGS)
    assert {METHODS[name].unfit(none) for name in NAMES} == {"the dataset brings no answers of teachers"}
    experiment = Experiment(none.dataset, replace(SETTINGS, epochs=1))
    assert len(experiment.run_section("external teachers")) == 0 and not experiment.left_out
