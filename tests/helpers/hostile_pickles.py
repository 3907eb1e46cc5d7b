"""Pickles that no writer of arrays makes, assembled opcode by opcode: attacks, memory bombs and malformed files.

Never pass them to `pickle.load`.
"""

import bz2
import gzip
import lzma
import pickle
import struct

# isort: off
from pickle import (
    APPEND, BINGET, BINPERSID, BINPUT, BUILD, BYTEARRAY8, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, EXT1, EXT2, EXT4,
    FRAME, GLOBAL, INST, LONG1, LONG4, LONG_BINPUT, MARK, MEMOIZE, NEWOBJ, NEWOBJ_EX, NEXT_BUFFER, NONE, OBJ, PERSID,
    PROTO, READONLY_BUFFER, REDUCE, SETITEM, SETITEMS, STACK_GLOBAL, STOP, TUPLE, TUPLE1, TUPLE2, TUPLE3,
)  # fmt: skip
# isort: on

import numpy as np

CANARY = "kdlib-canary"  #: a file that a pickle creates if it is run


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def whole(value: int) -> bytes:
    payload = value.to_bytes(8, "little", signed=True)
    return LONG1 + bytes([len(payload)]) + payload


def name(module: str, attribute: str) -> bytes:
    return GLOBAL + f"{module}\n{attribute}\n".encode()


def dtype(code="f8", state=None) -> bytes:
    made = name("numpy", "dtype") + text(code) + whole(0) + whole(1) + TUPLE3 + REDUCE
    order = MARK + whole(3) + text("<") + NONE * 3 + whole(-1) * 2 + whole(0) + TUPLE
    return made + (order if state is None else state) + BUILD


def empty() -> bytes:
    """An array that has no contents yet."""
    of = name("numpy", "ndarray") + whole(0) + TUPLE1 + raw(b"b") + TUPLE3
    return name("numpy._core.multiarray", "_reconstruct") + of + REDUCE


def array(shape=(1,), item=None, contents=None, order=None) -> bytes:
    dimensions = MARK + b"".join(map(whole, shape)) + TUPLE
    state = whole(1) + dimensions + (item or dtype()) + (order or whole(0))
    return empty() + MARK + state + (raw(bytes(8)) if contents is None else contents) + TUPLE + BUILD


def entry(value: bytes, key: bytes | None = None) -> bytes:
    """A pickle of a dict of one key."""
    return PROTO + b"\x04" + EMPTY_DICT + (text("x_train") if key is None else key) + value + SETITEM + STOP


def call(function: bytes, *arguments: bytes) -> bytes:
    return entry(function + MARK + b"".join(arguments) + TUPLE + REDUCE)


def frame(length: int) -> bytes:
    return FRAME + struct.pack("<Q", length)


