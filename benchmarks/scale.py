"""What many datasets cost beside their kernels: reports on hundreds of tiny ones, by worker processes.

Reports are made as `make report` makes them, on its own cluster. The tiny template does next to nothing, so that what
is measured is the kernel's start and the driver. The experiment's own template, at two seeds and two epochs, gives a
real page. A hundred workers are simulated: Dask and publishing are real; a run waits, and returns what one of the
experiment's left, with its page. Each figure is of the time between the first results and the last, without start-up.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import dask
import nbformat
import numpy as np
import pandas as pd
import psutil
from distributed import Client, LocalCluster
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks.report import DATA, busy_seconds, peak_memory
from kdlib.data.dataset import save
from kdlib.report import manifest, pipeline, progress
from kdlib.report.cluster import client as client_module
from kdlib.report.cluster import queue
from kdlib.report.execution.run_notebook import Job, Outcome
from kdlib.report.request import Request
from kdlib.settings import Settings

CASES = ((30, 2), (300, 1), (300, 2), *(((300, 4),) if (os.cpu_count() or 1) >= 4 else ()))  #: datasets, workers
SIMULATED = ((300, 30.0), (400, 2.0))  #: runs, and seconds of each: the driver keeps up with the first, not the second
WORKERS, PROCESSES = 100, 4  #: simulated, and what they are threads of
TWO = "data_d0.5.pkl", "data_d1.0.pkl"
COLUMNS = ["template", "datasets", "workers", "run_seconds", "tasks_per_second", "overhead_ms", "driver_cpu_ms",
           "driver_mib", "busy_elsewhere"]  # fmt: skip
PARAMETERS = ["dataset", "output", "draft", *(field.name for field in fields(Settings))], ["reports", "output", "draft"]
WORK = """import hashlib, json, pathlib
folder, content = pathlib.Path(output), b"nothing"
_ = (folder / "results.csv").write_bytes(content)
sums = {"results.csv": hashlib.sha256(content).hexdigest()}
_ = (folder / "checksums.json").write_text(json.dumps({"files": sums}))"""


def table(cases=CASES, simulated=SIMULATED, workers: int = WORKERS, experiment: bool = True, say=print) -> pd.DataFrame:
    """The table of results/scale.csv: a row per report. `experiment`: simulated runs leave what a real one did."""
    rows = []
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        for datasets, jobs in cases:
            say(f"a report on {datasets} tiny datasets, {jobs} at a time")
            place = _tiny(folder / f"{datasets}-{jobs}", datasets)
            rows.append(("tiny", datasets, jobs, *_report(place, jobs, f"--notebooks={place / 'notebooks'}")))
            recorded = place / "out" / "tiny-0"
        if experiment:
            say("a report on two datasets, the experiment's own template, 2 seeds, 2 epochs")
            place = folder / "experiment"
            shutil.copytree(DATA, place / "data", ignore=lambda _, names: {*names} - {*TWO})
            rows.append(("experiment", 2, 1, *_report(place, 1)))
            recorded = place / "out" / Path(TWO[0]).stem
        for runs, seconds in simulated:
            say(f"{runs} runs of {seconds:g} s, {workers} at a time, simulated")
            place = _tiny(folder / f"simulated-{seconds:g}", runs)
            rows.append(("simulated", runs, workers, *_simulation(place, workers, seconds, recorded)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _tiny(folder: Path, datasets: int) -> Path:
    """A folder of datasets of 36 points, and of templates that do nothing with them."""
    for name in ("notebooks", "data"):
        (folder / name).mkdir(parents=True)
    for name, parameters in zip(("experiment", "summary"), PARAMETERS, strict=True):
        cell = "\n".join(f"{parameter} = None" for parameter in parameters)
        cells = [new_code_cell(cell, metadata={"tags": ["parameters"]}), new_code_cell(WORK)]
        nbformat.write(new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")
    for number in range(datasets):
        x = np.random.default_rng(number).normal(size=(36, 2))
        y, d = np.arange(36) % 2, np.arange(36) // 18
        arrays = {"x_train": x[:24], "y_train": y[:24], "d_train": d[:24], "x_valid": x[24:], "y_valid": y[24:]}
        save(folder / "data" / f"tiny-{number}.pkl", arrays)
    return folder


class Ends:
    """When each run of a report was published, and what its driver had used until then."""

    def __init__(self, driver: psutil.Process):
        self.driver, self.at, self.peak = driver, [], 0.0

    def record(self, name: str):
        times = self.driver.cpu_times()
        self.at.append((name, time.monotonic(), times.user + times.system))
        self.peak = peak_memory(self.driver)

    def figures(self, out: Path, workers: int) -> tuple[float, float, float, float, float]:
        """Once every worker has done a run: seconds of a run, runs a second, ms of overhead and of CPU, peak memory."""
        begin, *runs = self.at[workers - 1 :]
        run = np.mean([manifest.read(out / name)["seconds"] for name, _, _ in runs])
        seconds, cpu = np.subtract(runs[-1][1:], begin[1:])
        overhead = seconds * workers / len(runs) - run
        return run, len(runs) / seconds, 1000 * overhead, 1000 * cpu / len(runs), self.peak


def _report(folder: Path, jobs: int, *options: str) -> tuple:
    command = [sys.executable, "-u", "-m", "kdlib.report", "run", "--draft", "--seeds=2", "--epochs=2"]
    command += [f"--jobs={jobs}", f"--data={folder / 'data'}", f"--out={folder / 'out'}", *options]
    begin, busy, used = time.monotonic(), busy_seconds(), os.times()
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        ends, said = Ends(driver), []
        for line in driver.stdout:
            said.append(line)
            if found := re.match(r"(?!summary)(.*): ok after", line):
                ends.record(found[1])
    if driver.returncode:
        raise SystemExit(f"the report failed:\n{''.join(said)}")
    used = sum(np.subtract(os.times(), used)[2:4])  # of the driver and all that it started
    elsewhere = max(0.0, (busy_seconds() - busy - used) / (time.monotonic() - begin))
    return *ends.figures(folder / "out", jobs), elsewhere


def _simulation(folder: Path, workers: int, seconds: float, recorded: Path) -> tuple:
    """A report whose driver is this process; its workers wait, then return what a run left in the folder `recorded`."""
    ends = Ends(psutil.Process())

    class Display(progress.LogDisplay):
        def log(self, _):
            pass

        def finish(self, name, *_):
            ends.record(name)

    @contextmanager
    def many_workers(*_):
        host = {
            "host": "127.0.0.1",
            "dashboard_address": None,
            "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
        }
        threads = {"n_workers": PROCESSES, "threads_per_worker": workers // PROCESSES, "memory_limit": 0}
        with dask.config.set(client_module.DASK_SETTINGS), LocalCluster(**host, **threads, silence_logs=50) as cluster:
            with Client(cluster, set_as_default=False) as client:
                yield client

    request = Request(folder / "data", folder / "out", folder / "notebooks")
    task = partial(_recorded, seconds, recorded)
    with (
        mock.patch.object(queue, "_execute_on_worker", task),
        mock.patch.object(client_module, "open_client", many_workers),
        mock.patch.object(pipeline.ReportRunner, "refresh_page"),  # the recorded page was made with another command
    ):
        pipeline.update_report(request, lambda: Display(None))
    del ends.at[-1]  # the summary
    return *ends.figures(folder / "out", workers), np.nan


def _recorded(seconds: float, folder: Path, job: Job, topic: str) -> Outcome:
    time.sleep(seconds)
    record = manifest.read(folder)
    files = {name: (folder / name).read_bytes() for name in record["files"]}
    notebook = files.pop("notebook.ipynb")
    page = (folder / "report.html").read_text(encoding="utf-8")
    known = {name: record[name] for name in ("cells", "environment")}
    return Outcome("ok", "", seconds=seconds, notebook=notebook, files=files, page=page, **known)


def limits(table: pd.DataFrame, datasets: int = 10_000, workers: int = 100) -> dict[str, float]:
    """The model: a driver that does one thing after the other, in front of workers that do not wait for each other.

    Runs a second are the lesser of workers / run seconds and 1 / driver CPU seconds of a run. Memory grows with the
    number of datasets: the summary's run takes the results of all along.
    """
    simulated = table[table.template == "simulated"]
    driver = simulated.driver_cpu_ms.min() / 1000
    each = (simulated.driver_mib / simulated.datasets).max()
    return {
        "driver_ms": 1000 * driver,
        "run_seconds": workers * driver,  # the shortest runs that keep all workers busy
        "driver_hours": datasets * driver / 3600,
        "dataset_mib": each,
        "driver_gib": datasets * each / 1024,
    }
