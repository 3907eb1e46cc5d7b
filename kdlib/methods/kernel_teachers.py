"""The best student found: taught by kernel machines, one per domain, and asked about points near the data.

A teacher need not be a network. `classifier` chooses by cross-validation between machines whose inductive
bias suits smooth boundaries, all fitted by their likelihood, so that their probabilities are usable as they
are. The student's target is sum_k P(k | x) T_k(x), with the gate P(k | x) chosen in the same way; it is asked
about the training points and noisy copies of them. No label and no law beyond the training split is used. The
controls that tell what a gain is due to are here too: the same machines trained on all domains at once,
alone and distilled, and the same copies without a teacher.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.base import clone
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from kdlib.data import gaussians
from kdlib.methods import targets
from kdlib.methods.methods import student
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Trained, method

COPIES = 100  #: queries per training point, the point itself among them
NOISE = 0.25  #: of the copies, in standard deviations of their domain
MOST_QUERIES = 400_000
FOLDS = 3
WIDEST_QUADRATIC = 30  #: features; beyond, squares and products are too many
CENTRES = 100  #: of the approximate radial-basis kernel (Williams & Seeger 2001)


def classifier(x: np.ndarray, y: np.ndarray, like: Callable | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """P(y | x) as a function (n, features) -> (n, classes), of the machine with the best cross-validated likelihood.

    y: classes 0..classes-1, of which some may be missing: they get probability 0. Machines: logistic regression on
    squares and products (polynomial kernel of degree 2), and on a radial-basis kernel, each over a grid.
    With `like`, another classifier, there is no choice: its machine is fitted anew to these data.
    """
    classes = int(y.max()) + 1
    present, counts = np.unique(y, return_counts=True)
    if len(present) == 1:
        return lambda points: np.tile(np.eye(classes)[present[0]], (len(points), 1))
    logistic = LogisticRegression(max_iter=2000)
    families = []
    if x.shape[1] <= WIDEST_QUADRATIC:
        quadratic = make_pipeline(
            StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(), logistic
        )
        families.append((quadratic, {"logisticregression__C": 10.0 ** np.arange(-1, 6)}))
    radial = make_pipeline(StandardScaler(), Nystroem(random_state=0, n_components=min(CENTRES, len(x) // 2)), logistic)
    widths = np.array([0.1, 0.3, 1.0]) / x.shape[1]
    families.append((radial, {"logisticregression__C": [1.0, 10.0, 100.0, 1000.0], "nystroem__gamma": widths}))
    folds = min(FOLDS, counts.min())
    if hasattr(like, "machine"):
        found = clone(like.machine).fit(x, y)
    elif folds < 2:
        found = families[0][0].fit(x, y)
    else:
        splits = StratifiedKFold(folds, shuffle=True, random_state=0)
        searches = [GridSearchCV(machine, grid, scoring="neg_log_loss", cv=splits) for machine, grid in families]
        found = max((search.fit(x, y) for search in searches), key=lambda search: search.best_score_)

    def probabilities(points):
        known = np.zeros((len(points), classes))
        known[:, present] = found.predict_proba(points)
        return known

    probabilities.machine = getattr(found, "best_estimator_", found)
    return probabilities


class Kernels:
    """The machines of one problem, fitted when made; those of another, if given as `like`, are fitted anew."""

    def __init__(self, problem: Problem, like: "Kernels | None" = None):
        self.problem = problem
        train, rows = problem.train, problem.domain_rows
        known = like.teachers if like else [None] * len(rows)
        self.gate = classifier(train.x, train.d, like and like.gate)
        self.teachers = [classifier(train.x[r], train.y[r], k) for r, k in zip(rows, known, strict=True)]

    def mixture(self, x: np.ndarray) -> np.ndarray:
        """sum_k P(k | x) T_k(x): (n, classes)."""
        gate = self.gate(x)
        total = np.zeros((len(x), self.problem.classes))
        for k, teacher in enumerate(self.teachers):
            answer = teacher(x)
            total[:, : answer.shape[1]] += gate[:, k, None] * answer
        return total


@cache
def kernels(problem: Problem) -> Kernels:
    """One set of machines per problem, whatever methods ask."""
    return Kernels(problem)


@cache
def direct(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """The same choice of machines, trained on all domains at once."""
    return classifier(problem.train.x, problem.train.y)


def queries(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The training points and noisy copies of them: x (n * copies, features), and the row that each is a copy of."""
    train = problem.train
    copies = max(1, min(COPIES, MOST_QUERIES // len(train)))
    spread = np.empty_like(train.x)
    for rows in problem.domain_rows:
        spread[rows] = train.x[rows].std(axis=0)
    noise = np.random.default_rng(0).standard_normal((copies, *train.x.shape)) * NOISE * spread
    noise[0] = 0  # the points themselves
    return (train.x + noise).reshape(-1, train.x.shape[1]), np.tile(np.arange(len(train)), copies)


def imitates(problem: Problem, task: str, target: Callable[[np.ndarray], np.ndarray], **more) -> Trained:
    """A student of soft targets alone, P(y | x) (n, classes), on the queries."""
    x, _ = queries(problem)
    fit = problem.fit(task, (target(x),), x=problem.scaled(x), batches=problem.mixed(np.arange(len(x))))

    def teacher(points, d=None):
        return np.log(np.maximum(target(points), 1e-30))[None]

    return student(problem, fit, teacher=teacher, queries=len(x) - len(problem.train), **more)


def answers(target: Callable[[np.ndarray], np.ndarray]) -> Trained:
    """A machine itself, undistilled: one member."""
    return Trained(lambda x, d=None: np.log(np.maximum(target(x), 1e-30))[None])


@method("KD, kernel teachers")
def kd_best(problem: Problem) -> Trained:
    """The best found: taught by the gated mixture of three single-domain kernel machines, on points near the data."""
    return imitates(problem, "kd_best", kernels(problem).mixture)


@method("Kernel teachers, undistilled")
def kernel_mixture(problem: Problem) -> Trained:
    """What the student of kernel teachers imitates: the gated mixture itself."""
    return answers(kernels(problem).mixture)


@method("Kernel machine on all domains")
def kernel_direct(problem: Problem) -> Trained:
    """Control: the same choice of machines, trained on all domains at once."""
    return answers(direct(problem))


@method("KD, kernel machine on all domains")
def kd_kernel_direct(problem: Problem) -> Trained:
    """Control: a student of that machine, on the same queries."""
    return imitates(problem, "kd_kernel_direct", direct(problem))


@method("FFNN, noisy copies")
def ffnn_noisy(problem: Problem) -> Trained:
    """Control: trained on the same noisy copies, each with the label of the point that it copies."""
    x, origin = queries(problem)
    labels = problem.labels[origin]
    fit = problem.fit("ffnn_noisy", (labels,), x=problem.scaled(x), batches=problem.mixed(np.arange(len(x))))
    return student(problem, fit, queries=len(x) - len(problem.train))


@method("KD, FFNN teachers on queries")
def kd_gated_queries(problem: Problem) -> Trained:
    """Networks for teachers on the same queries: the gated mixture of each domain's ensemble of FFNN."""

    def target(x):
        p = np.exp(targets.log_softmax(problem.teacher_logits(x))).mean(axis=1)  # (domain, n, classes)
        return np.einsum("nk,knc->nc", kernels(problem).gate(x), p)

    updates = sum(fit.updates for fit in problem.teachers) * problem.study.seeds
    return imitates(problem, "kd_gated_queries", target, teacher_updates=updates)


@method("KD, taught by Bayes", fresh_only=True)
def bayes_taught(problem: Problem) -> Trained:
    """The student's own ceiling: taught by the exact posterior, on the same queries."""
    return imitates(problem, "bayes_taught", lambda x: gaussians.posterior(problem.distance, x))
