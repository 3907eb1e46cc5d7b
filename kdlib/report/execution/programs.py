"""The programs that XLA compiles for TensorFlow, which take seconds each, kept between runs.

TensorFlow can keep them in a folder, but trusts whatever it finds there: a damaged file ends the run, any other is
executed. So the kernels of a report get a folder of their own, filled from the cache before they start, where each
finds what another has just compiled. When a notebook is done, new programs are kept.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from kdlib.report import manifest
from kdlib.training import cache, keys

LOCK = manifest.PACKAGE.parent / "requirements.txt"
FILE_NAME = re.compile(r"xla_compile_cache__\w+\.pb")


@contextmanager
def kept_programs(folder: Path, reuse: bool) -> Iterator[dict[str, str]]:
    """Fills a folder with the programs that fit, and yields the environment variables that make a kernel use them.

    Other kernels may use the folder at the same time. Programs that were added to it are kept afterwards, unless
    something was raised. If nothing is to be reused, the variables say so, for trainings too; without a cache, they are
    as they were.
    """
    kept, flags = cache.default_cache(), keys.own_flags("TF_XLA_FLAGS")
    if not reuse:
        yield {"KDLIB_CACHE": "", "TF_XLA_FLAGS": flags}
        return
    if kept.folder is None:
        yield {}
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, content in _fitting(kept):
            if not (folder / name).exists():
                cache.write(folder / name, content)
    except OSError:  # no room: the notebook comes first
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    directory = f'--tf_xla_persistent_cache_directory="{folder}" --tf_xla_persistent_cache_device_types=CPU'
    yield {"TF_XLA_FLAGS": f"{flags} {directory}"}
    known = set(kept.keys(_prefix()))
    with suppress(OSError):  # another kernel, which found no room, has removed them
        for path in folder.iterdir():
            if FILE_NAME.fullmatch(path.name) and (key := _key(path.name)) not in known:
                kept.put(key, {"name": path.name, "content": np.fromfile(path, np.uint8)})


def _fitting(kept: cache.Cache) -> Iterator[tuple[str, np.ndarray]]:
    """Name and content of the programs that this machine compiled with this lock."""
    for key in kept.keys(_prefix()):
        if (program := kept.get(key)) is not None:
            yield program["name"], program["content"]


def _key(name: str) -> str:
    return f"{_prefix()}{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _prefix() -> str:
    """Of the keys of all programs that fit: TensorFlow's names have neither its version nor the processor in them."""
    lock = LOCK.read_bytes() if LOCK.is_file() else b""
    return f"program-{hashlib.sha256(repr((keys.environment(), lock)).encode()).hexdigest()[:32]}-"
