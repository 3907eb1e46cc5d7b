"""The report's command line, run at smoke budget."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIVE_KEYS = 'five "keys" <b>&'  #: a dataset's name that pages must show as text


def run_report(*arguments, action="run") -> subprocess.CompletedProcess:
    """`python -m kdlib.report run`, or another action, at smoke budget."""
    command = [sys.executable, "-m", "kdlib.report", action, "--epochs=2", "--draft", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)


def fill(disk, left=0):
    """Fills a disk until `left` bytes are free, rounded to pages."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"0" * 512):
            pass
    os.truncate(path, path.stat().st_size - left)
