"""The reader gives what `pickle.loads` gives on good files, and refuses all others without side effects."""

import contextlib
import copyreg
import hashlib
import os
import pickle
import sys
import tracemalloc

import numpy as np
import pandas
import pytest
from hostile_pickles import CANARY, array, entry, hostile, text
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kdlib.data import files, from_arrays, load, loads, pickle_reader
from kdlib.data.files import DataContractError, UnsafePickleError
from kdlib.data.pickle_types import DTYPES

HOSTILE = hostile()
BASE = np.arange(12.0).reshape(3, 4)
READ_ONLY = BASE.copy()
READ_ONLY.setflags(write=False)
GOOD = {
    "x_train": BASE,
    "fortran": np.asfortranarray(BASE),
    "strided": BASE[:, ::2],
    "read_only": READ_ONLY,
    "shared": BASE,
    "big_endian": BASE.astype(">f4"),
    "big_endian_int": np.arange(300).astype(">i8"),
    "no_rows": np.zeros((0, 2)),
    "no_dimension": np.array(3.0),
    "bools": np.array([True, False]),
    "long": np.arange(70_000),  # beyond one frame
} | {code: np.array([[0, 1, 2]]).astype(code) for code in DTYPES}


def numpy_1(written: bytes) -> bytes:
    """A pickle of protocol 0 to 3 as NumPy 1 names things."""
    return written.replace(b"cnumpy._core.", b"cnumpy.core.")


def assert_same(ours: dict, theirs: dict):
    assert list(ours) == list(theirs)
    for key, expected in theirs.items():
        expected = np.asarray(expected)
        assert ours[key].dtype == expected.dtype.newbyteorder("=") and ours[key].dtype.isnative, key
        assert ours[key].shape == expected.shape and np.array_equal(ours[key], expected), key
        assert ours[key].flags.writeable and ours[key].flags.owndata, key


@pytest.mark.parametrize("protocol", range(6))
def test_good_files_read_as_python_reads_them(protocol):
    written = pickle.dumps(GOOD, protocol)
    ours, theirs = pickle_reader.loads(written), pickle.loads(written)
    assert_same(ours, theirs)
    assert ours["x_train"] is ours["shared"] and ours["fortran"].flags.f_contiguous
    if protocol < 4:
        assert numpy_1(written) != written
        assert_same(pickle_reader.loads(numpy_1(written)), theirs)


def test_names_of_numpy_1_in_frames():
    # In protocols 4 and 5 the length of a name stands before it, and that of a frame before the frame.
    for protocol, module in ((4, b"numpy._core.multiarray"), (5, b"numpy._core.numeric")):
        written = pickle.dumps({"x": np.arange(3.0)}, protocol)
        at = written.index(module) - 1
        older = (
            written[:at]
            + bytes([len(module) - 1])
            + module.replace(b"_core", b"core")
            + written[at + 1 + len(module) :]
        )
        older = older[:3] + (int.from_bytes(older[3:11], "little") - 1).to_bytes(8, "little") + older[11:]
        assert_same(pickle_reader.loads(older), {"x": np.arange(3.0)})


def test_numpy_scalars_become_arrays_of_no_dimension():
    assert_same(
        pickle_reader.loads(pickle.dumps({"d": np.float32(0.5), "k": np.int64(3)})), {"d": np.float32(0.5), "k": 3}
    )


def test_empty_dict_and_python_pickler():
    assert pickle_reader.loads(pickle.dumps({})) == {}
    for protocol in range(6):
        assert_same(pickle_reader.loads(pickle._dumps(GOOD, protocol)), GOOD)  # the pickler in Python frames otherwise


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(copyreg._extension_cache, 0xF0, os.system)  # a filled cache is consulted before any check
    data = HOSTILE[case]

    def refused():
        with pytest.raises((UnsafePickleError, DataContractError)) as refusal:
            pickle_reader.loads(data)
        return refusal

    events = 0

    def count(*_):
        nonlocal events
        events += 1

    sys.setprofile(count)
    try:
        refusal = refused()
    finally:
        sys.setprofile(None)
    assert events < 20 * pickle_reader.MAX_OPCODES  # calls and returns: the work has a bound, whatever the size

    tracemalloc.start()
    try:
        refused()
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # bytes; the largest file has a million
    finally:
        tracemalloc.stop()
    assert not (tmp_path / CANARY).exists()
    message = str(refusal.value)
    assert message.isascii() and message.isprintable() and len(message) < 400 and f"touch {CANARY}" not in message
    assert refusal.value.__cause__ is None


