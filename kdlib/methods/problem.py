"""What all methods on one dataset share: splits, scale, initial weights, batches and budget.

Sharing them is what makes comparisons paired: member i of every method has the same initial weights and, on the same
rows, the same batches, and every student takes the same number of updates. Features are standardised by the training
split's mean and deviation. What several methods need, such as teachers, is made once per problem (`once`).
"""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from kdlib.data import Dataset, Split, distributions
from kdlib.data.dataset import blocks
from kdlib.data.published import published
from kdlib.methods import memory
from kdlib.settings import Settings
from kdlib.training import loop
from kdlib.training.batches import InOrder, Shuffled, labelled
from kdlib.training.cache import Cache, default_cache
from kdlib.training.helpers import Helpers
from kdlib.training.losses import cross_entropy
from kdlib.training.networks import Architecture, glorot_uniform, initial_weights, threads
from kdlib.training.plan import TrainingPlan

FRESH_POINTS = 100_000
FRESH_SEED = 20_240  #: of the fresh points, the same for all methods
MAX_SAMPLES, MAX_FEATURES = 10_000, 2**22  #: that teachers other than plain networks are fitted to, in all


class Problem:
    """A dataset with a run's settings; raises `loop.TrainingError` if they do not fit each other, or the machine.

    progress: called with task, epoch and epochs now and then; once, with `reused=True`, for what the cache has.
    fraction: of the training samples of each domain and class; the others are not there, neither point nor label. The
    updates stay as many as with all of them. The part is the same for all seeds, and within that of a larger fraction.
    cache: of what has been trained before, the one that the environment names unless another is given.
    cores: processor cores that trainings may use at once, as far as there is memory for as many processes (`offer`).
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        progress: Callable[[str, int, int], None] | None = None,
        fraction: float = 1.0,
        cache: Cache | None = None,
        cores: int = 1,
    ):
        memory.check(dataset, settings)
        processes = min(cores, int(memory.available() / memory.needed(dataset, settings)))
        self.helpers = Helpers(processes - 1 if threads() == 1 else 0)  # with more threads, helpers would differ
        self.dataset, self.settings, self.fraction = dataset, settings, fraction
        self.progress = progress or (lambda *_, **__: None)
        self.cache = cache or default_cache()
        whole, self.select, self.report = dataset.roles()
        if settings.batch_size > len(whole):
            raise loop.TrainingError(
                f"batch_size: expected at most the {len(whole)} training samples of {dataset.name}, "
                f"got {settings.batch_size}; choose a smaller one (--batch-size), or add samples"
            )
        self.steps = len(whole) // settings.batch_size  #: updates per epoch
        self.domain_sizes = np.bincount(whole.d, minlength=dataset.domains)  #: of all samples, whatever the fraction
        self.seeds = range(settings.seeds)
        self.classes, self.domains = dataset.classes, dataset.domains
        self.machines_from: Problem | None = None  #: whose choice of teachers is fitted anew instead of chosen again
        train = whole if fraction == 1 else whole.take(labelled(whole.d, whole.y, [fraction], seed=0)[0])
        self.mean = train.x.mean(axis=0)
        self.deviation = train.x.std(axis=0)
        constant = self.deviation <= 1e-12 * np.maximum(train.x.max(axis=0), -train.x.min(axis=0))  # but for rounding
        self.deviation[constant] = 1  # such a feature says nothing, and must not divide by nothing
        self.pool = train  #: points that teachers may be asked about, of which no label is used
        self._made_of_pool = {}
        self._fits = WeakKeyDictionary()  # a plan that is gone cannot be asked for again
        self._train_on(train)

    def _train_on(self, train: Split) -> None:
        self.train = train
        self.x = self.scaled(train.x)
        self.labels = np.eye(self.classes)[train.y]  # (n, classes)
        self.rows = np.arange(len(train))
        self.domain_rows = [np.flatnonzero(train.d == k) for k in range(self.domains)]
        self._made = {}

    def trained_on(self, train: Split, seeds: Iterable[int], machines_from: "Problem | None" = None) -> "Problem":
        """The same problem with other training samples: same scale, splits and number of updates; of some seeds.

        machines_from: a problem whose choice of teachers is kept, and fitted to these samples.
        """
        other = copy(self)
        other.seeds, other.machines_from = tuple(seeds), machines_from
        other._train_on(train)
        return other

    def bounded(self) -> "Problem":
        """The same problem with fewer training samples if they exceed `MAX_SAMPLES` or all together `MAX_FEATURES`.

        The same share of each domain and class is kept.
        """
        most = min(MAX_SAMPLES, MAX_FEATURES // self.train.x.shape[1])
        if len(self.train) <= most:
            return self
        (rows,) = labelled(self.train.d, self.train.y, [most / len(self.train)], seed=0)
        return self.trained_on(self.train.take(rows), self.seeds, self.machines_from)

    def first(self, seeds: int) -> "Problem":
        """The same problem with its first seeds only."""
        other = copy(self)
        other.settings = replace(self.settings, seeds=min(seeds, self.settings.seeds))
        other.seeds = self.seeds[:seeds]
        other._made = {}
        return other

    def with_settings(self, **changes) -> "Problem":
        """The same problem with other settings, such as epochs or widths; not other seeds or sizes of batches."""
        other = copy(self)
        other.settings = replace(self.settings, **changes)
        other._made = {}
        return other

    def once(self, make: Callable, *arguments, of_pool: bool = False):
        """What `make(problem, *arguments)` returns, made once for this problem.

        of_pool: it depends on the pool and the scale alone, so that problems with other training samples share it.
        """
        made, key = self._made_of_pool if of_pool else self._made, (make, *arguments)
        if key not in made:
            made[key] = make(self, *arguments)
        return made[key]

    def keep(self, make: Callable, made) -> None:
        """From now on `once(make)` returns what is made already."""
        self._made[make,] = made

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Features standardised by the training split's mean and deviation, as networks see them: float32."""
        scaled = np.empty(x.shape, np.float32)
        for rows in blocks(x):
            scaled[rows] = (x[rows] - self.mean) / self.deviation
        return scaled

    @cached_property
    def distribution(self) -> distributions.KnownDistribution | None:
        """The data-generating distribution, where it is known: then there are fresh points and ceilings."""
        return distributions.recognise(self.dataset)

    @property
    def is_original(self) -> bool:
        """Whether the dataset is one of the original's, whose accuracies are published."""
        return published(self.distribution) is not None

    @cached_property
    def splits(self) -> dict[str, Split]:
        """What methods are scored on: valid, test where there is one, fresh where the distribution is known."""
        splits = {"valid": self.dataset.valid, self.dataset.reported: self.report}
        if self.distribution is not None:
            splits["fresh"] = distributions.fresh(self.distribution, FRESH_POINTS, FRESH_SEED)
        return splits

    @property
    def reported(self) -> str:
        """The split that the tables report: fresh points where they can be had, else `dataset.reported`."""
        return "fresh" if self.distribution is not None else self.dataset.reported

    def initial_weights(self, heads=None, kernel=glorot_uniform, features: int | None = None) -> list[np.ndarray]:
        """Initial weights of one network per seed; one head of `classes` outputs if nothing else is said."""
        architecture = Architecture(features or self.x.shape[1], self.settings.hidden, heads or (self.classes,))
        return initial_weights(architecture, self.seeds, kernel)

    def shuffled(self, rows: np.ndarray | None = None, steps: int | None = None) -> Shuffled:
        """Batches of mixed domains: of all training rows, unless `rows` are given."""
        rows = self.rows if rows is None else rows
        return Shuffled(rows, self.settings.batch_size, steps or self.steps, self.settings.epochs, tuple(self.seeds))

    def in_order(self) -> InOrder | Shuffled:
        """Batches domain by domain, in the same order in each epoch; with one domain there is nothing to order."""
        if self.domains == 1:
            return self.shuffled()
        groups, settings = tuple(self.domain_rows), self.settings
        return InOrder(groups, settings.batch_size, self.steps, settings.epochs, tuple(self.seeds))

    def plan(self, task: str, targets, loss=cross_entropy, **changes) -> TrainingPlan:
        """A training of one network per seed, `settings.epochs` epochs of `steps` updates on the training samples.

        changes: fields of `TrainingPlan` that differ; the rate falls to zero along a cosine if nothing else is said.
        """
        batches = changes.pop("batches", None) or self.shuffled()
        weights = changes.pop("weights", None) or self.initial_weights()
        planned = {"rates": loop.cosine(self.settings.learning_rate, batches.updates)} | changes
        if "x" not in planned:
            planned["x"] = self.x
        if "watch" not in planned:
            planned["watch"] = self.once(_watched, of_pool=True)
        return TrainingPlan(task, weights, targets=targets, loss=loss, batches=batches, **planned)

    def run(self, plan: TrainingPlan) -> loop.Fit:
        """Trains as planned; the same plan is trained once."""
        if plan not in self._fits:
            while (other := self.helpers.meanwhile(plan)) is not None:
                self._fits[other] = self._fit(other)
            self._fits[plan] = self._fit(plan)
        return self._fits[plan]

    def offer(self, plan: TrainingPlan) -> None:
        """Lets a helper train what `run` will be asked for, if there is one."""
        if self.helpers.count and plan not in self._fits:
            key = self._key(plan)
            if (kept := self.cache.get(key)) is None:
                self.helpers.offer(plan, lambda fit: self.cache.put(key, vars(fit)))
            else:
                self._fits[plan] = self._kept(plan, kept)

    def _fit(self, plan: TrainingPlan) -> loop.Fit:
        epochs = plan.batches.epochs
        if (fit := self.helpers.fit(plan)) is not None:
            self.progress(plan.task, epochs, epochs)
            return fit
        key = self._key(plan)
        if (kept := self.cache.get(key)) is not None:
            return self._kept(plan, kept)
        fit = loop.run(plan, lambda epoch: self.progress(plan.task, epoch, epochs))
        self.cache.put(key, vars(fit))
        return fit

    def _key(self, plan: TrainingPlan) -> str | None:
        return self.cache.key(loop.run, replace(plan, task=""), threads())

    def _kept(self, plan: TrainingPlan, kept: dict) -> loop.Fit:
        self.progress(plan.task, plan.batches.epochs, plan.batches.epochs, reused=True)
        return loop.Fit(**kept)

    def answers(self, teacher, x: np.ndarray) -> np.ndarray:
        """Log-probabilities (member, n, classes) that a teacher gives for points (n, features), each computed once."""
        key = self.cache.key(type(teacher).log_probabilities, teacher, x, threads())
        if (answers := self.cache.get(key)) is not None:
            self.progress("answers of teachers", 1, 1, reused=True)
            return answers
        answers = np.concatenate([teacher.log_probabilities(x[rows]) for rows in blocks(x)], axis=1)
        self.cache.put(key, answers)
        return answers


def _watched(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The selection split as networks see it, and its one-hot labels."""
    return problem.scaled(problem.select.x), np.eye(problem.classes)[problem.select.y]
