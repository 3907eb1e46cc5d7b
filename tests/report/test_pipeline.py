"""What is due, what is published, and what a failure leaves untouched; with real workers and kernels."""

import hashlib
import json
import os
import sys
from contextlib import nullcontext
from urllib.parse import quote

import pytest
from tiny_notebooks import dataset, files, templates

from kdlib.report import manifest, navigation, pipeline, plan, publish
from kdlib.settings import Settings

pytestmark = pytest.mark.slow

ODD = "-a 'b' {0}: $(touch kd) & .."  #: a name that a shell, an option parser or papermill might take for more


class Recorder:
    """A display that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def say(self, text):
        self.lines.append(text)

    def live(self, expected):
        return nullcontext()

    def event(self, event):
        pass

    def ended(self, name, status, reason, seconds):
        self.lines.append(f"{name}: {status}")


def report(folder, seeds=1, **settings):
    request = plan.Request(
        folder / "data", folder / "out", folder / "notebooks", Settings(seeds=seeds, epochs=1), jobs=2, **settings
    )
    display = Recorder()
    problems = pipeline.report(request, lambda: display)
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
    assert problems["gone"].startswith("invalid: gone.pkl: a link to a file that is not there")
    assert "True: due, never run" in lines
    assert sorted(files(out / "True")) == ["manifest.json", "notebook.ipynb", "report.html", "results.csv"]
    assert sorted(files(out / "crash")) == ["failed.ipynb", "manifest.json"]
    assert {"index.html", "summary.ipynb", "results.csv", "table.csv", "manifest.json"} <= set(files(out))
    assert not list(out.glob(".publishing-*"))


def test_the_summary_sees_every_dataset_and_only_good_results(first):
    summary = (first[0] / "out" / "summary.ipynb").read_text()
    assert "crash failed cell 5 (Work): ValueError" in summary and "broken invalid" in summary
    assert "fifo invalid fifo.pkl: expected a file" in summary and "index.pkl invalid 'index' is a name" in summary
    assert "True ok  ['manifest.json', 'results.csv']" in summary
    assert str(first[0]) not in summary


def test_the_manifest_tells_what_a_report_was_made_from(first):
    folder, _, _ = first
    record = json.loads((folder / "out" / "True" / manifest.FILE).read_text())
    data = (folder / "data" / "True.pkl").read_bytes()
    assert record["hashes"]["data"] == hashlib.sha256(data).hexdigest()
    assert record["hashes"]["code"]["kdlib/study.py"] == manifest.code_digests()["kdlib/study.py"]
    assert record["parameters"]["seeds"] == 1 and record["parameters"]["hidden"] == [64, 32]
    assert record["files"]["results.csv"] == manifest.digest((folder / "out/True/results.csv").read_bytes())
    assert record["environment"]["threads"] == 1 and record["environment"]["versions"]["numpy"]
    assert record["seconds"] > 0 and record["started"].endswith("+00:00")


def test_pages_link_each_other_and_name_the_failed(first):
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
    ]
    before = files(folder / "out")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "kdlib.report.engine", None)  # starting one would fail
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
        request = plan.Request(tmp_path / "data", tmp_path, tmp_path / "notebooks", Settings(seeds=seeds))
        template = tmp_path / "notebooks" / "experiment.ipynb"
        run = plan.run_of(request, data, template, template.read_bytes())
        return run, run.due(tmp_path, force)

    run, reasons = why()
    assert reasons == ["never run"]
    record = {"status": "ok", "reason": "", "parameters": run.parameters, "hashes": run.hashes, "cells": []}
    publish.good(tmp_path, "a", {"results.csv": b"1"}, {}, record)
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
    code = run.hashes["code"] | {"kdlib/training.py": "other"}
    differences = manifest.differences(record | {"hashes": run.hashes | {"code": code}}, record)
    assert differences in (["kdlib/training.py changed"], ["kdlib/training.py is gone"])


def test_names_that_cannot_be_folders_are_refused(tmp_path):
    for name in ("a", "A", "new\nline", "..", "index", "Results.CSV", "é", "e\u0301", ".hidden", "x.y"):
        dataset(tmp_path / f"{name}.pkl")
    good, refused = plan.find_datasets(tmp_path)
    assert [path.stem for path in good] == ["A", "e\u0301", "x.y"]
    assert len(refused) == 7 and all(reason.startswith("invalid: ") for reason in refused.values())
    assert "same folder as that of 'A.pkl'" in refused["a.pkl"]


def test_the_summary_s_page_lists_every_dataset_also_one_without_a_report(tmp_path):
    request = plan.Request(tmp_path, tmp_path / "out", tmp_path)
    last = plan.summary_of(request, [], {}, b"")
    listed = navigation.navigation(request, last, ["a"], {"index.pkl": "invalid: its name"})["reports"]
    assert [(each["name"], each["href"], each["status"]) for each in listed] == [
        ("a", None, ""), ("index.pkl", None, "invalid"),
    ]  # fmt: skip
    assert listed[1]["reason"] == "its name"


def test_results_cannot_be_published_elsewhere(tmp_path):
    record = {"status": "ok", "parameters": {}, "hashes": {}}
    for name in ("../out.csv", "/etc/x", "a/../../b"):
        with pytest.raises(publish.PublishError, match="cannot publish"):
            publish.good(tmp_path / "out", "a", {name: b""}, {}, record)
