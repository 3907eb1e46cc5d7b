"""Functions that XLA compiles, under names that are the same in every process.

TensorFlow can keep compiled programs (`report.execution.programs`), and finds them again by the names of all functions
and loops in them. It ends these names with numbers that it counts up for whatever the process does, so that another
dataset would find nothing. Here the numbers of a program begin at a digest of its function and shapes.
"""

import functools
import hashlib
import itertools
from collections.abc import Callable, Mapping

import tensorflow as tf
from tensorflow.python.framework import ops  # the counter is not part of the public interface

NUMBERS = 2**20  #: of one program, at most; a digest has 40 bits more, and TensorFlow's own numbers stay below


def compiled(function: Callable) -> Callable:
    """`function` as `tf.function(jit_compile=True)` makes it: compiled once for all arguments of the same shapes."""
    starts = set()

    @tf.autograph.experimental.do_not_convert
    def number(arguments) -> None:
        content = repr((function.__module__, function.__qualname__, _shapes(arguments)))
        start = int(hashlib.sha256(content.encode()).hexdigest()[:10], 16) * NUMBERS
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

    return call


def _shapes(argument):
    """What a program is compiled for: shapes and types of arrays, functions by name, numbers."""
    if isinstance(argument, tf.Tensor):
        return argument.shape, argument.dtype
    if isinstance(argument, list | tuple):
        return tuple(map(_shapes, argument))
    if isinstance(argument, Mapping):
        return tuple((name, _shapes(each)) for name, each in argument.items())
    return (argument.__module__, argument.__qualname__) if callable(argument) else argument
