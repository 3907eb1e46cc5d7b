"""The notebooks as they lie in the repository: clean, short, typed; and the press's idea of their parameters."""

import ast
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest

from kdlib.study import Study

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


def test_the_templates_parameters_are_the_studys_settings_with_their_defaults_and_a_line_each():
    notebook = nbformat.read(NOTEBOOKS[0].with_name("experiment.ipynb"), as_version=4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    settings = asdict(Study())
    assert values.keys() == settings.keys() | {"dataset", "output", "draft"}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in settings} == settings
    assert all("  # " in line for line in cell.source.splitlines())
