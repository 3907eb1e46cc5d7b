"""Reads a pickle of a dict of NumPy arrays without running anything in it.

A pickle is a program for a small stack machine, and `pickle.load` runs whatever it says. This is one
interpreter over the opcodes that a dict of str -> array needs, protocols 0 to 5, as written by NumPy 1
or 2. The few names in such a file resolve to members of `_Name` here, never to objects of NumPy or
Python; nothing is imported or called; sizes are compared with the bytes at hand before memory is taken.

Follows CPython's `pickletools` (opcodes) and NumPy's `ndarray.__reduce_ex__`. Leaves out what arrays of
numbers do not need: lists, floats, objects, persistent ids, extension codes, out-of-band buffers,
strings of Python 2, axes in an order that is neither C's nor Fortran's.
"""

import hashlib
import math
import os
import pickletools  # for its table of opcode names
import re
import stat
import sys
from enum import Enum

import numpy as np

MAX_BYTES = 1 << 30  #: of a file; reading takes two to three times its size in memory
MAX_OPCODES = 20_000  #: nine arrays take about 400
MAX_MARKS = 8  #: open at once; arrays need four
MAX_ITEMS = 64  #: of a tuple, hence dimensions of an array: as many as NumPy allows
DTYPES = {"b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f2": 2, "f4": 4, "f8": 8}


class UnsafePickleError(ValueError):
    """The file names what a pickle of arrays does not need, breaks a limit, or is malformed."""


class DataContractError(ValueError):
    """The file can be read, or is not there to be read, and is not the data that was wanted."""


class _Name(Enum):
    """The names that a pickle of arrays uses. They stand for themselves: none can be called."""

    RECONSTRUCT, FROMBUFFER, SCALAR, NDARRAY, DTYPE, ENCODE, BYTES = range(7)


_NAMES = {
    "numpy ndarray": _Name.NDARRAY,
    "numpy dtype": _Name.DTYPE,
    "_codecs encode": _Name.ENCODE,  # how protocols 0 to 2 write bytes
    "__builtin__ bytes": _Name.BYTES,  # and no bytes at all
    "builtins bytes": _Name.BYTES,
}
for _numpy in "numpy.core", "numpy._core":  # NumPy 1, NumPy 2
    _NAMES[f"{_numpy}.multiarray _reconstruct"] = _Name.RECONSTRUCT
    _NAMES[f"{_numpy}.multiarray scalar"] = _Name.SCALAR
    _NAMES[f"{_numpy}.numeric _frombuffer"] = _Name.FROMBUFFER  # protocol 5
_OPCODES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_WIDTHS = {  # bytes of an opcode's number, or of the length in front of its payload
    "BININT1": 1, "BININT2": 2, "BINPUT": 1, "LONG_BINPUT": 4, "BINGET": 1, "LONG_BINGET": 4,
    "SHORT_BINUNICODE": 1, "BINUNICODE": 4, "BINUNICODE8": 8,
    "SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8,
}  # fmt: skip
_NOT_ARRAYS = {
    "EMPTY_LIST": "a Python list", "LIST": "a Python list", "EMPTY_SET": "a Python set",
    "BINFLOAT": "a Python float", "FLOAT": "a Python float",
}  # fmt: skip
_KINDS = {int: "a Python int", bool: "a Python bool", dict: "a Python dict", tuple: "a Python tuple", str: "text"}
_CONVERT = "save plain arrays: np.asarray(value) of a list or number, df.to_numpy() of a pandas frame"


class _Dtype:
    """An item type: one of `DTYPES`, and a byte order."""

    def __init__(self, code):
        self.code, self.order, self.is_built = code, "=", False


