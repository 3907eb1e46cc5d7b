"""Why the original lost: every combination of its suspects, its unknowns, and what its teachers could say.

Six suspects are each on or off, a full factorial of 64 students (Fisher 1935; Box, Hunter & Hunter 2005, chapter 5):
five of the replica's faults, and that the last epoch's weights are taken, not those of the epoch that is the most
accurate on the selection split. The rate is constant throughout, as in the original; teachers share the faults of
their student that apply to them. Then temperature, alpha and epochs, which the original does not tell, are swept.

Students that share loss, order of batches and number of epochs are one population, and one training gives its last
and its best weights. Leaves out the schedule of the learning rate, which `replica.ladder` mends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from kdlib import distillation, replica, results
from kdlib.claims import PUBLISHED
from kdlib.datasets import Dataset
from kdlib.networks import glorot_uniform, predict, small_normal
from kdlib.problem import Problem
from kdlib.replica import Fault
from kdlib.study import Study
from kdlib.training import Fit, fit

SEEDS = 10  #: of the factorial at most: an effect is a mean over 64 students of each seed
RUNS = 3  #: seeds of the sweep, as many as the original's runs
UNSELECTED = "no model selection"
SUSPECTS = (*(str(fault) for fault in Fault if fault != Fault.CONSTANT_RATE), UNSELECTED)
EXPLANATIONS = (str(Fault.ORDERED), UNSELECTED)  #: the original's own
TEMPERATURES = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
ALPHAS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
PARTS = (25, 30, 35, 40, 45, 50, 75, 100, 150, 300)  #: epochs of the sweep, where the study has 300
MENDED = frozenset({Fault.CONSTANT_RATE})
REPLICA = replica.ALL - {Fault.FEW_UPDATES}  #: the sweep's student, whose number of epochs is swept
LEVEL, MOST, NEAR = 0.95, 0.5, 0.02  #: of intervals; share of the loss that explains it; what counts as reproduced


@dataclass(frozen=True)
class Cell:
    """Settings of one student, without its seed."""

    faults: frozenset[str]
    temperature: float
    alpha: float


class Snapshots:
    """Watches a training: each member's weights of its most accurate epoch, and all weights after some epochs."""

    def __init__(self, epochs: Sequence[int] = ()):
        self.epochs, self.kept = set(epochs), {}
        self.best, self.accuracy = None, None

    def __call__(self, epoch: int, weights: list, accuracy: np.ndarray) -> None:
        weights = [np.asarray(w) for w in weights]
        if epoch in self.epochs:
            self.kept[epoch] = weights
        first = self.best is None
        better = np.ones(len(accuracy), bool) if first else accuracy > self.accuracy  # of equals the earlier one stays
        self.accuracy = accuracy if first else np.maximum(accuracy, self.accuracy)
        old = weights if first else self.best
        self.best = [np.where(better[:, None, None], new, was) for new, was in zip(weights, old, strict=True)]


