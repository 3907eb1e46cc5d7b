"""The cache gives what was computed, bit for bit, or nothing; and every method trains nothing the second time."""

import dataclasses
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bits import same
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from kdlib.training import cache as caches
from kdlib.training import keys
from kdlib.training.batches import InOrder, Shuffled, Together
from kdlib.training.cache import Cache, default_cache
from kdlib.training.keys import digest

ROOT = Path(__file__).parents[2]
OLD = 1e9  #: of file times


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def key(*arguments):
    return digest(digest, *arguments)


def values(seed=0):
    """A value of every kind that is kept."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(2, 3)).astype(np.float32), np.asfortranarray(rng.normal(size=(3, 2))), np.array(7)]
    return {"arrays": arrays, "empty": np.zeros((0, 2)), 5: {"none": None, "number": 0.1, "text": "é", "list": []}}


def test_what_is_kept_comes_back_bit_for_bit(cache):
    assert cache.get(key(1)) is None
    for seed in (1, 2, 1):
        cache.put(key(seed), values(seed))
    assert same(cache.get(key(1)), values(1)) and same(cache.get(key(2)), values(2))
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in cache.folder.iterdir()] == [0o600] * 2


@dataclasses.dataclass
class Point:
    x: float
    y: float = dataclasses.field(init=False, default=2.0)


DIFFERENT = [
    None, True, 1, 1.0, "1", b"1", np.float32(1), np.float64(1), np.array(1.0), [1], (1,), [1, [2]], [[1], 2], {1: 2},
    {2: 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, range(1), range(2), -0.0, 0.0, float("nan"), np.zeros((2, 3)),
    np.zeros((3, 2)), np.zeros(6), np.zeros((2, 3), np.float32), np.zeros((2, 3), ">f8"), np.zeros(0), np.zeros((0, 1)),
    "a", "ab", ["a", "b"], ["ab"], LogisticRegression, LogisticRegression(), LogisticRegression(C=2.0), accuracy_score,
    digest,
    Shuffled(np.arange(4), 2, 2, 1, (0,)), Shuffled(np.arange(4), 2, 2, 1, (0,), stream=1),
    Shuffled(np.arange(5), 2, 2, 1, (0,)), InOrder((np.arange(4),), 2, 2, 1, (0,)),
    Together((Shuffled(np.arange(4), 2, 2, 1, (0,)),)), Together((Shuffled(np.arange(4), 2, 2, 1, (0,)),) * 2),
    pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), pd.DataFrame({"a": [2, 1]}),
    pd.DataFrame({"a": [1.0, 2]}), pd.DataFrame({"a": ["1", "2"]}), pd.DataFrame({"a": [1, 2]}, index=[1, 0]),
    pd.Series([1, 2], name="a"),
]  # fmt: skip


def test_different_arguments_have_different_keys():
    keys = [key(value) for value in DIFFERENT] + [digest(accuracy_score, DIFFERENT[0])]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_equal_content_has_the_same_key():
    rows = np.arange(12.0).reshape(3, 4)
    assert key(rows) == key(rows.copy()) == key(np.asfortranarray(rows)) == key(rows[:, ::-1][:, ::-1])
    assert key(Shuffled(np.arange(4), 2, 2, 1, (0,))) == key(Shuffled(np.arange(4), 2, 2, 1, (0,)))


def test_another_process_finds_the_same_key():
    code = "from kdlib.training.keys import digest; print(digest(digest, {'a': 1}, [0.1], digest))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2", "TF_CPP_MIN_LOG_LEVEL": "1"}
    environment["TF_XLA_FLAGS"] = "--tf_xla_persistent_cache_directory=/tmp"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == key({"a": 1}, [0.1], digest), done.stderr


UNTOLD = [
    lambda: 0, object(), same, Point(1.0), np.array([None]), [{"deep": (object(),)}], io.BytesIO(), {1, 2},
    LogisticRegression().fit([[0], [1]], [0, 1]),
]  # fmt: skip


@pytest.mark.parametrize("value", UNTOLD, ids=lambda value: type(value).__name__)
def test_what_cannot_be_told_is_not_kept(cache, value):
    assert key(value) is None
    assert cache.key(digest, value) is None and cache.get(None) is None
    cache.put(None, 1)
    assert not cache.folder.exists()


@pytest.mark.parametrize("name", ["XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "NPY_DISABLE_CPU_FEATURES"])
def test_a_flag_in_the_environment_changes_the_keys(monkeypatch, name):
    before = key(1)
    monkeypatch.setenv(name, "--some-flag")
    monkeypatch.setattr(keys, "environment", keys.environment.__wrapped__)
    assert key(1) != before


@pytest.mark.parametrize("of", ["metadata.version", "platform.python_version", "processor"])
def test_versions_and_processor_change_the_keys(monkeypatch, of):
    before = key(1)
    monkeypatch.setattr(f"kdlib.training.keys.{of}", lambda *_: "another")
    monkeypatch.setattr(keys, "environment", keys.environment.__wrapped__)
    assert key(1) != before


def test_the_processor_is_known():
    assert len(keys.processor()) > 4


@pytest.mark.slow
def test_a_function_stands_for_all_sources_that_it_reaches():
    from kdlib.methods.kernel_teachers import KernelMachine
    from kdlib.training import loop, losses

    reached = {"batches", "compiled", "loop", "losses", "networks", "plan"}
    assert keys._code(loop.run).keys() == {f"kdlib.training.{name}" for name in reached}
    assert keys._code(losses.distillation).keys() == {"kdlib.training.losses"}
    teacher = keys._code(KernelMachine)
    assert {f"kdlib.methods.{name}" for name in ("kernel_teachers", "teachers", "problem")} <= teacher.keys()
    assert {"kdlib.data.dataset", "kdlib.settings"} <= teacher.keys()
    assert not {"kdlib.methods", "kdlib.methods.bounds", "kdlib.data"} & teacher.keys()
    source = ROOT.joinpath("kdlib/training/losses.py").read_bytes()
    assert teacher["kdlib.training.losses"] == hashlib.sha256(source).hexdigest()


def test_a_changed_source_changes_the_keys(monkeypatch):
    before = key(Shuffled)
    monkeypatch.setattr(keys, "_source", lambda module: ("another", set()))
    assert key(Shuffled) != before


def test_what_an_edited_source_computes_is_not_kept(monkeypatch):
    assert key(Shuffled)
    monkeypatch.setattr(keys, "_source", keys._source.__wrapped__)
    monkeypatch.setitem(keys.SOURCES, ROOT / "kdlib" / "training" / "batches.py", "edited")
    assert key(Shuffled) is None


def damaged(content: bytes, name: str) -> dict[str, bytes]:
    pickled = io.BytesIO()
    np.savez(pickled, np.array("{}"), np.array([{}], object))
    return {
        "empty": b"",
        "truncated": content[:-1],
        "a byte changed": content[:100] + bytes([content[100] ^ 1]) + content[101:],
        "no archive": caches._checksum(b"text", name) + b"text",
        "a pickle": caches._checksum(pickled.getvalue(), name) + pickled.getvalue(),
    }


@pytest.mark.parametrize("kind", [*damaged(b"x" * 200, ""), "another's"])
def test_a_damaged_entry_is_removed_with_one_line(cache, caplog, kind):
    names = key(1), key(2), key(3)
    for seed, name in enumerate(names):
        cache.put(name, values(seed))
    foreign = (cache.folder / names[2]).read_bytes()
    for name in names[:2]:
        path = cache.folder / name
        path.write_bytes({**damaged(path.read_bytes(), name), "another's": foreign}[kind])
        assert cache.get(name) is None
        assert not path.exists()
    assert len(caplog.messages) == 1 and "damaged" in caplog.text
    cache.put(names[0], values())
    assert same(cache.get(names[0]), values()) and same(cache.get(names[2]), values(2))


@pytest.fixture
def read_only(tmp_path):
    """A cache with one entry, to which no other can be added, not even by root."""
    cache = Cache(tmp_path / "mounted")
    cache.folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "mode=700,size=1m", "tmpfs", cache.folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a read-only disk needs the right to mount one")
    cache.put(key(1), values())
    subprocess.run(["mount", "-o", "remount,ro", cache.folder], check=True)
    yield cache
    subprocess.run(["umount", cache.folder], check=True)


def test_a_read_only_folder_is_read_and_said_once(read_only, caplog):
    for number in (1, 2, 3):
        read_only.put(key(number), values())
    assert same(read_only.get(key(1)), values())
    assert read_only.get(key(2)) is None
    assert caplog.messages == ["the cache cannot be written (Read-only file system); what is computed now is not kept"]


def test_a_full_disk_leaves_nothing_behind(small_disk, caplog):
    cache = Cache(small_disk / "cache")
    for number in (1, 2):
        cache.put(key(number), np.zeros(100_000))
    assert list(cache.folder.iterdir()) == []
    assert caplog.messages == [
        "the cache cannot be written (No space left on device); what is computed now is not kept"
    ]


def test_a_folder_that_others_can_write_to_is_not_used(cache, caplog):
    cache.put(key(1), 1)
    cache.folder.chmod(0o777)
    assert cache.get(key(1)) is None
    cache.put(key(2), 2)
    assert [path.name for path in cache.folder.iterdir()] == [key(1)]
    assert len(caplog.messages) == 1 and "others" in caplog.text


def test_a_folder_of_another_user_is_not_used(cache, caplog, monkeypatch):
    cache.put(key(1), 1)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert cache.get(key(1)) is None
    assert len(caplog.messages) == 1 and "others" in caplog.text


def test_a_file_instead_of_the_folder_is_said_once(tmp_path, caplog):
    cache = Cache(tmp_path / "file")
    cache.folder.touch(mode=0o600)
    for number in (1, 2):
        cache.put(key(number), 1)
        assert cache.get(key(number)) is None
    assert len({message.partition("(")[0] for message in caplog.messages}) == len(caplog.messages) <= 2


def put_old(cache, number, age):
    cache.put(key(number), np.full(1000, number))
    os.utime(cache.folder / key(number), (OLD - age, OLD - age))


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    size = len(caches._pack(np.zeros(1000), key(0)))
    cache = Cache(tmp_path / "cache", limit=3 * size)
    for number, age in ((1, 30), (2, 20), (3, 10)):
        put_old(cache, number, age)
    assert cache.get(key(1)) is not None  # so that it is the latest
    cache.put(key(4), np.full(1000, 4))
    assert {path.name for path in cache.folder.iterdir()} == {key(1), key(3), key(4)}


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path):
    cache = Cache(tmp_path / "cache", limit=1000)
    cache.put(key(1), 1)
    cache.put(key(2), np.zeros(1000))
    assert [path.name for path in cache.folder.iterdir()] == [key(1)]


def start(code: str, *arguments) -> subprocess.Popen:
    """Another process that executes a call of this module's."""
    command = [sys.executable, "-c", f"import sys, test_cache; test_cache.{code}", *map(str, arguments)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)


