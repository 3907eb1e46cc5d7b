"""A user's own methods in reports: they travel to workers, stand in the results, and fail alone; with real kernels."""

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from cluster import Cluster
from tiny_notebooks import dataset, notebook, templates

from kdlib.report import manifest

pytestmark = pytest.mark.slow

RUN = """from kdlib import display
from kdlib.data import load
from kdlib.settings import Settings
from kdlib.studies.experiment import Experiment
settings = Settings(seeds=2, epochs=2, hidden=(4,), batch_size=8)
experiment = Experiment(load(dataset), settings, display.progress(output))
_ = experiment.run_all("ffnn")
_ = experiment.run_section("more methods")
_ = experiment.write(output)"""
MINE = '''"""A file of methods."""

from kdlib.methods import Problem, Student, method


@method("Mine")
def mine(problem: Problem) -> Student:
    """Half of each label."""
    if problem.dataset.name == "raises":
        raise ValueError("no")
    while problem.dataset.name == "loops":
        pass
    if problem.dataset.name == "returns":
        return 1
    return Student(problem.plan("mine", (problem.labels / 2,)))
'''


def loss_of_own(text):
    """A file whose method trains with a loss of its own."""
    imports = "import tensorflow as tf\n\nfrom kdlib.methods"
    loss = "def loss(outputs, targets, settings):\n    return tf.reduce_mean(outputs**2, axis=(1, 2))\n\n\n@method("
    return text.replace("from kdlib.methods", imports).replace("@method(", loss).replace("/ 2,)", ",), loss")


class Report:
    """A report on the datasets a and b by a template that runs methods of one's own; and a study that does not."""

    def __init__(self, folder):
        self.folder = folder
        templates(folder / "notebooks")
        template = json.loads(notebook(RUN, checksums=""))
        template["cells"][-1]["metadata"]["tags"] = ["methods"]
        (folder / "notebooks" / "experiment.ipynb").write_text(json.dumps(template))
        (folder / "notebooks" / "study").mkdir()
        (folder / "notebooks" / "study" / "other.ipynb").write_bytes(notebook("1"))
        for number, name in enumerate("ab"):
            dataset(folder / "data" / f"{name}.pkl", number)

    def run(self, out, *arguments, methods="mine.py"):
        command = [sys.executable, "-W", "error", "-m", "kdlib.report", "run", "--epochs=1", *arguments]
        command += [f"--{name}={self.folder / name}" for name in ("data", "notebooks")]
        command += [f"--out={self.folder / out}", f"--methods={self.folder / methods}"]
        environment = os.environ | {"KDLIB_CACHE": str(self.folder / "cache")}
        return subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)

    def results(self, out):
        return {path.parent.name: path.read_bytes() for path in (self.folder / out).glob("?/results.csv")}

    def manifest(self, out, name="a"):
        return json.loads((self.folder / out / name / "manifest.json").read_text())


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    report = Report(tmp_path_factory.mktemp("own"))
    (report.folder / "mine.py").write_text(MINE)
    done = report.run("out", "--study")
    assert done.returncode == 0, done.stderr
    return report


def test_they_stand_in_results_and_provenance(report):
    for name in "ab":
        assert set(pd.read_csv(report.folder / "out" / name / "results.csv")["method"]) == {"ffnn", "mine"}
    assert report.manifest("out")["hashes"]["methods"] == manifest.digest(MINE.encode())
    assert "methods" not in report.manifest("out", "a/other")["hashes"]
    page = (report.folder / "out/a/report.html").read_text()
    assert manifest.digest(MINE.encode()) in page and "--methods=mine.py" in page
    assert report.run("out", "--study").stdout.startswith("nothing is due")


def test_a_cluster_gives_the_same(report, tmp_path):
    with Cluster(tmp_path / "c", workers=2) as cluster:
        done = report.run("remote", f"--scheduler={cluster.file}")
        assert done.returncode == 0, done.stderr + cluster.logs()
    assert len(report.results("remote")) == 2 and report.results("remote") == report.results("out")


def test_one_that_goes_wrong_on_a_dataset_is_one_line_and_the_others_are_done(report):
    expected = {
        "raises": r"failed: cell \d \(Work\): MethodsError: mine.py, line 10: ValueError: no",
        "returns": r"failed: cell \d \(Work\): MethodsError: mine.py, line 6: mine: expected a Student or a Trained, "
                   "got int",
        "loops": r"timeout: cell \d .*: not done after 30 seconds",
    }  # fmt: skip
    paths = [report.folder / "data" / f"{name}.pkl" for name in expected]
    for path in paths:
        dataset(path)
    try:
        done = report.run("out", "--timeout=30")
    finally:
        for path in paths:
            path.unlink()
    lines = dict(line.split(": ", 1) for line in done.stderr.splitlines())
    assert done.returncode == 1 and lines.keys() == expected.keys(), done.stderr
    assert all(re.fullmatch(expected[name], line) for name, line in lines.items()), done.stderr
    assert report.results("out").keys() == {"a", "b"}
    assert all(report.manifest("out", name)["status"] == "ok" for name in "ab")


def test_a_mistake_in_the_file_is_one_line_before_any_run(report):
    (report.folder / "wrong.py").write_text("import nowhere")
    done = report.run("wrong", methods="wrong.py")
    assert (done.returncode, done.stderr) == (
        2, "error: wrong.py, line 1: ModuleNotFoundError: No module named 'nowhere'\n",
    )  # fmt: skip
    assert not list((report.folder / "wrong").iterdir())


def test_a_change_runs_again_what_it_touches_and_nothing_else(report):
    (report.folder / "mine.py").write_text(loss_of_own(MINE))
    done = report.run("out", "--study")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if ": due" in line] == [
        "a: due, methods changed", "b: due, methods changed", "summary: due, runs changed",
    ]  # fmt: skip
    trainings = report.manifest("out")["trainings"]
    assert (trainings["trained"], list(trainings["reused"])) == ({"mine": 1}, ["ffnn"])