class Suspects:
    """Populations of faulty students on one dataset."""

    def __init__(self, dataset: Dataset, study: Study):
        self.study = replace(study, seeds=min(study.seeds, SEEDS))
        self.problem = Problem(dataset, self.study)
        self.runs = min(RUNS, self.study.seeds)
        self._teachers: dict[frozenset, np.ndarray] = {}

    def teachers(self, faults: frozenset) -> np.ndarray:
        """What each training sample's own teacher says of it (member, n, classes): logits, or sigmoids."""
        faults = frozenset(faults) - {Fault.ORDERED, Fault.UNSCALED}  # nothing to a teacher
        if faults not in self._teachers:
            says, _ = replica.teachers(replica.shortened(self.problem, faults), faults)
            self._teachers[faults] = distillation.routed(says, self.problem.train.d)
        return self._teachers[faults]

    def start(self, cells: Sequence[Cell], seeds: int) -> list[np.ndarray]:
        """Initial weights of a population of cells by seeds: members (cell, seed), seeds fastest."""
        kernels = [small_normal if Fault.SMALL_START in cell.faults else glorot_uniform for cell in cells]
        starts = [self.problem.start(kernel=kernel) for kernel in kernels]
        return [np.concatenate([w[:seeds] for w in layer]) for layer in zip(*starts, strict=True)]

    def settings(self, cells: Sequence[Cell], seeds: int) -> dict[str, np.ndarray]:
        """What the loss is told of each member: numbers (member,)."""
        scale = [1 if Fault.UNSCALED in cell.faults else cell.temperature**2 for cell in cells]
        told = {"alpha": [c.alpha for c in cells], "temperature": [c.temperature for c in cells], "scale": scale}
        return {name: np.repeat(np.float32(values), seeds) for name, values in told.items()}

    def soft(self, cells: Sequence[Cell], seeds: int) -> np.ndarray:
        """The teachers' softened probabilities (member, n, classes)."""
        return np.concatenate(
            [distillation.soften(self.teachers(cell.faults)[:seeds], cell.temperature) for cell in cells]
        )

    def train(self, cells: Sequence[Cell], seeds: int, keep: Sequence[int] = ()) -> tuple[Fit, Snapshots]:
        """One population of cells by seeds; all cells have the loss, the order and the epochs of the first."""
        faults, seen = cells[0].faults, Snapshots(keep)
        problem = replica.shortened(self.problem, faults)
        drawn = problem.in_order() if Fault.ORDERED in faults else problem.mixed()
        trained = fit(
            self.start(cells, seeds), problem.x, (problem.labels, self.soft(cells, seeds)), _loss(faults),
            (np.tile(index[:, :seeds], (1, len(cells), 1)) for index in drawn),  # a seed's batches in each cell
            np.full(problem.steps * problem.study.epochs, replica.RATE, np.float32),
            settings=self.settings(cells, seeds), observe=seen,
            watch=(problem.scaled(problem.select.x), np.eye(problem.classes)[problem.select.y]),
        )  # fmt: skip
        return trained, seen

    def factorial(self) -> pd.DataFrame:
        """Every combination of the suspects: a bool column for each, `seed`, `accuracy` on the reported split."""
        split, seeds, rows = self.problem.splits[self.problem.reported], self.study.seeds, []
        for common in _subsets(Fault.SIGMOID, Fault.ORDERED, Fault.FEW_UPDATES):
            cells = [
                Cell(MENDED | common | own, self.study.temperature, self.study.alpha)
                for own in _subsets(Fault.SMALL_START, Fault.UNSCALED)
            ]
            trained, seen = self.train(cells, seeds)
            for more, weights in (({UNSELECTED}, trained.weights), (set(), seen.best)):
                for cell, values in zip(cells, self._accuracy(weights, split, seeds), strict=True):
                    on = {name: name in cell.faults | more for name in SUSPECTS}
                    rows += [{**on, "seed": seed, "accuracy": value} for seed, value in enumerate(values)]
        return pd.DataFrame(rows)

    def sweep(self) -> pd.DataFrame:
        """Accuracy of the replica on the validation points by `temperature`, `alpha`, `epochs`: `mean`, `sd` of runs.

        `published` is the original's accuracy on this dataset (NaN if it is none of its four), `distance` how
        far the mean is from it. Teachers get all of the study's epochs.
        """
        epochs = sorted({max(1, round(part / PARTS[-1] * self.study.epochs)) for part in PARTS})
        grid = list(product(TEMPERATURES, ALPHAS))
        _, seen = self.train([Cell(REPLICA, *at) for at in grid], self.runs, keep=epochs)
        rows = [
            [*at, epoch, values.mean(), values.std()]
            for epoch in epochs
            for at, values in zip(
                grid, self._accuracy(seen.kept[epoch], self.problem.dataset.valid, self.runs), strict=True
            )
        ]
        published = PUBLISHED[self.problem.distance]["KD"][0] if self.problem.distance in PUBLISHED else np.nan
        frame = pd.DataFrame(rows, columns=["temperature", "alpha", "epochs", "mean", "sd"]).assign(published=published)
        return frame.assign(distance=(frame["mean"] - published).abs())

    def gradient(self) -> pd.DataFrame:
        """Share of the gradient that comes from the soft targets, by `loss`, `when` and `temperature`: `share`.

        Norms are those of the two terms' gradients with respect to the logits of all training points.
        """
        rows = []
        for title, faults in (("the original's loss", REPLICA), ("Hinton's loss", MENDED)):
            cells = [Cell(faults, temperature, self.study.alpha) for temperature in TEMPERATURES]
            trained, _ = self.train(cells, self.runs)
            targets = [tf.constant(t, tf.float32) for t in (self.problem.labels[None], self.soft(cells, self.runs))]
            settings = self.settings(cells, self.runs)
            for when, weights in (("start", self.start(cells, self.runs)), ("end", trained.weights)):
                shares = soft_share(_loss(faults), predict(weights, self.problem.x), targets, settings)
                means = shares.reshape(len(cells), self.runs).mean(axis=1)
                rows += [[title, when, t, share] for t, share in zip(TEMPERATURES, means, strict=True)]
        return pd.DataFrame(rows, columns=["loss", "when", "temperature", "share"])

    def _accuracy(self, weights, split, seeds) -> np.ndarray:
        """(cell, seed)"""
        right = predict(weights, self.problem.scaled(split.x)).argmax(axis=2) == split.y
        return right.mean(axis=1).reshape(-1, seeds)


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


