"""Methods of a user's own: what a file enters, and one line for every mistake in it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.methods import METHODS, Problem, network_teachers, own, registry, targets
from kdlib.settings import Settings
from kdlib.training import keys

EXAMPLE = Path(__file__).resolve().parents[2] / "notebooks" / "methods.py"
HEAD = "import numpy as np\nfrom kdlib.methods import Student, Trained, method\n"
DEFINITION = '@method("Mine")\ndef mine(problem):\n    """Mine."""\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a file of some lines into a registry of its own; returns it."""

    def load(text: str):
        path = tmp_path / "mine.py"
        path.write_text(text)
        methods = dict(METHODS)
        for module in (registry, own):
            monkeypatch.setattr(module, "METHODS", methods)
        monkeypatch.setitem(sys.modules, own.MODULE, None)
        own.load(path)
        return methods

    return load


@pytest.fixture
def problem():
    return Problem(small_dataset(samples=64), Settings(seeds=2, epochs=1, hidden=(4,), batch_size=32))


def test_the_example_is_short_and_its_target_is_the_weighted_product(load, problem):
    text = EXAMPLE.read_text()
    assert sum(bool(line.strip()) for line in text.partition('"""\n\n')[2].splitlines()) <= 20
    method = load(text)["kd_product"]
    assert (method.section, method.in_summary, method.role) == ("more methods", True, "student")
    trained, x = method.train(problem), problem.select.x
    assert trained.updates == METHODS["ffnn"].train(problem).updates
    teachers = METHODS["kd_mean"].define(problem)  # whose teachers are the same
    assert trained.teacher_updates == teachers.teacher_updates
    p = np.exp(trained.target(x, None))
    each = targets.soften(network_teachers.teacher_logits(problem, x).astype(float), 1.0)
    gate = network_teachers.learned_gate(problem, x)
    product = np.prod([each[k] ** gate[..., k, None] for k in range(problem.domains)], axis=0)
    np.testing.assert_allclose(p, product / product.sum(axis=2, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def f(:\n", "mine.py, line 1: SyntaxError: invalid syntax"),
        ("import os\nos.nothing\n", "mine.py, line 2: AttributeError: module 'os' has no attribute 'nothing'"),
        ("import nowhere\n", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("\n\nraise ValueError\n", "mine.py, line 3: ValueError"),
        ("x = 1\n", "mine.py: expected a function under @method, got none; CONTRIBUTING.md shows one"),
        (HEAD + '@method("Mine", rol="student")\ndef mine(problem):\n    """Mine."""\n',
         "mine.py, line 3: TypeError: Method.__init__() got an unexpected keyword argument 'rol'"),
        (HEAD + '@method("Mine", role="pupil")\ndef mine(problem):\n    """Mine."""\n',
         "mine.py, line 3: ValueError: 'pupil' is not a valid Role"),
        (HEAD + '@method("Mine")\ndef mine(problem):\n    pass\n',
         "mine.py, line 3: mine: expected a docstring, whose first line says what the method is; got none"),
        (HEAD + '@method("Mine")\ndef kd_routed(problem):\n    """Mine."""\n',
         "mine.py, line 3: kd_routed: there is another method of this name or title; choose another one"),
        (HEAD + '@method("FFNN")\ndef mine(problem):\n    """Mine."""\n',
         "mine.py, line 3: mine: there is another method of this name or title; choose another one"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_one_line(load, text, line):
    with pytest.raises(own.MethodsError) as error:
        load(text)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return None", "mine.py, line 3: mine: expected a Student or a Trained, got NoneType"),
        ("x = 1\n    return 1 / (x - 1)", "mine.py, line 7: ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')", "mine.py, line 6: ValueError: two lines"),
        (
            "return Student(problem.plan('mine', (problem.labels[:, :1],)))",
            "mine.py, line 6: ValueError: mine: expected targets of 2 columns, as there are outputs, got [1]",
        ),
        (
            "return Student(problem.plan('mine', (problem.labels[:-1],)))",
            "mine.py, line 6: ValueError: mine: expected targets of 64 points, as x has, got 63",
        ),
    ],
)
def test_a_mistake_in_a_method_is_one_line(load, problem, body, line):
    method = load(f"{HEAD}{DEFINITION}    {body}\n")["mine"]
    with pytest.raises(own.MethodsError) as error:
        method.train(problem)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("np.zeros((3, 2))", "line 3: mine: expected log-probabilities of shape (1 or 2, 5, 2): member, point, class; "
                             "got (3, 2)"),
        ("np.zeros((3, len(x), 2))", "line 3: mine: expected log-probabilities of shape (1 or 2, 5, 2)"),
        ("np.full((2, len(x), 2), np.nan)", "line 3: mine: expected the logarithms of probabilities, which sum to one; "
                                            "got probabilities that sum to nan at point 0"),
        ("np.full((2, len(x), 2), 0.5)", "line 3: mine: expected the logarithms of probabilities, which sum to one; "
                                         "got probabilities that sum to 3.297 at point 0"),
        ("[['a']]", "line 3: ValueError: could not convert string to float: 'a'"),
        ("x[99]", "line 6: IndexError: index 99 is out of bounds for axis 0 with size 5"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_one_line(load, problem, answer, line):
    method = load(f"{HEAD}{DEFINITION}    return Trained(lambda x, d=None: {answer})\n")["mine"]
    with pytest.raises(own.MethodsError) as error:
        method.train(problem).log_probabilities(np.zeros((5, 2)))
    assert str(error.value).startswith(f"mine.py, {line}") and "\n" not in str(error.value)


def test_the_cache_knows_the_code_of_the_file(load):
    def key(result):
        keys._source.cache_clear()  # in a report, a process loads one file
        load(f"{HEAD}{DEFINITION}    return 1\n\ndef loss(outputs, targets):\n    return {result}\n")
        return keys.digest(sys.modules[own.MODULE].loss)

    assert key("outputs") is not None
    assert key("outputs") == key("outputs") != key("targets")
