"""One process that trains in one way after another, when asked: pinned to a core, with one thread.

Processes are kept, so that a round over all ways pays no start-up; while one works, the others wait.
"""

import importlib
import multiprocessing
import os
import sys
import time
import traceback
from unittest import mock

from kdlib import pins

_ready: dict = {}  #: in the process: the prepared ways, each with its seconds per epoch at the last run


def environment(pinned: bool) -> dict[str, str]:
    """The environment of a process with kdlib's pins, or of one without."""
    if pinned:
        return os.environ | pins.variables()
    return {name: value for name, value in os.environ.items() if name not in pins.PINS} | {"KDLIB_PORTABLE": "0"}


class NotInstalled(Exception):
    """A way of training that this environment lacks; the message names the package."""


class Worker:
    """A process for the ways of one module of `benchmarks.peers`, with pins or without; close it with `with`."""

    def __init__(self, module: str, pinned: bool = True):
        from kdlib.report.execution.jupyter_kernel import KEEP_MEMORY, QUIET  # not in the process: it brings papermill

        self.module = module
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(module, theirs), daemon=True)
        # what a process starts with; too late once it runs
        with mock.patch.dict(os.environ, environment(pinned) | QUIET | KEEP_MEMORY, clear=True):
            self.process.start()
        theirs.close()  # so that its end is noticed here

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # a framework's threads may not let it end by itself
        self.process.join()

    def prepare(self, function: str, options: dict) -> float:
        """Prepares and compiles a way; returns the CPU seconds that this took, without the import."""
        return self._ask("prepare", function, options)

    def measure(self, function: str, options: dict, seconds: float) -> float:
        """CPU seconds per epoch, from a run of about so many seconds."""
        return self._ask("measure", function, options, seconds)

    def _ask(self, *request) -> float:
        try:
            self.pipe.send(request)
            kind, answer = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise SystemExit(f"the process of {self.module} has ended; was it killed, or is memory short?") from error
        if kind == "missing":
            raise NotInstalled(answer)
        if kind == "failed":
            raise SystemExit(f"{self.module} failed:\n{answer}")
        return answer


def _serve(module, pipe):
    """Answers requests, in the process, until it is ended."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.stdout = sys.stderr  # frameworks print what is no part of the table
    while True:
        what, *arguments = pipe.recv()
        try:
            pipe.send(("done", {"prepare": _prepare, "measure": _measure}[what](module, *arguments)))
        except ModuleNotFoundError as error:
            pipe.send(("missing", error.name))
        except Exception:
            pipe.send(("failed", traceback.format_exc()))


def _prepare(module, function, options):
    prepare = getattr(importlib.import_module(f"benchmarks.peers.{module}"), function)
    start = time.process_time()
    run = prepare(**options)
    run(1)
    set_up = time.process_time() - start
    _ready[_key(function, options)] = run, _timed(run, 1)
    return set_up


def _measure(module, function, options, seconds):
    run, last = _ready[_key(function, options)]
    last = _timed(run, max(1, round(seconds / max(last, 1e-6))))
    _ready[_key(function, options)] = run, last
    return last


def _timed(run, epochs):
    start = time.process_time()
    done = run(epochs)
    return (time.process_time() - start) / done


def _key(function, options):
    return function, tuple(sorted(options.items()))
