"""The digests of layers: the committed ones are this machine's, also on one core and on an emulated processor."""

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


@pytest.mark.slow
@needs_pins
def test_one_core_computes_the_committed_bits():
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        agrees, lines = bits.compare(bits.compute(), FILE)
    finally:
        os.sched_setaffinity(0, cores)
    assert agrees, "\n".join(lines)


def emulator() -> str | None:
    """QEMU's emulator of programs for x86-64, from version 10 on: earlier ones compute AVX2 wrongly."""
    found = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    text = found and subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return found if found and int(re.search(r"version (\d+)", text)[1]) >= 10 else None


@pytest.mark.slow
@needs_pins
@pytest.mark.skipif(not emulator(), reason="needs qemu-user 10 or later (Debian 13: apt install qemu-user)")
def test_an_emulated_haswell_computes_the_committed_bits():
    """A quarter of an hour: each instruction is translated."""
    python = str(Path(sys.executable).resolve())  # the emulator would start no wrapper
    code = "import sys; sys.path[:] = {!r}; import runpy; runpy.run_module('kdlib.studies.layers', run_name='__main__')"
    done = subprocess.run(
        [emulator(), "-cpu", "Haswell", python, "-c", code.format(sys.path)], stdout=subprocess.PIPE, check=True
    )
    agrees, lines = bits.compare(json.loads(done.stdout), FILE)
    assert agrees, "\n".join(lines)
