"""The bytes of a file from anyone: looked at before it is opened, and no more read of it than is allowed.

Also holds the two errors of whatever such a file turns out to be, so that who only asks for bytes need not load
NumPy.
"""

import os
import stat
from contextlib import contextmanager

MAX_BYTES = 1 << 30  #: of a file; reading its arrays takes two to three times its size in memory


class UnsafePickleError(ValueError):
    """The file names what a pickle of arrays does not need, breaks a limit, or is malformed."""


class DataContractError(ValueError):
    """The file can be read, or is not there to be read, and is not the data that was wanted."""


def content(path) -> bytes:
    """All bytes of a file. Raises `DataContractError`, nothing else; the message begins with the file's name."""
    with about(path):
        try:
            # Looked at before it is opened: opening a FIFO waits for ever, and a device may do anything.
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                raise DataContractError("expected a file, got a directory, a FIFO or a device")
            if found.st_size > MAX_BYTES:
                raise DataContractError(f"expected at most {MAX_BYTES:,} bytes, got {found.st_size:,}; take fewer")
            with open(path, "rb") as file:
                return file.read(MAX_BYTES)
        except DataContractError:
            raise
        except FileNotFoundError:
            what = "a link to a file that is not there" if os.path.islink(path) else "no such file"
            raise DataContractError(f"{what}; expected a pickle (make data writes four)") from None
        except (OSError, ValueError) as error:
            raise DataContractError(f"cannot be read: {getattr(error, 'strerror', error)}") from None


@contextmanager
def about(path):
    """What is wrong with a file, raised meanwhile as one of the two errors, begins with its name."""
    try:
        yield
    except (DataContractError, UnsafePickleError) as error:
        raise type(error)(f"{os.path.basename(os.fspath(path))}: {error}") from None
