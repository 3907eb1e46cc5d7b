"""What is due, what is published, and what a failure leaves untouched; with real workers and kernels."""

import hashlib
import json
import os
import shutil
import sys
from contextlib import nullcontext
from urllib.parse import quote

import pytest
from tiny_notebooks import dataset, files, templates

from kdlib.report import dependencies, manifest, navigation, pipeline, plan, publish
from kdlib.report.cluster import queue
from kdlib.report.request import Request, find_datasets
from kdlib.settings import Settings

pytestmark = pytest.mark.slow

ODD = "-a 'b' {0}: $(touch kd) & .."  #: a name that a shell, an option parser or papermill might misread


class Recorder:
    """A display that records its lines."""

    def __init__(self):
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def log(self, text):
        self.lines.append(text)

    def running(self, expected):
        return nullcontext()

    def update(self, event):
        pass

    def finish(self, name, status, reason, seconds):
        self.lines.append(f"{name}: {status}")


def report(folder, seeds=1, jobs=2):
    """Brings a report up to date; returns the problems, and the lines that were displayed."""
    settings = Settings(seeds=seeds, epochs=1)
    request = Request(folder / "data", folder / "out", folder / "notebooks", settings, jobs=jobs)
    display = Recorder()
    problems = pipeline.update_report(request, lambda: display)
    return problems, display.lines


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A first run: two good datasets, one whose notebook fails, and four kinds of files that are no datasets."""
    folder = tmp_path_factory.mktemp("first")
    templates(folder / "notebooks")
    for number, name in enumerate([ODD, "True", "crash"]):
        dataset(folder / "data" / f"{name}.pkl", number)
    (folder / "data" / "broken.pkl").write_bytes(b"no pickle")
    os.mkfifo(folder / "data" / "fifo.pkl")
    (folder / "data" / "gone.pkl").symlink_to("nowhere")
    dataset(folder / "data" / "index.pkl")
    problems, lines = report(folder)
    return folder, problems, lines


def test_each_dataset_gets_its_own_status_and_one_failure_stops_no_other(first):
    folder, problems, lines = first
    out = folder / "out"
    assert {p.name: json.loads((p / manifest.FILE).read_text())["status"] for p in out.iterdir() if p.is_dir()} == {
        ODD: "ok", "True": "ok", "crash": "failed",
        "broken": "invalid", "fifo": "invalid", "gone": "invalid",
    }  # fmt: skip
    assert problems.keys() == {"crash", "broken", "fifo", "gone", "index.pkl"}
    assert problems["crash"] == "failed: cell 5 (Work): ValueError: boom <script>alert(1)</script>"
    assert problems["broken"].startswith("invalid: broken.pkl: ")
    assert problems["fifo"] == "invalid: fifo.pkl: expected a file, got a directory, a FIFO or a device"
    assert problems["gone"].startswith("invalid: gone.pkl: a link to a missing file")
    assert "True: due, never run" in lines
    assert sorted(files(out / "True")) == ["manifest.json", "notebook.ipynb", "report.html", "results.csv"]
    assert sorted(files(out / "crash")) == ["failed.ipynb", "manifest.json"]
    assert {"index.html", "summary.ipynb", "results.csv", "table.csv", "manifest.json"} <= set(files(out))
    assert not list(out.glob(".publishing-*"))


def test_the_summary_gets_every_manifest_and_the_results_of_good_runs(first):
    summary = (first[0] / "out" / "summary.ipynb").read_text()
    assert "crash failed cell 5 (Work): ValueError" in summary and "broken invalid" in summary
    assert "fifo invalid fifo.pkl: expected a file" in summary and "index.pkl invalid 'index' is a name" in summary
    assert "True ok  ['manifest.json', 'results.csv']" in summary
    assert str(first[0]) not in summary


def test_the_manifest_records_what_a_report_was_made_from(first):
    folder, _, _ = first
    record = json.loads((folder / "out" / "True" / manifest.FILE).read_text())
    data = (folder / "data" / "True.pkl").read_bytes()
    assert record["hashes"]["data"] == hashlib.sha256(data).hexdigest()
    notebook = (folder / "notebooks" / "experiment.ipynb").read_bytes()
    assert record["hashes"]["code"] == manifest.code_digests(dependencies.code_files(notebook))
    assert record["parameters"]["seeds"] == 1 and record["parameters"]["hidden"] == [64, 32]
    assert record["files"]["results.csv"] == manifest.digest((folder / "out/True/results.csv").read_bytes())
    assert record["environment"]["threads"] == 1 and record["environment"]["versions"]["numpy"]
    assert record["seconds"] > 0 and record["started"].endswith("+00:00")


def test_cores_without_a_notebook_of_their_own_are_for_helpers(tmp_path, monkeypatch):
    templates(tmp_path / "notebooks")
    for name in "ab":
        dataset(tmp_path / "data" / f"{name}.pkl")
    run_jobs, cores = queue.run_jobs, {}

    def recorded(pool, jobs, *more):
        cores.update({job.name: job.cores for job in jobs})
        return run_jobs(pool, jobs, *more)

    monkeypatch.setattr(queue, "run_jobs", recorded)
    assert report(tmp_path, jobs=5)[0] == {}
    assert cores == {"a": 2, "b": 2, "summary": 5}


def test_pages_link_to_each_other_and_name_failed_runs(first):
    index = (first[0] / "out" / "index.html").read_text()
    assert f'href="{quote(ODD)}/report.html"' in index and 'href="True/report.html"' in index
    assert "crash/report.html" not in index and ">failed</span>" in index
    assert 'href="../index.html"' in (first[0] / "out" / "True" / "report.html").read_text()


def test_a_failed_run_leaves_the_last_good_report_as_it_was_and_nothing_due_runs_nothing(first, monkeypatch):
    folder, _, _ = first
    for name in ("crash", "broken", ODD, "fifo", "gone", "index"):
        (folder / "data" / f"{name}.pkl").unlink()
    problems, lines = report(folder)
    assert problems == {} and lines == [
        "summary: due, runs changed",
        "summary: ok",
        "True: page rendered again",  # the pages before and after it are gone
    ]
    before = files(folder / "out")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "kdlib.report.cluster", None)  # so that starting workers would fail
        assert report(folder) == ({}, ["nothing is due; up to date: 1 run and the summary"])
    assert files(folder / "out") == before

    problems, lines = report(folder, seeds=13)
    assert lines[0] == "True: due, seeds 1 -> 13" and problems.keys() == {"True"}
    after = files(folder / "out" / "True")
    record = json.loads(after.pop(manifest.FILE))
    assert b"boom" in after.pop("failed.ipynb")
    assert {f"True/{name}": content for name, content in after.items()} == {
        name: content for name, content in before.items() if name.startswith("True/") and "manifest" not in name
    }
    assert record["status"] == "failed" and record["parameters"]["seeds"] == 13
    assert record["last_good"] == json.loads(before["True/manifest.json"])

    problems, lines = report(folder)
    assert lines[0] == "True: due, last run failed" and problems == {}
    assert "failed.ipynb" not in files(folder / "out" / "True")
    assert "last_good" not in json.loads((folder / "out" / "True" / manifest.FILE).read_text())


def test_hashes_decide_what_is_due(tmp_path):
    templates(tmp_path / "notebooks")
    data = tmp_path / "data" / "a.pkl"
    dataset(data)

    def why(seeds=1, force=False):
        request = Request(tmp_path / "data", tmp_path, tmp_path / "notebooks", Settings(seeds=seeds))
        template = plan.read_template(request, tmp_path / "notebooks" / "experiment.ipynb", plan.EXPERIMENT_PARAMETERS)
        run = plan.dataset_run(request, data, template)
        return run, run.reasons_due(tmp_path, force)

    run, reasons = why()
    assert reasons == ["never run"]
    record = {"status": "ok", "reason": "", "parameters": run.parameters, "hashes": run.hashes, "cells": []}
    publish.publish_run(tmp_path, "a", {"results.csv": b"1"}, {}, record)
    assert why()[1] == []
    os.utime(data)
    assert why()[1] == []
    assert why(seeds=3)[1] == ["seeds 1 -> 3"]
    assert why(force=True)[1] == ["asked for"]
    (tmp_path / "requirements.txt").write_text("numpy==2.0")
    assert why()[1] == ["lock is new"]
    (tmp_path / "requirements.txt").unlink()
    (tmp_path / "a" / "results.csv").write_bytes(b"2")
    assert why()[1] == ["results.csv missing or altered"]
    dataset(data, seed=5)
    assert why()[1] == ["data changed"]
    more = {"hashes": run.hashes | {"code": run.hashes["code"] | {"kdlib/other.py": "1"}}}
    assert manifest.changes(record | more, record) == ["kdlib/other.py is gone"]
    assert manifest.changes(record, record | more) == ["kdlib/other.py is new"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of kdlib, which may be changed, as what notebooks depend on and what hashes are taken of."""
    copied = tmp_path / "kdlib"
    shutil.copytree(manifest.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(manifest, "PACKAGE", copied)
    monkeypatch.setattr(dependencies, "PACKAGE", copied)
    return copied


def test_a_change_runs_only_what_reaches_it(tmp_path, package):
    """The experiment imports the data, the summary its findings; a run that is due is published at once."""
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    paths = [tmp_path / "notebooks" / name for name in ("experiment.ipynb", "summary.ipynb")]
    for path, line in zip(paths, ("import kdlib.data", "from kdlib.findings import summary"), strict=True):
        content = json.loads(path.read_bytes())
        content["cells"][-1]["source"] = [f"{line}\n", *content["cells"][-1]["source"]]
        path.write_text(json.dumps(content))
    request = Request(tmp_path / "data", tmp_path / "out", tmp_path / "notebooks")
    request.out.mkdir()

    def due_after(changed):
        with (package / changed).open("a") as source:
            source.write("\n# a change\n")
        experiment = plan.read_template(request, paths[0], plan.EXPERIMENT_PARAMETERS)
        summary = plan.read_template(request, paths[1], plan.SUMMARY_PARAMETERS)
        due = {}
        for make in (
            lambda: plan.dataset_run(request, request.data / "a.pkl", experiment),
            lambda: plan.summary_run(request, ["a"], {}, summary),
        ):
            run = make()
            if reasons := run.reasons_due(request.out, force=False):
                due[run.title] = reasons
                record = {"name": run.title, "parameters": run.parameters, "hashes": run.hashes, "cells": []}
                publish.publish_run(request.out, run.name, {}, {}, record | {"status": "ok", "reason": ""})
        return due

    assert due_after("display.py") == {"a": ["never run"], "summary": ["never run"]}
    assert due_after("findings/summary.py") == {"summary": ["kdlib/findings/summary.py changed"]}
    assert due_after("data/csv_import.py") == {}
    assert due_after("report/pipeline.py") == {}
    assert due_after("data/dataset.py")["a"] == ["kdlib/data/dataset.py changed"]


def test_names_that_cannot_be_folders_are_refused(tmp_path):
    for name in ("a", "A", "new\nline", "..", "index", "Results.CSV", "é", "e\u0301", ".hidden", "x.y"):
        dataset(tmp_path / f"{name}.pkl")
    good, refused = find_datasets(tmp_path)
    assert [path.stem for path in good] == ["A", "e\u0301", "x.y"]
    assert len(refused) == 7 and all(reason.startswith("invalid: ") for reason in refused.values())
    assert "same folder as that of 'A.pkl'" in refused["a.pkl"]


def test_the_summary_s_page_lists_every_dataset_even_without_a_report(tmp_path):
    request = Request(tmp_path, tmp_path / "out", tmp_path)
    summary = plan.summary_run(request, [], {}, plan.Template(tmp_path, b"", {}))
    groups = navigation.page_links(request, summary, ["a"], {"index.pkl": "invalid: its name"})["reports"]
    (first,), (refused,) = groups
    assert (first["name"], first["href"], first["status"]) == ("a", None, "")
    assert (refused["name"], refused["href"], refused["status"]) == ("index.pkl", None, "invalid")
    assert refused["reason"] == "its name"


@pytest.mark.parametrize(("names", "expected"), [
    (["a-cut1", "a-cut2", "ab", "b-cut1"], [[("a-cut1", "1"), ("a-cut2", "2")], [("ab", "")], [("b-cut1", "1")]]),
    (["a-cut1", "a-cut1/controls", "a-cut2"], [[("a-cut1", ""), ("a-cut1/controls", "")], [("a-cut2", "")]]),
])  # fmt: skip
def test_the_summary_s_page_lists_the_cuts_or_the_studies_of_a_dataset_together(tmp_path, names, expected):
    request = Request(tmp_path, tmp_path / "out", tmp_path)
    summary = plan.summary_run(request, [], {}, plan.Template(tmp_path, b"", {}))
    groups = navigation.page_links(request, summary, names, {})["reports"]
    assert [[(each["name"], each["cut"]) for each in group] for group in groups] == expected


def test_results_cannot_be_published_outside_their_folder(tmp_path):
    record = {"status": "ok", "parameters": {}, "hashes": {}}
    for name in ("../out.csv", "/etc/x", "a/../../b"):
        with pytest.raises(publish.PublishError, match="cannot publish"):
            publish.publish_run(tmp_path / "out", "a", {name: b""}, {}, record)
