"""Private temporary folders; stale ones, whose process was killed, are removed when the next one is made.

A process locks a file in its folder, and the system releases the lock when the process ends, whatever ended it.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PREFIX = "kd-"  #: short: a kernel's socket lies below two of them, and its path may have about 100 characters
OWNER = ".kdlib-owner"  #: the file that is locked; a folder without it is not one of these, whatever its name
MIN_AGE = 60.0  #: seconds before a folder may be stale: a new one is not locked yet


@contextmanager
def private_folder():
    """Yields the path of a new folder, removed afterwards; first removes stale folders beside it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as private, ExitStack() as stack:
        owner = Path(private, OWNER)
        owner.touch()
        with suppress(OSError):  # a file system without locks: then no folder on it can be locked as stale either
            stack.enter_context(_lock(owner))
        for other in Path(private).parent.glob(f"{PREFIX}*"):
            with suppress(OSError):  # in use, or not ours to remove
                _remove_if_stale(other)
        yield private


def common_folder(private: Path) -> Path:
    """The private folder that a private folder lies in, with others of the same report; else this one."""
    return private.parent if (private.parent / OWNER).exists() else private


def _remove_if_stale(folder: Path) -> None:
    if time.time() - (folder / OWNER).lstat().st_mtime > MIN_AGE:
        with _lock(folder / OWNER):
            shutil.rmtree(folder)


@contextmanager
def _lock(path):
    """Raises OSError if another process holds the lock."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
