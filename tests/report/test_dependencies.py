"""Which files a notebook depends on: with the real notebooks and package, and with a made-up one."""

import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import writes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kdlib.report import dependencies, manifest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FILES = {
    "__init__": "",
    "alone": "",
    "base": "",
    "plots/__init__": "from . import style",
    "plots/style": "def load():\n    from ..base import size",
    "plots/extra": "",
    "chain/__init__": "",
    "chain/first": "from pkg.chain import second, NAME",
    "chain/second": "try:\n    import pkg.chain.third as third\nexcept ImportError:\n    pass",
    "chain/third": "from pkg.chain.first import x",  # a cycle
    "plugins/__init__": "import importlib\nimportlib.import_module('pkg.plugins.one')",
    "plugins/one": "",
    "plugins/more/two": "",
    "broken": "from pkg import",
    "report/__init__": "",
    "report/pages": "",
}


@pytest.fixture
def package(tmp_path):
    package = tmp_path / "pkg"
    for name, source in FILES.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    for name in ("dark.mplstyle", "README.md", "extra.py~", ".hidden.csv", "extra.pyc"):
        (package / "plots" / name).touch()
    return package


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy, package", ""),
        ("import pkg", "__init__"),
        ("import pkg.alone as a", "__init__ alone"),
        ("from pkg import alone, NAME", "__init__ alone"),
        ("def f():\n    if x:\n        from pkg.alone import y", "__init__ alone"),
        ("from pkg import plots", "__init__ base plots/__init__ plots/dark.mplstyle plots/style"),
        (
            "import pkg.plots.extra",
            "__init__ base plots/__init__ plots/dark.mplstyle plots/extra plots/style",
        ),
        ("from pkg.chain.first import x", "__init__ chain/__init__ chain/first chain/second chain/third"),
        ("import pkg.plugins", "__init__ plugins/__init__ plugins/more/two plugins/one"),
        ("import pkg.broken", "__init__ broken"),
        ("import pkg.nowhere", "__init__"),
        ("from ...pkg import alone", ""),  # not possible in a notebook
    ],
)
def test_imports_are_followed(package, source, expected):
    found = {
        str(path.relative_to(package)).removesuffix(".py") for path in dependencies.imported_files([source], package)
    }
    assert found == set(expected.split())


@pytest.mark.parametrize("source", ["%matplotlib inline\nimport pkg", "!ls", "x = '\x00'", "1 +"])
def test_a_cell_that_is_not_plain_python_depends_on_all_but_the_report(package, source):
    found = {str(path.relative_to(package)) for path in dependencies.imported_files(["import os", source], package)}
    assert found == {f"{name}.py" for name in FILES if not name.startswith("report/")} | {"plots/dark.mplstyle"}


def test_a_file_that_changes_is_read_again(package):
    assert package / "base.py" not in dependencies.imported_files(["import pkg.alone"], package)
    (package / "alone.py").write_text("import pkg.base")
    assert package / "base.py" in dependencies.imported_files(["import pkg.alone"], package)


def test_only_code_cells_count():
    cells = [
        new_markdown_cell("import kdlib.settings"),
        new_code_cell("import kdlib.display\nx = 1"),
        new_code_cell(""),
    ]
    files = dependencies.code_files(writes(new_notebook(cells=cells)).encode())
    always = ["kdlib/report/execution/jupyter_kernel.py", "kdlib/report/execution/run_notebook.py"]
    assert files == ["kdlib/__init__.py", "kdlib/display.py", "kdlib/pins.py", *always]


def files_of(notebook: str) -> set[str]:
    return set(dependencies.code_files((NOTEBOOKS / notebook).read_bytes()))


def test_of_the_real_notebooks_each_depends_on_its_own_modules():
    experiment, summary = files_of("experiment.ipynb"), files_of("summary.ipynb")
    assert "kdlib/findings/summary.py" in summary and "kdlib/findings/summary.py" not in experiment
    assert "kdlib/studies/experiment.py" in experiment and "kdlib/studies/experiment.py" not in summary
    assert "kdlib/findings/sweep.py" not in experiment | summary
    assert "kdlib/findings/sweep.py" in files_of("sweep/summary.ipynb")
    for files in (experiment, summary):
        assert {"kdlib/__init__.py", "kdlib/plots/style.mplstyle", "kdlib/report/execution/run_notebook.py"} <= files
        assert not any(file.startswith("kdlib/report/") for file in files if "execution" not in file)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", ["experiment.ipynb", "summary.ipynb", "sweep/summary.ipynb"])
def test_all_that_a_real_notebook_loads_is_found(notebook):
    cells = dependencies.code_cells((NOTEBOOKS / notebook).read_bytes())
    lines = [line for cell in cells for line in cell.splitlines() if line.startswith(("import ", "from "))]
    lines += [
        "import sys",
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'kdlib'), sep='\\n')",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    loaded = {Path(file).relative_to(manifest.PACKAGE.parent).as_posix() for file in done.stdout.splitlines()}
    assert "kdlib/display.py" in loaded and loaded <= files_of(notebook)
