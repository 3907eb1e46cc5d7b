"""Writing reports: one writer at a time, whole files only, the manifest last.

What is half written is never seen under its name, and what a failed run leaves does not touch the last
good report. Which files, and why, is decided elsewhere.
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
def locked(out: Path):
    """Holds the folder `out`, made if need be, for this process; the lock dies with it."""
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
        for left in out.glob(f"{STAGING}*"):  # of a run that was killed while it published
            shutil.rmtree(left)
        yield
    finally:
        os.close(handle)


def good(out: Path, name: str, files: dict[str, bytes], pages: dict[str, bytes], record: dict) -> None:
    """Publishes a good run into the folder `name` of `out`; files of the run before that are gone are removed."""
    before = (manifest.last_good(manifest.read(out / name)) or {}).get("files", {})
    record = record | {"files": {file: manifest.digest(content) for file, content in files.items()}}
    _put(out, name, files | pages, [*(before.keys() - files.keys()), FAILED], record)


def failed(out: Path, name: str, notebook: bytes | None, record: dict) -> None:
    """Records a failed attempt; the last good report stays as it is, the half-done notebook goes beside it."""
    last = manifest.last_good(manifest.read(out / name))
    record = record | ({"last_good": last} if last else {})
    _put(out, name, {FAILED: notebook} if notebook else {}, [] if notebook else [FAILED], record)


def page(out: Path, name: str, file: str, content: bytes) -> None:
    """Replaces a page of a report whose run is not due."""
    _put(out, name, {file: content}, [], None)


def _put(out, name, files, gone, record):
    folder = out / name
    for file in [*files, *gone]:
        parts = PurePosixPath(file).parts
        if not parts or ".." in parts or file.startswith("/") or (folder / file).is_dir():
            raise PublishError(f"{name or 'summary'}: cannot publish a file under the name {file!r}")
    # The manifest comes last.
    contents = files | ({} if record is None else {manifest.FILE: manifest.content(record)})
    staging = None
    try:
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=out))
        for number, (file, content) in enumerate(
            contents.items()
        ):  # all that needs room on the disk, before any change
            (staging / str(number)).write_bytes(content)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
        for file in gone:
            (folder / file).unlink(missing_ok=True)
        for number, file in enumerate(contents):
            os.replace(staging / str(number), folder / file)
    except OSError as error:
        raise PublishError(f"out: cannot write to {str(folder)!r}: {error.strerror}; what was there is whole") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
