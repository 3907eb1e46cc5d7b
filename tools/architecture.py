"""Write the picture and the table of docs/architecture.md: the folders of kdlib, and what they import, from the code.

    python tools/architecture.py

Imports inside functions count as well. Out of scope: imports whose names are made at run time.
"""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- written by tools/architecture.py -->", "<!-- end -->"

#: folders of kdlib, and modules beside them, by floor: the first is the ground
FLOORS = (
    ("pins", "settings", "display", "data", "training"),
    ("methods", "evaluation", "models"),
    ("plots", "report"),
    ("studies",),
    ("findings",),
)


def modules(root: Path = ROOT) -> dict[str, ast.Module]:
    """The parsed source of every module below root/kdlib but the package itself, by its dotted name."""
    found = {}
    for path in sorted(root.glob("kdlib/**/*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    del found["kdlib"]
    return found


def module_imports(sources: dict[str, ast.Module], deferred: bool = True) -> dict[str, set[str]]:
    """The modules among `sources` that each of them imports, by dotted names; those inside functions if `deferred`."""
    found = {}
    for module, source in sources.items():
        names = set()
        for node in ast.walk(source) if deferred else outside_functions(source):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inner = (f"{node.module}.{alias.name}" for alias in node.names)
                names |= {name if name in sources else node.module for name in inner}
        found[module] = names & sources.keys()
    return found


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a source that run when it is imported."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from outside_functions(child)


def folder(module: str) -> str:
    """The folder of a module, or the module itself where it lies beside them: `data` of `kdlib.data.files`."""
    return module.split(".")[1]


def folder_imports(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The folders that each folder imports, without itself."""
    found = {}
    for module, others in imports.items():
        found.setdefault(folder(module), set()).update(map(folder, others))
    return {name: imported - {name} for name, imported in found.items()}


def direct(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports that do not follow from others: without a -> c where there are a -> b and b -> c."""
    reached = {}
    for name in graphlib.TopologicalSorter(imports).static_order():
        reached[name] = imports[name].union(*(reached[other] for other in imports[name]))
    return {
        name: {other for other in others if not any(other in reached[between] for between in others)}
        for name, others in imports.items()
    }


def picture(imports: dict[str, set[str]]) -> str:
    """A Mermaid diagram of the floors, and an arrow for each direct import."""
    lines = ["flowchart TD"]
    for number, folders in reversed([*enumerate(FLOORS, 1)]):
        lines += [f"  subgraph floor{number}[floor {number}]", *(f"    {name}" for name in folders), "  end"]
    lines += [f"  {name} --> {other}" for name, others in sorted(direct(imports).items()) for other in sorted(others)]
    return "\n".join(["```mermaid", *lines, "```"])


def first_sentence(source: ast.Module) -> str:
    """The first sentence of a docstring, without the name that it begins with, on one line."""
    text = " ".join((ast.get_docstring(source) or "").split())
    sentence = re.split(r"(?<=[.])\s", text)[0]
    return re.sub(r"^\w+: (.)", lambda found: found[1].upper(), sentence)


def table(sources: dict[str, ast.Module], imports: dict[str, set[str]]) -> str:
    """A row for each folder: what it holds, and all that it imports."""
    rows = ["| floor | folder | what it holds | imports |", "|---|---|---|---|"]
    for number, folders in reversed([*enumerate(FLOORS, 1)]):
        for name in folders:
            place = f"{name}/" if any(module.startswith(f"kdlib.{name}.") for module in sources) else f"{name}.py"
            others = ", ".join(sorted(imports[name])) or "nothing"
            rows.append(f"| {number} | `{place}` | {first_sentence(sources[f'kdlib.{name}'])} | {others} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with its picture and table written anew."""
    sources = modules()
    imports = folder_imports(module_imports(sources))
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE}: expected the lines {BEGIN} and {END}, which are not there")
    return f"{before}{BEGIN}\n{picture(imports)}\n\n{table(sources, imports)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
