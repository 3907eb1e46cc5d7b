"""Why the original lost: every combination of the factors, its unknown settings, and what its teachers could say.

Six factors are each present or absent, a full factorial of 64 students (Fisher 1935; Box, Hunter & Hunter 2005, chapter
5): five of the replica's deviations, and that the last epoch's weights are taken, not those of the epoch that is the
most accurate on the selection split. The rate is constant throughout, as in the original; teachers share the deviations
of their student that apply to them. Then temperature, alpha and epochs, which the original does not report, are swept.
Out of scope: the schedule of the learning rate, which `original.cumulative_ablation` fixes, and sentences
(`factorial_findings`).
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import tensorflow as tf

from kdlib.data import Dataset
from kdlib.data.published import published
from kdlib.methods import Problem, original
from kdlib.methods.original import Deviation, Variant
from kdlib.settings import Settings
from kdlib.training.networks import predict

MAX_SEEDS = 10  #: of the factorial: an effect is a mean over 64 students of each seed
RUNS = 3  #: seeds of the sweep, as many as the original's runs
UNSELECTED = "no model selection"
FACTORS = (*(str(each) for each in Deviation if each != Deviation.CONSTANT_RATE), UNSELECTED)
EXPLANATIONS = (str(Deviation.ORDERED), UNSELECTED)  #: the original's own
TEMPERATURES = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
ALPHAS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
PARTS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 75, 100, 150, 300)  #: epochs of the sweep, where a run has 300
FIXED = frozenset({Deviation.CONSTANT_RATE})  #: the student without any of the factors
REPLICA = original.ALL - {Deviation.FEW_UPDATES}  #: the sweep's student, whose number of epochs is swept


class FactorialStudy:
    """Populations of students with the original's deviations on one dataset."""

    def __init__(self, dataset: Dataset, settings: Settings, progress=None):
        self.settings = replace(settings, seeds=min(settings.seeds, MAX_SEEDS))
        self.problem = Problem(dataset, self.settings, progress)
        self.few = self.problem.first(RUNS)

    def factorial(self) -> pd.DataFrame:
        """Every combination of the factors: a bool column for each, `seed`, `accuracy` on the reported split."""
        problem, rows = self.problem, []
        split = problem.splits[problem.reported]
        for common in subsets(Deviation.SIGMOID, Deviation.FEW_UPDATES):
            variants = [
                Variant(FIXED | common | own, self.settings.temperature, self.settings.alpha)
                for own in subsets(Deviation.SMALL_WEIGHTS, Deviation.ORDERED, Deviation.UNSCALED)
            ]
            fit = problem.run(replace(original.population(problem, variants, "factorial"), keep_best=True))
            for selection, weights in (({UNSELECTED}, fit.weights), (set(), fit.best)):
                accuracy = original.accuracy(problem, weights, split)
                for variant, values in zip(variants, accuracy, strict=True):
                    present = {name: name in variant.deviations | selection for name in FACTORS}
                    rows += [{**present, "seed": seed, "accuracy": value} for seed, value in enumerate(values)]
        return pd.DataFrame(rows)

    def sweep(self) -> pd.DataFrame:
        """Accuracy of the replica on the validation points by `temperature`, `alpha`, `epochs`: `mean`, `sd` of runs.

        `published` is the original's accuracy on this dataset (NaN if it is none of its four), `distance` how
        far the mean is from it. Teachers get all epochs.
        """
        few, grid = self.few, list(product(TEMPERATURES, ALPHAS))
        epochs = sorted({max(1, round(part / PARTS[-1] * self.settings.epochs)) for part in PARTS})
        plan = original.population(few, [Variant(REPLICA, *point) for point in grid], "sweep")
        rows = []
        for epoch, weights in few.run(replace(plan, checkpoints=tuple(epochs))).checkpoints.items():
            accuracy = original.accuracy(few, weights, few.dataset.valid)
            rows += [[*point, epoch, values.mean(), values.std()] for point, values in zip(grid, accuracy, strict=True)]
        target = (published(few.distribution) or {"KD": (np.nan,)})["KD"][0]
        frame = pd.DataFrame(rows, columns=["temperature", "alpha", "epochs", "mean", "sd"]).assign(published=target)
        return frame.assign(distance=(frame["mean"] - target).abs())

    def gradient(self) -> pd.DataFrame:
        """Share of the gradient that comes from the soft targets, by `loss`, `time` and `temperature`: `share`.

        Norms are those of the two terms' gradients with respect to the logits of all training points.
        """
        few, rows = self.few, []
        for title, deviations in (("the original's loss", REPLICA), ("Hinton's loss", FIXED)):
            variants = [Variant(deviations, temperature, self.settings.alpha) for temperature in TEMPERATURES]
            plan = original.population(few, variants, "gradient")
            labels, soft = (tf.constant(target, tf.float32) for target in plan.targets)
            for time, weights in (("start", plan.weights), ("end", few.run(plan).weights)):
                logits = predict(weights, few.x)
                shares = soft_share(plan.loss, logits, (labels[None], soft), plan.settings)
                means = shares.reshape(len(variants), -1).mean(axis=1)
                rows += [[title, time, t, share] for t, share in zip(TEMPERATURES, means, strict=True)]
        return pd.DataFrame(rows, columns=["loss", "time", "temperature", "share"])


def soft_share(loss: Callable, logits: np.ndarray, targets, settings: dict) -> np.ndarray:
    """|g| / (|g| + |h|) per member (member,), g and h the gradients of the soft targets' term and of the labels'."""
    norms = []
    for part in ({"alpha": settings["alpha"], "scale": 0 * settings["scale"]},
                 {"alpha": 0 * settings["alpha"], "scale": (1 - settings["alpha"]) * settings["scale"]}):  # fmt: skip
        z = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(z, targets, settings | part)
        norms.append(np.linalg.norm(tape.gradient(value, z).numpy(), axis=(1, 2)))
    labels, soft = norms
    return soft / np.maximum(labels + soft, 1e-30)


def subsets(*deviations) -> list[frozenset]:
    """All subsets of some deviations, the empty one first."""
    return [frozenset(chosen) for n in range(len(deviations) + 1) for chosen in combinations(deviations, n)]
