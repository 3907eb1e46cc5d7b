"""What there is to run, and which of it is due.

A run is one template on one dataset. It is due if any of its inputs changed (data, notebook, code, lock,
parameters: by hash, never by file time), if it never ran, or if its last attempt failed. Each due run says
why. Nothing is executed or written here.
"""

import ast
import json
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kdlib.data import files
from kdlib.report import manifest, publish
from kdlib.report.execution.run_notebook import Job
from kdlib.settings import Settings

OF_DATASET = {"dataset", "output", "draft", *asdict(Settings())}  #: parameters that a template on one dataset gets
OF_SUMMARY = {"reports", "output", "draft"}
RESERVED = {
    "index",
    "results",
    "summary",
    "table",
    "manifest",
    "reference",
    "draft",
    "verify",
    "sweep",
}  #: and these with any ending


class RequestError(Exception):
    """What was asked for cannot begin; one line says why."""


@dataclass(frozen=True)
class Request:
    """What to make of what."""

    data: Path
    out: Path
    notebooks: Path
    study: Settings = field(default_factory=Settings)
    draft: bool = False
    templates: tuple[Path, ...] = ()  #: beyond the experiment; each gets a folder of its own
    jobs: int = 2
    scheduler: str | None = None  #: an address, or the file that holds it
    dashboard: bool = False
    timeout: float | None = None
    force: bool = False
    command: str = ""  #: the command line that asks for the same; pages tell it


@dataclass(frozen=True)
class Run:
    """One notebook to execute, and the folder under OUT that gets what it makes."""

    name: str  #: the folder: `<dataset>`, `<dataset>/<template or point>`, or "" for the summary
    title: str
    template: bytes
    notebook: str  #: name under which the executed notebook is published
    page: str | None  #: None: it gets none
    parameters: dict
    hashes: dict
    inputs: dict[str, bytes]
    places: dict  #: parameters that say where the inputs are
    unreadable: str = ""  #: why there are no bytes of its data

    def job(self, timeout):
        code = manifest.code_digest(self.hashes["code"])
        return Job(self.title, self.template, self.places | self.parameters, self.inputs, timeout, code)

    def due(self, out: Path, force: bool) -> list[str]:
        """Why it is due; empty if it is not."""
        last = manifest.read(out / self.name)
        if force:
            return ["asked for"]
        if last is None:
            return ["never run"]
        changed = manifest.differences(last, {"parameters": self.parameters, "hashes": self.hashes})
        if last["status"] == "invalid":  # the same bytes would be refused again
            return changed
        if last["status"] != "ok":
            return [f"last run {last['status']}"]
        return changed or [
            f"{file} missing or altered"
            for file, digest in last.get("files", {}).items()
            if not _same(out / self.name / file, digest)
        ]

    def expected(self, out: Path) -> list[float]:
        """Seconds of each cell in the last good run, if that had the same parameters."""
        last = manifest.last_good(manifest.read(out / self.name))
        return [c["seconds"] for c in last["cells"]] if last and last["parameters"] == self.parameters else []


