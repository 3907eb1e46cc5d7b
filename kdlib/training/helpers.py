"""Helper processes: where processor cores are free, they train what a process is about to ask for.

The process offers its next trainings. Helpers take the latest offer first; the process itself works from the first, and
trains another offer while it would wait for a helper. A helper has the same settings, so that its fits have the same
bits. Helpers start with the first offer. Until one is ready the process does all itself, as it does if helpers die. Out
of scope: dividing one training, since a member's bits depend on how many members are trained beside it.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from kdlib.training import loop, losses
from kdlib.training.plan import TrainingPlan


class Helpers:
    """Up to `count` helper processes; with a count of 0, offers are ignored."""

    def __init__(self, count: int):
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._ready = 0
        self._offers: dict[TrainingPlan, Callable[[loop.Fit], None]] = {}
        self._fits: dict[TrainingPlan, Future] = {}
        self._lock = threading.RLock()  # a callback of what is done already is called at once

    def offer(self, plan: TrainingPlan, keep: Callable[[loop.Fit], None]) -> None:
        """Offers a training that `fit` will ask for. keep: called with the fit, in a thread, if a helper trains it."""
        if not self.count or plan.loss.__module__ != losses.__name__:  # a helper knows no losses of the user's own
            return
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
                self._pool = ProcessPoolExecutor(self.count, context, _set_up)
                for _ in range(self.count):
                    self._pool.submit(int).add_done_callback(self._is_ready)
            self._offers[plan] = keep
            self._hand_out()

    def fit(self, plan: TrainingPlan) -> loop.Fit | None:
        """The fit of an offered training, once a helper has it; None if no helper has begun it, or if that failed."""
        with self._lock:
            self._offers.pop(plan, None)
            future = self._fits.pop(plan, None)
        return None if future is None or future.exception() else future.result()

    def meanwhile(self, plan: TrainingPlan) -> TrainingPlan | None:
        """Withdraws and returns the first of the other offers, if a helper is training this one."""
        with self._lock:
            if plan not in self._fits or self._fits[plan].done() or not self._offers:
                return None
            other = next(iter(self._offers))
            del self._offers[other]
            return other

    def _hand_out(self) -> None:
        while self._offers and self._ready:
            plan, keep = self._offers.popitem()
            self._ready -= 1
            self._fits[plan] = self._pool.submit(loop.run, plan)
            self._fits[plan].add_done_callback(partial(self._is_done, keep))

    def _is_ready(self, future: Future) -> None:
        with self._lock:
            if isinstance(future.exception(), BrokenProcessPool):
                self.count = self._ready = 0
            elif self.count:
                self._ready += 1
                self._hand_out()

    def _is_done(self, keep, future: Future) -> None:
        self._is_ready(future)
        if not future.exception():
            keep(future.result())


def _set_up() -> None:
    """Makes a helper end when its parent does, even if that is killed, and not when the user interrupts a cell."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
