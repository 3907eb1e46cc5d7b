"""What a run was made from, written beside what it made: hashes, versions, machine, commit, parameters.

A manifest is the record of the last attempt: its `status`, `reason` and all else. If that attempt failed and the files
of an earlier good run are still there, `last_good` is that run's record. Hashes decide whether a run is due; file times
are never looked at.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from kdlib import pins

PACKAGE = Path(__file__).resolve().parents[1]
RECORDED_PACKAGES = (
    "tensorflow-cpu", "tensorflow", "keras", "numpy", "pandas", "scipy", "scikit-learn", "matplotlib",
    "papermill", "nbclient", "nbconvert", "ipykernel", "distributed",
)  # fmt: skip
FILE = "manifest.json"


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def code_digests(files: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of kdlib, given relative to its parent; a file that is not there is left out."""
    paths = {file: PACKAGE.parent / file for file in sorted(files)}
    return {file: digest(path.read_bytes()) for file, path in paths.items() if path.is_file()}


def combined_digest(digests: dict[str, str]) -> str:
    """One SHA-256 for several."""
    return digest(json.dumps(sorted(digests.items())).encode())


def page_key(links: dict) -> str:
    """Stands in a page; if it differs, the page would look different rendered now."""
    pages = PACKAGE / "report" / "pages"
    sources = sorted(path for pattern in ("*.py", "templates/**/*.*") for path in pages.glob(pattern))
    return digest(json.dumps([links, *(digest(path.read_bytes()) for path in sources)]).encode())


def environment() -> dict:
    """Versions, processor, pins and threads of this process: what a run's results may depend on.

    With pins the same versions give the same bits on every processor that can do what `pins.NEEDED` lists.
    """
    versions = {}
    for package in RECORDED_PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "python": platform.python_version(),
        "versions": versions,
        "cpu": pins.processor("model name") or platform.processor() or platform.machine(),
        "features": " ".join(filter(re.compile("avx|fma|sse").match, pins.features())),
        "libc": " ".join(platform.libc_ver()),
        "pins": pins.PINS if pins.are_set() else {},
        "cores": os.cpu_count(),
        "threads": 1,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def commit(folder: Path) -> dict | None:
    """The git commit of a checkout and whether anything tracked differs from it; None outside a checkout."""

    def git(*arguments):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def read(folder: Path) -> dict | None:
    """A folder's manifest; None if there is none that can be read."""
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "status" in record else None


def last_good(record: dict | None) -> dict | None:
    """The record of the run whose files are published, whatever happened since."""
    if record is None:
        return None
    return record if record["status"] == "ok" else record.get("last_good")


def to_bytes(record: dict) -> bytes:
    """A manifest's file content."""
    return (json.dumps(record, indent=1, sort_keys=False, ensure_ascii=False) + "\n").encode("utf-8")


def changes(before: dict, now: dict) -> list[str]:
    """What differs between the inputs of two records, for people: `seeds 30 -> 10`, `kdlib/x.py changed`."""
    found = []
    old, new = before.get("parameters", {}), now["parameters"]
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            found.append(f"{name} {_format(old.get(name))} -> {_format(new.get(name))}")
    old, new = _flat(before.get("hashes", {})), _flat(now["hashes"])
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            found.append(f"{name} {'is new' if name not in old else 'is gone' if name not in new else 'changed'}")
    return found


def _flat(hashes: dict) -> dict:
    return {name: value for name, value in hashes.items() if isinstance(value, str)} | hashes.get("code", {})


def _format(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
