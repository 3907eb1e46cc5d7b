"""Sends jobs to the workers and brings back what came of them.

A task takes bytes and returns bytes, so that machines need share no disk; only the driver publishes. It holds the
queue: a worker has as many runs as it has threads, and what waits is nowhere but here. A run whose worker is lost
is repeated, twice at most, since a machine that is switched off says nothing about the run, nor does one that had
no room for it; a kernel that dies is the run's own end. A run that nobody waits for any more, because its driver was
interrupted, killed or cut off, ends its kernel in a second or two.
"""

import queue
import tempfile
import uuid
from collections import Counter, deque
from concurrent.futures import CancelledError

from distributed import Future, KilledWorker, Status, get_worker

from kdlib.report.cluster.workers import Crew
from kdlib.report.execution.run_notebook import Job, Outcome, execute
from kdlib.report.plan import RequestError

TRIES = 3  #: of a run whose worker is lost, or cannot hold it
LOOK = 2.0  #: seconds between two looks at the workers, while nothing ends


def run(crew: Crew, jobs: list[Job], progress):
    """Yields (job, outcome) as they end; `progress` gets every job's events, in a thread of the client."""
    dispatch, client = _Dispatch(crew, jobs, progress), crew.client
    client.subscribe_topic(dispatch.topic, dispatch.on_event)
    try:
        yield from dispatch.outcomes()
    except (OSError, CancelledError):  # Dask's own; a run's come as its outcome
        left = len(dispatch.waiting) + len(dispatch.under_way)
        raise RequestError(
            f"scheduler: lost {client.scheduler.address!r}; {left} run{'s' * (left != 1)} not done, what was published "
            "is whole: once it is there again, the same command does the rest"
        ) from None
    finally:
        if client.status == "running":
            client.cancel([future for _, future, _ in dispatch.under_way.values()], force=True)
            client.unsubscribe_topic(dispatch.topic)


class _Dispatch:
    """The queue of one call of `run`."""

    def __init__(self, crew, jobs, progress):
        self.crew, self.client, self.progress = crew, crew.client, progress
        self.topic = f"kdlib-{uuid.uuid4()}"
        self.waiting = deque(jobs)
        self.under_way = {}  #: name -> job, its future, the addresses that it may run at
        self.ended = queue.SimpleQueue()  #: name, future, whether its worker was lost
        self.sent, self.begun = Counter(), Counter()  # a scheduler may have settings by which it repeats by itself

    def on_event(self, event):
        name = event[1]["name"]  # of a time and what was sent
        self.begun[name] += event[1].get("cell") == 1  # a training has none
        if self.begun[name] > TRIES and name in self.under_way:
            self.ended.put((name, self.under_way[name][1], True))
        self.progress(event[1])

    def outcomes(self):
        while self.waiting or self.under_way:
            self._fill()
            try:
                name, future, lost = self.ended.get(timeout=LOOK)
            except queue.Empty:
                continue
            if name not in self.under_way or future is not self.under_way[name][1]:
                continue  # of a try that was given up
            outcome = self._outcome(name, future, lost)
            job, _, _ = self.under_way.pop(name)
            if outcome is None:
                self.waiting.appendleft(job)
            else:
                self._fill()  # first, so that no worker waits for what is published meanwhile
                yield job, outcome

    def _fill(self):
        threads = self.crew.look()
        for name, (_, future, workers) in self.under_way.items():
            if workers.isdisjoint(threads):  # all are gone, and those that came since may not run it
                self.ended.put((name, future, True))
        while self.waiting and len(self.under_way) < sum(threads.values()):
            self._send(self.waiting.popleft(), set(threads))

    def _send(self, job, workers):
        self.sent[job.name] += 1
        future = self.client.submit(_on_worker, job, self.topic, pure=False, retries=0, workers=list(workers))
        self.under_way[job.name] = job, future, workers
        future.add_done_callback(lambda future: self.ended.put((job.name, future, False)))

    def _outcome(self, name, future: Future, lost: bool) -> Outcome | None:
        """What came of a try; None if the run is to be repeated."""
        if not lost and future.status == "finished":
            return future.result()
        if not lost and future.status != "error":
            raise CancelledError
        error = None if lost else future.exception()
        match error:
            case None:
                reason = f"its worker was lost {TRIES} times"
            case KilledWorker():
                reason = f"its worker was lost {TRIES} times, the last at {error.last_worker.address}"
            case CannotHold():
                self.crew.leave_out(*error.args)
                reason = "none of {} workers could hold it; the last, {}: {}".format(TRIES, *error.args)
            case _:
                return Outcome("died", f"its worker could not run it: {type(error).__name__}: {error}")
        if not future.done():
            self.client.cancel([future], force=True)
        return None if max(self.sent[name], self.begun[name]) < TRIES else Outcome("died", reason)


class CannotHold(Exception):
    """A run could not begin, for its machine's own reasons; args are the worker's address and why."""


def _on_worker(job: Job, topic: str) -> Outcome:
    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and worker.status in ALIVE

    try:
        return execute(job, lambda event: worker.log_event(topic, event), wanted)
    except OSError as error:
        raise CannotHold(worker.address, f"{tempfile.gettempdir()}: {error}") from None


ALIVE = Status.running, Status.paused, Status.closing_gracefully
