"""What the names in a pickle of arrays stand for: plain classes of our own that only hold bytes.

A pickle of arrays calls five functions and fills two types of object, always with the same arguments, as NumPy's
`ndarray.__reduce_ex__` writes them. `call` and `fill` do this here, and refuse any other argument. Messages of errors
are predicates, such as `names 'os.system'`; the interpreter puts the key before them.
"""

import math
import re
import sys
from enum import Enum

import numpy as np

from kdlib.data.files import DataContractError, UnsafePickleError

MAX_ITEMS = 64  #: of a tuple, hence dimensions of an array: as many as NumPy allows
DTYPES = {"b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f2": 2, "f4": 4, "f8": 8}
CONVERT = "save plain arrays: np.asarray(value) of a list or number, df.to_numpy() of a pandas frame"
KINDS = {int: "a Python int", bool: "a Python bool", dict: "a Python dict", tuple: "a Python tuple", str: "text"}


class Name(Enum):
    """The names that a pickle of arrays uses. They are mere symbols: none can be called."""

    RECONSTRUCT, FROMBUFFER, SCALAR, NDARRAY, DTYPE, ENCODE, BYTES = range(7)


NAMES = {
    "numpy ndarray": Name.NDARRAY,
    "numpy dtype": Name.DTYPE,
    "_codecs encode": Name.ENCODE,  # how protocols 0 to 2 write bytes
    "__builtin__ bytes": Name.BYTES,  # how they write empty bytes
    "builtins bytes": Name.BYTES,
}
for _numpy in "numpy.core", "numpy._core":  # NumPy 1, NumPy 2
    NAMES[f"{_numpy}.multiarray _reconstruct"] = Name.RECONSTRUCT
    NAMES[f"{_numpy}.multiarray scalar"] = Name.SCALAR
    NAMES[f"{_numpy}.numeric _frombuffer"] = Name.FROMBUFFER  # protocol 5


class Dtype:
    """An item type: one of `DTYPES`, and a byte order."""

    def __init__(self, code):
        self.code, self.order, self.is_built = code, "=", False


class Array:
    """A future array: shape, item type and bytes that fit each other. Only `numpy` allocates memory."""

    raw = None

    def fill(self, dtype: Dtype, shape: tuple, order: str, raw: bytes | bytearray):
        size = DTYPES[dtype.code]
        if self.raw is not None or not all(type(n) is int and n >= 0 for n in shape):
            raise UnsafePickleError("is malformed: an array has contents twice, or a shape not of whole numbers")
        # The first product is the size of the array; the second bounds the other dimensions where one is 0.
        if math.prod(shape) * size != len(raw) or math.prod(n or 1 for n in shape) * size > sys.maxsize:
            raise UnsafePickleError(f"is malformed: an array's shape and item type do not fit its {len(raw)} bytes")
        if dtype.code == "b1" and len(raw) and np.frombuffer(raw, np.uint8).max() > 1:
            raise UnsafePickleError("is malformed: an array of bools holds bytes other than 0 and 1")
        self.dtype, self.shape, self.order, self.raw = dtype, shape, order, raw
        return self

    def numpy(self) -> np.ndarray:
        stored = np.ndarray(self.shape, self.dtype.order + self.dtype.code, self.raw, order=self.order)
        return stored.astype(self.dtype.code)  # a writable copy in native byte order


def resolve(module, name) -> Name:
    """The symbol for a name in a pickle; nothing is imported."""
    if type(module) is not str or type(name) is not str:
        raise UnsafePickleError("is malformed: a name is not text")
    if module.partition(".")[0] == "pandas":
        raise DataContractError(f"holds a pandas object, not an array; {CONVERT}")
    if found := NAMES.get(f"{module} {name}"):
        return found
    raise not_needed(f"names {shown(f'{module}.{name}')}")


def call(name, args):
    """The result of calling a function of a pickle of arrays, as plain classes."""
    match name, args:
        case Name.RECONSTRUCT, (Name.NDARRAY, (0,), b"b"):
            return Array()  # `fill` gives it its contents
        case Name.FROMBUFFER, ((bytes() | bytearray()) as raw, Dtype() as dtype, tuple() as shape, "C" | "F" as order):
            return Array().fill(dtype, shape, order, raw)
        case Name.SCALAR, (Dtype() as dtype, bytes() as raw):
            return Array().fill(dtype, (), "C", raw)
        case Name.DTYPE, (str() as code, _, _) if code in DTYPES:
            return Dtype(code)
        case Name.DTYPE, (str() as code, _, _):
            raise DataContractError(
                f"holds items of type {shown(code)}; expected one of {', '.join(DTYPES)}; convert numbers with "
                ".astype(float), and text with np.unique(values, return_inverse=True)[1]"
            )
        case Name.ENCODE, (str() as text, "latin1"):
            return text.encode("latin-1")
        case Name.BYTES, ():
            return b""
    raise UnsafePickleError(f"is malformed: it does not make an array as NumPy does; {CONVERT}")


def fill(target, state) -> None:
    """Sets the state of an object in a pickle of arrays."""
    match target, state:
        case Array(), (1, tuple() as shape, Dtype() as dtype, (True | False | 0 | 1) as fortran, bytes() as raw):
            target.fill(dtype, shape, "F" if fortran else "C", raw)
        case Dtype(is_built=False), (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0):
            target.order, target.is_built = order, True
        case _:
            raise UnsafePickleError("is malformed: it does not fill an array as NumPy does")


def size(made) -> int:
    """Bytes that an object made here holds."""
    held = made.raw if type(made) is Array else made
    return len(held) if type(held) in (bytes, bytearray) else 0


def pack(items: list) -> tuple:
    """A tuple of at most two levels: enough for arrays, and too few to grow exponentially."""
    nested = any(type(inner) is tuple for item in items if type(item) is tuple for inner in item)
    if nested or len(items) > MAX_ITEMS:
        raise UnsafePickleError(f"has tuples nested more than two deep, or one of more than {MAX_ITEMS} items")
    return tuple(items)


def not_needed(what: str) -> UnsafePickleError:
    """The error for something that no pickle of arrays contains."""
    return UnsafePickleError(
        f"{what}, which a pickle of arrays does not need; nothing was run. If the file is your own, {CONVERT}"
    )


def kind(value) -> str:
    """What a value on the stack is, as messages say it."""
    if type(value) is Array:
        return "one array"
    return "None" if value is None else KINDS.get(type(value), "bytes or a name")


def shown(text: str) -> str:
    """A name from a file, quoted if it is short and of plain characters; messages show no other."""
    return repr(text) if re.fullmatch(r"[\w.<>=| -]{1,60}", text, re.ASCII) else "(a name of unusual characters)"