def _loss(faults) -> Callable:
    return distillation.original if Fault.SIGMOID in faults else distillation.distillation


def _subsets(*faults) -> list[frozenset]:
    return [frozenset(chosen) for n in range(len(faults) + 1) for chosen in combinations(faults, n)]


# --- What the numbers say -----------------------------------------------------------------------------------------


def design(case: Suspects) -> str:
    """The budget of the factorial, in a sentence."""
    short = replica.shortened(case.problem, replica.ALL).study.epochs
    return (
        f"{2 ** len(SUSPECTS)} combinations, {case.study.seeds} seed{'s' * (case.study.seeds != 1)} each (at most "
        f"{SEEDS} are used), {case.study.epochs} epochs, or {short} where updates are few; T = "
        f"{case.study.temperature:g}, α = {case.study.alpha:g}; scored on the {case.problem.reported} points."
    )


def effects(frame: pd.DataFrame) -> pd.DataFrame:
    """Main effects and interactions of two on accuracy, with intervals over seeds: the largest first.

    frame: from `factorial`. A main effect is the mean with the suspect less the mean without it. An interaction is
    half of what the second suspect's presence changes in the effect of the first (both are twice the mean of
    accuracy times signs). Columns: label, order (1 or 2), mean, low, high.
    """
    names = [name for name in frame if frame[name].dtype == bool]
    signs = {name: np.where(frame[name], 1, -1) for name in names}
    rows = []
    for terms in [*combinations(names, 1), *combinations(names, 2)]:
        each = 2 * frame.accuracy * np.prod([signs[name] for name in terms], axis=0)
        rows.append([" × ".join(terms), len(terms), *interval(each.groupby(frame.seed).mean())])
    table = pd.DataFrame(rows, columns=["label", "order", "mean", "low", "high"])
    return table.sort_values("mean", key=np.abs, ascending=False, ignore_index=True)


def corners(frame: pd.DataFrame) -> pd.DataFrame:
    """Each suspect alone: mended in the original (all others stay), and present in the mended student (no other).

    Columns: label; mended, mended_low, mended_high: gain in accuracy over the original; alone, alone_low,
    alone_high: change from the student without any. The first row mends, or has, all of them.
    """
    names = [name for name in frame if frame[name].dtype == bool]
    cells = frame.pivot(index="seed", columns=names, values="accuracy")
    at = {on: cells[tuple(name in on for name in names)] for on in _subsets(*names)}
    all_on, none = at[frozenset(names)], at[frozenset()]
    rows = [[f"all {len(names)}", *interval(none - all_on), *interval(all_on - none)]]
    for name in names:
        rows.append([name, *interval(at[frozenset(names) - {name}] - all_on), *interval(at[frozenset({name})] - none)])
    columns = [f"{what}{end}" for what in ("mended", "alone") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["label", *columns])


