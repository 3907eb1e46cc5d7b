"""Which files of kdlib a notebook depends on: those that its code cells import, directly or through each other.

Imports are read from the source; nothing is executed. An import inside a function counts like any other, and so do the
packages around a module, whose `__init__.py` runs first, with the data files beside it. Where imports cannot be read,
too much counts rather than too little: a module that uses `importlib` or `pkgutil` may import all of its package, and a
cell that is not plain Python, such as a magic, all of kdlib but the report.
"""

import ast
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from kdlib.report.manifest import PACKAGE

EXECUTION = {"kdlib/report/execution/run_notebook.py", "kdlib/report/execution/jupyter_kernel.py"}
DATA_FILE = re.compile(r"\w[\w.-]*\.(?!pyc?$|md$)\w+")  #: not code, prose, a hidden file or an editor's backup

UNREADABLE = SyntaxError, ValueError  #: what `ast.parse` raises; the latter for a null byte


def code_files(notebook: bytes, *sources: str) -> list[str]:
    """The files that can change what a notebook gives, relative to kdlib's parent: imported ones, and its execution.

    sources: other code that it runs. Raises ValueError, KeyError or TypeError if it is not a notebook.
    """
    files = imported_files([*code_cells(notebook), *sources], PACKAGE)
    return sorted({file.relative_to(PACKAGE.parent).as_posix() for file in files} | EXECUTION)


def code_cells(notebook: bytes) -> list[str]:
    """The sources of a notebook's code cells; raises as `code_files` does."""
    return ["".join(cell["source"]) for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]


def imported_files(sources: Iterable[str], package: Path) -> set[Path]:
    """The files of a package, given by its folder, that some sources import."""
    waiting, seen, files = set(), set(), set()
    for source in sources:
        try:
            waiting |= _imported_names(source, "")
        except UNREADABLE:
            waiting |= _modules(package, package) - _modules(package / "report", package)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        parent = name.rpartition(".")[0]
        names = {parent}
        if file := _module_file(name, package):
            is_package = file.name == "__init__.py"
            with suppress(*UNREADABLE):  # the import will fail, and the run with it
                names |= _imported_names(file.read_bytes(), name if is_package else parent)
            if names & {"importlib", "pkgutil"}:
                names |= _modules(file.parent, package)
            if is_package:
                files |= {each for each in file.parent.iterdir() if DATA_FILE.fullmatch(each.name) and each.is_file()}
            files.add(file)
        waiting |= names - seen
    return files


@cache
def _imported_names(source: str | bytes, package: str) -> frozenset[str]:
    """Dotted names that a source may import; relative ones are taken from `package`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # beyond the top: it will fail
                module = resolve_name("." * node.level + (node.module or ""), package)
                names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _module_file(name: str, package: Path) -> Path | None:
    """The file of a module; None if the package has none of this name."""
    path = package.parent.joinpath(*name.split("."))
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py")) if path.is_relative_to(package) else ()
    return next((file for file in candidates if file.is_file()), None)


def _modules(folder: Path, package: Path) -> set[str]:
    """The dotted names of all modules below a folder of the package."""
    paths = (file.relative_to(package.parent).with_suffix("") for file in folder.rglob("*.py"))
    return {".".join(path.parts).removesuffix(".__init__") for path in paths}