class _Array:
    """An array to be: shape, item type and bytes that fit each other. It takes no memory before `numpy`."""

    raw = None

    def fill(self, dtype: _Dtype, shape: tuple, order: str, raw: memoryview):
        size = DTYPES[dtype.code]
        if self.raw is not None or not all(type(n) is int and n >= 0 for n in shape):
            raise UnsafePickleError("malformed: an array has contents twice, or a shape that is not of whole numbers")
        # The first product is what the array holds; the second also bounds the dimensions beside an empty one.
        if math.prod(shape) * size != len(raw) or math.prod(n or 1 for n in shape) * size > sys.maxsize:
            raise UnsafePickleError(f"malformed: an array's shape and item type do not fit its {len(raw)} bytes")
        if dtype.code == "b1" and len(raw) and np.frombuffer(raw, np.uint8).max() > 1:
            raise UnsafePickleError("malformed: an array of bools holds other bytes than 0 and 1")
        self.dtype, self.shape, self.order, self.raw = dtype, shape, order, raw
        return self

    def numpy(self) -> np.ndarray:
        stored = np.ndarray(self.shape, self.dtype.order + self.dtype.code, self.raw, order=self.order)
        return stored.astype(self.dtype.code)  # a copy: native byte order, writable memory of its own


class _Machine:
    """The interpreter: a stack, the stacks below open marks, and a memo."""

    def __init__(self, data: bytes):
        self.data, self.at, self.frame_end = data, 0, 0
        self.stack, self.below, self.memo = [], [], {}
        self.budget = 2 * len(data)  # bytes of all arrays and encoded texts: the memo can name the same ones often

    def run(self) -> dict[str, np.ndarray]:
        for _ in range(MAX_OPCODES):
            opcode = _OPCODES.get(self.take(1)[0])
            if opcode == "STOP":
                return self.result()
            self.step(opcode)
        raise UnsafePickleError(f"more than {MAX_OPCODES} opcodes, where nine arrays take about 400")

    def result(self) -> dict[str, np.ndarray]:
        if self.at != len(self.data) or self.below or len(self.stack) != 1:
            raise UnsafePickleError("malformed: the pickle ends in the middle of a value, or bytes follow its end")
        if type(self.stack[0]) is not dict:
            raise DataContractError(f"expected a dict of arrays, got {_kind(self.stack[0])}; save a dict of arrays")
        made = {id(array): array.numpy() for array in self.stack[0].values()}  # a shared array stays shared
        return {key: made[id(array)] for key, array in self.stack[0].items()}

    def step(self, opcode: str | None):
        stack = self.stack
        match opcode:
            case "PROTO":
                if (protocol := self.number(1)) > 5:
                    raise UnsafePickleError(f"expected pickle protocol 0 to 5, got {protocol}; save with protocol=4")
            case "FRAME":
                length = self.number(8)
                if self.at < self.frame_end or length > len(self.data) - self.at:
                    raise UnsafePickleError("malformed: a frame reaches beyond the file, or begins in another")
                self.frame_end = self.at + length
            case "MARK":
                if len(self.below) == MAX_MARKS:
                    raise UnsafePickleError(f"more than {MAX_MARKS} values inside each other; arrays need four")
                self.below.append(stack)
                self.stack = []
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "BININT":
                stack.append(int.from_bytes(self.take(4), "little", signed=True))
            case "BININT1" | "BININT2":
                stack.append(self.number(_WIDTHS[opcode]))
            case "LONG1":
                if (width := self.number(1)) > 8:
                    raise UnsafePickleError(f"a whole number of {width} bytes, where a size takes at most 8")
                stack.append(int.from_bytes(self.take(width), "little", signed=True))
            case "INT" | "LONG":
                text = self.line(limit=24)
                stack.append(text == b"01" if text in (b"00", b"01") else int(text.removesuffix(b"L")))
            case "UNICODE":
                stack.append(str(self.line(limit=MAX_BYTES), "raw-unicode-escape"))
            case "SHORT_BINUNICODE" | "BINUNICODE" | "BINUNICODE8":
                stack.append(str(self.take(self.number(_WIDTHS[opcode])), "utf-8"))
            case "SHORT_BINBYTES" | "BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(self.take(self.number(_WIDTHS[opcode])))
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(opcode[-1]))]
                stack.append(_tuple(items[::-1]))
            case "TUPLE":
                items = self.pop_mark()
                self.stack.append(_tuple(items))
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = self.pop_mark()
                self.stack.append({})
                self.set_items(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.set_items([key, value])
            case "SETITEMS":
                self.set_items(self.pop_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[self.index(opcode)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[self.index(opcode)])
            case "GLOBAL":
                module, name = self.line(limit=200), self.line(limit=200)
                stack.append(self.resolve(str(module, "utf-8"), str(name, "utf-8")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(self.resolve(module, name))
            case "REDUCE":
                args, name = stack.pop(), stack.pop()
                stack.append(self.reduce(name, args))
            case "BUILD":
                state = stack.pop()
                self.build(stack[-1], state)
            case None:
                raise UnsafePickleError("malformed: a damaged pickle, or another kind of file")
            case _ if opcode in _NOT_ARRAYS:
                raise DataContractError(f"{self.place()} holds {_NOT_ARRAYS[opcode]}, not an array; {_CONVERT}")
            case _:
                self.refuse(f"uses the opcode {opcode}")

    def take(self, length: int) -> memoryview:
        """The next bytes of the file, not copied."""
        start, end = self.at, self.at + length
        if end > len(self.data) or start < self.frame_end < end:
            raise UnsafePickleError("malformed: the file, or a frame in it, ends too early; was all of it copied?")
        self.at = end
        return memoryview(self.data)[start:end]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def line(self, limit: int) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + limit + 1)
        if end < 0:
            raise UnsafePickleError("malformed: a line of text has no end, or is longer than any that arrays need")
        return bytes(self.take(end + 1 - self.at)[:-1])

    def index(self, opcode: str) -> int:
        if opcode == "MEMOIZE":
            return len(self.memo)
        return int(self.line(limit=10)) if opcode in ("PUT", "GET") else self.number(_WIDTHS[opcode])

    def pop_mark(self) -> list:
        items, self.stack = self.stack, self.below.pop()
        return items

    def spend(self, length: int):
        self.budget -= length
        if self.budget < 0:
            raise UnsafePickleError("the same bytes are used again and again, to take more memory than the file does")

    def set_items(self, items: list):
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise UnsafePickleError("malformed: a value is set where there is no dict to take it")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise DataContractError(f"expected keys that are text, such as x_train, got {_kind(key)}")
            if type(value) is not _Array:
                raise DataContractError(f"key {shown(key)} holds {_kind(value)}, not an array; {_CONVERT}")
            if value.raw is None or key in target:
                raise UnsafePickleError(f"malformed: key {shown(key)} is there twice, or has no contents")
            target[key] = value

    def resolve(self, module, name) -> _Name:
        if type(module) is not str or type(name) is not str:
            raise UnsafePickleError("malformed: a name is not text")
        if module.partition(".")[0] == "pandas":
            raise DataContractError(f"{self.place()} holds a pandas object, not an array; {_CONVERT}")
        return _NAMES.get(f"{module} {name}") or self.refuse(f"names {shown(f'{module}.{name}')}")

    def reduce(self, name, args):
        match name, args:
            case _Name.RECONSTRUCT, (_Name.NDARRAY, (0,), memoryview() as kind) if kind == b"b":
                return _Array()  # to be filled by `build`
            case _Name.FROMBUFFER, (memoryview() as raw, _Dtype() as dtype, tuple() as shape, "C" | "F" as order):
                self.spend(len(raw))
                return _Array().fill(dtype, shape, order, raw)
            case _Name.SCALAR, (_Dtype() as dtype, memoryview() as raw):
                self.spend(len(raw))
                return _Array().fill(dtype, (), "C", raw)
            case _Name.DTYPE, (str() as code, _, _) if code in DTYPES:
                return _Dtype(code)
            case _Name.DTYPE, (str() as code, _, _):
                what = f"{self.place()} holds items of type {shown(code)}; the types that can be read are"
                raise DataContractError(f"{what} {', '.join(DTYPES)}; convert with .astype(float) or .astype(int)")
            case _Name.ENCODE, (str() as text, "latin1"):
                self.spend(len(text))
                return memoryview(text.encode("latin-1"))
            case _Name.BYTES, ():
                return memoryview(b"")
        raise UnsafePickleError(f"malformed: {self.place()} is made otherwise than NumPy makes arrays; {_CONVERT}")

    def build(self, target, state):
        match target, state:
            case _Array(), (1, tuple() as shape, _Dtype() as dtype, (True | False | 0 | 1) as is_fortran, raw):
                if type(raw) is not memoryview:
                    raise UnsafePickleError("malformed: an array's contents are not bytes")
                self.spend(len(raw))
                target.fill(dtype, shape, "F" if is_fortran else "C", raw)
            case _Dtype(is_built=False), (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0):
                target.order, target.is_built = order, True
            case _:
                raise UnsafePickleError(f"malformed: {self.place()} is filled otherwise than NumPy fills arrays")

    def refuse(self, what: str):
        raise UnsafePickleError(
            f"{self.place()} {what}, which a pickle of arrays does not need; nothing was run. "
            f"If the file is your own, {_CONVERT}"
        )

    def place(self) -> str:
        """The key whose value is being read, for messages: above the dict, keys and finished arrays alternate."""
        items = [item for stack in [*self.below, self.stack] for item in stack]
        if not items or type(items[0]) is not dict:
            return "the pickle"
        at = 1
        while at + 1 < len(items) and type(items[at + 1]) is _Array and items[at + 1].raw is not None:
            at += 2
        return f"key {shown(items[at])}" if at < len(items) and type(items[at]) is str else "the pickle"


def _tuple(items: list) -> tuple:
    # Two levels are all that arrays need, and too few for tuples of tuples of tuples to grow beyond measure.
    nested = any(type(inner) is tuple for item in items if type(item) is tuple for inner in item)
    if nested or len(items) > MAX_ITEMS:
        raise UnsafePickleError(f"a tuple in a tuple in a tuple, or one of more than {MAX_ITEMS} items")
    return tuple(items)


def _kind(value) -> str:
    return "None" if value is None else _KINDS.get(type(value), "bytes or a name")


def shown(text: str) -> str:
    """A name from a file as a message may show it: short and of plain characters, or not at all."""
    return repr(text) if re.fullmatch(r"[\w.<>=| -]{1,60}", text, re.ASCII) else "(a name of odd characters)"


def loads(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in a pickle, by key: what `pickle.loads` gives, in native byte order and writable.

    NumPy scalars become arrays of no dimension. Raises `UnsafePickleError` or `DataContractError`, nothing else.
    """
    kinds = {b"": "nothing: it is empty", b"\x1f\x8b": "a gzip file: unpack it", b"PK": "a zip or npz file"}
    if (start := data[:2]) in kinds:
        raise DataContractError(f"expected a pickle of a dict of arrays, got {kinds[start]}")
    if len(data) > MAX_BYTES:
        raise UnsafePickleError(f"expected at most {MAX_BYTES} bytes, got more")
    try:
        return _Machine(data).run()
    except (UnsafePickleError, DataContractError):
        raise
    except (IndexError, KeyError, ValueError):  # an empty stack, an unknown memo index, text that is no number or UTF-8
        raise UnsafePickleError("malformed: a damaged pickle, or another kind of file") from None


def read(path) -> tuple[dict[str, np.ndarray], str]:
    """The arrays in a file, and the SHA-256 (64 hex digits) of the very bytes that they were read from.

    Raises `UnsafePickleError` or `DataContractError`, nothing else; the messages begin with the file's name.
    """
    name = os.path.basename(os.fspath(path))
    try:
        # Looked at before it is opened: opening a FIFO waits for ever, and a device may do anything.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataContractError("expected a file, got a directory, a FIFO or a device")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        return loads(data), hashlib.sha256(data).hexdigest()
    except (UnsafePickleError, DataContractError) as error:
        raise type(error)(f"{name}: {error}") from None
    except FileNotFoundError:
        what = "a link to a file that is not there" if os.path.islink(path) else "no such file"
        raise DataContractError(f"{name}: {what}; expected a pickle (make data writes four)") from None
    except (OSError, ValueError) as error:
        raise DataContractError(f"{name}: cannot be read: {getattr(error, 'strerror', error)}") from None
