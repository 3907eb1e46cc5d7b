"""What a method is, what it makes, and the registry that every method enters by its name.

A method takes a `Problem` and returns a `Trained`. The methods themselves are in `methods`, `replica` and `kernels`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kdlib.methods.problem import Problem
from kdlib.training.loop import Fit


@dataclass
class Trained:
    """A population that a method made, and what it cost."""

    log_probabilities: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    """(x (n, features) in the features' own units, domains (n,) or None) -> (member, n, classes)"""
    fits: dict[str, Fit] = field(default_factory=dict)  #: what was trained, by a title
    updates: int = 0  #: of the network that predicts, per member
    teacher_updates: int = 0  #: spent on teachers, per member
    queries: int = 0  #: unlabelled points that teachers were asked about, beyond the training points
    told_domain: bool = False  #: whether predictions use the point's domain, which students do not see
    teacher: Callable | None = None  #: like `log_probabilities`: what the student was to imitate, where it has a value


@dataclass(frozen=True)
class Method:
    """A registered method."""

    name: str
    title: str  #: in tables and figures
    run: Callable[[Problem], Trained]
    fresh_only: bool = False  #: needs the law of the data
    several: bool = False  #: makes sense with several domains only

    @property
    def what(self) -> str:
        """The first line of its docstring: what the method is."""
        return self.run.__doc__.strip().splitlines()[0]


METHODS: dict[str, Method] = {}


def method(title: str, **more):
    """Registers a function under its own name."""

    def register(run):
        METHODS[run.__name__] = Method(run.__name__, title, run, **more)
        return run

    return register
