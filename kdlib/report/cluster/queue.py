"""Sends jobs to the workers, and brings back their outcomes.

A task takes bytes and returns bytes, so that machines need not share a disk; only the driver publishes. A run whose
worker is lost is repeated, twice at most, since a machine that is switched off says nothing about the run, nor does one
that had no room for it; a kernel that dies is the run's own failure. A run whose driver was interrupted, killed or cut
off ends its kernel within seconds.

The driver keeps the queue, and a worker never has more runs than threads. Dask could queue and repeat tasks itself, but
its `retries` repeat a task that raised, not one whose worker was lost; those it counts by `allowed-failures`, a setting
of a scheduler that somebody else may have started, and it blames every task that waited on the worker too. Nor could it
keep tasks from a worker that joins later until `workers` has checked it.
"""

import queue
import tempfile
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

from distributed import Future, KilledWorker, Status, get_worker

from kdlib.evaluation.formatting import counted
from kdlib.report.cluster.workers import WorkerPool
from kdlib.report.execution.run_notebook import Job, Outcome, execute
from kdlib.report.request import RequestError

MAX_TRIES = 3  #: of a run whose worker is lost, or cannot hold it
POLL_SECONDS = 2.0  #: between two looks at the workers, while no run ends


def run_jobs(pool: WorkerPool, jobs: list[Job], on_event: Callable[[dict], None]) -> Iterator[tuple[Job, Outcome]]:
    """Yields each job with its outcome when it ends; `on_event` gets progress events, in a thread of the client."""
    running, client = _Queue(pool, jobs, on_event), pool.client
    client.subscribe_topic(running.topic, running.on_event)
    try:
        yield from running.outcomes()
    except (OSError, CancelledError):  # Dask's own; those of a run come as its outcome
        left = counted(len(running.waiting) + len(running.under_way), "run")
        raise RequestError(
            f"scheduler: lost {client.scheduler.address!r}; {left} not done, what was published is intact: once it is "
            "there again, run the same command again"
        ) from None
    finally:
        if client.status == "running":
            client.cancel([future for _, future, _ in running.under_way.values()], force=True)
            client.unsubscribe_topic(running.topic)


class _Queue:
    """The jobs of one call of `run_jobs`."""

    def __init__(self, pool, jobs, on_event):
        self.pool, self.client, self.forward = pool, pool.client, on_event
        self.topic = f"kdlib-{uuid.uuid4()}"
        self.waiting = deque(jobs)
        self.under_way = {}  #: name -> job, its future, the addresses it was sent to
        self.ended = queue.SimpleQueue()  #: name, future, whether its worker was lost
        # A scheduler's settings may make it repeat tasks by itself, so that what began counts besides what was sent.
        self.sent, self.begun = Counter(), Counter()

    def on_event(self, event):
        _, content = event  # the first is its time
        name = content["name"]
        self.begun[name] += content.get("cell") == 1  # an event of a training has no cell
        if self.begun[name] > MAX_TRIES and name in self.under_way:
            self.ended.put((name, self.under_way[name][1], True))
        self.forward(content)

    def outcomes(self):
        while self.waiting or self.under_way:
            self._submit_waiting()
            try:
                name, future, lost = self.ended.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if name not in self.under_way or future is not self.under_way[name][1]:
                continue  # of a try that was given up
            outcome = self._outcome(name, future, lost)
            job, _, _ = self.under_way.pop(name)
            if outcome is None:
                self.waiting.appendleft(job)
            else:
                self._submit_waiting()  # first, so that no worker idles while the outcome is published
                yield job, outcome

    def _submit_waiting(self):
        threads = self.pool.available()
        for name, (_, future, workers) in self.under_way.items():
            if workers.isdisjoint(threads):  # all are gone, and the task may not run on later ones
                self.ended.put((name, future, True))
        while self.waiting and len(self.under_way) < sum(threads.values()):
            self._submit(self.waiting.popleft(), set(threads))

    def _submit(self, job, workers):
        self.sent[job.name] += 1
        task = _execute_on_worker, job, self.topic
        future = self.client.submit(*task, pure=False, retries=0, workers=list(workers))
        self.under_way[job.name] = job, future, workers
        future.add_done_callback(lambda future: self.ended.put((job.name, future, False)))

    def _outcome(self, name, future: Future, lost: bool) -> Outcome | None:
        """The outcome of a try; None if the run is to be repeated."""
        if not lost and future.status == "finished":
            return future.result()
        if not lost and future.status != "error":
            raise CancelledError
        error = None if lost else future.exception()
        match error:
            case None:
                reason = f"its worker was lost {MAX_TRIES} times"
            case KilledWorker():
                reason = f"its worker was lost {MAX_TRIES} times, the last at {error.last_worker.address}"
            case NoRoom():
                self.pool.exclude(*error.args)
                reason = "none of {} workers could hold it; the last, {}: {}".format(MAX_TRIES, *error.args)
            case _:
                return Outcome("died", f"its worker could not run it: {type(error).__name__}: {error}")
        if not future.done():
            self.client.cancel([future], force=True)
        return None if max(self.sent[name], self.begun[name]) < MAX_TRIES else Outcome("died", reason)


class NoRoom(Exception):
    """A run could not begin because of its machine; args are the worker's address and why."""


def _execute_on_worker(job: Job, topic: str) -> Outcome:
    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and worker.status in ALIVE

    try:
        return execute(job, lambda event: worker.log_event(topic, event), is_wanted)
    except OSError as error:
        raise NoRoom(worker.address, f"{tempfile.gettempdir()}: {error}") from None


ALIVE = Status.running, Status.paused, Status.closing_gracefully
