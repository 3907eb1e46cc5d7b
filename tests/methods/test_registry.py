"""The registry: what is said of a method is whole, and what a definition returns is read as it says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.evaluation import results
from kdlib.methods import METHODS, Problem, Role, Student, Trained, method, registry
from kdlib.settings import Settings

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_every_method_has_a_title_of_its_own_and_a_description():
    titles = [each.title for each in METHODS.values()]
    assert len(set(titles)) == len(titles)
    for name, each in METHODS.items():
        assert each.name == name == each.define.__name__
        assert isinstance(each.role, Role)
        assert each.description.endswith((".", "?")) and each.description[0].isupper()


def test_a_control_names_the_student_that_has_what_it_lacks():
    for each in METHODS.values():
        assert bool(each.control_of) == bool(each.isolates)
        if each.control_of:
            assert METHODS[each.control_of].role == Role.STUDENT


def test_a_student_names_its_teacher_which_is_a_method_too():
    for each in METHODS.values():
        if each.teacher:
            assert METHODS[each.teacher].role in (Role.TEACHER, Role.CONTROL, Role.BOUND)
            assert each.role in (Role.STUDENT, Role.CONTROL, Role.BOUND)


def test_every_section_is_run_by_a_notebook():
    cells = [
        "".join(cell["source"])
        for path in sorted(NOTEBOOKS.rglob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    run = set(re.findall(r'run_section\("([^"]+)"\)', "\n".join(cells)))
    sections = {each.section for name, each in METHODS.items() if name != results.BAYES}  # every experiment runs it
    assert sections <= run


def test_other_modules_name_methods_that_exist():
    assert METHODS[results.BAYES].role == Role.BOUND
    assert set(results.RENAMED.values()) <= set(METHODS)
    assert not set(results.RENAMED) & set(METHODS)


@pytest.fixture
def problem():
    return Problem(small_dataset(classes=3), Settings(seeds=2, epochs=1, hidden=(4,)))


@pytest.fixture
def methods(monkeypatch):
    """A registry for the methods of one test."""
    monkeypatch.setattr(registry, "METHODS", {})
    return registry.METHODS


def test_what_a_registration_does_not_say_is_a_student_of_the_default_section(methods):
    @method("A title")
    def some_student(problem):
        """What it is. And more.

        Details.
        """

    (entered,) = methods.values()
    assert (entered.name, entered.title, entered.description) == ("some_student", "A title", "What it is. And more.")
    assert (entered.role, entered.section, entered.in_summary) == ("student", "more methods", False)


def test_an_unknown_role_is_refused(methods):
    with pytest.raises(ValueError, match="'pupil' is not a valid Role"):
        method("A title", role="pupil")(lambda problem: None)


def test_a_student_is_trained_as_planned_and_read_as_it_says(methods, problem):
    def inputs(x, d):
        return problem.scaled(x)[:, ::-1]

    @method("A title")
    def some_student(problem):
        """Some student."""
        plan = problem.plan("some_student", (problem.labels,), x=problem.x[:, ::-1].copy())
        plans.append(plan)
        return Student(plan, teacher_updates=5, queries=7, inputs=inputs, activation="sigmoid")

    plans = []
    trained = methods["some_student"].train(problem)
    (fit,) = trained.fits.values()
    assert fit is problem.run(plans[0])
    assert (trained.updates, trained.teacher_updates, trained.queries) == (fit.updates, 5, 7)
    x = problem.select.x
    hidden = np.maximum(np.einsum("nf,mfh->mnh", inputs(x, None), fit.weights[0]) + fit.weights[1], 0)
    outputs = np.einsum("mnh,mho->mno", hidden, fit.weights[2]) + fit.weights[3]
    p = 1 / (1 + np.exp(-outputs))
    np.testing.assert_allclose(
        trained.log_probabilities(x), np.log(p / p.sum(axis=2, keepdims=True)), rtol=1e-4, atol=1e-4
    )


def test_what_needs_no_training_is_returned_as_it_is(methods, problem):
    known = Trained(lambda x, d=None: np.log(np.full((1, len(x), 2), 0.5)))

    @method("A title", role="bound")
    def some_bound(problem):
        """Some bound."""
        return known

    assert methods["some_bound"].train(problem) is known
