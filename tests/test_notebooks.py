"""The notebooks: without outputs, short, with typed parameters; and each of them, executed on a small budget."""

import ast
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest
from run_report import run_report

from kdlib.report import manifest
from kdlib.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.rglob("*.ipynb"))
NAMES = [str(path.relative_to(FOLDER).with_suffix("")) for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert len(cell.source.splitlines()) <= 12
            ast.parse(cell.source)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_prose_refers_to_what_is_always_shown(path):
    """A figure that some datasets do not have is referred to by a claim that they do not have either."""
    cells = nbformat.read(path, as_version=4).cells
    prose = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    shown = set()
    for cell in cells:
        for statement in ast.parse(cell.source).body if cell.cell_type == "code" else []:
            if isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call):
                kind = "table" if ast.unparse(call.func) == "display.table" else "figure"
                shown |= {f"{kind}-{given.value.value}" for given in call.keywords if given.arg == "name"}
    assert set(re.findall(r"\(#((?:figure|table)-.+?)\)", prose)) <= shown


def parameters(path):
    """The cell tagged parameters."""
    (cell,) = [
        cell for cell in nbformat.read(path, as_version=4).cells if "parameters" in cell.metadata.get("tags", [])
    ]
    return cell


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.parent.name == "study"], ids=lambda path: path.stem
)
def test_a_study_has_the_parameters_of_the_experiment(path):
    assert parameters(path).source == parameters(FOLDER / "experiment.ipynb").source


def test_the_parameters_are_the_settings_with_their_defaults_and_a_line_each():
    cell = parameters(FOLDER / "experiment.ipynb")
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    settings = asdict(Settings())
    assert values.keys() == settings.keys() | {"dataset", "output", "draft"}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in settings} == settings
    assert all("  # " in line for line in cell.source.splitlines())


@pytest.fixture(scope="module")
def executed(report_data, report, swept_report, tmp_path_factory):
    """Folders of what every notebook left: those of the report and the sweep, and the slow studies on one dataset."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "data").mkdir()
    shutil.copy(report_data / "near.pkl", folder / "data")
    shutil.copytree(report, folder / "out")  # where the experiment is up to date
    run_report(f"--data={folder / 'data'}", f"--out={folder / 'out'}", "--seeds=2", "--study")
    return [path.parent for path in (*folder.rglob(manifest.FILE), *swept_report.rglob(manifest.FILE))]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs_to_its_end(path, executed):
    records = {folder: json.loads((folder / manifest.FILE).read_text(encoding="utf-8")) for folder in executed}
    source = manifest.digest(path.read_bytes())
    runs = {folder: record for folder, record in records.items() if record["hashes"]["notebook"] == source}
    assert runs
    assert [record["reason"] for record in runs.values() if record["status"] not in ("ok", "invalid")] == []
    for folder in runs:
        for copy in folder.glob("*.ipynb"):
            outputs = [output for cell in nbformat.read(copy, as_version=4).cells for output in cell.get("outputs", [])]
            assert [output.text for output in outputs if output.output_type == "stream"] == []  # no warning, no print
