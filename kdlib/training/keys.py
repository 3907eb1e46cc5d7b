"""The key of a result: the SHA-256 of the function that computes it, its arguments, and what else decides the bits.

Arguments count by their content. The rest is the sources of kdlib that the function reaches, versions, flags in the
environment, and the processor. So a key stands for the same bits for ever, and nothing is ever out of date. Out of
scope: keeping results (`cache`).
"""

import ast
import functools
import hashlib
import importlib
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd

PACKAGE = Path(__file__).resolve().parents[1]
VERSIONS = "tensorflow-cpu", "tensorflow", "keras", "numpy", "scipy", "scikit-learn"
FLAGS = re.compile(r"(TF|XLA|ONEDNN|DNNL|OPENBLAS|MKL|OMP|NPY|GLIBC)_(?!\w*NUM_\w*THREADS|CPP_)")
PROCESSOR = re.compile(r"(vendor_id|cpu family|model|stepping|flags|CPU \w+|Features)\s*:")
SOURCES = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in PACKAGE.rglob("*.py")}
"""Digests of kdlib's files when it was imported."""


def digest(function: Callable, *arguments) -> str | None:
    """SHA-256 of a call and its environment in hexadecimal; None if something's content cannot be told."""
    state = hashlib.sha256()
    try:
        for part in _parts((environment(), function, arguments)):
            state.update(part)
    except TypeError:
        return None
    return state.hexdigest()


@functools.cache
def environment() -> tuple:
    """What decides the bits besides code and arguments: versions, flags, and the processor.

    Threads do not, since whatever is kept is computed by one. Nor do TensorFlow's messages and compiled programs.
    """
    versions = []
    for package in VERSIONS:
        with suppress(metadata.PackageNotFoundError):
            versions.append((package, metadata.version(package)))
    flags = [(name, own_flags(name)) for name in sorted(os.environ) if FLAGS.match(name)]
    return platform.python_version(), tuple(versions), tuple(filter(all, flags)), processor()


def own_flags(name: str) -> str:
    """A variable's flags but for those that say where TensorFlow keeps compiled programs."""
    flags = re.sub(r'--tf_xla_persistent_cache_\w+=("[^"]*"|\S*)', "", os.environ.get(name, ""))
    return " ".join(flags.split())


def processor() -> tuple[str, ...]:
    """What the processor is and can do."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")
    except OSError:
        first = ""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]  # what an emulator pretends, too
    return platform.system(), platform.machine(), *found, *filter(PROCESSOR.match, first.splitlines())


def _parts(value) -> Iterator[bytes | np.ndarray]:
    """Bytes that tell a value from any other; raises TypeError if its content cannot be told."""
    kind = type(value)
    if value is None or isinstance(value, bool | int | float | str | bytes | range):
        text = f"{kind.__name__} {value!r}"
        yield f"{len(text)} {text}".encode()
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        yield f"array {value.dtype.str} {value.shape} ".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    elif isinstance(value, pd.DataFrame | pd.Series):
        columns = value.to_frame() if value.ndim == 1 else value
        rows = pd.util.hash_pandas_object(columns).to_numpy()
        yield from _parts((kind.__name__, list(columns.columns), [str(each) for each in columns.dtypes], rows))
    elif isinstance(value, list | tuple):
        yield f"{kind.__name__} {len(value)} ".encode()
        for each in value:
            yield from _parts(each)
    elif isinstance(value, Mapping):
        yield from _parts(("mapping", *value.items()))
    elif isinstance(value, type | FunctionType):
        yield from _parts((value.__module__, value.__qualname__, _code(value)))
    elif is_dataclass(value):
        yield from _parts((kind, [getattr(value, field.name) for field in fields(value) if field.init]))
    elif hasattr(value, "get_params") and not any(re.match(r"[^_].*_$", name) for name in vars(value)):
        yield from _parts((kind, value.get_params(deep=False)))  # an estimator of scikit-learn that is not fitted
    elif kind.__module__.startswith("kdlib."):
        yield from _parts((kind, value.content if hasattr(value, "content") else vars(value)))
    else:
        raise TypeError(f"the content of {value!r} cannot be told")


def _code(value: type | FunctionType) -> dict[str, str]:
    """Digests of all sources of kdlib that a function or class reaches, by module; of a package, its version tells."""
    package = value.__module__.partition(".")[0]
    if "<" in value.__qualname__ or package not in {"builtins", "kdlib", "numpy", "scipy", "sklearn"}:
        raise TypeError(f"the code of {value!r} cannot be told")
    found, waiting = {}, {value.__module__} if package == "kdlib" else set()
    while waiting:
        module = waiting.pop()
        found[module], imported = _source(module)
        waiting |= imported - found.keys()
    return dict(sorted(found.items()))


@functools.cache
def _source(module: str) -> tuple[str, set[str]]:
    """The SHA-256 of a module of kdlib, and the modules of kdlib that it imports names from.

    Raises TypeError if its file was edited meanwhile, so that it may not be what was imported.
    """
    path = Path(importlib.import_module(module).__file__).resolve()
    content, imported = path.read_bytes(), set()
    sha256 = hashlib.sha256(content).hexdigest()
    if SOURCES.get(path) != sha256:
        raise TypeError(f"{path.name} is not what was imported")
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {_home(node.module, alias.name) for alias in node.names}
    return sha256, {name for name in imported if name.partition(".")[0] == "kdlib"}


def _home(module: str, name: str) -> str:
    """The module where a name that is imported from a module is defined, if a package of kdlib only passes it on."""
    if module.partition(".")[0] != "kdlib" or not hasattr(package := importlib.import_module(module), "__path__"):
        return module
    match getattr(package, name, None):
        case None | ModuleType():
            return f"{module}.{name}"
        case type() | FunctionType() as value:
            return value.__module__
    return module
