"""One notebook, executed truthfully.

Papermill marks every cell completed when a kernel dies or runs out of time. Here a run is good only if
papermill came back, every code cell ran without error, the kernel still answered after the last one, and
the results match the notebook's own `checksums.json`. (How the kernel's process ends once
told to is recorded, not judged: a few in a hundred do not end cleanly, for reasons of ipykernel's.)
Nothing outside a private folder is written; bytes come in with a `Job` and leave with an `Outcome`, so that it
can happen on any machine.
"""

import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kdlib.report import manifest
from kdlib.report.execution import temp_folder
from kdlib.report.execution.cell_timer import CellTimer

CHECKSUMS = "checksums.json"  #: as `kdlib.evaluation.results` writes it
FOLDERS = "k", "inputs", "results"  #: k is the kernel's own


@dataclass(frozen=True)
class Job:
    """A notebook to run, with all it needs; picklable."""

    name: str  #: names the run in progress reports
    notebook: bytes
    parameters: dict  #: beside `output`, which is the private results folder
    inputs: dict[str, bytes]  #: relative path -> content; they appear in the folder `inputs`
    limit: float | None = None  #: seconds for the whole notebook
    code: str | None = None  #: `manifest.code_digest()` where the job was made
    record: dict = field(default_factory=dict)  #: what a manifest has beside the outcome
    links: dict | None = None  #: of the page that is wanted; None: no page


@dataclass(frozen=True)
class Outcome:
    """How a job ended, and what it left."""

    status: str  #: ok, failed, died, timeout or invalid
    reason: str  #: one line; empty if ok
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    notebook: bytes | None = None  #: as far as it ran
    files: dict[str, bytes] = field(default_factory=dict)  #: the results, only if ok
    cells: list[dict] = field(default_factory=list)  #: heading and seconds of each cell that began
    environment: dict = field(default_factory=dict)  #: versions, CPU, threads of where it ran
    page: str | None = None  #: rendered where it ran, only if ok and wanted

    def record(self, about: dict) -> dict:
        """The manifest's content; `about` has what is known without the outcome."""
        kept = {
            name: getattr(self, name) for name in ("status", "reason", "started", "seconds", "environment", "cells")
        }
        return about | kept


