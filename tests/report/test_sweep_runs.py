"""Sweeps: what a file asks for or is refused for, which points run, and which run again."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
from tiny_notebooks import dataset, templates

from kdlib.methods.registry import METHODS
from kdlib.report import grid
from kdlib.report.__main__ import main
from kdlib.report.request import find_datasets

pytestmark = pytest.mark.slow


def points(tmp_path, text, **given):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return grid.read_grid(path, given).points()


def test_every_combination_is_a_point_with_a_name_that_says_which(tmp_path):
    found = points(
        tmp_path,
        "hidden: [[64, 32], [8]]\nlearning_rate: [1e-3, 0.01]\ntemperature: [4.0]\nepochs: 5\nmethods: ffnn\n",
        seeds=2,
    )
    assert list(found) == [
        "hidden=64-32,learning_rate=0.001,temperature=4", "hidden=64-32,learning_rate=0.01,temperature=4",
        "hidden=8,learning_rate=0.001,temperature=4", "hidden=8,learning_rate=0.01,temperature=4",
    ]  # fmt: skip
    assert found["hidden=8,learning_rate=0.001,temperature=4"] == {
        "seeds": 2, "epochs": 5, "hidden": [8], "batch_size": 32, "learning_rate": 0.001, "temperature": 4.0,
        "alpha": 0.5, "fraction": 1.0, "methods": ["ffnn"],
    }  # fmt: skip
    close = points(tmp_path, "alpha: [0.1234567, 0.12345671]\nhidden: [16, 8]\n")
    assert list(close) == ["alpha=0.1234567", "alpha=0.12345671"]
    assert all(
        point["hidden"] == [16, 8] and point["methods"] == list(grid.DEFAULT_METHODS) for point in close.values()
    )
    assert list(points(tmp_path, "fraction: [0.1, 1]")) == ["fraction=0.1", "fraction=1"]


BOMB = "a: &a [x, x, x]\n" + "\n".join(f"{b}: &{b} [*{a}, *{a}, *{a}]" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "expected settings with values, as temperature: [1, 4], got nothing"),
        ("- 1\n- 2", "expected settings with values, as temperature: [1, 4], got a list"),
        ("a: [1", "line 1: expected ',' or ']', but got '<stream end>'"),
        ("temprature: [1]", "unknown setting temprature; a sweep may hold seeds, epochs, hidden, batch_size,"),
        ("1: [1]", "unknown setting 1; "),
        ("epochs: 5", "expected a list of values of at least one setting, as temperature: [1, 4], got none"),
        ("alpha: []", "alpha: expected at least one value, got an empty list"),
        ("hidden: []", "hidden: expected at least one value, got an empty list"),
        ("alpha: [0, 2]", "alpha: expected a number of at least 0 and at most 1, got 2"),
        ("alpha: [.nan]", "alpha: expected a number of at least 0 and at most 1, got nan"),
        ("alpha: [true]", "alpha: expected a number of at least 0 and at most 1, got True"),
        ("alpha: [[0.5]]", "alpha: expected a number of at least 0 and at most 1, got [0.5]"),
        ("alpha: [0.5]\nepochs: ten", "epochs: expected a whole number of at least 1, got 'ten'"),
        ("seeds: [1.5]", "seeds: expected a whole number of at least 1, got 1.5"),
        ("hidden: [[64], 32]", "hidden: expected a list of layer widths such as [64, 32], got 32"),
        ("hidden: [[64, 0]]", "hidden: expected a whole number of at least 1, got 0"),
        ("fraction: [0, 1]", "fraction: expected a number above 0 and at most 1, got 0"),
        ("fraction: [{a: 1}]", "fraction: expected a number above 0 and at most 1, got {'a': 1}"),
        ("alpha: [1, 0.5, 1.0]", "alpha: expected different values, got 1 twice"),
        ("hidden: [[8], [8]]", "hidden: expected different values, got 8 twice"),
        ("alpha: [0]\nalpha: [1]", "line 2: alpha a second time"),
        ("alpha: [1]\nmethods: [ffnn, kd_worst]", "methods: there is no kd_worst; there are bayes, bayes_taught,"),
        ("alpha: [1]\nmethods: [[ffnn]]", "methods: expected a list of names, got [['ffnn']]"),
        ("alpha: [1]\nmethods: [ffnn, ffnn]", "methods: expected different values, got ffnn twice"),
        ("alpha: [1]\nmethods: []", "methods: expected a list of names, got []"),
        ("alpha: [1]\ndatasets: 3", "datasets: expected a list of names, got 3"),
        ("alpha: [1]\ndatasets: [nowhere]", "datasets: there is no nowhere; there are a"),
        (f"epochs: [{', '.join(map(str, range(1, 41)))}]\nseeds: [{', '.join(map(str, range(1, 41)))}]",
         "expected at most 1000 points for each dataset, got 1600: 40 of seeds x 40 of epochs"),
        (f"hidden: [[{'9, ' * 99}9]]", "a point's folder would have a name of 206 characters; expected at most 200"),
        (BOMB, "line 2: an alias, where plain values are expected"),
        ("alpha: !!python/object/apply:os.system [touch pwned]", "line 1: could not determine a constructor for"),
        ("alpha: " + "[" * 5000, "lists too deep"),
        ("alpha: [2020-13-45]", "month must be in 1..12"),
        ("\x00", "unacceptable character #x0000: special characters are not allowed"),
        ("a" * 200_000, "expected at most 100000 bytes"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_one_line_and_nothing_runs(capsys, tmp_path, monkeypatch, text, line):
    monkeypatch.chdir(tmp_path)
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    (tmp_path / "sweep.yaml").write_text(text)
    status = main(["sweep", "sweep.yaml", "--notebooks=notebooks"])
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.startswith(
        f"error: {line}" if line.startswith("datasets: there") else f"error: sweep.yaml: {line}"
    )
    assert printed.err.count("\n") == 1 and len(printed.err) < 800
    assert not (tmp_path / "reports").exists() and not (tmp_path / "pwned").exists()


def test_other_mistakes(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text("epochs: [1, 2]")
    for arguments, line in (
        (["nowhere.yaml"], "sweep: expected a YAML file, got 'nowhere.yaml': No such file or directory"),
        (["."], "sweep: expected a YAML file, got '.': Is a directory"),
        (["sweep.yaml", "--epochs=3"], "sweep.yaml: epochs: swept here and also given on the command line; leave one"),
        (["sweep.yaml", "--seeds=no"], "seeds: expected a whole number of at least 1, got 'no'"),
    ):
        assert main(["sweep", *arguments]) == 2
        assert capsys.readouterr().err.startswith(f"error: {line}")


def test_the_methods_that_a_file_may_name_are_those_of_the_registry():
    import kdlib.studies.experiment  # noqa: F401  its methods register

    assert set(grid.method_names()) == METHODS.keys()
    assert set(grid.DEFAULT_METHODS) <= METHODS.keys()


def test_method_names_are_read_however_the_decorator_is_written(tmp_path, monkeypatch):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "some.py").write_text(
        "@method('A')\ndef one(p): ...\n"
        "@registry.method(\n    'B',  # as a call over several lines\n    role='student',\n)\ndef two(p): ...\n"
        "@cache\n@method('C, (c)')\ndef three(p): ...\n"
        "@other('D')\ndef four(p): ...\n"
        "def method(title): ...\n"
    )
    monkeypatch.setattr(grid, "PACKAGE", tmp_path)
    assert grid.method_names() == ["one", "two", "three"]


def command(*arguments):
    here = ["sweep", "sweep.yaml", "--data=data", "--out=out", "--notebooks=notebooks", "--jobs=2"]
    return [sys.executable, "-u", "-W", "error", "-m", "kdlib.report", *here, *arguments]


def sweep(folder, text):
    """Runs a sweep; the run, the points that were due, and every point's status by name."""
    (folder / "sweep.yaml").write_text(text)
    done = subprocess.run(command(), cwd=folder, capture_output=True, text=True, timeout=200)
    due = [line.partition(": due")[0] for line in done.stdout.splitlines() if ": due" in line]
    return done, due, statuses(folder)


