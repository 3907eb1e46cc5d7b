"""Functions that XLA compiles, under names that are the same in every process.

TensorFlow can keep compiled programs (`report.execution.programs`), and finds them again by the names of all functions
and loops in them. It ends these names with numbers that it counts up for whatever the process does, so that another
dataset would find nothing. Here the numbers of a program begin at a digest of its function and shapes. Of processes
that keep programs in one folder, one compiles a program, while the others wait for it.
"""

import fcntl
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework import ops  # the counter is not part of the public interface

FOLDER = re.compile(r'--tf_xla_persistent_cache_directory=(?:"([^"]*)"|(\S+))')  #: in TF_XLA_FLAGS
NUMBERS = 2**20  #: of one program, at most; a digest has 40 bits more, and TensorFlow's own numbers stay below


def compiled(function: Callable) -> Callable:
    """`function` as `tf.function(jit_compile=True)` makes it: compiled once for all arguments of the same shapes."""
    starts, locks = set(), []

    @tf.autograph.experimental.do_not_convert
    def number(arguments) -> None:
        content = repr((function.__module__, function.__qualname__, _shapes(arguments)))
        digest = hashlib.sha256(content.encode()).hexdigest()[:10]
        locks.extend(_lock(digest))
        start = int(digest, 16) * NUMBERS
        if start not in starts:  # of two functions that are called the same, TensorFlow numbers the second
            starts.add(start)
            ops.uid = itertools.count(start).__next__

    @functools.wraps(function)
    def trace(*arguments):
        number(arguments)
        return function(*arguments)

    traced = tf.function(trace, jit_compile=True)

    @functools.wraps(function)
    def call(*arguments):
        own = ops.uid
        try:
            return traced(*arguments)
        finally:
            ops.uid = own
            while locks:
                locks.pop().close()

    return call


def _lock(digest: str) -> list:
    """Waits while another process compiles a program. The lock, if programs are kept, ends when the file is closed."""
    if not (found := FOLDER.search(os.environ.get("TF_XLA_FLAGS", ""))):
        return []
    with suppress(OSError):  # without locks, a program may be compiled more than once
        file = Path(found[1] or found[2], f"{digest}.lock").open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        return [file]
    return []


def _shapes(argument):
    """What a program is compiled for: shapes and types of arrays, functions by name, numbers."""
    if isinstance(argument, tf.Tensor):
        return argument.shape, argument.dtype
    if isinstance(argument, list | tuple):
        return tuple(map(_shapes, argument))
    if isinstance(argument, Mapping):
        return tuple((name, _shapes(each)) for name, each in argument.items())
    return (argument.__module__, argument.__qualname__) if callable(argument) else argument
