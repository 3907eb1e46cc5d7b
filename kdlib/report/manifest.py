"""What a run was made from, written beside what it made: hashes, versions, machine, commit, parameters.

A manifest is the record of the last attempt: `status`, `reason`, and all else. If that attempt failed and an
earlier good run's files still lie there, `last_good` is that run's record. Hashes decide whether a run is
due; file times are never looked at.
"""

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGES = (
    "tensorflow-cpu", "tensorflow", "keras", "numpy", "pandas", "scipy", "scikit-learn", "matplotlib",
    "papermill", "nbclient", "nbconvert", "ipykernel", "distributed",
)  # fmt: skip
FILE = "manifest.json"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def code_digests() -> dict[str, str]:
    """SHA-256 of every file that can change a run: the science, the figures, and how a notebook is executed."""
    paths = [path for path in PACKAGE.rglob("*.*") if path.suffix in (".py", ".mplstyle")]
    paths = [path for path in paths if PACKAGE / "report" not in path.parents]
    paths += [PACKAGE / "report" / "execution" / name for name in ("run_notebook.py", "jupyter_kernel.py")]
    return {path.relative_to(PACKAGE.parent).as_posix(): digest(path.read_bytes()) for path in sorted(paths)}


def code_digest(digests: dict[str, str] | None = None) -> str:
    """One sum over `code_digests`, or over those given."""
    return digest(json.dumps(sorted((digests or code_digests()).items())).encode())


def page_key(links: dict) -> str:
    """Stands in a page; another key means that the page would look otherwise if it were rendered now."""
    sources = sorted(path for path in (PACKAGE / "report" / "pages" / "templates").rglob("*") if path.is_file())
    sources += [PACKAGE / "report" / "pages" / name for name in ("render.py", "markdown.py")]
    return digest(json.dumps([links, *(digest(path.read_bytes()) for path in sources)]).encode())


def environment() -> dict:
    """Versions, processor and threads of this process; what a run's results may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "versions": versions,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": 1,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit(folder: Path) -> dict | None:
    """The git commit of a checkout and whether anything tracked differs; None outside of one."""

    def git(*arguments):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def read(folder: Path) -> dict | None:
    """A folder's manifest; None where there is none, or none that can be read."""
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


def content(record: dict) -> bytes:
    return (json.dumps(record, indent=1, sort_keys=False, ensure_ascii=False) + "\n").encode("utf-8")


def differences(then: dict, now: dict) -> list[str]:
    """What changed between two records' inputs, for people: `seeds 30 -> 10`, `kdlib/x.py changed`."""
    found = []
    before, after = then.get("parameters", {}), now["parameters"]
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            found.append(f"{name} {_short(before.get(name))} -> {_short(after.get(name))}")
    before, after = _flat(then.get("hashes", {})), _flat(now["hashes"])
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            what = "is new" if name not in before else "is gone" if name not in after else "changed"
            found.append(f"{name} {what}")
    return found


def _flat(hashes: dict) -> dict:
    return {name: value for name, value in hashes.items() if isinstance(value, str)} | hashes.get("code", {})


def _short(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
