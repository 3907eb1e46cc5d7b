"""Methods: what is trained on a dataset, from which targets, and what it may use.

A method is one function in one file, entered in the registry by `@method`. The order of these imports is that of the
methods in tables. Those of a user's own come last (`own`).
"""

from kdlib.methods import direct, tuning, original, network_teachers, kernel_teachers, portfolio, bounds  # noqa: F401, I001
from kdlib.methods import external_teachers, sites  # noqa: F401
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS, Method, Role, Student, Trained, method
from kdlib.methods import own  # noqa: F401

__all__ = ["METHODS", "Method", "Problem", "Role", "Student", "Trained", "method"]
