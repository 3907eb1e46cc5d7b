"""The original's student, rebuilt, and its faults one by one: why it lost.

The original's distillation differs from `kd_routed` in seven ways, its `Fault`s; each can be mended alone. All seven
give `kd_original`, none gives `kd_routed`. How long the original trained, its temperature, alpha, widths and
optimizer are not known: a sixth of the study's epochs comes near its published accuracies, Adam at Keras's default
rate is assumed, and temperature and alpha are the study's. Leaves out its three runs and the order of its code.
"""

from dataclasses import replace
from enum import StrEnum

import numpy as np

from kdlib import distillation
from kdlib.methods import Trained, method
from kdlib.networks import glorot_uniform, predict, small_normal
from kdlib.problem import Problem

RATE = 1e-3  #: Adam's default in Keras, held constant
EPOCHS = 1 / 6  #: of the study's: 50 of 300


class Fault(StrEnum):
    """What the original does otherwise; the order is that of the ladder, which mends one after the other."""

    FEW_UPDATES = "few updates"
    CONSTANT_RATE = "constant rate"
    SMALL_START = "small initial weights"
    ORDERED = "domains in fixed order"
    SIGMOID = "softmax over sigmoids"
    UNSCALED = "no T²"


ALL = frozenset(Fault)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), in double precision."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def rebuilt(problem: Problem, faults: frozenset[Fault], task: str = "kd_original") -> Trained:
    """Teachers and a student with some of the original's faults; each sample is taught by its domain's teacher."""
    study = problem.study
    if Fault.FEW_UPDATES in faults:
        progress = problem.progress
        problem = Problem(problem.dataset, replace(study, epochs=max(1, round(study.epochs * EPOCHS))), progress)
    loss = distillation.original if Fault.SIGMOID in faults else distillation.distillation
    outputs = sigmoid if Fault.SIGMOID in faults else lambda logits: logits
    kernel = small_normal if Fault.SMALL_START in faults else glorot_uniform

    def fit(name, soft, steps, batches, **settings):
        constant = np.full(steps * problem.study.epochs, RATE, np.float32)
        return problem.fit(
            name, (problem.labels, soft), loss, weights=problem.start(kernel=kernel), steps=steps, batches=batches,
            rates=constant if Fault.CONSTANT_RATE in faults else None, **settings,
        )  # fmt: skip

    says, updates = [], 0
    for k, rows in enumerate(problem.domain_rows):
        steps = problem.teacher_steps(k)
        teacher = fit(
            f"{task}: teacher of domain {k}", problem.labels, steps, problem.mixed(rows, steps),
            alpha=1, temperature=1, scale=1,
        )  # fmt: skip
        says.append(outputs(predict(teacher.weights, problem.x)))
        updates += teacher.updates
    soft = distillation.soften(distillation.routed(np.array(says), problem.train.d), study.temperature)
    batches = problem.in_order() if Fault.ORDERED in faults else problem.mixed()
    scale = 1 if Fault.UNSCALED in faults else study.temperature**2
    student = fit(
        task, soft, problem.steps, batches, alpha=study.alpha, temperature=study.temperature, scale=scale
    )  # fmt: skip

    def log_probabilities(x, d=None):
        logits = predict(student.weights, problem.scaled(x)).astype(np.float64)
        # Sigmoids that do not sum to one are divided by their sum.
        return distillation.log_softmax(np.log(sigmoid(logits) + 1e-30) if Fault.SIGMOID in faults else logits)

    return Trained(log_probabilities, {"student": student}, student.updates, updates)


@method("KD, as in the original")
def kd_original(problem: Problem) -> Trained:
    """The original's student, with all of its faults."""
    return rebuilt(problem, ALL)


def ladder() -> dict[str, frozenset[Fault]]:
    """The faults that are left on each rung, from all to none, by the rung's label."""
    faults = list(Fault)
    rungs = {"as in the original": ALL}
    return rungs | {f"without {mended}": ALL - set(faults[: i + 1]) for i, mended in enumerate(faults)}
