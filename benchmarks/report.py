"""What a whole report takes: seconds and memory by seeds and by size of the data, and what a second job saves.

A report is made as `make report` makes it, from an empty folder. Seconds are wall-clock time from start to end. Memory
is the peak of the one process that took most, which is the kernel of a dataset. `busy_elsewhere` is the number of cores
that other processes kept busy meanwhile: above a few hundredths, the seconds are not to be trusted.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.worker import environment
from kdlib.data import dataset

DATA = Path(__file__).resolve().parent.parent / "data"
ONE = "data_d1.0.pkl"
SEEDS = (1, 10, 30, 100)
EPOCHS = 60  #: of 300, so that a hundred seeds can be measured in minutes
SIZES = ((2400, 2), (2000, 20), (10_000, 100), (60_000, 784))  #: training samples and features
SIZE_CLASSES, SIZE_DOMAINS, SIZE_SEEDS, SIZE_EPOCHS = 10, 3, 3, 2
COLUMNS = ["datasets", "seeds", "epochs", "jobs", "seconds", "cpu_seconds", "peak_mib", "busy_elsewhere"]


def table(seeds=SEEDS, jobs_seeds: int = 10, jobs=(1, 2), epochs: int = EPOCHS, say=print, save=None):
    """The table of results/report.csv: one dataset by seeds, then all by jobs; `save` gets it after each report."""
    cases = [((ONE,), count, 1) for count in seeds]
    names = tuple(sorted(path.name for path in DATA.glob("*.pkl")))
    cases += [(names, jobs_seeds, count) for count in jobs]
    rows = []
    for datasets, count, at_once in cases:
        say(f"a report on {len(datasets)} datasets, {count} seeds, {epochs} epochs, {at_once} at a time")
        with tempfile.TemporaryDirectory() as folder:
            for name in datasets:
                shutil.copy(DATA / name, folder)
            rows.append((len(datasets), count, epochs, at_once, *make(folder, count, epochs, at_once)))
        table = pd.DataFrame(rows, columns=COLUMNS)
        if save:
            save(table)
    return table


def size_table(sizes=SIZES, say=print, save=lambda table: None) -> pd.DataFrame:
    """The table of results/size.csv: a report on one dataset of Gaussian clusters, by size; `save` as in `table`."""
    rows = []
    for samples, features in sizes:
        say(f"a report on {samples} samples of {features} features, {SIZE_SEEDS} seeds, {SIZE_EPOCHS} epochs")
        with tempfile.TemporaryDirectory() as folder:
            arrays = clusters(samples, features)
            mib = sum(array.nbytes for array in arrays.values()) / 2**20
            dataset.save(Path(folder, "clusters.pkl"), arrays)
            rows.append((samples, features, mib, *make(folder, SIZE_SEEDS, SIZE_EPOCHS, 1)))
        save(table := pd.DataFrame(rows, columns=["samples", "features", "array_mib", *COLUMNS[4:]]))
    return table


def clusters(samples: int, features: int) -> dict[str, np.ndarray]:
    """A dataset of a Gaussian for each of 3 domains and 10 classes; valid and test have a twelfth of train each."""
    rng = np.random.default_rng(0)
    centres, arrays = rng.normal(size=(SIZE_DOMAINS, SIZE_CLASSES, features)), {}
    for part, count in (("train", samples), ("valid", samples // 12), ("test", samples // 12)):
        d, y = np.arange(count) % SIZE_DOMAINS, np.arange(count) // SIZE_DOMAINS % SIZE_CLASSES
        x = centres[d, y] + rng.normal(scale=3, size=(count, features))
        arrays |= {f"x_{part}": x, f"y_{part}": y, f"d_{part}": d}
    return arrays


def make(data, seeds, epochs, jobs, pinned: bool = True) -> tuple[float, float, float, float]:
    """Makes a report with kdlib's pins or without: seconds, CPU seconds, peak memory in MiB, cores busy elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out"), Path(folder, "log")
        command = [sys.executable, "-m", "kdlib.report", "run", f"--data={data}", f"--out={out}", f"--seeds={seeds}"]
        command += [f"--epochs={epochs}", f"--jobs={jobs}"]
        with log.open("w") as file:
            begin, busy = time.monotonic(), busy_seconds()
            process = psutil.Popen(command, env=environment(pinned), stdout=file, stderr=subprocess.STDOUT)
            cpu, peak = _watch(process)
            seconds = time.monotonic() - begin
        if process.returncode:
            raise SystemExit(f"the report failed:\n{log.read_text()}")
        return seconds, cpu, peak, max(0.0, (busy_seconds() - busy - cpu) / seconds)


def _watch(process) -> tuple[float, float]:
    """CPU seconds of a process and all it starts, and the peak memory in MiB of the largest, until it ends."""
    cpu, peak = {}, 0.0
    while process.poll() is None:
        for each in _family(process):
            try:
                with each.oneshot():
                    times = each.cpu_times()
                    cpu[each.pid, each.create_time()] = times.user + times.system
                peak = max(peak, peak_memory(each))
            except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
                continue
        time.sleep(0.3)
    return sum(cpu.values()), peak


def _family(process):
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def peak_memory(process) -> float:
    """The most resident memory that a process has held, in MiB; what it holds now where the system keeps no record."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return process.memory_info().rss / 2**20
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def busy_seconds() -> float:
    """CPU seconds that all processes of the machine have taken."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0)
