"""An archive of a report: the same bytes, the pages again without training, and a description that others can read."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from ro_crate_context import fill_cache
from run_report import ROOT
from tiny_notebooks import dataset, notebook

from kdlib.report import crate, manifest

pytestmark = pytest.mark.slow

EXPERIMENT = """import pathlib
import pandas as pd
from kdlib import display
from kdlib.evaluation import results
name = pathlib.Path(dataset).stem
rows = [[name, "ffnn", seed, "test", "all", "accuracy", 0.9 + seed / 100] for seed in range(seeds)]
display.claim("What it found.")
results.write(pd.DataFrame(rows, columns=results.COLUMNS), pathlib.Path(output) / "results.csv")"""
SUMMARY = """import pathlib
from kdlib import display
from kdlib.evaluation import results
display.claim("What all found.")
results.write(results.Reports(reports).results, pathlib.Path(output) / "results.csv")"""
NAMES = "first", 'a "quoted" <name> & ü'


def call(folder, *arguments):
    """`python -m kdlib.report` of the checkout in a folder, where TensorFlow and Keras cannot be imported."""
    program = "import sys; sys.modules.update(tensorflow=None, keras=None); from kdlib.report.__main__ import main"
    command = [sys.executable, "-c", f"{program}; sys.exit(main(sys.argv[1:]))", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with small notebooks and two datasets, its report, and the report's archive."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in ("kdlib", "tools", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("CITATION.cff", "LICENSE", "Makefile", "README.md", "requirements.txt"):
        shutil.copy(ROOT / file, folder)
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "experiment.ipynb").write_bytes(notebook(EXPERIMENT))
    summary = notebook(SUMMARY, parameters='reports: str = ""\noutput: str = "."\ndraft: bool = False')
    (folder / "notebooks" / "summary.ipynb").write_bytes(summary)
    for seed, name in enumerate(NAMES):
        dataset(folder / "data" / f"{name}.pkl", seed)
    assert (done := call(folder, "run", "--seeds=3", "--draft")).returncode == 0, done.stderr
    assert (done := call(folder, "archive", "reports")).returncode == 0, done.stderr
    assert done.stdout == "reports/archive.zip\n"
    return folder


@pytest.fixture
def unpacked(checkout, tmp_path):
    with zipfile.ZipFile(checkout / "reports" / "archive.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def test_the_same_report_gives_the_same_bytes(checkout):
    before = (checkout / "reports" / "archive.zip").read_bytes()
    os.utime(checkout / "data" / "first.pkl", (0, 0))
    assert call(checkout, "archive", "reports").returncode == 0
    assert (checkout / "reports" / "archive.zip").read_bytes() == before


def test_the_pages_are_made_again_from_the_archive_without_training(checkout, unpacked):
    pages = sorted(unpacked.glob("reports/**/*.html"))
    before = {page: page.read_bytes() for page in pages}
    assert len(before) == 3
    for page in pages:
        page.unlink()
    (command,) = [line.strip() for line in (unpacked / "ARCHIVE.md").read_text().splitlines() if "report run" in line]
    program, arguments = command.split(" -m kdlib.report ")
    assert program == "python tools/environment.py" and arguments == "run --seeds=3 --draft"
    done = call(unpacked, *arguments.split())
    assert done.returncode == 0, done.stderr
    assert "due," not in done.stdout and done.stdout.count("page rendered again") == 3
    assert {page: page.read_bytes() for page in pages} == before


def test_another_report_is_verified_against_it(checkout, unpacked):
    archive = checkout / "reports" / "archive.zip"
    done = call(unpacked, "verify", "reports", archive)
    assert (done.returncode, done.stdout) == (0, f"the same, bit for bit\nreports agrees with {archive}\n"), done.stderr
    other = unpacked / "reports" / "results.csv"
    other.write_text(other.read_text().replace("0.91", "0.55"))
    assert call(unpacked, "verify", "reports", archive).returncode == 1
    (unpacked / "other.zip").write_bytes(b"not a zip")
    done = call(unpacked, "verify", "reports", "other.zip")
    assert done.returncode == 2 and done.stderr.startswith("error: other.zip: expected an archive that `make archive`")


def test_the_description_names_every_file_with_its_hash(unpacked):
    graph = json.loads((unpacked / crate.FILE).read_text())["@graph"]
    entities = {unquote(entity["@id"]): entity for entity in graph}
    files = {name: entity for name, entity in entities.items() if "File" in entity["@type"]}
    assert {f"data/{name}.pkl" for name in NAMES} <= files.keys()
    present = {path.relative_to(unpacked).as_posix(): path for path in unpacked.rglob("*") if path.is_file()}
    folders = tuple(crate.FOLDERS)
    assert files.keys() == {n for n in present if n == crate.WORKFLOW or not n.startswith(folders)} - {crate.FILE}
    for name, entity in files.items():
        assert entity["sha256"] == hashlib.sha256(present[name].read_bytes()).hexdigest()
    runs = {name: entity for name, entity in entities.items() if name.startswith("#run-")}
    assert runs.keys() == {"#run-summary", *(f"#run-{name}" for name in NAMES)}
    for name in NAMES:
        record = json.loads((unpacked / "reports" / name / "manifest.json").read_text())
        run = runs[f"#run-{name}"]
        assert run["startTime"] == record["started"]
        assert {unquote(result["@id"]) for result in run["result"]} == {f"reports/{name}/{f}" for f in record["files"]}
        assert f"data/{name}.pkl" in [unquote(each["@id"]) for each in run["object"]]


def test_the_citation_names_the_results(unpacked):
    citation = yaml.safe_load((unpacked / "CITATION.cff").read_text())["preferred-citation"]
    (identifier,) = citation["identifiers"]
    results = (unpacked / "reports" / "results.csv").read_bytes()
    assert identifier["value"] == f"sha256:{hashlib.sha256(results).hexdigest()}"
    page = (unpacked / "reports" / "index.html").read_text()
    assert "@misc{kdlib-report," in page and citation["title"] in page


def test_what_cannot_be_archived_is_one_line(unpacked):
    def error(*arguments):
        done = call(unpacked, "archive", *arguments)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        return done.stderr.removeprefix("error: ").strip()

    assert error("nowhere") == "there is no good report in 'nowhere': `make report` makes one"
    assert error("reports", "--data=docs") == "data: expected the datasets of the report, *.pkl files, found none"
    (unpacked / "other").mkdir()
    for name in ("first", "second"):
        dataset(unpacked / "other" / f"{name}.pkl", seed=9)
    assert error("reports", "--data=other") == "second: its last run is missing; make the report again"
    (unpacked / "other" / "second.pkl").unlink()
    assert error("reports", "--data=other") == "first: its dataset is not what it ran with; make the report again"
    results = unpacked / "reports" / "first" / "results.csv"
    content = results.read_bytes()
    results.write_bytes(b"altered")
    assert error("reports") == "first: results.csv was altered; make the report again"
    results.write_bytes(content)
    code = unpacked / "kdlib" / "display.py"
    source = code.read_bytes()
    code.write_bytes(source + b"# edited\n")
    assert error("reports") == "summary: kdlib/display.py is not what it ran with; make the report again"
    code.write_bytes(source)
    path = unpacked / "reports" / "first" / manifest.FILE
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"status": "died"}))
    assert error("reports") == "first: its last run died; make the report again"
    path.write_text(json.dumps(record | {"hashes": record["hashes"] | {"methods": "0" * 64}}))
    line = "first: its file of methods (--methods, METHODS=) is not what it ran with; make the report again"
    assert error("reports", "--methods=README.md") == line


def test_the_description_keeps_the_rules_of_provenance_run_crates(unpacked, tmp_path):
    fill_cache(tmp_path / "cache")
    # Left out is one rule: that what was run has an absolute URI, which no workflow inside the crate can have.
    command = [
        Path(sys.executable).with_name("rocrate-validator"), "-y", "validate", "--offline", "--no-paging", unpacked,
        f"--cache-path={tmp_path / 'cache'}", "--profile-identifier=provenance-run-crate",
        "--requirement-severity=recommended", "--skip-checks=process-run-crate-0.5_5.1",
        "--output-format=json", f"--output-file={tmp_path / 'found.json'}",
    ]  # fmt: skip

    def problems() -> list[str]:
        subprocess.run(list(map(str, command)), capture_output=True, text=True)
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["statistics"]["total_checks"] > 150
        return [f"{issue['violatingEntity']}: {issue['message']}" for issue in found["issues"]]

    assert problems() == []
    path = unpacked / crate.FILE
    text = path.read_text()
    path.write_text(text.replace('"endTime"', '"startTime"'))
    assert any("The Action SHOULD have an endTime" in problem for problem in problems())
