"""Reads the bytes of an untrusted file, writes whole files, and defines the two errors for what may be wrong with one.

A file is examined before it is opened, and no more of it is read than `MAX_BYTES`.
"""

import os
import stat
from contextlib import contextmanager
from pathlib import Path

MAX_BYTES = 1 << 30  #: of a file; reading its arrays takes two to three times its size in memory


class UnsafePickleError(ValueError):
    """The file names something that a pickle of arrays does not need, exceeds a limit, or is malformed."""


class DataContractError(ValueError):
    """The file cannot be read, or does not hold data as the contract in data/README.md describes it."""


def read_bytes(path) -> bytes:
    """All bytes of a file. Raises only `DataContractError`, whose message begins with the file's name."""
    with name_file_in_errors(path):
        try:
            # Examined before it is opened: opening a FIFO waits for ever, and a device may do anything.
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                raise DataContractError("expected a file, got a directory, a FIFO or a device")
            if found.st_size > MAX_BYTES:
                raise DataContractError(f"expected at most {MAX_BYTES:,} bytes, got {found.st_size:,}; keep fewer rows")
            with open(path, "rb") as file:
                return file.read(MAX_BYTES)
        except DataContractError:
            raise
        except FileNotFoundError:
            problem = "a link to a missing file" if os.path.islink(path) else "no such file"
            raise DataContractError(f"{problem}; expected a pickle (make data writes four)") from None
        except (OSError, ValueError) as error:
            raise DataContractError(f"cannot be read: {getattr(error, 'strerror', error)}") from None


@contextmanager
def replacing(path: Path):
    """Yields the path of a file to write, which takes the place of `path` once it is whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def name_file_in_errors(path):
    """Puts the file's name before the message of either error that is raised inside."""
    try:
        yield
    except (DataContractError, UnsafePickleError) as error:
        raise type(error)(f"{os.path.basename(os.fspath(path))}: {error}") from None