def write(folder, limit, first):
    """Puts and gets fifteen entries, three times over."""
    cache = Cache(Path(folder), int(limit))
    for number in [*range(int(first), int(first) + 15)] * 3:
        kept = cache.get(key(number))
        assert kept is None or np.array_equal(kept, np.full(1000, number))
        cache.put(key(number), np.full(1000, number))


@pytest.mark.slow
def test_several_processes_write_and_evict_at_once(tmp_path):
    cache = Cache(tmp_path, limit=10 * len(caches._pack(np.zeros(1000), key(0))))
    writers = [start("write(*sys.argv[1:])", cache.folder, cache.limit, first) for first in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in writers] == [("", 0)] * 4
    entries = list(cache.folder.iterdir())
    assert 0 < sum(path.stat().st_size for path in entries) <= cache.limit
    assert all(cache.get(path.name) is not None for path in entries)


def put_and_die(folder):
    """Is killed just before an entry appears."""
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    Cache(Path(folder)).put(key(1), values())


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_no_entry(cache):
    with start("put_and_die(sys.argv[1])", cache.folder) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    (left,) = cache.folder.iterdir()
    assert left.name.startswith(caches.PARTIAL)
    assert cache.get(key(1)) is None
    cache.put(key(2), 2)
    assert left.exists()  # somebody may be writing it
    os.utime(left, (time.time() - 2 * caches.MAX_SECONDS,) * 2)
    cache.put(key(3), 3)
    assert not left.exists()


@pytest.mark.parametrize("named", ["", "0"])
def test_nothing_is_kept_where_the_environment_says_so(monkeypatch, named):
    monkeypatch.setenv("KDLIB_CACHE", named)
    assert default_cache().folder is None
    assert default_cache().key(digest, 1) is None


def test_the_environment_names_folder_and_limit(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLIB_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("KDLIB_CACHE_BYTES", "12345")
    assert (default_cache().folder, default_cache().limit) == (tmp_path / "elsewhere", 12_345)
    assert default_cache() is default_cache()
    monkeypatch.setenv("KDLIB_CACHE_BYTES", "2 GB")
    with pytest.raises(ValueError, match="KDLIB_CACHE_BYTES: expected a number of bytes, got '2 GB'"):
        default_cache()


def test_by_default_it_is_in_the_checkout_or_in_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("KDLIB_CACHE")
    assert default_cache().folder == ROOT / ".cache"
    monkeypatch.setattr(caches, "PACKAGE", tmp_path / "kdlib")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache().folder == tmp_path / "kdlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache().folder == tmp_path / "home" / ".cache" / "kdlib"
