"""Writing reports: one writer at a time, whole files only, the manifest last.

A half-written file never appears under its final name, and what a failed run leaves does not touch the last good
report. Which files to write, and why, is decided by `pipeline`.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kdlib.report import manifest

STAGING = ".publishing-"
FAILED = "failed.ipynb"  #: the notebook of a failed attempt, beside the last good one


class PublishError(Exception):
    """A folder cannot be written to; the message says why."""


@contextmanager
def lock(out: Path):
    """Locks the folder `out`, made if need be, for this process; the system releases the lock when it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise PublishError(f"out: cannot write to {str(out)!r}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PublishError(f"out: another run is writing to {str(out)!r}; wait for it, or choose another") from None
        if not os.access(out, os.W_OK):
            raise PublishError(f"out: cannot write to {str(out)!r}: it is read-only; choose another with OUT= or --out")
        for staging in out.glob(f"{STAGING}*"):  # of a run that was killed while it published
            shutil.rmtree(staging)
        yield
    finally:
        os.close(handle)


def publish_run(out: Path, name: str, files: dict[str, bytes], pages: dict[str, bytes], record: dict) -> None:
    """Publishes a good run in the folder `name` of `out`; removes files of the run before that this one lacks."""
    before = (manifest.last_good(manifest.read(out / name)) or {}).get("files", {})
    record = record | {"files": {file: manifest.digest(content) for file, content in files.items()}}
    _replace(out, name, files | pages, [*(before.keys() - files.keys()), FAILED], record)


def publish_failure(out: Path, name: str, notebook: bytes | None, record: dict) -> None:
    """Records a failed attempt; the last good report stays, and the notebook as far as it ran goes beside it."""
    last = manifest.last_good(manifest.read(out / name))
    record = record | ({"last_good": last} if last else {})
    _replace(out, name, {FAILED: notebook} if notebook else {}, [] if notebook else [FAILED], record)


def publish_page(out: Path, name: str, file: str, content: bytes) -> None:
    """Replaces the page of a report whose run is not due."""
    _replace(out, name, {file: content}, [], None)


def _replace(out, name, files, removed, record):
    folder = out / name
    for file in [*files, *removed]:
        parts = PurePosixPath(file).parts
        if not parts or ".." in parts or file.startswith("/") or (folder / file).is_dir():
            raise PublishError(f"{name or 'summary'}: cannot publish a file under the name {file!r}")
    contents = files | ({} if record is None else {manifest.FILE: manifest.to_bytes(record)})  # the manifest last
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=out, ignore_cleanup_errors=True) as staging:
            staged = {file: Path(staging, str(number)) for number, file in enumerate(contents)}
            # All that needs room on the disk comes before any change.
            for file, content in contents.items():
                staged[file].write_bytes(content)
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
            for file in removed:
                (folder / file).unlink(missing_ok=True)
            for file, path in staged.items():
                os.replace(path, folder / file)
    except OSError as error:
        message = f"out: cannot write to {str(folder)!r}: {error.strerror}; what was published before is intact"
        raise PublishError(message) from None
