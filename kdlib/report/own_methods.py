"""A file of the user's own methods, which travels with the runs that use it; `kdlib.methods.own` says what it holds."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kdlib.report.manifest import PACKAGE
from kdlib.report.request import MethodsFile, RequestError

MAX_BYTES = 1_000_000
MAX_SECONDS = 300  #: that the file may take to be imported


def read(path: Path) -> MethodsFile:
    """A file of methods, not yet checked."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "not text in UTF-8"
        raise RequestError(f"methods: expected a Python file, got {str(path)!r}: {why}") from None
    if path.suffix != ".py" or len(content) > MAX_BYTES:
        expected = f"a Python file, named as mine.py, of at most {MAX_BYTES} bytes"
        raise RequestError(f"methods: expected {expected}, got {str(path)!r}")
    return MethodsFile(path.name, content)


def check(methods: MethodsFile) -> None:
    """Imports the file in a process of its own; raises RequestError, with the line, if that cannot be done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, methods.name)
        path.write_bytes(methods.content)
        environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "KDLIB_METHODS": str(path), "KDLIB_CACHE": ""}
        command = [sys.executable, "-c", "import kdlib.methods"]
        try:
            subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=MAX_SECONDS)
        except subprocess.TimeoutExpired:
            raise RequestError(f"{methods.name}: cannot be imported within {MAX_SECONDS} seconds") from None
        except subprocess.CalledProcessError as error:
            *_, last = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
            raise RequestError(last.removeprefix("kdlib.methods.own.MethodsError: ")) from None
