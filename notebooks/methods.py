"""An example of methods of your own: `make report METHODS=notebooks/methods.py`, and they stand beside kdlib's.

Each is a function of a `Problem` (`kdlib/methods/problem.py`), under `@method`; its docstring says what it is. The file
runs as it is, with all rights of whoever makes the report.
"""

from kdlib.methods import Problem, Student, method, network_teachers, targets
from kdlib.methods.network_teachers import student_of_teachers


@method("KD, product of teachers")
def kd_product(problem: Problem) -> Student:
    """Taught by the teachers' product, weighted by P(domain | x): the mean of log-probabilities, normalised."""

    def target(x, d=None):
        log_p = targets.log_softmax(network_teachers.teacher_logits(problem, x))  # (domain, member, n, class)
        gate = network_teachers.learned_gate(problem, x)  # (member, n, domain)
        return targets.log_softmax((gate.transpose(2, 0, 1)[..., None] * log_p).sum(axis=0))

    return student_of_teachers(problem, "kd_product", target)
