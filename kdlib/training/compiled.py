"""Functions that XLA compiles, under names that are the same in every process.

TensorFlow can keep compiled programs (`report.execution.programs`), and finds them again by the names of all functions
and loops in them. It ends these names with numbers that it counts up for whatever the process does, so that another
dataset would find nothing. Here the numbers of a program begin at a digest of its function and shapes.
"""

import functools
import hashlib
import itertools
from collections.abc import Callable, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops  # the counter is not part of the public interface

NUMBERS = 2**20  #: of one program, at most; a digest has 40 bits more, and TensorFlow's own numbers stay below


def compiled(function: Callable) -> Callable:
    """`function` as `tf.function(jit_compile=True)` makes it: compiled once for all arguments of the same shapes."""
    traced, known, starts = tf.function(function, jit_compile=True), set(), set()

    @functools.wraps(function)
    def call(*arguments):
        shapes = _shapes(arguments)
        if shapes in known:
            return traced(*arguments)
        known.add(shapes)
        content = repr((function.__module__, function.__qualname__, shapes))
        start = int(hashlib.sha256(content.encode()).hexdigest()[:10], 16) * NUMBERS
        if start in starts:  # of two functions that are called the same, TensorFlow numbers the second
            return traced(*arguments)
        starts.add(start)
        with _numbered_from(start):
            return traced(*arguments)

    return call


@contextmanager
def _numbered_from(start: int):
    own, numbers = ops.uid, itertools.count(start)
    ops.uid = lambda: next(numbers)
    try:
        yield
    finally:
        ops.uid = own


def _shapes(argument):
    """What a program is compiled for: shapes and types of arrays, functions, numbers; hashable."""
    if isinstance(argument, tf.Tensor | np.ndarray | np.generic):
        return tuple(argument.shape), np.dtype(getattr(argument.dtype, "as_numpy_dtype", argument.dtype)).str
    if isinstance(argument, list | tuple):
        return tuple(map(_shapes, argument))
    if isinstance(argument, Mapping):
        return tuple((name, _shapes(each)) for name, each in argument.items())
    return _Named(argument) if callable(argument) else argument


class _Named:
    """A function, equal to itself alone, by its name."""

    def __init__(self, function: Callable):
        self.function = function

    def __eq__(self, other):
        return isinstance(other, _Named) and other.function is self.function

    def __hash__(self):
        return hash(self.function)

    def __repr__(self):
        return f"{self.function.__module__}.{self.function.__qualname__}"
