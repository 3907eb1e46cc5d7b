"""Trainings that other processes do meanwhile, where there are more processor cores than processes at work.

Who knows what it will train offers it, and goes on: helpers take the last offer first, and the process itself, which
asks for one fit after the other, begins with the first. While a helper is at what it asks for, it does another. A
helper is a process with the same settings, so that its fits have the same bits. Helpers start at the first offer; until
one is ready, and if it dies, nothing waits for it. Out of scope: sharing one training, since a member's bits depend on
the number of members beside it.
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
    """Up to `count` processes that train; with 0, no training is ever theirs."""

    def __init__(self, count: int):
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._ready = 0
        self._offers: dict[TrainingPlan, Callable[[loop.Fit], None]] = {}
        self._fits: dict[TrainingPlan, Future] = {}
        self._lock = threading.RLock()  # a callback of what is done already is called at once

    def offer(self, plan: TrainingPlan, keep: Callable[[loop.Fit], None]) -> None:
        """A training that `fit` will ask for; keep: called with the fit, in a thread, where a helper trains it."""
        if not self.count or plan.loss.__module__ != losses.__name__:  # a helper knows no losses of the user's own
            return
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
                self._pool = ProcessPoolExecutor(self.count, context, _end_with_parent)
                for _ in range(self.count):
                    self._pool.submit(int).add_done_callback(self._is_ready)
            self._offers[plan] = keep
            self._hand_out()

    def fit(self, plan: TrainingPlan) -> loop.Fit | None:
        """The fit of an offered training, once it is done; None if no helper has begun it, or none could end it."""
        with self._lock:
            self._offers.pop(plan, None)
            future = self._fits.pop(plan, None)
        return None if future is None or future.exception() else future.result()

    def meanwhile(self, plan: TrainingPlan) -> TrainingPlan | None:
        """The first of the other offers, which is taken back, if a helper is at this one."""
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


def _end_with_parent() -> None:
    """Makes a helper end when its parent does, which may be killed, and not when a user interrupts a cell."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