def interval(values) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences (t: so few seeds make a bootstrap too narrow); NaN of a lone one."""
    values = np.asarray(values, float)
    half = np.nan
    if len(values) > 1:
        half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def verdict(frame: pd.DataFrame, suspect: str) -> str:
    """Whether a suspect explains the original's loss: supported, in part, or not; a sentence with the numbers.

    Supported: mended alone in the original, it gains at least half of what mending all gains. In part: it gains less,
    or only on average over the other suspects, with an interval above zero.
    """
    table = corners(frame).set_index("label")
    own, everything = table.loc[suspect], table.iloc[0]
    effect = effects(frame).set_index("label").loc[suspect]
    clear, word = own.mended_low > 0, "not supported"
    if np.isnan(own.mended_low):
        word = "one seed cannot tell"
    elif clear and everything.mended_low > 0 and own.mended >= MOST * everything.mended:
        word = "supported"
    elif clear or effect.high < 0:
        word = "supported in part"
    return (
        f"The explanation “{suspect}”: **{word}**. Mending it alone changes the accuracy of the original's student "
        f"by {_change(own.mended, own.mended_low, own.mended_high)}, where mending all {len(SUSPECTS)} changes it by "
        f"{_change(everything.mended, everything.mended_low, everything.mended_high)}; on average over all "
        f"combinations of the others it changes by {_change(-effect['mean'], -effect.high, -effect.low)}."
    )


def leading(frame: pd.DataFrame) -> str:
    """Which suspects cost or gain accuracy, and which two have the largest interaction."""
    table = effects(frame)
    main, pair = table[table.order == 1], table[table.order == 2].iloc[0]
    said = [
        f"these {verb} accuracy: "
        + ", ".join(f"“{row.label}” {_change(row.mean, row.low, row.high)}" for row in sure.itertuples())
        for verb, sure in (("cost", main[main.high < 0]), ("gain", main[main.low > 0]))
        if len(sure)
    ]
    return (
        f"On average over all others, {'; '.join(said) or 'none is shown to matter'}. "
        f"The largest interaction is {pair.label}: {_change(pair['mean'], pair.low, pair.high)}."
    )


def nearest(frame: pd.DataFrame) -> pd.Series:
    """The setting of a `sweep` that comes nearest to the published accuracy; the most accurate if none is known."""
    return frame.loc[frame.distance.idxmin() if frame.distance.notna().any() else frame["mean"].idxmax()]


def reproduced(frame: pd.DataFrame) -> str:
    """Whether some setting of a `sweep` reproduces the original's accuracy on this dataset."""
    best = nearest(frame)
    setting = f"T = {best.temperature:g}, α = {best.alpha:g} and {best.epochs:g} epochs"
    if np.isnan(best.published):
        return f"No accuracy is published for this dataset. Most accurate is {setting}: {best['mean']:.4f}."
    near = int((frame.distance <= NEAR).sum())
    return (
        f"The published {best.published:.4f} is nearest at {setting}: {best['mean']:.4f} ± {best.sd:.4f}, "
        f"{best.distance:.4f} away; {'**reproduced**' if near else '**not reproduced**'} within {NEAR:g} "
        f"({near} of {len(frame)} settings come as near; the nearest of so many is partly chance)."
    )


def taught(frame: pd.DataFrame) -> str:
    """How much of the gradient is the teachers', from the lowest temperature to the highest, of a `gradient`."""
    said = []
    for (loss, when), rows in frame.groupby(["loss", "when"], sort=False):
        low, high = rows.loc[rows.temperature.idxmin()], rows.loc[rows.temperature.idxmax()]
        said.append(f"{loss} at the {when}, {_percent(low.share)} and {_percent(high.share)}")
    low, high = frame.temperature.min(), frame.temperature.max()
    return f"The soft targets' share of the gradient at T = {low:g} and T = {high:g} is: {'; '.join(said)}."


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """`corners` as words: numbers with their intervals."""
    heads = {"mended": "mended alone in the original", "alone": "alone in the mended student"}
    told = {
        head: [_change(*row) for row in table[[what, f"{what}_low", f"{what}_high"]].itertuples(index=False)]
        for what, head in heads.items()
    }
    return pd.DataFrame(told, index=pd.Index(table.label, name="suspect"))


def write(tables: dict[str, pd.DataFrame], output) -> str:
    """Writes tables as CSV by name into a folder, then the seal; returns a line that says so."""
    Path(output).mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        results.write(table, Path(output) / f"{name}.csv")
    return results.seal(output)


def _percent(share) -> str:
    return f"{100 * share:.2g} %"


def _change(mean, low, high) -> str:
    interval = "" if np.isnan(low) else f" [{low:+.4f}, {high:+.4f}]"
    return f"{mean:+.4f}{interval}".replace("-", "−")
