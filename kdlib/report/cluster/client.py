"""A Dask client of the cluster where runs happen: a local one, or one that is already there.

What is sent there, and what comes back, is in `queue`. Both are imported late, since Dask takes a second that a report
with nothing due does not need.
"""

import json
import logging
import os
import signal
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import psutil
from distributed import Client, LocalCluster
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning

from kdlib.report.execution import temp_folder
from kdlib.report.request import RequestError

DASK_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # a lost worker is reported to `queue` at once, which repeats its run
    "distributed.admin.large-graph-warning-threshold": "10GB",  # jobs carry their data, and should
    "distributed.comm.timeouts.connect": "20s",
    # A task takes minutes and works in a kernel: Dask's monitoring of itself, many times a second, would cost more.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
}


@contextmanager
def open_client(jobs: int, scheduler: str | None = None, dashboard: bool = False):
    """Yields a client of a new local cluster of `jobs` processes, or of the cluster at an address or in a file."""
    if scheduler:
        with dask.config.set(DASK_SETTINGS), silence_logging_cmgr(logging.CRITICAL), _connect(scheduler) as client:
            yield client
        return
    with temp_folder.private_folder() as private, dask.config.set(DASK_SETTINGS, temporary_directory=private):
        cluster = None
        try:
            with _interrupts_ignored():
                cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    # An address of None would still take port 8787.
                    scheduler_kwargs={"dashboard": dashboard, "dashboard_address": "127.0.0.1:0"},
                    memory_limit=0,  # the work is in the kernels, which it would not count
                    env={"TMPDIR": private},  # removed with what a killed worker left in it
                    silence_logs=logging.CRITICAL,
                )
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            _kill_kernels(private)  # of an interrupted run: a worker would wait for its notebook
            if cluster is not None:
                cluster.close(timeout=10)
            _kill_kernels(private)  # one that was being started


def _connect(scheduler: str) -> Client:
    address = scheduler if "://" in scheduler else _read_address(scheduler)
    if address.startswith("tls://") and not dask.config.get("distributed.comm.tls.ca-file"):
        raise RequestError(
            f"scheduler: {address} needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "...__CLIENT__CERT and ...__CLIENT__KEY, as kdlib/report/cluster/CLUSTER.md shows"
        )
    try:
        if not address.startswith(("tcp://", "tls://")):
            raise OSError("neither tcp:// nor tls://")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # `workers` compares more, and reports it in a line
            return Client(address, set_as_default=False, timeout="10s")
    except OSError as error:
        raise RequestError(
            f"scheduler: expected the address of a running one, as tcp://host:port, got {address!r}: {error}"
        ) from None


def _read_address(file: str) -> str:
    """The address in what `dask scheduler --scheduler-file FILE` wrote."""
    try:
        return str(json.loads(Path(file).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RequestError(
            "scheduler: expected the address of a running one, as tcp://host:port, or the file that `dask scheduler "
            f"--scheduler-file` wrote, got {file!r}"
        ) from None


@contextmanager
def _interrupts_ignored():
    """Processes started meanwhile ignore Ctrl-C: the driver gets it too, and ends them in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kill_kernels(private: str) -> None:
    """Kills every kernel whose connection file lies in `private`, with the processes it started."""
    killed = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if any(argument.startswith(private) for argument in process.cmdline()):
                os.killpg(process.pid, signal.SIGKILL)  # a kernel leads a process group of its own
                killed.append(process)
    psutil.wait_procs(killed, timeout=2)
