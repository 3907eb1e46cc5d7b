"""Whether this machine computes the bits that the committed digests say, layer by layer.

A process of its own computes the digests (`kdlib.studies.layers`), so that it has the pins from its start and nothing
that was computed before. Out of scope: whole reports, which `verify` compares.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from kdlib import pins
from kdlib.report import manifest

FILE = "bits.json"  #: in the folder of references
MAX_LISTED = 10  #: layers that are listed one by one


def compute() -> dict[str, str]:
    """The digest of each layer, by name, on this machine; takes half a minute."""
    command = [sys.executable, "-m", "kdlib.studies.layers"]
    environment = (
        os.environ | pins.variables() | {"KDLIB_CACHE": "", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def record(digests: dict[str, str]) -> bytes:
    """The content of a file of digests, with what they were computed with."""
    made = manifest.environment()
    chosen = {key: made[key] for key in ("pins", "libc", "python", "versions", "cpu", "features")}
    return manifest.to_bytes(chosen | {"digests": digests})


def read(file: Path) -> dict:
    """A file of digests; raises OSError or ValueError if it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "digests" not in found:
        raise ValueError(f"{file}: expected digests of layers as `python -m kdlib.report bits --keep FILE` writes them")
    return found


def compare(digests: dict[str, str], file: Path) -> tuple[bool, list[str]]:
    """Whether digests are those of a file, and lines that name the layers that differ; raises as `read` does."""
    then, now = read(file), manifest.environment()
    differing = [name for name in then["digests"] | digests if then["digests"].get(name) != digests.get(name)]
    lines = [f"{len(digests) - len(differing)} of {len(digests)} layers have the same bits as in {file}"]
    lines += [f"differs: {name}" for name in differing[:MAX_LISTED]]
    lines += [f"and {len(differing) - MAX_LISTED} more"] if len(differing) > MAX_LISTED else []
    if differing:
        made = [key for key in ("libc", "python", "versions", "cpu") if then[key] != now[key]]
        lines += [f"changed since: {', '.join(made)}"] if made else []
        if not now["pins"]:
            lines.append("nothing is pinned here: that needs Linux, x86-64, AVX2 and FMA, and no KDLIB_PORTABLE=0")
    return not differing, lines