def hostile() -> dict[str, bytes]:
    touch = text(f"touch {CANARY}")
    system = name("os", "system")
    attacks = {
        "os.system": call(system, touch),
        "posix.system": call(name("posix", "system"), touch),
        "stack_global": entry(text("os") + text("system") + STACK_GLOBAL + touch + TUPLE1 + REDUCE),
        "eval": call(name("builtins", "eval"), text(f"open('{CANARY}', 'w')")),
        "dotted": call(name("numpy", "ndarray.__class__.__base__.__subclasses__")),
        "dotted_module": call(name("numpy._core.multiarray", "os.system"), touch),
        "builtins": call(name("numpy", "__builtins__"), touch),
        "getattr": call(name("builtins", "getattr"), name("os", "path"), text("os")),
        "import": call(name("builtins", "__import__"), text("antigravity")),
        "numpy_load": call(name("numpy", "load"), text(CANARY)),
        "numpy_exec": call(name("numpy.testing._private.utils", "runstring"), text("1"), EMPTY_DICT),
        "codecs_other": call(name("_codecs", "encode"), text("x"), text("zip")),
        "bytes_of_a_number": call(name("builtins", "bytes"), whole(1 << 40)),
        "name_of_no_text": entry(whole(1) + whole(2) + STACK_GLOBAL),
        "name_with_escape": entry(name("numpy\\x2e_core.multiarray", "_reconstruct")),
        "ext1": entry(EXT1 + b"\xf0"),
        "ext2": entry(EXT2 + b"\xf0\x00"),
        "ext4": entry(EXT4 + b"\xf0\x00\x00\x00"),
        "inst": entry(MARK + touch + INST + b"os\nsystem\n"),
        "obj": entry(MARK + system + touch + OBJ),
        "newobj": entry(system + touch + TUPLE1 + NEWOBJ),
        "newobj_of_dtype": entry(name("numpy", "dtype") + text("f8") + TUPLE1 + NEWOBJ),
        "newobj_ex": entry(system + EMPTY_TUPLE + EMPTY_DICT + NEWOBJ_EX),
        "persid": entry(PERSID + b"17\n"),
        "binpersid": entry(text("17") + BINPERSID),
        "out_of_band": entry(NEXT_BUFFER + READONLY_BUFFER),
        "build_on_name": entry(name("numpy", "ndarray") + EMPTY_DICT + BUILD),
        "build_on_dict": entry(EMPTY_DICT + text("__class__") + BUILD),
        "build_on_tuple": entry(EMPTY_TUPLE + EMPTY_DICT + BUILD),
        "reduce_on_array": entry(array() + EMPTY_TUPLE + REDUCE),
        "reduce_on_text": entry(text("numpy") + EMPTY_TUPLE + REDUCE),
        "reduce_with_no_tuple": entry(name("numpy", "dtype") + text("f8") + REDUCE),
        "reconstruct_of_other": call(name("numpy._core.multiarray", "_reconstruct"), system, whole(0), raw(b"b")),
        "pandas": entry(name("pandas.core.frame", "DataFrame") + EMPTY_TUPLE + NEWOBJ),
        "list": entry(EMPTY_LIST + array() + APPEND),
        "float": entry(b"G" + bytes(8)),
    }
    frombuffer = name("numpy.core.numeric", "_frombuffer")
    bombs = {
        "shape": entry(array(shape=(1 << 40,))),
        "shape_overflow": entry(array(shape=(1 << 62, 4), contents=raw(b""))),
        "shape_empty_and_huge": entry(array(shape=(0, 1 << 62), contents=raw(b""))),
        "shape_negative": entry(array(shape=(-1,))),
        "shape_negative_twice": entry(array(shape=(-1, -1))),
        "shape_of_bools": entry(array().replace(MARK + whole(1) + TUPLE, b"\x88\x85")),
        "dimensions": entry(array(shape=(1,) * 10_000)),
        "too_few_bytes": entry(array(shape=(2,))),
        "too_many_bytes": entry(array(contents=raw(bytes(9)))),
        "frombuffer": call(frombuffer, raw(b""), dtype(), whole(1 << 40) + TUPLE1, text("C")),
        "frombuffer_order": call(frombuffer, raw(bytes(8)), dtype(), whole(1) + TUPLE1, text("K")),
        "scalar": call(name("numpy._core.multiarray", "scalar"), dtype(), raw(bytes(1000))),
        "length_of_bytes": entry(b"B" + b"\xff" * 4),
        "length_of_bytes8": entry(b"\x8e" + b"\xff" * 8),
        "length_of_bytearray": entry(BYTEARRAY8 + b"\xff" * 7 + b"\x7f"),
        "length_of_text8": entry(b"\x8d" + b"\xff" * 8),
        "long": entry(LONG1 + b"\xff" + b"\xff" * 255),
        "long4": entry(LONG4 + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20)),
        "long4_negative": entry(LONG4 + struct.pack("<i", -1)),
        "long_text": entry(b"L" + b"9" * 1_000_000 + b"L\n"),
        "int_text": entry(b"I" + b"9" * 5_000 + b"\n"),
        "memo_index": entry(LONG_BINPUT + b"\xff" * 4 + b"h\x00"),
        "memo_entries": PROTO + b"\x04" + EMPTY_DICT + MEMOIZE * 1_000_000 + STOP,
        "memo_encoded": PROTO + b"\x02" + MARK + text("y" * 1_000_000) + BINPUT + b"\x01"
        + (name("_codecs", "encode") + BINGET + b"\x01" + text("latin1") + TUPLE2 + REDUCE) * 3_000 + STOP,
        "memo_shared": PROTO + b"\x04" + raw(bytes(1_000_000)) + BINPUT + b"\x01" + EMPTY_DICT + MARK
        + b"".join(
            text(f"k{i}") + array((1_000_000,), dtype("u1"), BINGET + b"\x01") for i in range(500)
        ) + SETITEMS + STOP,
        "laughs": PROTO + b"\x04" + EMPTY_TUPLE + (MEMOIZE + TUPLE1 + BINGET + b"\x00" + TUPLE2) * 1_000 + STOP,
        "laughs_of_lists": PROTO + b"\x04" + EMPTY_LIST + (BINPUT + b"\x00" + BINGET + b"\x00" + APPEND) * 1_000 + STOP,
        "deep_tuples": PROTO + b"\x04" + EMPTY_TUPLE + TUPLE1 * 1_000_000 + STOP,
        "deep_marks": PROTO + b"\x04" + MARK * 1_000_000 + STOP,
        "deep_dicts": entry(EMPTY_DICT + (text("k") + EMPTY_DICT) * 5_000 + SETITEM * 5_000),
        "wide_tuple": entry(MARK + NONE * 15_000 + TUPLE),
        "many_opcodes": PROTO + b"\x04" + NONE * 1_000_000 + STOP,
    }  # fmt: skip
    confusions = {
        "cycle": PROTO + b"\x04" + EMPTY_DICT + BINPUT + b"\x00" + text("k") + BINGET + b"\x00" + SETITEM + STOP,
        "cycle_in_tuple": entry(empty() + BINPUT + b"\x09" + BINGET + b"\x09" + TUPLE1 + BUILD),
        "array_in_itself": entry(empty() + BINPUT + b"\x09" + MARK + whole(1) + (BINGET + b"\x09") * 4 + TUPLE + BUILD),
        "array_without_contents": entry(empty()),
        "contents_twice": entry(array() + array()[len(empty()) :]),
        "memo_of_nothing": PROTO + b"\x04" + BINPUT + b"\x00" + STOP,
        "memo_unknown": entry(BINGET + b"\x63"),
        "memo_of_mark": PROTO + b"\x04" + MARK + MEMOIZE + STOP,
        "memo_replaces_dtype": entry(
            name("os", "system").replace(GLOBAL, name("numpy", "dtype") + BINPUT + b"\x00" + GLOBAL)
        ),
        "name_as_dtype": entry(array(item=name("numpy", "dtype"))),
        "text_as_bytes": entry(array(contents=text("12345678"))),
        "encode_beyond_latin1": call(name("_codecs", "encode"), text("\u20ac"), text("latin1")),
        "bytes_as_text": entry(array(), key=raw(b"x_train")),
        "key_tuple": entry(array(), key=EMPTY_TUPLE),
        "key_array": entry(array(), key=array()),
        "key_twice": PROTO + b"\x04" + EMPTY_DICT + MARK + (text("k") + array()) * 2 + SETITEMS + STOP,
        "odd_items": PROTO + b"\x04" + EMPTY_DICT + MARK + text("k") + SETITEMS + STOP,
        "items_of_array": PROTO + b"\x04" + array() + text("k") + array() + SETITEM + STOP,
        "setitems_without_mark": PROTO + b"\x04" + EMPTY_DICT + SETITEMS + STOP,
        "frame_too_long": PROTO + b"\x04" + frame(1 << 60) + EMPTY_DICT + STOP,
        "frame_in_frame": PROTO + b"\x04" + frame(11) + frame(2) + EMPTY_DICT + STOP,
        "frame_cuts_value": PROTO + b"\x04" + frame(3) + EMPTY_DICT + text("k") + array() + SETITEM + STOP,
        "protocol": PROTO + b"\x06" + EMPTY_DICT + STOP,
        "trailing": entry(array()) + b"\x00",
        "two_pickles": entry(array()) * 2,
        "two_values": PROTO + b"\x04" + EMPTY_DICT + EMPTY_DICT + STOP,
        "open_mark": PROTO + b"\x04" + MARK + EMPTY_DICT + STOP,
        "stop_only": STOP,
        "bools": entry(array(item=dtype("b1"), contents=raw(b"\x02"))),
        "byte_order": entry(array(item=dtype(state=text("<")))),
        "dtype_metadata": entry(
            array(
                item=dtype(state=MARK + whole(4) + text("<") + NONE * 3 + whole(-1) * 2 + whole(0) + EMPTY_DICT + TUPLE)
            )
        ),
        "not_utf8": entry(array(), key=b"X\x02\x00\x00\x00\xc3\x28"),
        "empty": b"",
        "text": b"x,y\n1,2\n",
        "json": b'{"x_train": [[1.0]]}',
        "gzip": gzip.compress(pickle.dumps({"x": np.zeros(3)})),
        "npz": b"PK\x03\x04" + bytes(100),
        "python_2": b"\x80\x02}U\x07x_trainK\x01s.",
        "bz2": bz2.compress(pickle.dumps({"x": np.zeros(3)})),
        "xz": lzma.compress(pickle.dumps({"x": np.zeros(3)})),
        "web_page": b"<!DOCTYPE html>",
        "git_lfs": b"version https://git-lfs.github.com/spec/v1\n",
        "npy": b"\x93NUMPY\x01\x00" + bytes(100),
        "zeros": bytes(1_000_000),
        "marks_in_text": b"(" * 7 + b"V" + b"x" * 1_000_000,
        "truncated": entry(array())[:-40],
        "proto_only": PROTO,
    }
    values = {
        "object": np.array([None, {}], dtype=object), "text_items": np.array(["a"]), "bytes_items": np.array([b"a"]),
        "structured": np.zeros(2, [("a", "f8")]), "void": np.zeros(2, "V8"), "dates": np.zeros(2, "M8[s]"),
        "complex": np.zeros(2, complex), "longdouble": np.zeros(2, np.longdouble), "masked": np.ma.zeros(2),
        "matrix_like": np.zeros(2).view(np.recarray), "python_list": [1.0, 2.0], "python_int": 3, "python_text": "a",
        "python_none": None, "python_dict": {"a": np.zeros(2)}, "python_tuple": (1, 2), "python_set": {1, 2},
    }  # fmt: skip
    written = {
        f"{kind}_{protocol}": pickle.dumps({"x_train": value}, protocol)
        for kind, value in values.items()
        for protocol in range(6)
    }
    return attacks | bombs | confusions | written
