"""Where runs happen: dask.distributed, on a local cluster or on one that is already there.

A task takes bytes and returns bytes, so that machines need share no disk; only the driver publishes.
Imported late, since it takes a second that a run with nothing due does not need.
"""

import os
import signal
import tempfile
import threading
import uuid
from contextlib import contextmanager, suppress

import dask
import psutil
from distributed import Client, LocalCluster, as_completed, get_worker

from kdlib.report.execute import Job, Outcome, execute
from kdlib.report.plan import RequestError

DASK = {
    "distributed.scheduler.allowed-failures": 0,  # a worker that dies takes its run down; it is not tried again
    "distributed.admin.large-graph-warning-threshold": "10GB",  # jobs carry their data, and should
    "distributed.comm.timeouts.connect": "20s",
    # A task is minutes long and works in a kernel: Dask's looking after itself, many times a second, would cost more.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
}


@contextmanager
def engine(jobs: int, scheduler: str | None = None):
    """A connected client: of a new local cluster of `jobs` processes, or of the one at an address."""
    if scheduler:
        with dask.config.set(DASK), _connected(scheduler) as client:
            yield client
        return
    with tempfile.TemporaryDirectory(prefix="kd-") as scratch, dask.config.set(DASK, temporary_directory=scratch):
        cluster = None
        try:
            with _terminal_signals_ignored():
                cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # None would still take port 8787
                    memory_limit=0,  # the work is in the kernels, which it would not count
                    env={"TMPDIR": scratch},  # what a killed worker leaves goes with it
                    silence_logs=50,
                )
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            _end_kernels(scratch)  # of an interrupted run: else a worker would wait for its notebook
            if cluster is not None:
                cluster.close(timeout=10)
            _end_kernels(scratch)  # one that was just being started


def _connected(scheduler: str) -> Client:
    try:
        if "://" not in scheduler:
            raise ValueError("no protocol")
        client = Client(scheduler, set_as_default=False, timeout="10s")
    except (OSError, ValueError):
        raise RequestError(
            f"scheduler: expected the address of one that runs, as tcp://host:port, got {scheduler!r}"
        ) from None
    try:
        client.wait_for_workers(1, timeout=30)
    except TimeoutError:
        client.close()
        raise RequestError(
            f"scheduler: {scheduler!r} has no workers; start one with `dask worker {scheduler}`"
        ) from None
    return client


def run(client: Client, jobs: list[Job], progress):
    """Yields (job, outcome) as they end; `progress` gets every job's events, in a thread of the client."""
    topic = f"kdlib-{uuid.uuid4()}"
    begun, under_way = set(), {}

    def on_event(event):
        begun.add(event[1]["name"])
        progress(event[1])

    def submit(job, priority):
        future = client.submit(_on_worker, job, topic, pure=False, retries=0, priority=priority)
        under_way[future.key] = job, future
        return future

    client.subscribe_topic(topic, on_event)
    try:
        ended = as_completed([submit(job, -place) for place, job in enumerate(jobs)], loop=client.loop)
        for future in ended:
            job, _ = under_way.pop(future.key)
            try:
                outcome = future.result()
            except Exception as error:  # of dask itself: execute raises for nothing that a notebook does
                if job.name not in begun:  # it only waited at a worker that another run took down
                    begun.add(job.name)
                    ended.add(submit(job, 0))
                    continue
                outcome = Outcome("died", f"its worker was lost: {type(error).__name__}")
            yield job, outcome
    finally:
        client.cancel([future for _, future in under_way.values()], force=True)
        client.unsubscribe_topic(topic)


def _on_worker(job: Job, topic: str) -> Outcome:
    worker = get_worker()
    return execute(job, progress=lambda event: worker.log_event(topic, event))


@contextmanager
def _terminal_signals_ignored():
    """Processes started meanwhile ignore Ctrl-C: the driver gets it too, and ends them in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_kernels(scratch: str) -> None:
    """Kills every kernel whose connection file lies in `scratch`, with all that it started."""
    killed = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if any(argument.startswith(scratch) for argument in process.cmdline()):
                os.killpg(process.pid, signal.SIGKILL)  # a kernel leads a group of its own
                killed.append(process)
    psutil.wait_procs(killed, timeout=2)