class RunError(Exception):
    """Why a run is not good: a status and a line."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def execute(job: Job, progress=lambda event: None, wanted=lambda: True) -> Outcome:
    """Runs a job in a private folder; never raises for what the notebook does, but OSError if it could not begin.

    `progress` is called with a dict: at the start of every cell name, cell, of, heading, seconds; in a training name,
    task, epoch, epochs. `wanted` is asked every second: once it says no, the kernel is killed, and the outcome is for
    nobody.
    """
    outcome = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "environment": manifest.environment()}
    begin = time.monotonic()
    timer = CellTimer(job.name, begin, progress)
    notebook = {}
    with temp_folder.folder() as private:
        try:
            files = _run(job, Path(private), timer, notebook, begin, wanted)
            outcome |= {"status": "ok", "reason": "", "files": files}
        except RunError as error:
            outcome |= {"status": error.status, "reason": _line(str(error))}
        if "nb" in notebook:
            outcome["notebook"] = _settled(notebook["nb"], private)
    ended = Outcome(**outcome, seconds=round(time.monotonic() - begin, 3), cells=timer.finished())
    return ended if job.links is None or ended.status != "ok" else _with_page(ended, job)


def _with_page(outcome, job) -> Outcome:
    from kdlib.report.pages import render  # here, not in the driver, which has only one processor

    try:
        return replace(outcome, page=render.page(outcome.notebook, outcome.record(job.record), job.links))
    except render.PageError as error:
        return replace(outcome, status="failed", reason=str(error))


def _run(job, folder, timer, holder, begin, wanted) -> dict[str, bytes]:
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from kdlib.report.execution import jupyter_kernel  # registers the engine

    if job.code not in (None, manifest.code_digest()):
        raise RunError(
            "failed", "kdlib is not what the run was planned with: edited meanwhile, or this worker has another"
        )
    for name in FOLDERS:
        (folder / name).mkdir()
    for name, content in job.inputs.items():
        path = folder / "inputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        nb = nbformat.reads(job.notebook.decode("utf-8"), as_version=4)
    except ValueError as error:
        raise RunError("failed", f"the notebook cannot be read: {error}") from None
    ending = {}
    try:
        papermill.execute_notebook(
            nb,
            None,
            parameters=job.parameters | {"output": "results"},
            engine_name=jupyter_kernel.ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            nb_holder=holder,
            private=folder / "k",
            resources={"metadata": {"path": str(folder)}},
            deadline=None if job.limit is None else begin + job.limit,
            ending=ending,
            wanted=wanted,
            on_cell_start=timer.start(nb),
            on_training=timer.training,
        )
    except CellTimeoutError:
        raise RunError("timeout", f"{timer.where()}: not done after {job.limit:g} seconds") from None
    except DeadKernelError:
        raise RunError("died", f"{timer.where()}: the kernel died ({_ended(ending)}){_last_words(folder)}") from None
    except papermill.PapermillExecutionError as error:
        raise RunError("failed", f"{timer.where()}: {error.ename}: {error.evalue}") from None
    except Exception as error:  # papermill and nbclient raise many kinds; each means that the run is not good
        if not timer.began and (isinstance(error, OSError) or not ending.get("alive", True)):
            raise OSError(f"{error}{_last_words(folder)}") from error  # the machine's own: a kernel could not start
        status = "failed" if timer.began else "died"
        raise RunError(status, f"{timer.where()}: {type(error).__name__}: {error}") from error
    _check_cells(holder["nb"], timer)
    if not ending.get("alive"):
        raise RunError("died", f"the kernel died after the last cell ({_ended(ending)})")
    try:
        return checked_files(folder / "results")
    except OSError as error:  # the notebook may have closed them
        raise RunError("failed", f"results: cannot be read: {error}") from None


def _check_cells(nb, timer):
    """Every code cell that has code was executed, and none left an error."""
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                raise RunError("failed", f"{timer.where(index)}: {output.ename}: {output.evalue}")
        if cell.execution_count is None:
            raise RunError("failed", f"{timer.where(index)}: never executed")


def checked_files(folder: Path) -> dict[str, bytes]:
    """The files of a results folder, if they are exactly those that its `checksums.json` lists."""
    present = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RunError("failed", f"results: {name!r} is not a regular file")
        if path.is_file():
            present[name] = path.read_bytes()
    if CHECKSUMS not in present:
        raise RunError("failed", f"results: expected {CHECKSUMS} from the notebook's last cell, got none")
    try:
        expected = dict(json.loads(present.pop(CHECKSUMS))["files"])
    except (ValueError, KeyError, TypeError):
        raise RunError("failed", f"results: {CHECKSUMS} cannot be read") from None
    for name in sorted(present.keys() | expected.keys()):
        if name not in present:
            raise RunError("failed", f"results: {name!r} is listed in {CHECKSUMS} but is not there")
        if name not in expected:
            raise RunError("failed", f"results: {name!r} is not listed in {CHECKSUMS}")
        if manifest.digest(present[name]) != expected[name]:
            raise RunError("failed", f"results: {name!r} differs from its checksum")
    return present


def _settled(nb, private: str) -> bytes:
    """The notebook without what differs between two equal runs, or tells of a machine: times, ids, folders."""
    import nbformat

    nb.cells = [cell for cell in nb.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    nb.metadata["papermill"] = {"parameters": nb.metadata.get("papermill", {}).get("parameters", {})}
    for cell in nb.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
    text = nbformat.writes(nb).replace(private, ".")
    return re.sub(r"/[\w./-]*ipykernel_\d+/\d+\.py", "cell", text).encode("utf-8")


def _ended(ending) -> str:
    status = ending.get("exit")
    return "no exit status" if status is None else f"signal {-status}" if status < 0 else f"exit status {status}"


def _last_words(folder) -> str:
    """The last line of the kernel's own standard error, such as a fatal error of Python's."""
    path = folder / "k" / "stderr"
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    said = [
        line.strip() for line in lines if line.strip() and not re.search(r"\[IPKernelApp\]|^I\d{4} |absl::Init", line)
    ]
    return f"; it said {said[-1]!r}" if said else ""


def _line(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:400]
