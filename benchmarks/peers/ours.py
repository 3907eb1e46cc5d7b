"""kdlib's population training, through the same call that every method makes."""

import numpy as np

from benchmarks import task
from kdlib.methods.targets import soften
from kdlib.training import loop
from kdlib.training.batches import Shuffled
from kdlib.training.losses import cross_entropy, distillation
from kdlib.training.networks import Architecture, initial_weights
from kdlib.training.plan import TrainingPlan


def population(members: int = 30, samples: int = task.SAMPLES, hidden=task.HIDDEN, distil: bool = False):
    """Networks trained side by side; with `distil` each from its own teacher's soft targets."""
    x, y, _ = task.data(samples)
    rows, seeds, steps = np.arange(samples), tuple(range(members)), samples // task.BATCH
    weights = initial_weights(Architecture(task.FEATURES, tuple(hidden), (task.CLASSES,)), seeds)
    targets, loss, settings = (np.eye(task.CLASSES)[y],), cross_entropy, {}
    if distil:
        teachers = np.random.default_rng(1).normal(0, 4, (members, samples, task.CLASSES))
        targets, loss = (*targets, soften(teachers, task.TEMPERATURE)), distillation
        settings = {"alpha": task.ALPHA, "temperature": task.TEMPERATURE, "scale": task.TEMPERATURE**2}

    def run(epochs: int) -> int:
        batches = Shuffled(rows, task.BATCH, steps, epochs, seeds)
        rates = np.full(batches.updates, task.RATE, np.float32)
        loop.run(TrainingPlan("benchmark", weights, x, targets, loss, batches, rates, settings))
        return epochs

    return run
