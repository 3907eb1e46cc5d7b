"""A sweep's file: which settings, and which values of each; every combination is a point.

A mapping in YAML. A setting with a list is swept, one with a single value is fixed; `hidden`, itself a list of widths,
is swept where it is a list of lists. Besides the fields of `Settings` there are `fraction` (of the training samples),
`methods` and `datasets`. All of it is checked before anything runs. Out of scope: YAML's tags and aliases; a sweep is
plain values, and an alias can stand for a billion of them.
"""

import ast
import math
import re
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import yaml

from kdlib.report.manifest import PACKAGE
from kdlib.report.plan import as_parameters
from kdlib.report.request import MethodsFile, RequestError
from kdlib.settings import Settings, SettingsError, check_number

DEFAULT_METHODS = ("ffnn", "kd_routed", "kd_gated")
MAX_POINTS = 1000  #: for each dataset
MAX_BYTES = 100_000  #: of a file
MAX_NAME_LENGTH = 200  #: of a folder
MAX_ERROR_LENGTH = 600  #: of an error, which shows what came
SETTINGS = tuple(asdict(Settings()))  #: in a point's name they have this order, and `fraction` comes after them


@dataclass(frozen=True)
class Grid:
    """What a sweep's file asks for."""

    swept: dict[str, list]  #: values by setting
    fixed: dict  #: one value by setting
    methods: tuple[str, ...] = DEFAULT_METHODS
    datasets: tuple[str, ...] = ()  #: stems of pickles; none means all

    def points(self) -> dict[str, dict]:
        """Parameters of each point by its name, such as `temperature=4,alpha=0.5`."""
        found = {}
        for values in product(*self.swept.values()):
            point = dict(zip(self.swept, values, strict=True))
            chosen = {"fraction": 1.0} | self.fixed | point
            settings = Settings.named(**{name: value for name, value in chosen.items() if name in SETTINGS})
            name = ",".join(f"{key}={_format(value)}" for key, value in point.items())
            found[name] = as_parameters(settings) | {"fraction": chosen["fraction"], "methods": list(self.methods)}
        return found


def read_grid(path: Path, given: dict, own: MethodsFile | None = None) -> Grid:
    """The grid of a file; settings `given` beside it replace its fixed ones, and may not be those that it sweeps.

    own: the user's own methods, all of which are among the grid's.
    """
    content = _read_yaml(path)
    try:
        known = (*SETTINGS, "fraction", "methods", "datasets")
        if unknown := sorted(str(key) for key in content if key not in known):
            raise SettingsError(f"unknown setting {', '.join(unknown)}; a sweep may hold {', '.join(known)}")
        names = {key: _checked_names(key, content[key]) for key in ("methods", "datasets") if key in content}
        known_methods, mine = method_names(), method_names(own.content) if own else ()
        names["methods"] = tuple(dict.fromkeys([*names.get("methods", DEFAULT_METHODS), *mine]))
        if wrong := [name for name in names["methods"] if name not in {*known_methods, *mine}]:
            available = ", ".join([*sorted(known_methods), *mine])
            raise SettingsError(f"methods: there is no {', '.join(wrong)}; there are {available}")
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
        if (longest := max(map(len, grid.points()))) > MAX_NAME_LENGTH:
            raise SettingsError(
                f"a point's folder would have a name of {longest} characters; expected at most {MAX_NAME_LENGTH}"
            )
    except SettingsError as error:
        raise RequestError(f"{path.name}: {str(error)[:MAX_ERROR_LENGTH]}") from None
    return grid


def method_names(*sources: bytes) -> list[str]:
    """Names of the methods in some sources, or of kdlib's own: importing them would take TensorFlow, and seconds."""
    try:
        trees = [ast.parse(source) for source in sources or map(Path.read_bytes, PACKAGE.glob("methods/*.py"))]
    except (SyntaxError, ValueError):
        return []  # which will be said when it is imported
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [function.name for function in functions if any(map(_is_method, function.decorator_list))]


def _is_method(decorator: ast.expr) -> bool:
    """Whether a decorator is `@method(...)` or `@registry.method(...)`."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "attr", getattr(called, "id", None)) == "method"


class _PlainLoader(yaml.SafeLoader):
    """Plain values: no alias, no key twice; and 1e-3 is a number, as in YAML 1.2, which PyYAML does not follow."""

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
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def _read_yaml(path) -> dict:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RequestError(f"sweep: expected a YAML file, got {str(path)!r}: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise RequestError(f"{path.name}: expected at most {MAX_BYTES} bytes")
    try:
        content = yaml.load(text, _PlainLoader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or error
        message = "lists too deep" if isinstance(error, RecursionError) else " ".join(str(reason).split())
        raise RequestError(f"{path.name}: {where}{message}") from None
    if not isinstance(content, dict):
        got = "nothing" if content is None else f"a {type(content).__name__}"
        raise RequestError(f"{path.name}: expected settings with values, as temperature: [1, 4], got {got}")
    return content


def _is_swept(key, value) -> bool:
    return isinstance(value, list) and (key != "hidden" or not value or any(isinstance(one, list) for one in value))


def _checked_names(key, value) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{key}: expected a list of names, got {value!r}")
    _check_distinct(key, names)
    return tuple(names)


def _check_size(swept) -> None:
    for key, values in swept.items():
        if not values:
            raise SettingsError(f"{key}: expected at least one value, got an empty list")
    if (points := math.prod(map(len, swept.values()))) > MAX_POINTS:
        sizes = " x ".join(f"{len(values)} of {key}" for key, values in swept.items())
        raise SettingsError(f"expected at most {MAX_POINTS} points for each dataset, got {points}: {sizes}")


def _check_value(key, value) -> None:
    if key == "fraction":
        check_number(key, value, 0, 1)
    else:
        Settings.named(**{key: value})


def _check_distinct(key, values) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise SettingsError(f"{key}: expected different values, got {_format(value)} twice")


def _format(value) -> str:
    """A value as it stands in a name: 4, 0.5, 64-32."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if isinstance(value, str) or float(short) == value else repr(value)