def find_datasets(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The pickles of a folder by name, and the reasons of those that are refused for their name."""
    try:
        present = sorted(folder.iterdir())
    except OSError as error:
        raise RequestError(f"data: expected a folder of *.pkl files, got {str(folder)!r}: {error.strerror}") from None
    found = [path for path in present if path.name.lower().endswith(".pkl")]
    if not found:
        raise RequestError(
            f"data: expected *.pkl files in {str(folder)!r}, found none; data/README.md says how to write one"
        )
    good, refused, folders = [], {}, {}
    for path in found:
        key = unicodedata.normalize("NFC", path.stem).casefold()
        reason = _unfit(path.stem)
        if key in folders:  # one folder on file systems that ignore case
            reason = f"its report would have the same folder as that of {folders[key]!r}; rename one of them"
        folders.setdefault(key, path.name)
        if reason:
            refused[ascii(path.name)[1:-1]] = f"invalid: {reason}"
        else:
            good.append(path)
    return good, refused


def _unfit(stem: str) -> str:
    """Why a name cannot be a folder of reports; empty if it can."""
    if not stem.isprintable() or "\\" in stem:
        return "its name has signs that cannot be printed, or a backslash; rename it"
    if stem.startswith(".") or not stem.strip():
        return "its name begins with a dot, or is empty; rename it"
    if stem.casefold().partition(".")[0] in RESERVED or stem.casefold() == publish.FAILED:
        return f"{stem!r} is a name that the report itself uses; rename it"
    return ""


def template(path: Path, expected: set[str]) -> bytes:
    """A template's bytes, after checking that it declares the parameters that it will get."""
    try:
        content = path.read_bytes()
        cells = json.loads(content)["cells"]
        tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
        source = "".join("".join(cell["source"]) for cell in tagged[:1])
        nodes = ast.parse(source).body
    except FileNotFoundError:
        raise RequestError(f"{path.name}: expected a notebook at {str(path)!r}, which is not there") from None
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise RequestError(f"{path.name}: not a notebook with a parameters cell: {error}") from None
    targets = {t.id for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    targets |= {n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    if missing := sorted(expected - targets):
        raise RequestError(f"{path.name}: its cell tagged `parameters` does not set {', '.join(missing)}")
    return content


def run_of(request: Request, data: Path, template: Path, notebook: bytes) -> Run:
    """A template on a dataset, with the request's settings."""
    extra = template != request.notebooks / "experiment.ipynb"
    name = f"{data.stem}/{template.stem}" if extra else data.stem
    return run_on(request, data.name, read(data), name, notebook, settings(request.study), "report.html")


def read(data: Path) -> tuple[bytes, str]:
    """A dataset's bytes, or why there are none."""
    try:
        return files.content(data), ""
    except files.DataContractError as error:
        return b"", str(error)


def settings(study: Settings) -> dict:
    """A study as a notebook's parameters."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(study).items()}


def run_on(request: Request, file: str, data: tuple[bytes, str], name, notebook, parameters, page: str | None) -> Run:
    """A template on what was `read` of a dataset's file, with any parameters."""
    content, unreadable = data
    return Run(
        name=name,
        title=name,
        template=notebook,
        notebook="notebook.ipynb",
        page=page,
        parameters=parameters | {"draft": request.draft},
        hashes={"data": manifest.digest(unreadable.encode() or content)} | _common_hashes(request, notebook),
        inputs={file: content},
        places={"dataset": f"inputs/{file}"},
        unreadable=unreadable,
    )


def summary_of(request: Request, names: list[str], refused: dict[str, str], notebook: bytes) -> Run:
    """The summary of this run's datasets; it gets the manifests of all, and the results of good ones."""
    inputs = {}
    for name, reason in refused.items():  # for its name, which no folder can have, so that it has no manifest
        record = {"name": name, "status": "invalid", "reason": reason.removeprefix("invalid: "), "seconds": 0.0}
        inputs[f"{name[:200]}/{manifest.FILE}"] = manifest.content(record)
    for name in names:
        record = manifest.read(request.out / name)
        if record is None:  # not even that it failed could be written
            continue
        results = record.get("files", {}) if record["status"] == "ok" else {}
        for file in (manifest.FILE, *results):
            if not file.endswith(".ipynb"):
                inputs[f"{name}/{file}"] = (request.out / name / file).read_bytes()
    runs = manifest.digest(json.dumps([(name, manifest.digest(content)) for name, content in inputs.items()]).encode())
    return Run(
        name="",
        title="summary",
        template=notebook,
        notebook="summary.ipynb",
        page="index.html",
        parameters={"draft": request.draft},
        hashes={"runs": runs} | _common_hashes(request, notebook),
        inputs=inputs,
        places={"reports": "inputs"},
    )


def _common_hashes(request, notebook) -> dict:
    lock = request.notebooks.parent / "requirements.txt"
    hashes = {"notebook": manifest.digest(notebook), "code": manifest.code_digests()}
    return hashes | ({"lock": manifest.digest(lock.read_bytes())} if lock.is_file() else {})


def _same(path: Path, digest: str) -> bool:
    try:
        return manifest.digest(path.read_bytes()) == digest
    except OSError:
        return False
