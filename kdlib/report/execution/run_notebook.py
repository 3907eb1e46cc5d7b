"""One notebook, executed and verified to have completed.

Papermill marks every cell completed when a kernel dies or runs out of time. Here a run is good only if papermill
returned, every code cell ran without error, the kernel still ran after the last one, and the results match the
notebook's own `checksums.json`. Then the kernel is killed: nothing of it is needed any more. Nothing is written outside
a private folder; bytes come in with a `Job` and leave with an `Outcome`, so that it can happen on any machine.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kdlib.report import manifest
from kdlib.report.execution import checksums, temp_folder
from kdlib.report.execution.cell_timer import CellTimer
from kdlib.report.request import MethodsFile

FOLDERS = "k", "inputs", "results"  #: k is the kernel's own
#: lines of a kernel's standard error that tell nothing: TensorFlow has two for each compiled program that it reads
NOISE = re.compile(r"\[IPKernelApp\]|^I\d{4} |absl::Init|cpu_aot_loader|XlaSerializedCacheEntry")


@dataclass(frozen=True)
class Job:
    """A notebook to run, with all it needs; picklable."""

    name: str  #: in progress events
    notebook: bytes
    parameters: dict  #: except `output`, which is the private results folder
    inputs: dict[str, bytes]  #: content by relative path, in the folder `inputs`
    timeout: float | None = None  #: seconds for the whole notebook
    code: dict[str, str] = field(default_factory=dict)  #: digests of the files of kdlib that it depends on
    record: dict = field(default_factory=dict)  #: what the manifest holds beside the outcome
    links: dict | None = None  #: of its page; None: no page is rendered
    reuse: bool = True  #: what was trained or compiled before
    methods: MethodsFile | None = None  #: of the user's own
    cores: int = 1  #: of the processor, which its trainings may use at once


@dataclass(frozen=True)
class Outcome:
    """How a job ended, and what it made."""

    status: str  #: ok, failed, died, timeout or invalid
    reason: str  #: one line; empty if ok
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    notebook: bytes | None = None  #: as far as it ran
    files: dict[str, bytes] = field(default_factory=dict)  #: the results, only if ok
    cells: list[dict] = field(default_factory=list)  #: heading and seconds of each cell that began
    trainings: dict = field(default_factory=dict)  #: how many of each task were `trained`, and how many `reused`
    environment: dict = field(default_factory=dict)  #: versions, processor and threads of where it ran
    page: str | None = None  #: rendered where the notebook ran, only if ok and wanted

    def record(self, origin: dict) -> dict:
        """The manifest's content; `origin` is what was known before the run."""
        names = "status", "reason", "started", "seconds", "environment", "cells", "trainings"
        return origin | {name: getattr(self, name) for name in names}


class RunError(Exception):
    """Why a run is not good: a status, and a line as the message."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def execute(
    job: Job,
    report: Callable[[dict], None] = lambda event: None,
    wanted: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Runs a job in a private folder; raises OSError if it could not begin, and nothing for what the notebook does.

    report: gets a dict at the start of every cell (name, cell, cells, heading, seconds) and during a training (name,
    task, epoch, epochs). wanted: asked every second; once it says no, the kernel is killed and the outcome is void.
    """
    outcome = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "environment": manifest.environment()}
    start = time.monotonic()
    timer = CellTimer(job.name, start, report)
    notebook = {}
    with temp_folder.private_folder() as private:
        try:
            files = _run(job, Path(private), timer, notebook, wanted)
            outcome |= {"status": "ok", "reason": "", "files": files}
        except RunError as error:
            outcome |= {"status": error.status, "reason": _one_line(str(error))}
        if "nb" in notebook:
            outcome["notebook"] = _normalized(notebook["nb"], private)
    seconds = round(time.monotonic() - start, 3)
    ended = Outcome(**outcome, seconds=seconds, cells=timer.cell_seconds(), trainings=timer.trainings)
    return ended if job.links is None or ended.status != "ok" else _add_page(ended, job)


