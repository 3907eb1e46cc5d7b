"""The notebooks: without outputs, short, with typed parameters; and each of them, executed on a small budget."""

import ast
import json
import re
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest
from run_report import run_report

from kdlib.data import gaussians, save
from kdlib.report import manifest
from kdlib.settings import Settings

NOTEBOOKS = sorted(Path(__file__).parents[1].joinpath("notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
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


def test_the_templates_parameters_are_the_studys_settings_with_their_defaults_and_a_line_each():
    notebook = nbformat.read(NOTEBOOKS[0].with_name("experiment.ipynb"), as_version=4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    settings = asdict(Settings())
    assert values.keys() == settings.keys() | {"dataset", "output", "draft"}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in settings} == settings
    assert all("  # " in line for line in cell.source.splitlines())


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """What each notebook left, by its path: its records and its executed copies. One seed, two epochs."""
    folder = tmp_path_factory.mktemp("notebooks")
    data, sweep = f"--data={folder}", folder / "sweep.yaml"
    save(folder / "near.pkl", gaussians.generate(0.5))
    sweep.write_text("temperature: [1, 4]\nmethods: [ffnn, kd_routed]\n")
    run_report(data, f"--out={folder / 'report'}", "--seeds=1", "--study")
    run_report(data, f"--out={folder / 'sweep'}", "--seeds=1", sweep, action="sweep")
    found = {}
    for path in folder.rglob(manifest.FILE):
        record = json.loads(path.read_text(encoding="utf-8"))
        copies = [nbformat.read(copy, as_version=4) for copy in path.parent.glob("*.ipynb")]
        found.setdefault(record["hashes"]["notebook"], []).append((record, copies))
    return {path: found.get(manifest.digest(path.read_bytes()), []) for path in NOTEBOOKS}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_to_its_end(path, executed):
    assert executed[path]
    for record, copies in executed[path]:
        assert (record["status"], record["reason"]) == ("ok", "")
        outputs = [output for copy in copies for cell in copy.cells for output in cell.get("outputs", [])]
        assert [output.text for output in outputs if output.output_type == "stream"] == []  # no warning, no print
