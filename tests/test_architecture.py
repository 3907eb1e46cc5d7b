"""The architecture: what may import what, and a page that says what the code does."""

import ast
import graphlib
import subprocess
import sys

import pytest

from tools import architecture

SOURCES = architecture.modules()
IMPORTS = architecture.module_imports(SOURCES)
FLOOR = {name: number for number, folders in enumerate(architecture.FLOORS, 1) for name in folders}
WITHOUT_TENSORFLOW = "settings", "display", "data", "evaluation", "models", "plots", "findings", "report"


def test_every_folder_is_on_a_floor():
    assert set(map(architecture.folder, SOURCES)) == FLOOR.keys()


def test_a_folder_imports_from_lower_floors_only():
    pairs = [(module, other) for module, others in IMPORTS.items() for other in others]
    floors = {name: FLOOR[architecture.folder(name)] for name in SOURCES}
    between = [pair for pair in pairs if len(set(map(architecture.folder, pair))) == 2]
    assert between
    assert [f"{a} imports {b}" for a, b in between if floors[a] <= floors[b]] == []


def test_no_two_modules_need_each_other_to_be_imported():
    imports = architecture.module_imports(SOURCES, deferred=False)
    list(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError, which names the modules


def test_nothing_but_the_report_imports_the_report():
    outside = [module for module in IMPORTS if not module.startswith("kdlib.report")]
    assert [module for module in outside if any(name.startswith("kdlib.report") for name in IMPORTS[module])] == []


def test_no_import_is_relative():
    nodes = ((module, node) for module, source in SOURCES.items() for node in ast.walk(source))
    assert [module for module, node in nodes if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.slow
def test_reading_and_reporting_do_without_tensorflow():
    names = [name for name in SOURCES if architecture.folder(name) in WITHOUT_TENSORFLOW]
    absent = "import sys; sys.modules.update(tensorflow=None, keras=None)"  # to import either is an error
    code = "\n".join([absent, *(f"import {name}" for name in names if name != "kdlib.report.__main__")])
    done = subprocess.run([sys.executable, "-c", code], cwd=architecture.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_is_up_to_date():
    text = architecture.PAGE.read_text(encoding="utf-8")
    assert text == architecture.page(text), "run python tools/architecture.py"


@pytest.mark.slow
def test_the_page_is_written_between_its_markers():
    text = f"before\n{architecture.BEGIN}\nis replaced\n{architecture.END}\nafter\n"
    written = architecture.page(text)
    assert "is replaced" not in written and architecture.page(written) == written
    assert written.startswith("before\n") and written.endswith("\nafter\n")
    with pytest.raises(SystemExit, match="expected the lines"):
        architecture.page("no markers")


@pytest.fixture
def package(tmp_path):
    """A package of three modules, of which the first imports the others in every way that there is."""
    files = {
        "__init__": "",
        "a/__init__": '"""Letters: the first. And more."""\nfrom kdlib.b import x, y\nimport numpy\n',
        "a/inner": "import kdlib.b.x\ndef later():\n    from kdlib import c\n",
        "b/__init__": "x = 1",
        "b/x": "from kdlib import c",
        "c": "",
    }
    for name, text in files.items():
        path = tmp_path / "kdlib" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return architecture.modules(tmp_path)


def test_imports_are_read_from_the_source(package):
    imports = architecture.module_imports(package)
    assert imports["kdlib.a"] == {"kdlib.b.x", "kdlib.b"}
    assert imports["kdlib.a.inner"] == {"kdlib.b.x", "kdlib.c"}
    assert architecture.module_imports(package, deferred=False)["kdlib.a.inner"] == {"kdlib.b.x"}
    folders = architecture.folder_imports(imports)
    assert folders == {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert architecture.direct(folders) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert architecture.first_sentence(package["kdlib.a"]) == "The first."
