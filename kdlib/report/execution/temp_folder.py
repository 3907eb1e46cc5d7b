"""Private folders for temporary files, which outlive nobody: what a killed process left goes with the next one's.

An owner locks a file in its folder, and the system ends a lock with its process, whatever ends that.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PREFIX = "kd-"  #: short: a kernel's sockets lie below two of them, and allow about 100 signs
OWNER = ".kdlib-owner"  #: without it a folder is not ours, whatever its name
YOUNG = 60.0  #: seconds: it may not be locked yet


@contextmanager
def folder():
    """The path of a new private folder, gone afterwards; before, those beside it go whose owner is dead."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as private, ExitStack() as stack:
        owner = Path(private, OWNER)
        owner.touch()
        with suppress(OSError):  # a disk that knows no locks: then nobody can take it for left either
            stack.enter_context(_locked(owner))
        for other in Path(private).parent.glob(f"{PREFIX}*"):
            with suppress(OSError):  # it is somebody's, or not ours to remove
                _remove_what_is_left(other)
        yield private


def _remove_what_is_left(other: Path) -> None:
    if time.time() - (other / OWNER).lstat().st_mtime > YOUNG:
        with _locked(other / OWNER):
            shutil.rmtree(other)


@contextmanager
def _locked(path):
    """Raises OSError if somebody else has it locked."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