def _add_page(outcome: Outcome, job: Job) -> Outcome:
    from kdlib.report.pages import render  # here, not in the driver, which has only one processor

    try:
        return replace(outcome, page=render.render_page(outcome.notebook, outcome.record(job.record), job.links))
    except render.PageError as error:
        return replace(outcome, status="failed", reason=str(error))


def _run(job, folder, timer, holder, wanted) -> dict[str, bytes]:
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from kdlib.report.execution import jupyter_kernel  # registers the engine

    _check_code(job.code)
    for name in FOLDERS:
        (folder / name).mkdir()
    for name, content in job.inputs.items():
        path = folder / "inputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if job.methods:
        (folder / "k" / "methods").mkdir()
        (folder / "k" / "methods" / job.methods.name).write_bytes(job.methods.content)
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
            deadline=None if job.timeout is None else timer.start + job.timeout,
            ending=ending,
            wanted=wanted,
            reuse=job.reuse,
            cores=job.cores,
            on_cell_start=timer.callback(nb),
            on_training=timer.on_training,
        )
    except CellTimeoutError:
        raise RunError("timeout", f"{timer.describe()}: not done after {job.timeout:g} seconds") from None
    except DeadKernelError:
        reason = f"{timer.describe()}: the kernel died ({_describe_exit(ending)}){_stderr_tail(folder)}"
        raise RunError("died", reason) from None
    except papermill.PapermillExecutionError as error:
        raise RunError("failed", f"{timer.describe()}: {error.ename}: {error.evalue}") from None
    except Exception as error:  # papermill and nbclient raise many kinds; each means that the run is not good
        if not timer.starts and (isinstance(error, OSError) or not ending.get("alive", True)):
            raise OSError(f"{error}{_stderr_tail(folder)}") from error  # the machine's fault: no kernel could start
        status = "failed" if timer.starts else "died"
        raise RunError(status, f"{timer.describe()}: {type(error).__name__}: {error}") from error
    _check_cells(holder["nb"], timer)
    if not ending.get("alive"):
        raise RunError("died", f"the kernel died after the last cell ({_describe_exit(ending)})")
    try:
        return checksums.read_checked(folder / "results")
    except checksums.ChecksumError as error:
        raise RunError("failed", f"results: {error}") from None
    except OSError as error:  # the notebook may have taken away the right to read them
        raise RunError("failed", f"results: cannot be read: {error}") from None


def _check_code(expected: dict[str, str]) -> None:
    """The files of kdlib that the notebook depends on are those that the run was planned with."""
    found = manifest.code_digests(expected)
    for name, digest in expected.items():
        if found.get(name) != digest:
            reason = f"{name} is not what the run was planned with: edited meanwhile, or another one on this worker"
            raise RunError("failed", reason)


def _check_cells(nb, timer):
    """Every code cell that has code was executed, and none left an error."""
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                raise RunError("failed", f"{timer.describe(index)}: {output.ename}: {output.evalue}")
        if cell.execution_count is None:
            raise RunError("failed", f"{timer.describe(index)}: never executed")


def _normalized(nb, private: str) -> bytes:
    """The notebook without what differs between two equal runs or belongs to a machine: times, ids, folders."""
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


def _describe_exit(ending) -> str:
    status = ending.get("exit")
    return "no exit status" if status is None else f"signal {-status}" if status < 0 else f"exit status {status}"


def _stderr_tail(folder) -> str:
    """The last line of the kernel's own standard error, such as a fatal error of Python's; empty if it has none."""
    path = folder / "k" / "stderr"
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    lines = [line.strip() for line in lines if not NOISE.search(line)]
    tail = next(filter(None, reversed(lines)), "")
    return f"; stderr ends with {tail!r}" if tail else ""


def _one_line(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:400]
