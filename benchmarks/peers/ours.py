"""kdlib's population training, through the same call that every method of the study makes."""

import numpy as np

from benchmarks import task
from kdlib.methods.targets import soften
from kdlib.training import batches
from kdlib.training.loop import fit
from kdlib.training.losses import cross_entropy, distillation
from kdlib.training.networks import Architecture, initial_weights


def population(members: int = 30, samples: int = task.SAMPLES, hidden=task.HIDDEN, distil: bool = False):
    """Networks trained side by side; with `distil` each from its own teacher's soft targets."""
    x, y, _ = task.data(samples)
    rows, seeds, steps = np.arange(samples), range(members), samples // task.BATCH
    weights = initial_weights(Architecture(task.FEATURES, tuple(hidden), (task.CLASSES,)), seeds)
    targets, loss, settings = (np.eye(task.CLASSES)[y],), cross_entropy, {}
    if distil:
        teachers = np.random.default_rng(1).normal(0, 4, (members, samples, task.CLASSES))
        targets, loss = (*targets, soften(teachers, task.TEMPERATURE)), distillation
        settings = {"alpha": task.ALPHA, "temperature": task.TEMPERATURE, "scale": task.TEMPERATURE**2}

    def run(epochs: int) -> int:
        rates = np.full(steps * epochs, task.RATE, np.float32)
        fit(weights, x, targets, loss, batches.mixed(rows, task.BATCH, steps, epochs, seeds), rates, settings=settings)
        return epochs

    return run
