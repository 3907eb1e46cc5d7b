"""What all methods on one dataset share: splits, scale, starts, batches, budget and teachers.

Sharing them is what makes comparisons paired: member i of every method has the same initial weights and, on the same
rows, the same batches, and every student takes the same number of updates. Features are standardised by the training
split's mean and deviation. Leaves out what a method does with it all: `methods`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property

import numpy as np

from kdlib.data import gaussians
from kdlib.data.dataset import Dataset
from kdlib.methods.targets import soften
from kdlib.settings import Settings
from kdlib.training import batches
from kdlib.training.loop import Fit, TrainingError, cosine, fit
from kdlib.training.losses import cross_entropy, two_heads
from kdlib.training.networks import Architecture, glorot_uniform, initial_weights, predict

FRESH_POINTS = 100_000
FRESH_SEED = 20_240  #: of the fresh points, the same for all methods


class Problem:
    """A dataset with a study's settings; `progress(task, epoch, epochs)` hears of every epoch.

    fraction: of the training samples of each domain and class; the others are not there, neither point nor label. The
    updates stay as many as with all of them. The part is the same for all seeds, and within that of a larger fraction.
    """

    def __init__(
        self,
        dataset: Dataset,
        study: Settings,
        progress: Callable[[str, int, int], None] | None = None,
        fraction: float = 1.0,
    ):
        self.dataset, self.study, self.progress, self.fraction = dataset, study, progress, fraction
        whole, self.select, self.report = dataset.roles()
        if study.batch_size > len(whole):
            raise TrainingError(
                f"batch_size: expected at most the {len(whole)} training samples of {dataset.name}, "
                f"got {study.batch_size}; choose a smaller one (--batch-size), or add samples"
            )
        self.steps = len(whole) // study.batch_size  #: updates per epoch
        self.domain_sizes = np.bincount(whole.d, minlength=dataset.domains)  #: of all samples, whatever the fraction
        self.train = whole if fraction == 1 else whole.take(batches.labelled(whole.d, whole.y, [fraction], seed=0)[0])
        self.seeds = range(study.seeds)
        self.classes, self.domains = dataset.classes, dataset.domains
        self.mean = self.train.x.mean(axis=0)
        self.deviation = self.train.x.std(axis=0)
        constant = self.deviation <= 1e-12 * np.abs(self.train.x).max(axis=0)  # but for rounding
        self.deviation[constant] = 1  # such a feature says nothing, and must not divide by nothing
        self.x = self.scaled(self.train.x)
        self.labels = np.eye(self.classes)[self.train.y]  # (n, classes)
        self.rows = np.arange(len(self.train))
        self.domain_rows = [np.flatnonzero(self.train.d == k) for k in range(self.domains)]

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Features standardised by the training split's mean and deviation, feature by feature."""
        return (x - self.mean) / self.deviation

    @cached_property
    def distance(self) -> float | None:
        """d, where the dataset is one of the known generator's: then there are fresh points and ceilings."""
        return gaussians.recognise(self.dataset)

    @cached_property
    def splits(self) -> dict:
        """What methods are scored on, by name: valid, test where there is one, fresh where the law is known."""
        splits = {"valid": self.dataset.valid, self.dataset.reported: self.report}
        if self.distance is not None:
            splits["fresh"] = gaussians.fresh(self.distance, FRESH_POINTS, FRESH_SEED)
        return splits

    @property
    def reported(self) -> str:
        """The split that the tables report: fresh points where they can be had, else `dataset.reported`."""
        return "fresh" if self.distance is not None else self.dataset.reported

    def start(self, heads=None, kernel=glorot_uniform, features: int | None = None) -> list[np.ndarray]:
        """Initial weights of one network per seed; one head of `classes` outputs if nothing else is said."""
        architecture = Architecture(features or self.x.shape[1], self.study.hidden, heads or (self.classes,))
        return initial_weights(architecture, self.seeds, kernel)

    def mixed(self, rows: np.ndarray | None = None, steps: int | None = None) -> Iterable[np.ndarray]:
        """Batches of mixed domains: of all training rows, unless `rows` are given."""
        rows = self.rows if rows is None else rows
        return batches.mixed(rows, self.study.batch_size, steps or self.steps, self.study.epochs, self.seeds)

    def in_order(self) -> Iterable[np.ndarray]:
        """Batches domain by domain, in the same order in each epoch; one domain has no order but that of `mixed`."""
        if self.domains == 1:
            return self.mixed()
        return batches.in_order(self.domain_rows, self.study.batch_size, self.steps, self.study.epochs, self.seeds)

    def fit(
        self, task: str, targets, loss=cross_entropy, *,
        weights=None, x=None, batches=None, steps=None, rates=None, watch=None, keep_best=False, observe=None,
        **settings,
    ) -> Fit:  # fmt: skip
        """Trains one network per seed, `study.epochs` epochs of `steps` updates; what is not given is as in `ffnn`."""
        steps = steps or self.steps
        return fit(
            self.start() if weights is None else weights,
            self.x if x is None else x,
            targets,
            loss,
            self.mixed(steps=steps) if batches is None else batches,
            cosine(self.study.learning_rate, steps * self.study.epochs) if rates is None else rates,
            settings=settings,
            watch=(self.scaled(self.select.x) if watch is None else watch, np.eye(self.classes)[self.select.y]),
            keep_best=keep_best,
            observe=observe,
            progress=self.progress and (lambda epoch: self.progress(task, epoch, self.study.epochs)),
        )

    @cached_property
    def direct(self) -> Fit:
        """The basic multi-domain network."""
        return self.fit("ffnn", (self.labels,))

    @cached_property
    def two_heads(self) -> Fit:
        """The network with a head for the label and one for the domain."""
        domains = np.eye(self.domains)[self.train.d]
        weights = self.start((self.classes, self.domains))
        return self.fit("ffnn_two_heads", (self.labels, domains), two_heads, weights=weights)

    def gate(self, x: np.ndarray) -> np.ndarray:
        """P(k | x) of points in the features' own units, as the two-headed network learned it: (member, n, domain)."""
        return soften(predict(self.two_heads.weights, self.scaled(x))[..., self.classes :], 1.0)

    def teacher_steps(self, k: int) -> int:
        """Updates per epoch of the teacher of domain k: as many as its own samples fill."""
        return max(1, int(self.domain_sizes[k]) // self.study.batch_size)

    @cached_property
    def teachers(self) -> list[Fit]:
        """One population per domain, each trained on its own domain's rows only."""
        return [
            self.fit(
                f"teacher of domain {k}", (self.labels,),
                batches=self.mixed(rows, self.teacher_steps(k)), steps=self.teacher_steps(k),
            )
            for k, rows in enumerate(self.domain_rows)
        ]  # fmt: skip

    def first(self, seeds: int) -> "Problem":
        """The same problem with its first seeds only; teachers that are trained already are not trained again."""
        study = replace(self.study, seeds=min(seeds, self.study.seeds))
        few = Problem(self.dataset, study, self.progress, self.fraction)
        if "teachers" in self.__dict__:
            few.teachers = [replace(fit, weights=[w[:seeds] for w in fit.weights]) for fit in self.teachers]
        return few

    def teacher_logits(self, x: np.ndarray) -> np.ndarray:
        """What each teacher says of points in features' own units (n, features): (domain, member, n, classes)."""
        return np.stack([predict(teacher.weights, self.scaled(x)) for teacher in self.teachers])
