"""The digests of layers: the committed ones are this machine's, on any number of cores and on an emulated processor."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kdlib import pins
from kdlib.report import bits
from kdlib.report.__main__ import main
from kdlib.studies import layers

FILE = Path(__file__).parents[2] / "reports" / "reference" / bits.FILE
needs_pins = pytest.mark.skipif(not pins.are_set(), reason="needs Linux on an x86-64 processor with AVX2 and FMA")


@pytest.fixture
def digests(tmp_path):
    """A file with the digests of two layers."""
    file = tmp_path / bits.FILE
    file.write_bytes(bits.record({"sums": "1", "products": "2"}))
    return file


def test_layers_that_differ_are_named(digests):
    assert bits.compare({"sums": "1", "products": "2"}, digests) == (
        True, [f"2 of 2 layers have the same bits as in {digests}"]
    )  # fmt: skip
    agrees, lines = bits.compare({"sums": "1", "products": "3"}, digests)
    assert not agrees and lines[0].startswith("1 of 2") and "differs: products" in lines


def test_the_command_says_by_its_status_what_it_found(digests, monkeypatch, capsys):
    monkeypatch.setattr(bits, "compute", lambda: {"sums": "1", "products": "3"})
    assert main(["bits", str(digests)]) == 1
    assert "differs: products" in capsys.readouterr().out
    assert main(["bits", "--keep", str(digests)]) == 0
    assert main(["bits", str(digests)]) == 0
    assert main(["bits", str(digests.parent / "none")]) == 2
    digests.write_text("[]")
    assert main(["bits", str(digests)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "No such file" in lines[0] and "expected digests of layers" in lines[1] and len(lines) == 2


def test_the_committed_digests_are_of_these_pins():
    assert json.loads(FILE.read_text())["pins"] == pins.PINS, (
        "run python -m kdlib.report bits --keep, and keep references"
    )


def assert_committed(names, *, before="", emulator=(), **environment):
    """That a process of its own computes the committed digests of layers, of all if none is named, after some code."""
    code = f"import runpy, sys; sys.path[:] = {sys.path}; sys.argv[1:] = {list(names)}\n{before}\n"
    code += "runpy.run_module('kdlib.studies.layers', run_name='__main__')"
    python = str(Path(sys.executable).resolve())  # an emulator would start no wrapper
    environment = os.environ | environment
    done = subprocess.run([*emulator, python, "-c", code], env=environment, stdout=subprocess.PIPE, check=True)
    found, committed = json.loads(done.stdout), bits.read(FILE)["digests"]
    assert found == {name: committed[name] for name in names or committed}


SHOW_CORES = """import os
cores, there = {cores}, os.sched_getaffinity(0)
if cores <= len(there):
    os.sched_setaffinity(0, sorted(there)[:cores])
else:
    os.cpu_count = os.process_cpu_count = lambda: cores
    os.sched_getaffinity = lambda process: set(range(cores))
"""


@pytest.mark.slow
@needs_pins
@pytest.mark.parametrize(("cores", "names"), [(1, ()), (2, [layers.EXPERIMENT]), (4, [layers.EXPERIMENT])])
def test_visible_cores_do_not_change_the_bits(cores, names):
    """The environment asks for as many threads as cores.

    Cores that the machine lacks are an imitation, which Python's own functions report; TensorFlow and OpenBLAS, which
    ask Linux, see those that there are.
    """
    assert_committed(names, before=SHOW_CORES.format(cores=cores), **dict.fromkeys(pins.ONE_THREAD, str(cores)))


def emulator() -> str | None:
    """QEMU's emulator of programs for x86-64, from version 10 on: earlier ones compute AVX2 wrongly."""
    found = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    text = found and subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return found if found and int(re.search(r"version (\d+)", text)[1]) >= 10 else None


@pytest.mark.slow
@needs_pins
@pytest.mark.skipif(not emulator(), reason="needs qemu-user 10 or later (Debian 13: apt install qemu-user)")
def test_an_emulated_haswell_computes_the_committed_bits():
    """Minutes, since each instruction is translated. On Debian 12, Debian 13's program, which is static, does."""
    assert_committed((), emulator=[emulator(), "-cpu", "Haswell"])
