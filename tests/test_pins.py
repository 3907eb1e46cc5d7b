"""What is set when kdlib is imported: libraries obey it, what others set stays, and it can be left out."""

import json
import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from kdlib import pins

needs_pins = pytest.mark.skipif(not pins.are_set(), reason="needs Linux on an x86-64 processor with AVX2 and FMA")


NAMES = pins.ONE_THREAD.keys() | pins.PINS.keys()


def printed(code: str, **given):
    """The JSON that a process prints which starts with nothing of ours but `given`, and imports kdlib first."""
    start = {name: value for name, value in os.environ.items() if name not in NAMES} | given
    code = f"import kdlib, json, os, sys; {code}"
    done = subprocess.run([sys.executable, "-c", code], env=start, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def environment_of_a_process(**given) -> dict[str, str]:
    """What of ours is in the environment after the import of kdlib."""
    found = printed("assert 'numpy' not in sys.modules; print(json.dumps(dict(os.environ)))", **given)
    return {name: value for name, value in found.items() if name in NAMES}


@needs_pins
def test_they_are_set_on_import_and_again_change_nothing():
    first = environment_of_a_process()
    assert first == pins.ONE_THREAD | pins.PINS
    assert environment_of_a_process(**first) == first


@needs_pins
def test_flags_of_xla_that_others_set_stay():
    flags = environment_of_a_process(XLA_FLAGS="--xla_dump_to=x --xla_cpu_max_isa=AVX512")["XLA_FLAGS"]
    assert flags.startswith("--xla_dump_to=x ") and flags.endswith(pins.PINS["XLA_FLAGS"])  # the last one counts


@needs_pins
def test_libraries_take_the_instructions_they_are_told():
    import numpy as np
    import scipy.linalg  # noqa: F401, its OpenBLAS is another one

    found = [library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"]
    assert found == ["Haswell"] * 2
    assert not set(pins.PINS["NPY_DISABLE_CPU_FEATURES"].split()) & set(
        np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    )


THREADS = """from pathlib import Path
import sklearn.svm, tensorflow as tf
from threadpoolctl import threadpool_info
tf.function(lambda x: x @ x, jit_compile=True)(tf.ones((9, 9)))
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
found = {name: names.count(name) for name in ("tf_Compute", "tf_XLAEigen")}
print(json.dumps(found | {library["filepath"]: library["num_threads"] for library in threadpool_info()}))"""


@pytest.mark.slow
@needs_pins
def test_libraries_start_one_thread_whatever_others_ask_for():
    found = printed(THREADS, **dict.fromkeys(pins.ONE_THREAD, "4"))
    assert len(found) == 5 and set(found.values()) == {1}  # TensorFlow's two, OpenBLAS twice, OpenMP


def test_they_can_be_left_out():
    assert environment_of_a_process(KDLIB_PORTABLE="0") == pins.ONE_THREAD


def test_a_processor_without_these_instructions_gets_none(monkeypatch):
    monkeypatch.setattr(pins, "features", lambda: ["avx", "fma"])
    assert pins.variables() == pins.ONE_THREAD and not pins.are_set()


@needs_pins
@pytest.mark.parametrize("name", [*pins.ONE_THREAD, *pins.PINS])
def test_a_pin_that_is_not_set_breaks_the_promise(monkeypatch, name):
    assert pins.are_set()
    monkeypatch.delenv(name)
    assert not pins.are_set()