def statuses(folder):
    manifests = {str(path.parent.relative_to(folder / "out")): path for path in folder.glob("out/*/*/manifest.json")}
    return {name: json.loads(path.read_text())["status"] for name, path in manifests.items()}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A folder with a sweep of which one point ended before Ctrl-C."""
    folder = tmp_path_factory.mktemp("swept")
    templates(folder / "notebooks")
    dataset(folder / "data" / "two words.pkl")
    (folder / "sweep.yaml").write_text("temperature: [2, 60]\nseeds: 1\n")
    with subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for line in process.stdout:
            if line.startswith("two words/temperature=2: ok"):
                break
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=20)[1].startswith("error: interrupted")
    assert statuses(folder) == {"two words/temperature=2": "ok"}
    return folder


@pytest.fixture(scope="module")
def resumed(interrupted):
    """The same folder with another grid, of which one value fails, and one more dataset, which is invalid."""
    (interrupted / "data" / "broken.pkl").write_bytes(b"no pickle")
    return interrupted, *sweep(interrupted, "temperature: [2, 13]\nseeds: 1\n")


def test_points_that_ended_are_not_run_again_and_one_failure_affects_no_other(resumed):
    folder, done, due, found = resumed
    failed, *broken = [f"{name}/temperature={t}" for name, t in (("two words", 13), ("broken", 2), ("broken", 13))]
    assert due == [*broken, failed, "summary"]
    assert found == {"two words/temperature=2": "ok", failed: "failed"} | dict.fromkeys(broken, "invalid")
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stderr.count("\n") == 3
    assert f"{failed}: failed: cell 5 (Work): ValueError: an unlucky temperature" in done.stderr
    good = folder / "out" / "two words" / "temperature=2"
    assert sorted(path.name for path in good.iterdir()) == ["manifest.json", "notebook.ipynb", "results.csv"]
    index = (folder / "out" / "index.html").read_text()
    assert "two words/temperature=2 ok  [&#39;manifest.json&#39;, &#39;results.csv&#39;]" in index
    assert "an unlucky temperature" in index and "broken/temperature=2 invalid" in index


def test_one_more_value_runs_its_points_and_then_nothing_is_due(resumed):
    folder, *_ = resumed
    (folder / "data" / "broken.pkl").unlink()
    grown = "temperature: [3, 2]\nseeds: 1\n"
    done, due, _ = sweep(folder, grown)
    assert (done.returncode, due) == (0, ["two words/temperature=3", "summary"])
    assert "temperature=13" not in (folder / "out" / "index.html").read_text()  # kept, but not a part of this sweep
    done, due, _ = sweep(folder, grown)
    assert done.stdout.splitlines() == ["nothing is due; up to date: 2 runs and the summary", "out/index.html"]


def test_a_dataset_cannot_have_the_name_of_the_sweeps_folder(tmp_path):
    dataset(tmp_path / "sweep.pkl")
    assert find_datasets(tmp_path)[1].keys() == {"sweep.pkl"}
