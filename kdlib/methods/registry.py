"""What a method is, what it returns, and the registry that every method enters by its name.

A method is a function of a `Problem`, decorated with `@method`. It returns a `Student`, which says how to train a
population, or, where it trains no network that predicts, a `Trained`. Tables, figures, verdicts, sweeps and studies
read what they need to know of a method from its registration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from kdlib.methods import targets
from kdlib.methods.problem import Problem
from kdlib.training.loop import Fit
from kdlib.training.networks import predict
from kdlib.training.plan import TrainingPlan

LogProbabilities = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""(x (n, features) in the features' own units, domains (n,) or None) -> (member, n, classes)"""


class Role(StrEnum):
    """What a method is in the comparison."""

    BASELINE = "baseline"  #: direct training, which students are compared with
    STUDENT = "student"  #: a network that learns from teachers
    TEACHER = "teacher"  #: what students learn from, itself
    CONTROL = "control"  #: lacks one thing that a student has
    BOUND = "bound"  #: needs the data-generating distribution: no method to use, but a limit of methods


@dataclass
class Trained:
    """A population that predicts, and what it cost."""

    log_probabilities: LogProbabilities
    fits: dict[str, Fit] = field(default_factory=dict)  #: what was trained, by a title
    updates: int = 0  #: of the network that predicts, per member
    teacher_updates: int = 0  #: of teachers or of a search, per member
    queries: int = 0  #: unlabelled points that teachers were asked about, beyond the training points
    target: LogProbabilities | None = None  #: what the student was to imitate, where it has a value
    choice: str = ""  #: what was chosen on the selection split, in words
    weights: list[np.ndarray] | None = None  #: of networks of the scaled features, with the label head alone
    activation: str = "softmax"  #: of these networks' outputs
    learns_from: str = ""  #: its labels, teachers and points, in words


@dataclass(frozen=True, eq=False)
class Student:
    """A population to be trained, and how its outputs are read."""

    plan: TrainingPlan
    teacher_updates: int = 0  #: of teachers or of a search, per member
    queries: int = 0
    target: LogProbabilities | None = None
    choice: str = ""
    inputs: Callable | None = None  #: (x, domains or None) -> what the network sees; None: the scaled features
    activation: str = "softmax"  #: of the label head's outputs, one of `targets.ACTIVATIONS`

    def trained(self, problem: Problem, fit: Fit) -> Trained:
        """The population whose training gave `fit`."""

        def log_probabilities(x, d=None):
            inputs = problem.scaled(x) if self.inputs is None else self.inputs(x, d)
            outputs = predict(fit.weights, inputs)[..., : problem.classes]
            return targets.ACTIVATIONS[self.activation](outputs.astype(np.float64))

        hidden, last = fit.weights[:-2], [layer[..., : problem.classes] for layer in fit.weights[-2:]]
        weights = [*hidden, *last] if self.inputs is None else None
        costs = fit.updates, self.teacher_updates, self.queries
        more = self.choice, weights, self.activation, self.learns_from
        return Trained(log_probabilities, {"student": fit}, *costs, self.target, *more)

    @property
    def learns_from(self) -> str:
        """Its labels, teachers and points, in words."""
        numbers = {name: float(np.ravel(value)[0]) for name, value in self.plan.settings.items()}
        count = f"{self.queries:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        queries = f", {count} queries" if self.queries else ""
        if "alpha" in numbers:
            scale = "" if numbers["scale"] == numbers["temperature"] ** 2 else ", no T²"
            return f"labels and teachers, α = {numbers['alpha']:g}, T = {numbers['temperature']:g}{scale}{queries}"
        return f"teachers alone, T = 1{queries}" if self.queries or self.target else "labels"


@dataclass(frozen=True)
class Method:
    """A registered method."""

    define: Callable[..., Student | Trained]
    title: str  #: in tables and figures
    role: Role
    section: str = "more methods"  #: the section of a notebook that runs it
    in_summary: bool = False  #: whether the summary of all datasets shows it
    uses_domain: bool = False  #: whether predictions use the point's domain, which students do not see
    needs_multiple_domains: bool = False
    needs_known_distribution: bool = False
    needs_original: bool = False
    needs_answers: str = ""  #: of teachers that the dataset brings: `any`, or `per domain`, of one teacher for each
    teacher: str = ""  #: of a student: the method that is its teacher, undistilled
    control_of: str = ""  #: of a control: the student that has what it lacks
    isolates: str = ""  #: of a control: what is shown if that student is better

    @property
    def name(self) -> str:
        return self.define.__name__

    @property
    def description(self) -> str:
        """The first line of its docstring."""
        return self.define.__doc__.strip().splitlines()[0]

    def unfit(self, problem: Problem) -> str:
        """Why the method makes no sense on a problem; empty if it does."""
        if self.needs_known_distribution and problem.distribution is None:
            return "the data-generating distribution is not known"
        if self.needs_multiple_domains and problem.domains == 1:
            return "there is one domain"
        if self.needs_answers and problem.train.t is None:
            return "the dataset brings no answers of teachers"
        if self.needs_answers == "per domain" and len(problem.train.t) != problem.domains:
            return f"there are {len(problem.train.t)} teachers, not one for each of {problem.domains} domains"
        return "the dataset is not one of the original's" if self.needs_original and not problem.is_original else ""

    def begin(self, problem: Problem) -> Student | Trained:
        """Defines the method on a problem, and offers its training to a helper."""
        defined = self.define(problem)
        if isinstance(defined, Student):
            problem.offer(defined.plan)
        return defined

    def train(self, problem: Problem, defined: Student | Trained | None = None) -> Trained:
        """Trains the method on a problem; defined: what `begin` returned, if it was called."""
        defined = self.define(problem) if defined is None else defined
        return defined.trained(problem, problem.run(defined.plan)) if isinstance(defined, Student) else defined


METHODS: dict[str, Method] = {}


def method(title: str, role: str = Role.STUDENT, **registered):
    """Registers a function of a `Problem` under its own name; its docstring says what the method is.

    registered: the fields of `Method` that are not the default.
    """

    def register(define):
        METHODS[define.__name__] = Method(define, title, Role(role), **registered)
        return define

    return register