def test_a_harmless_file_of_the_same_parts_is_read():
    # The parts of the hostile files are not refused by themselves.
    assert_same(pickle_reader.loads(entry(array())), {"x_train": np.zeros(1)})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1.0], "'x_train' holds a Python list"),
        (3, "holds a Python int"),
        (np.array(["a"]), "'U1'"),
        ({}, "Python dict"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_value_that_is_not_an_array_is_named_with_its_key(value, says, protocol):
    with pytest.raises(DataContractError, match=says) as refusal:
        pickle_reader.loads(pickle.dumps({"y_train": BASE, "x_train": value, "z": BASE}, protocol))
    assert "y_train" not in str(refusal.value)


def test_pandas_objects_are_named_with_their_key_and_a_remedy():
    for protocol in (2, 3, 4, 5):
        for value in (pandas.DataFrame({"a": [1.0]}), pandas.Series([1.0]), pandas.Index([1])):
            with pytest.raises(DataContractError, match=r"'x_train' holds a pandas object.*df.to_numpy\(\)"):
                pickle_reader.loads(pickle.dumps({"d_train": BASE, "x_train": value}, protocol))
    with pytest.raises(DataContractError, match="pandas"):
        pickle_reader.loads(pickle.dumps(pandas.DataFrame({"a": [1.0]})))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([f"{order}{code}" for code in DTYPES for order in "<>"]),
        hnp.array_shapes(min_dims=0, min_side=0),
    ),
    st.integers(0, 5),
)
def test_any_array_of_numbers(value, protocol):
    written = pickle.dumps({"x": value}, protocol)
    ours, theirs = pickle_reader.loads(written)["x"], pickle.loads(written)["x"]
    assert ours.dtype == theirs.dtype.newbyteorder("=") and np.array_equal(
        ours, theirs, equal_nan=ours.dtype.kind == "f"
    )


SMALL = {
    "x_train": np.arange(16.0).reshape(8, 2),
    "y_train": np.arange(8) % 2,
    "d_train": np.arange(8) // 4,
    "x_valid": np.asfortranarray(np.ones((4, 2), "f2")),
    "y_valid": np.array([True, False, True, False]),
}
SEEDS = [pickle.dumps(SMALL, protocol) for protocol in range(6)] + [numpy_1(pickle.dumps(SMALL, 3))]


@st.composite
def mutated(draw) -> bytes:
    """A good file with some bytes changed, removed, repeated or put in from elsewhere."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        other = draw(st.sampled_from(SEEDS))
        at = draw(st.integers(0, len(other)))
        pieces = st.binary(max_size=6), st.just(bytes(data[start:end]) * 2), st.just(other[at : at + 40])
        data[start:end] = draw(st.one_of(*pieces))
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(mutated())
@example(b"(dVx\ncnumpy\nndarray\n(I0\ntRs.")
def test_a_mutated_file_is_read_or_refused_by_name(data):
    try:
        arrays = pickle_reader.loads(data)
        assert all(type(key) is str and type(value) is np.ndarray for key, value in arrays.items())
        assert all(value.dtype.str[1:] in DTYPES for value in arrays.values())
        assert sum(value.nbytes for value in arrays.values()) <= 2 * len(data)
        from_arrays("mutated", arrays)
    except (UnsafePickleError, DataContractError) as refusal:
        assert type(refusal) in (UnsafePickleError, DataContractError) and str(refusal).isprintable()


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_by_name(data):
    with contextlib.suppress(UnsafePickleError, DataContractError):
        assert pickle_reader.loads(b"\x80\x04" + data) == {}  # random bytes may happen to be an empty dict


@pytest.mark.parametrize("protocol", range(6))
def test_every_truncation_is_refused(protocol):
    written = pickle.dumps(SMALL, protocol)
    for length in range(len(written)):
        with pytest.raises((UnsafePickleError, DataContractError)):
            pickle_reader.loads(written[:length])


def test_a_dataset_holds_the_hash_of_the_bytes_it_was_read_from(tmp_path):
    path = tmp_path / "a b'c.pkl"
    path.write_bytes(pickle.dumps(SMALL))
    assert load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(str(path)).sha256 == loads("elsewhere.pkl", path.read_bytes()).sha256


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "to_fifo").symlink_to(tmp_path / "fifo")
    for path, says in {
        tmp_path / "fifo": "FIFO",
        tmp_path / "to_fifo": "FIFO",
        tmp_path: "directory",
        "/dev/zero": "device",
        tmp_path / "gone": "no such file",
        tmp_path / "dangling": "link to a missing file",
        tmp_path / "loop": "cannot be read",
        tmp_path / "nul\0": "cannot be read",
        tmp_path / "fifo" / "inside": "cannot be read",
    }.items():
        with pytest.raises(DataContractError, match=says):
            files.read_bytes(path)


def test_messages_begin_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "bad.pkl"
    path.write_bytes(HOSTILE["os.system"])
    with pytest.raises(UnsafePickleError, match=r"^bad\.pkl: key 'x_train' names 'os\.system'.*nothing was run"):
        load(path)


def test_file_size_is_limited(tmp_path, monkeypatch):
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps(SMALL))
    assert files.read_bytes(path) == path.read_bytes()
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(DataContractError, match=r"^large\.pkl: expected at most 100 bytes"):
        files.read_bytes(path)


def test_names_from_a_file_are_shown_only_if_plain():
    for bad in ("\x1b[31mred", "a" * 61, "naïve", "a\nb"):
        with pytest.raises(UnsafePickleError, match="unusual characters"):
            pickle_reader.loads(entry(text("os") + text(bad) + pickle.STACK_GLOBAL))
