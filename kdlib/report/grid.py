"""A sweep's file: which settings, and which values of each; every combination is a point.

A mapping in YAML. A setting with a list is swept, one with a single value is held; `hidden`, itself a list of widths,
is swept where it is a list of lists. Beside the fields of `Study` there are `fraction` (of the training samples),
`methods` and `datasets`. All of it is checked before anything runs. Leaves out YAML's tags and aliases: a sweep is
plain values, and an alias can stand for a billion of them.
"""

import math
import re
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import yaml

from kdlib.report.manifest import PACKAGE
from kdlib.report.plan import RequestError, settings
from kdlib.settings import Settings, SettingsError

METHODS = ("ffnn", "kd_routed", "kd_gated")  #: if the file names none
MOST_POINTS = 1000  #: for each dataset
MOST_BYTES = 100_000  #: of a file
LONGEST_NAME = 200  #: of a folder
LONGEST_LINE = 600  #: of an error, which shows what came
SETTINGS = tuple(asdict(Settings()))  #: in this order they stand in a point's name, and `fraction` after them


@dataclass(frozen=True)
class Grid:
    """What a sweep's file asks for."""

    swept: dict[str, list]  #: values by setting
    held: dict  #: one value by setting
    methods: tuple[str, ...] = METHODS
    datasets: tuple[str, ...] = ()  #: stems of pickles; none means all

    def points(self) -> dict[str, dict]:
        """Parameters of each point by its name, such as `temperature=4,alpha=0.5`."""
        found = {}
        for values in product(*self.swept.values()):
            point = dict(zip(self.swept, values, strict=True))
            chosen = {"fraction": 1.0} | self.held | point
            study = {name: value for name, value in chosen.items() if name in SETTINGS}
            name = ",".join(f"{key}={_text(value)}" for key, value in point.items())
            more = {"fraction": chosen["fraction"], "methods": list(self.methods)}
            found[name] = settings(Settings.named(**study)) | more
        return found


def read(path: Path, given: dict) -> Grid:
    """The grid of a file; settings `given` beside it replace what it holds, and may not be what it sweeps."""
    content = _content(path)
    try:
        known = (*SETTINGS, "fraction", "methods", "datasets")
        if unknown := sorted(str(key) for key in content if key not in known):
            raise SettingsError(f"unknown setting {', '.join(unknown)}; a sweep may hold {', '.join(known)}")
        names = {key: _names(key, content[key]) for key in ("methods", "datasets") if key in content}
        if wrong := [name for name in names.get("methods", ()) if name not in method_names()]:
            raise SettingsError(
                f"methods: there is no {', '.join(wrong)}; there are {', '.join(sorted(method_names()))}"
            )
        values = {key: content[key] for key in known[:-2] if key in content}
        swept = {key: value for key, value in values.items() if _is_swept(key, value)}
        if not swept:
            raise SettingsError("expected a list of values of at least one setting, as temperature: [1, 4], got none")
        if both := sorted(swept.keys() & given.keys()):
            raise SettingsError(f"{', '.join(both)}: swept here and also given on the command line; leave one out")
        _check_size(swept)
        for key, value in values.items():
            for one in value if key in swept else [value]:
                _check_value(key, one)
        for key, list_ in swept.items():
            _check_distinct(key, list_)
        grid = Grid(swept, {k: v for k, v in values.items() if k not in swept} | given, **names)
        if (longest := max(map(len, grid.points()))) > LONGEST_NAME:
            raise SettingsError(
                f"a point's folder would have a name of {longest} signs; expected at most {LONGEST_NAME}"
            )
    except SettingsError as error:
        raise RequestError(f"{path.name}: {str(error)[:LONGEST_LINE]}") from None
    return grid


def method_names() -> set[str]:
    """Names of the registered methods, from the source: to import it would take TensorFlow, and seconds."""
    sources = (path.read_text(encoding="utf-8") for path in PACKAGE.glob("methods/*.py"))
    return {name for source in sources for name in re.findall(r"^@method\(.*\)\ndef (\w+)\(", source, re.M)}


class _Plain(yaml.SafeLoader):
    """Plain values: no alias, no key twice; and 1e-3 is a number, as YAML 1.2 has it and PyYAML has not."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias, where plain values are expected",
                                       problem_mark=self.peek_event().start_mark)  # fmt: skip
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for i, (key, _) in enumerate(node.value):
            if key.value in keys[:i]:
                raise yaml.MarkedYAMLError(problem=f"{key.value} a second time", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Plain.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def _content(path) -> dict:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RequestError(f"sweep: expected a YAML file, got {str(path)!r}: {error.strerror}") from None
    if len(text) > MOST_BYTES:
        raise RequestError(f"{path.name}: expected at most {MOST_BYTES} bytes")
    try:
        content = yaml.load(text, _Plain)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or error
        said = "lists too deep" if isinstance(error, RecursionError) else " ".join(str(reason).split())
        raise RequestError(f"{path.name}: {where}{said}") from None
    if not isinstance(content, dict):
        got = "nothing" if content is None else f"a {type(content).__name__}"
        raise RequestError(f"{path.name}: expected settings with values, as temperature: [1, 4], got {got}")
    return content


def _is_swept(key, value) -> bool:
    return isinstance(value, list) and (key != "hidden" or not value or any(isinstance(one, list) for one in value))


def _names(key, value) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{key}: expected a list of names, got {value!r}")
    _check_distinct(key, names)
    return tuple(names)


def _check_size(swept) -> None:
    for key, values in swept.items():
        if not values:
            raise SettingsError(f"{key}: expected at least one value, got an empty list")
    if (points := math.prod(map(len, swept.values()))) > MOST_POINTS:
        sizes = " x ".join(f"{len(values)} of {key}" for key, values in swept.items())
        raise SettingsError(f"expected at most {MOST_POINTS} points for each dataset, got {points}: {sizes}")


def _check_value(key, value) -> None:
    if key != "fraction":
        Settings.named(**{key: value})
    elif not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise SettingsError(f"fraction: expected a number above 0 and at most 1, got {value!r}")


def _check_distinct(key, values) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise SettingsError(f"{key}: expected different values, got {_text(value)} twice")


def _text(value) -> str:
    """A value as it stands in a name: 4, 0.5, 64-32."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if isinstance(value, str) or float(short) == value else repr(value)
