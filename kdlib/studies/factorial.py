"""Why the original lost: every combination of its suspects, its unknowns, and what its teachers could say.

Six suspects are each on or off, a full factorial of 64 students (Fisher 1935; Box, Hunter & Hunter 2005, chapter 5):
five of the replica's faults, and that the last epoch's weights are taken, not those of the epoch that is the most
accurate on the selection split. The rate is constant throughout, as in the original; teachers share the faults of
their student that apply to them. Then temperature, alpha and epochs, which the original does not tell, are swept.
Leaves out the schedule of the learning rate, which `replica.ladder` mends, and words: `why`.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import tensorflow as tf

from kdlib.data.dataset import Dataset
from kdlib.data.published import PUBLISHED
from kdlib.methods import original
from kdlib.methods.original import Fault, Variant
from kdlib.methods.problem import Problem
from kdlib.settings import Settings
from kdlib.training.networks import predict

SEEDS = 10  #: of the factorial at most: an effect is a mean over 64 students of each seed
RUNS = 3  #: seeds of the sweep, as many as the original's runs
UNSELECTED = "no model selection"
SUSPECTS = (*(str(fault) for fault in Fault if fault != Fault.CONSTANT_RATE), UNSELECTED)
EXPLANATIONS = (str(Fault.ORDERED), UNSELECTED)  #: the original's own
TEMPERATURES = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
ALPHAS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
PARTS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 75, 100, 150, 300)  #: epochs of the sweep, where the study has 300
MENDED = frozenset({Fault.CONSTANT_RATE})
REPLICA = original.ALL - {Fault.FEW_UPDATES}  #: the sweep's student, whose number of epochs is swept


class Suspects:
    """Populations of faulty students on one dataset."""

    def __init__(self, dataset: Dataset, study: Settings, progress=None):
        self.study = replace(study, seeds=min(study.seeds, SEEDS))
        self.problem = Problem(dataset, self.study, progress)
        self.few = Problem(dataset, replace(study, seeds=min(study.seeds, RUNS)), progress)

    def factorial(self) -> pd.DataFrame:
        """Every combination of the suspects: a bool column for each, `seed`, `accuracy` on the reported split."""
        split, rows = self.problem.splits[self.problem.reported], []
        for common in subsets(Fault.SIGMOID, Fault.FEW_UPDATES):
            variants = [
                Variant(MENDED | common | own, self.study.temperature, self.study.alpha)
                for own in subsets(Fault.SMALL_START, Fault.ORDERED, Fault.UNSCALED)
            ]
            fit = original.train(self.problem, variants, "factorial", keep_best=True)
            for more, weights in (({UNSELECTED}, fit.weights), (set(), fit.best)):
                accuracy = original.accuracy(self.problem, weights, split)
                for variant, values in zip(variants, accuracy, strict=True):
                    on = {name: name in variant.faults | more for name in SUSPECTS}
                    rows += [{**on, "seed": seed, "accuracy": value} for seed, value in enumerate(values)]
        return pd.DataFrame(rows)

    def sweep(self) -> pd.DataFrame:
        """Accuracy of the replica on the validation points by `temperature`, `alpha`, `epochs`: `mean`, `sd` of runs.

        `published` is the original's accuracy on this dataset (NaN if it is none of its four), `distance` how
        far the mean is from it. Teachers get all of the study's epochs.
        """
        epochs = sorted({max(1, round(part / PARTS[-1] * self.study.epochs)) for part in PARTS})
        grid = list(product(TEMPERATURES, ALPHAS))
        kept, rows = {}, []
        original.train(
            self.few, [Variant(REPLICA, *at) for at in grid], "sweep",
            observe=lambda epoch, weights: kept.update({epoch: weights} if epoch in epochs else {}),
        )  # fmt: skip
        for epoch, weights in kept.items():
            accuracy = original.accuracy(self.few, weights, self.few.dataset.valid)
            rows += [[*at, epoch, values.mean(), values.std()] for at, values in zip(grid, accuracy, strict=True)]
        published = PUBLISHED[self.problem.distance]["KD"][0] if self.problem.distance in PUBLISHED else np.nan
        frame = pd.DataFrame(rows, columns=["temperature", "alpha", "epochs", "mean", "sd"]).assign(published=published)
        return frame.assign(distance=(frame["mean"] - published).abs())

    def gradient(self) -> pd.DataFrame:
        """Share of the gradient that comes from the soft targets, by `loss`, `when` and `temperature`: `share`.

        Norms are those of the two terms' gradients with respect to the logits of all training points.
        """
        problem, rows = self.few, []
        for title, faults in (("the original's loss", REPLICA), ("Hinton's loss", MENDED)):
            variants = [Variant(faults, temperature, self.study.alpha) for temperature in TEMPERATURES]
            soft, _ = original.soft_targets(problem, variants)
            trained = original.train(problem, variants, "gradient", soft).weights
            targets = [tf.constant(t, tf.float32) for t in (problem.labels[None], soft)]
            settings = original.settings(problem, variants)
            for when, weights in (("start", original.start(problem, variants)), ("end", trained)):
                shares = soft_share(original.loss(faults), predict(weights, problem.x), targets, settings)
                means = shares.reshape(len(variants), -1).mean(axis=1)
                rows += [[title, when, t, share] for t, share in zip(TEMPERATURES, means, strict=True)]
        return pd.DataFrame(rows, columns=["loss", "when", "temperature", "share"])


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


def subsets(*faults) -> list[frozenset]:
    """All subsets of some faults, the empty one first."""
    return [frozenset(chosen) for n in range(len(faults) + 1) for chosen in combinations(faults, n)]
