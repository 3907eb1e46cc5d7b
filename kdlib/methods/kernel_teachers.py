"""Teachers that are kernel machines, and students that are asked about points near the data.

A teacher need not be a network. `KernelMachine` chooses by cross-validation between machines whose inductive bias
suits smooth boundaries, all fitted by their likelihood, so that their probabilities are usable as they are. The
student's target is sum_k P(k | x) T_k(x), with the gate P(k | x) chosen in the same way; it is asked about the training
points and noisy copies of them. Nothing beyond the training split is used. Controls that tell what a gain is due to are
here too: the same machines trained on all domains at once, alone and distilled, and networks as teachers on the same
queries.
"""

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from kdlib.methods.network_teachers import domain_teachers, teacher_updates
from kdlib.methods.problem import Problem
from kdlib.methods.registry import Student, Trained, method
from kdlib.methods.students import COPIES, distil_on_queries
from kdlib.methods.teachers import GATE, POOLED, Ensemble, Mixture, SklearnTeacher, Teacher, fit_teacher, gated_mixture

FOLDS = 3
MAX_QUADRATIC = 30  #: features; beyond, squares and products are too many
CENTRES = 100  #: of the approximate radial-basis kernel (Williams & Seeger 2001)


class KernelMachine(SklearnTeacher):
    """The kernel machine of the best cross-validated likelihood.

    Logistic regression on squares and products (polynomial kernel of degree 2) or on a radial-basis kernel, each over a
    grid of regularisation, the latter of widths too.
    """

    def choose(self, x: np.ndarray, y: np.ndarray):
        searched = []
        if x.shape[1] <= MAX_QUADRATIC:
            squares = PolynomialFeatures(2, include_bias=False)
            searched.append(([StandardScaler(), squares, StandardScaler()], 10.0 ** np.arange(-1, 6)))
        for gamma in np.array([0.1, 0.3, 1.0]) / x.shape[1]:
            kernel = Nystroem(gamma=gamma, random_state=0, n_components=min(CENTRES, len(x) // 2))
            searched.append(([StandardScaler(), kernel], [1.0, 10.0, 100.0, 1000.0]))
        return search(searched, x, y)


def search(machines: list[tuple], x: np.ndarray, y: np.ndarray) -> Pipeline:
    """The fitted machine of the best cross-validated likelihood; the first as it is, where a class has one sample.

    machines: transformers, the features of a logistic regression, each with values of its C to try. The choice is that
    of scikit-learn's GridSearchCV, which takes nearly twice as long: it computes the same features again for every C.
    """
    folds = min(FOLDS, np.unique(y, return_counts=True)[1].min())
    if folds < 2:
        return make_pipeline(*machines[0][0], _logistic(1.0)).fit(x, y)
    losses = {}
    for rows, left_out in StratifiedKFold(folds, shuffle=True, random_state=0).split(x, y):
        for number, (transformers, values) in enumerate(machines):
            features = make_pipeline(*transformers)
            inside, outside = features.fit_transform(x[rows]), features.transform(x[left_out])
            for value in values:
                p = _logistic(value).fit(inside, y[rows]).predict_proba(outside)
                losses.setdefault((number, value), []).append(log_loss(y[left_out], p))
    number, value = min(losses, key=lambda each: np.mean(losses[each]))
    return make_pipeline(*machines[number][0], _logistic(value)).fit(x, y)


def _logistic(value: float) -> LogisticRegression:
    return LogisticRegression(C=value, max_iter=2000)


def kernel_mixture_of(problem: Problem) -> Mixture:
    """A kernel machine per domain under a gate that is one as well."""
    return gated_mixture(problem, KernelMachine, KernelMachine)


def undistilled(problem: Problem, teacher: Teacher) -> Trained:
    """A teacher itself, as a method."""
    return Trained(lambda x, d=None: np.maximum(problem.answers(teacher, x), np.log(1e-30)))


@method("KD, kernel teachers", section="kernel teachers", in_summary=True, teacher="kernel_mixture")
def kd_kernel_teachers(problem: Problem, copies: int = COPIES) -> Student:
    """Taught by the gated mixture of single-domain kernel machines, on points near the data."""
    return distil_on_queries(problem, "kd_kernel_teachers", kernel_mixture_of(problem), copies)


@method("Kernel teachers, undistilled", role="teacher", section="kernel teachers")
def kernel_mixture(problem: Problem) -> Trained:
    """What the student of kernel teachers imitates: the gated mixture itself."""
    return undistilled(problem, kernel_mixture_of(problem))


@method(
    "Kernel machine on all domains", role="control", section="kernel teachers", control_of="kd_kernel_teachers",
    isolates="a teacher per domain matters, not only the kind of machine",
)  # fmt: skip
def kernel_direct(problem: Problem) -> Trained:
    """The same choice of machines, trained on all domains at once."""
    return undistilled(problem, problem.once(fit_teacher, KernelMachine, POOLED))


@method(
    "KD, kernel machine on all domains", role="control", section="kernel teachers", teacher="kernel_direct",
    control_of="kd_kernel_teachers",
    isolates="a teacher per domain matters, also where the one machine has a student",
)  # fmt: skip
def kd_kernel_direct(problem: Problem) -> Student:
    """A student of one kernel machine on all domains, on the same queries."""
    return distil_on_queries(problem, "kd_kernel_direct", problem.once(fit_teacher, KernelMachine, POOLED))


@method(
    "KD, FFNN teachers on queries", role="control", section="queries", control_of="kd_kernel_teachers",
    isolates="the kind of teacher matters, not only that it is asked about more points",
)  # fmt: skip
def kd_gated_queries(problem: Problem) -> Student:
    """Networks for teachers on the same queries: the gated mixture of each domain's ensemble of FFNN."""
    ensembles = [Ensemble(teacher) for teacher in problem.once(domain_teachers)]
    updates = teacher_updates(problem) * len(problem.seeds)
    mixture = Mixture(ensembles, problem.once(fit_teacher, KernelMachine, GATE))
    return distil_on_queries(problem, "kd_gated_queries", mixture, teacher_updates=updates)
