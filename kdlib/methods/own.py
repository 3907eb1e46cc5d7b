"""Methods of a user's own: functions under `@method`, in a file that the environment variable `KDLIB_METHODS` names.

The file runs when `kdlib.methods` is imported, as a module of that package, so that the cache knows its code like any
other. Its methods run in the template's section "More methods" and are in the summary. Whatever goes wrong in it is a
`MethodsError`: one line, with the line of the file.
"""

import hashlib
import importlib.util
import os
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from kdlib.methods.registry import METHODS, Method, Trained
from kdlib.training import keys

VARIABLE = "KDLIB_METHODS"
MODULE = "kdlib.methods.own_file"
TOLERANCE = 1e-4  #: of the sum of a method's probabilities


class MethodsError(Exception):
    """What is wrong with a file of methods, and in which line."""


@dataclass(frozen=True, kw_only=True)
class OwnMethod(Method):
    """A method of a user's own, checked when it is trained and asked."""

    path: Path
    line: int  #: of its function

    def begin(self, problem):
        with located(self.path, self.line):
            return super().begin(problem)

    def train(self, problem, defined=None) -> Trained:
        with located(self.path, self.line):
            trained = super().train(problem, defined)
        if not isinstance(trained, Trained):
            self.refuse(f"expected a Student or a Trained, got {type(trained).__name__}")
        members = {1, len(problem.seeds)}

        def log_probabilities(x, d=None):
            with located(self.path, self.line):
                found = np.asarray(trained.log_probabilities(x, d), float)
            if found.shape not in {(count, len(x), problem.classes) for count in members}:
                shape = f"({' or '.join(map(str, sorted(members)))}, {len(x)}, {problem.classes})"
                self.refuse(f"expected log-probabilities of shape {shape}: member, point, class; got {found.shape}")
            total = np.exp(found).sum(axis=2)
            if len(wrong := np.argwhere(~(np.abs(total - 1) < TOLERANCE))):  # so written, NaN is wrong too
                member, point = wrong[0]
                probabilities = f"probabilities that sum to {total[member, point]:.4g} at point {point}"
                self.refuse(f"expected the logarithms of probabilities, which sum to one; got {probabilities}")
            return found

        return replace(trained, log_probabilities=log_probabilities)

    def refuse(self, why: str):
        raise MethodsError(f"{self.path.name}, line {self.line}: {self.name}: {why}")


def load(path: Path) -> None:
    """Runs a file, and enters its methods in the registry."""
    others = dict(METHODS)
    with located(path, 1):
        keys.SOURCES[path.resolve()] = hashlib.sha256(path.read_bytes()).hexdigest()
        spec = importlib.util.spec_from_file_location(MODULE, path)
        sys.modules[MODULE] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found = {name: method for name, method in METHODS.items() if method.define.__module__ == MODULE}
    if not found:
        raise MethodsError(f"{path.name}: expected a function under @method, got none; CONTRIBUTING.md shows one")
    titles = {method.title for method in others.values()}
    for name, method in found.items():
        given = {field.name: getattr(method, field.name) for field in fields(Method)}
        line = method.define.__code__.co_firstlineno
        given |= {"section": "more methods", "in_summary": True, "define": located(path, line)(method.define)}
        METHODS[name] = own = OwnMethod(**given, path=path, line=line)
        if name in others or method.title in titles:
            own.refuse("there is another method of this name or title; choose another one")
        if not (method.define.__doc__ or "").strip():
            own.refuse("expected a docstring, whose first line says what the method is; got none")
        titles.add(method.title)


@contextmanager
def located(path: Path, line: int):
    """Turns an exception into a `MethodsError` that says where in the file it arose: in `line`, if nothing tells."""
    try:
        yield
    except MethodsError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:300]
        where = f"{path.name}, line {(lines or [line])[-1]}"
        raise MethodsError(f"{where}: {type(error).__name__}{f': {text}' if text else ''}") from error


if os.environ.get(VARIABLE):
    load(Path(os.environ[VARIABLE]))
