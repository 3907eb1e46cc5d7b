"""The files that a notebook left, checked against the checksums that its last cell wrote."""

import json
from pathlib import Path

from kdlib.report import manifest

CHECKSUMS = "checksums.json"  #: as `kdlib.evaluation.results` writes it


class ChecksumError(ValueError):
    """The files are not those that the notebook listed; one line says which."""


def read_checked(folder: Path) -> dict[str, bytes]:
    """Content by name of a results folder, if its files are exactly those that its `checksums.json` lists."""
    present = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ChecksumError(f"{name!r} is not a regular file")
        if path.is_file():
            present[name] = path.read_bytes()
    if CHECKSUMS not in present:
        raise ChecksumError(f"expected {CHECKSUMS} from the notebook's last cell, got none")
    try:
        expected = dict(json.loads(present.pop(CHECKSUMS))["files"])
    except (ValueError, KeyError, TypeError):
        raise ChecksumError(f"{CHECKSUMS} cannot be read") from None
    for name in sorted(present.keys() | expected.keys()):
        if name not in present:
            raise ChecksumError(f"{name!r} is listed in {CHECKSUMS} but is not there")
        if name not in expected:
            raise ChecksumError(f"{name!r} is not listed in {CHECKSUMS}")
        if manifest.digest(present[name]) != expected[name]:
            raise ChecksumError(f"{name!r} differs from its checksum")
    return present
