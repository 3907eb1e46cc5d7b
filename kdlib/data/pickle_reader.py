"""Reads a pickle of a dict of NumPy arrays without running anything in it.

A pickle is a program for a small stack machine, and `pickle.load` runs whatever it says. This interpreter, to which
CPython's `pickletools` gives opcodes with their arguments, knows only those that a dict of str -> array needs,
protocols 0 to 5, as NumPy 1 and 2 write them. Names resolve to the plain classes of `pickle_types`, never to objects of
NumPy or Python; nothing is imported or called; sizes are compared with the bytes that the file has before memory is
allocated.

Out of scope, because arrays of numbers do not need them: lists, floats, objects, persistent ids, extension codes,
out-of-band buffers, strings of Python 2, and axes in an order that is neither C's nor Fortran's.
"""

import io
import pickletools
import warnings

import numpy as np

from kdlib.data import pickle_types
from kdlib.data.files import DataContractError, UnsafePickleError

MAX_OPCODES = 20_000  #: fourteen arrays need about 600
MAX_MARKS = 8  #: open at the same time; arrays need four
VALUES = {
    "BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
"""Opcodes whose argument is a value: a whole number, a text or bytes."""
NOT_ARRAYS = {
    "EMPTY_LIST": "a Python list", "LIST": "a Python list", "EMPTY_SET": "a Python set",
    "BINFLOAT": "a Python float", "FLOAT": "a Python float",
}  # fmt: skip
OTHER_FILES = {
    b"": "nothing: it is empty", b"\x1f\x8b": "a gzip file: unpack it", b"BZ": "a bzip2 file: unpack it",
    b"\xfd7": "an xz file: unpack it", b"PK": "a zip or npz file: save dict(np.load(file)) as a pickle",
    b"\x93N": "an npy file, of one array: save a dict of arrays as a pickle", b"\x89H": "an HDF5 file",
    b"<!": "a web page: download the file itself", b"ve": "text, such as a pointer of Git LFS: git lfs pull",
}  # fmt: skip


def loads(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in a pickle, by key, as `pickle.loads` gives them, but writable and in native byte order.

    NumPy scalars become arrays of no dimension. Raises only `UnsafePickleError` and `DataContractError`.
    """
    if (start := data[:2]) in OTHER_FILES:
        raise DataContractError(f"expected a pickle of a dict of arrays, got {OTHER_FILES[start]}")
    machine = _Machine(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of `pickletools`, for a name with a backslash
            return machine.run()
    except (UnsafePickleError, DataContractError) as error:
        raise type(error)(f"{machine.place()} {error}") from None
    except (IndexError, KeyError, ValueError):  # an empty stack, an unknown memo index, bad numbers, an early end
        reason = "is malformed: damaged, not copied as a whole, or another kind of file"
        raise UnsafePickleError(f"{machine.place()} {reason}") from None


class _Machine:
    """The interpreter: a stack, the stacks below open marks, and a memo."""

    def __init__(self, data: bytes):
        self.source, self.size, self.frame_end = io.BytesIO(data), len(data), 0
        self.stack, self.below, self.memo = [], [], {}
        self.budget = 2 * len(data)  # bytes of all arrays and encoded texts, which the memo can repeat

    def run(self) -> dict[str, np.ndarray]:
        for count, (opcode, argument, start) in enumerate(pickletools.genops(self.source)):
            if count == MAX_OPCODES:
                raise UnsafePickleError(f"has more than {MAX_OPCODES} opcodes, where fourteen arrays need about 600")
            if start < self.frame_end < self.source.tell():
                raise UnsafePickleError("is malformed: a value extends beyond its frame")
            self.step(opcode.name, argument)
        return self.result()

    def result(self) -> dict[str, np.ndarray]:
        if self.source.tell() != self.size or self.below or len(self.stack) != 1:
            raise UnsafePickleError("is malformed: it ends in the middle of a value, or bytes follow its end")
        if type(self.stack[0]) is not dict:
            raise DataContractError(
                f"holds {pickle_types.kind(self.stack[0])}, not a dict of arrays; save a dict of arrays"
            )
        made = {id(array): array.numpy() for array in self.stack[0].values()}  # shared arrays stay shared
        return {key: made[id(array)] for key, array in self.stack[0].items()}

    def step(self, opcode: str, argument):
        stack = self.stack
        match opcode:
            case "PROTO":
                if argument > 5:
                    raise UnsafePickleError(f"is of protocol {argument}, not of 0 to 5; save with protocol=4")
            case "FRAME":
                here = self.source.tell()
                if here <= self.frame_end or argument > self.size - here:
                    raise UnsafePickleError("is malformed: a frame extends beyond the file, or begins inside another")
                self.frame_end = here + argument
            case "MARK":
                if len(self.below) == MAX_MARKS:
                    raise UnsafePickleError(f"has values nested more than {MAX_MARKS} deep; arrays need four")
                self.below.append(stack)
                self.stack = []
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case _ if opcode in VALUES:
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(opcode[-1]))]
                stack.append(pickle_types.pack(items[::-1]))
            case "TUPLE":
                items = self.pop_mark()
                self.stack.append(pickle_types.pack(items))
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                set_items(made := {}, stack)
                self.pop_mark()
                self.stack.append(made)
            case "SETITEM":
                set_items(stack[-3], stack[-2:])
                del stack[-2:]
            case "SETITEMS":
                set_items(self.below[-1][-1], stack)
                self.pop_mark()
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(pickle_types.resolve(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(pickle_types.resolve(module, name))
            case "REDUCE":
                args, name = stack.pop(), stack.pop()
                stack.append(pickle_types.call(name, args))
                self.spend(stack[-1])
            case "BUILD":
                state = stack.pop()
                pickle_types.fill(stack[-1], state)
                self.spend(stack[-1])
            case "STOP":
                pass
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING":
                raise DataContractError("was written by Python 2; load it there, and save it with Python 3")
            case _ if opcode in NOT_ARRAYS:
                raise DataContractError(f"holds {NOT_ARRAYS[opcode]}, not an array; {pickle_types.CONVERT}")
            case _:
                raise pickle_types.not_needed(f"uses the opcode {opcode}")

    def pop_mark(self) -> list:
        items, self.stack = self.stack, self.below.pop()
        return items

    def spend(self, made):
        self.budget -= pickle_types.size(made)
        if self.budget < 0:
            raise UnsafePickleError("repeats the same bytes to take more memory than the file holds")

    def place(self) -> str:
        """The key whose value is being read, for messages. Above the dict, keys and finished arrays alternate."""
        items = [item for stack in [*self.below, self.stack] for item in stack]
        if not items or type(items[0]) is not dict:
            return "the pickle"
        at = 1
        while at + 1 < len(items) and type(items[at + 1]) is pickle_types.Array and items[at + 1].raw is not None:
            at += 2
        return f"key {pickle_types.shown(items[at])}" if at < len(items) and type(items[at]) is str else "the pickle"


def set_items(target, items: list) -> None:
    """Puts alternating keys and arrays into a dict."""
    if type(target) is not dict or len(items) % 2:
        raise UnsafePickleError("is malformed: it sets a value outside a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is not str:
            raise DataContractError(f"has a key that is {pickle_types.kind(key)}; expected text, such as 'x_train'")
        if type(value) is not pickle_types.Array:
            raise DataContractError(f"holds {pickle_types.kind(value)}, not an array; {pickle_types.CONVERT}")
        if value.raw is None or key in target:
            raise UnsafePickleError(
                f"is malformed: an array has no contents, or key {pickle_types.shown(key)} occurs twice"
            )
        target[key] = value
