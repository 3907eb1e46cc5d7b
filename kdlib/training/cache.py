"""Results that took long, kept on disk: arrays, found again by all that decides them.

`keys` says what decides a result. An entry is one file: a checksum, and the arrays as `numpy.savez` writes them. It
appears whole or not at all, so that several processes may write, and be killed. Entries that are damaged, or were not
written under their name, are removed. Out of scope: sharing between machines; folders that other users can write to,
which are not used.

`KDLIB_CACHE` names another folder than `.cache` in the checkout; empty or 0, nothing is kept. `KDLIB_CACHE_BYTES`
limits its size: entries that have not been used for longest go first.
"""

import functools
import hashlib
import io
import json
import logging
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from kdlib.training.keys import PACKAGE, digest

LIMIT = 2 * 10**9  #: bytes
PARTIAL = ".partial-"  #: begins the name of a file that is being written
MAX_SECONDS = 3600.0  #: that writing takes; an older partial file is left by a process that was killed
CHECKSUM = hashlib.sha256().digest_size  #: bytes at the start of an entry

log = logging.getLogger(__name__)


class Cache:
    """A folder of entries, made when the first one is written; with None for a folder, nothing is kept.

    Whatever is wrong with the folder costs time only, and is logged once.
    """

    def __init__(self, folder: Path | None, limit: int = LIMIT):
        self.folder, self.limit = folder, limit
        self._logged: set[str] = set()

    def key(self, function: Callable, *arguments) -> str | None:
        """The key of what a function returns for some arguments; None if it cannot be kept.

        That is so where an argument's content cannot be told, such as that of a function defined in a notebook.
        """
        return None if self.folder is None else digest(function, *arguments)

    def keys(self, prefix: str) -> list[str]:
        """The keys of all entries whose key begins with a prefix."""
        return [] if self.folder is None else sorted(path.name for path in self.folder.glob(f"{prefix}*"))

    def get(self, key: str | None):
        """What is kept under a key, with lists for tuples; None if there is nothing."""
        if key is None or not self._is_private():
            return None
        path = self.folder / key
        try:
            value = _unpack(path.read_bytes(), key)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._log(f"the cache cannot be read ({error.strerror}); what it has is computed again")
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self._log("the cache has damaged entries; they are removed and computed again")
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def put(self, key: str | None, value) -> None:
        """Keeps an array, a number or a text, or dicts and lists of them."""
        if key is None:
            return
        content = _pack(value, key)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_private() and len(content) <= self.limit:
                write(self.folder / key, content)
                self._evict()
        except OSError as error:
            self._log(f"the cache cannot be written ({error.strerror}); what is computed now is not kept")

    def _is_private(self) -> bool:
        try:
            status = self.folder.stat()
        except OSError:  # `put` will say why, if it cannot make it
            return False
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            return True
        self._log("the cache is a folder that others own or can write to; it is not used")
        return False

    def _evict(self) -> None:
        """Removes entries that have not been used for longest, as far as the limit demands, and stale partial files."""
        found, now = [], time.time()
        for path in self.folder.iterdir():
            with suppress(OSError):  # another process has removed it
                status = path.lstat()
                if path.name.startswith(PARTIAL):  # another process may still be writing it
                    if now - status.st_mtime > MAX_SECONDS:
                        path.unlink()
                elif not path.is_dir():
                    found.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in found) - self.limit
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink()
            excess -= size

    def _log(self, line: str) -> None:
        if line not in self._logged:
            self._logged.add(line)
            log.warning(line)


def default_cache() -> Cache:
    """The cache that the environment names."""
    limit = os.environ.get("KDLIB_CACHE_BYTES", str(LIMIT))
    if not limit.isdecimal():
        raise ValueError(f"KDLIB_CACHE_BYTES: expected a number of bytes, got {limit!r}")
    return _opened(default_folder(), int(limit))


_opened = functools.cache(Cache)  # one for all that use it, so that nothing is logged twice


def default_folder() -> Path | None:
    """The folder that the environment names; without a checkout, the default is in the user's own cache."""
    named = os.environ.get("KDLIB_CACHE")
    if named is not None:
        return None if named in ("", "0") else Path(named)
    if (PACKAGE.parent / "pyproject.toml").is_file():
        return PACKAGE.parent / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "kdlib")


def _pack(value, key) -> bytes:
    arrays, payload = [], io.BytesIO()
    structure = json.dumps(_without_arrays(value, arrays))
    np.savez(payload, structure, *arrays)
    return _checksum(payload.getvalue(), key) + payload.getvalue()


def _unpack(content, key):
    payload = content[CHECKSUM:]
    if content[:CHECKSUM] != _checksum(payload, key):
        raise ValueError("checksum")
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        structure, *arrays = archive.values()
    return _with_arrays(json.loads(str(structure)), arrays)


def _without_arrays(value, arrays: list):
    """A value as JSON has it, with arrays by their number in `arrays`, to which they are added."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        return {"items": [[name, _without_arrays(each, arrays)] for name, each in value.items()]}
    return [_without_arrays(each, arrays) for each in value] if isinstance(value, list | tuple) else value


def _with_arrays(value, arrays: list):
    if isinstance(value, list):
        return [_with_arrays(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    return arrays[value["array"]] if "array" in value else dict(_with_arrays(value["items"], arrays))


def _checksum(payload, key) -> bytes:
    """With the key, so that an entry under another name is not taken for one of that name."""
    return hashlib.sha256(key.encode() + payload).digest()


def write(path: Path, content) -> None:
    """Writes a file of bytes, which appears whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=PARTIAL, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink()
            raise
