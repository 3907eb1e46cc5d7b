"""What there is to run, and which of it is due.

A run is one template on one dataset. It is due if any of its inputs changed (data, notebook, the code that the notebook
reaches, lock, parameters: by hash, never by file time), if it never ran, or if its last attempt failed. Nothing is
executed or written here.
"""

import ast
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kdlib.report import dependencies, manifest
from kdlib.report.execution.run_notebook import Job
from kdlib.report.request import MethodsFile, Request, RequestError, read_dataset
from kdlib.settings import Settings

EXPERIMENT_PARAMETERS = {"dataset", "output", "draft", *asdict(Settings())}  #: of a template on one dataset
SUMMARY_PARAMETERS = {"reports", "output", "draft"}


@dataclass(frozen=True)
class Template:
    """A notebook to run, and the hashes of all that its runs share."""

    path: Path
    content: bytes
    hashes: dict  #: notebook, code (by file) and, where there are any, lock and methods
    methods: MethodsFile | None = None  #: of the user's own, if the notebook runs such


@dataclass(frozen=True)
class Run:
    """One notebook to execute, and the folder below `out` that gets what it makes."""

    name: str  #: the folder: `<dataset>`, `<dataset>/<template or point>`, or "" for the summary
    title: str
    template: bytes
    notebook: str  #: name under which the executed notebook is published
    page: str | None  #: None: it gets none
    parameters: dict
    hashes: dict
    inputs: dict[str, bytes]
    input_parameters: dict  #: parameters that say where the inputs are
    methods: MethodsFile | None = None
    unreadable: str = ""  #: why its data cannot be read

    def job(self, record: dict, links: dict | None, **settings) -> Job:
        """The run as a job for a worker; settings: other fields of `Job`."""
        parameters, code = self.input_parameters | self.parameters, self.hashes["code"]
        settings |= {"code": code, "record": record, "links": links, "methods": self.methods}
        return Job(self.title, self.template, parameters, self.inputs, **settings)

    def reasons_due(self, out: Path, force: bool) -> list[str]:
        """Why it is due; empty if it is not."""
        last = manifest.read(out / self.name)
        if force:
            return ["asked for"]
        if last is None:
            return ["never run"]
        changes = manifest.changes(last, {"parameters": self.parameters, "hashes": self.hashes})
        if last["status"] == "invalid":  # the same bytes would be refused again
            return changes
        if last["status"] != "ok":
            return [f"last run {last['status']}"]
        return changes or [
            f"{file} missing or altered"
            for file, digest in last.get("files", {}).items()
            if not _has_digest(out / self.name / file, digest)
        ]

    def expected_seconds(self, out: Path) -> list[float]:
        """Seconds of each cell in the last good run, if that had the same parameters."""
        last = manifest.last_good(manifest.read(out / self.name))
        return [c["seconds"] for c in last["cells"]] if last and last["parameters"] == self.parameters else []


def read_template(request: Request, path: Path, parameters: set[str]) -> Template:
    """A template of a request, after checking that it declares the parameters that it will get."""
    try:
        content = path.read_bytes()
        cells = json.loads(content)["cells"]
        tagged = {tag: cell for cell in reversed(cells) for tag in cell.get("metadata", {}).get("tags", [])}
        nodes = ast.parse("".join(tagged["parameters"]["source"])).body
        methods = request.methods if "methods" in tagged else None
        code = dependencies.code_files(content, *([methods.content.decode()] if methods else []))
    except FileNotFoundError:
        raise RequestError(f"{path.name}: expected a notebook at {str(path)!r}, which is not there") from None
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise RequestError(f"{path.name}: not a notebook with a parameters cell: {error}") from None
    targets = {t.id for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    targets |= {n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    if missing := sorted(parameters - targets):
        raise RequestError(f"{path.name}: its cell tagged `parameters` does not set {', '.join(missing)}")
    lock = request.notebooks.parent / "requirements.txt"
    hashes = {"notebook": manifest.digest(content), "code": manifest.code_digests(code)}
    hashes |= {"lock": manifest.digest(lock.read_bytes())} if lock.is_file() else {}
    hashes |= {"methods": manifest.digest(methods.content)} if methods else {}
    return Template(path, content, hashes, methods)


def dataset_run(request: Request, data: Path, template: Template) -> Run:
    """A template on a dataset, with the request's settings."""
    is_experiment = template.path == request.notebooks / "experiment.ipynb"
    name = data.stem if is_experiment else f"{data.stem}/{template.path.stem}"
    parameters = as_parameters(request.settings)
    return make_run(request, data.name, read_dataset(data), name, template, parameters, "report.html")


def as_parameters(settings: Settings) -> dict:
    """Settings as a notebook's parameters."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def make_run(
    request: Request, file: str, data: tuple[bytes, str], name: str, template: Template, parameters: dict,
    page: str | None,
) -> Run:  # fmt: skip
    """A template on what `read_dataset` returned for a file, with any parameters."""
    content, unreadable = data
    return Run(
        name=name,
        title=name,
        template=template.content,
        notebook="notebook.ipynb",
        page=page,
        parameters=parameters | {"draft": request.draft},
        hashes={"data": manifest.digest(unreadable.encode() or content)} | template.hashes,
        inputs={file: content},
        input_parameters={"dataset": f"inputs/{file}"},
        methods=template.methods,
        unreadable=unreadable,
    )


def summary_run(request: Request, names: list[str], refused: dict[str, str], template: Template) -> Run:
    """The summary of this report's datasets; it gets the manifests of all, and the results of good ones."""
    inputs = {}
    for name, reason in refused.items():  # refused for its name, so that it has no folder and no manifest
        record = {"name": name, "status": "invalid", "reason": reason.removeprefix("invalid: "), "seconds": 0.0}
        inputs[f"{name[:200]}/{manifest.FILE}"] = manifest.to_bytes(record)
    for name in names:
        record = manifest.read(request.out / name)
        if record is None:  # not even its failure could be written
            continue
        results = record.get("files", {}) if record["status"] == "ok" else {}
        for file in (manifest.FILE, *results):
            if not file.endswith((".ipynb", ".keras", "student.npz")):  # large, and nothing that it reads
                inputs[f"{name}/{file}"] = (request.out / name / file).read_bytes()
    runs = manifest.digest(json.dumps([(name, manifest.digest(content)) for name, content in inputs.items()]).encode())
    return Run(
        name="",
        title="summary",
        template=template.content,
        notebook="summary.ipynb",
        page="index.html",
        parameters={"draft": request.draft},
        hashes={"runs": runs} | template.hashes,
        inputs=inputs,
        input_parameters={"reports": "inputs"},
        methods=template.methods,
    )


def _has_digest(path: Path, digest: str) -> bool:
    try:
        return manifest.digest(path.read_bytes()) == digest
    except OSError:
        return False
