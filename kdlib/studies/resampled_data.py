"""Is the student better whatever the training data? Each member trains on a draw of its own.

Over seeds on the given data, chance is in the initial weights and the order of batches alone. Here member i also has
a training set of its own, drawn anew from the law of the data; its start and its batches are still those of seed i.
Methods are compared draw by draw, so that the intervals are about other data of this law, not about this file
(Dietterich 1998). All draws keep the given data's scale, so that the same initial weights are the same function
everywhere. Kernel teachers and gate are fitted to each draw; the choice between machines is made once, on
the given data, because it is the slow part. Leaves out data of unknown law, of which no more can be drawn.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import gaussians
from kdlib.data.dataset import Dataset, Split
from kdlib.evaluation import comparison, results
from kdlib.evaluation.formatting import difference, percent, signed
from kdlib.methods.kernel_teachers import Kernels, kernels, queries
from kdlib.methods.methods import student
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS, Trained
from kdlib.training.networks import glorot_uniform

SEED = 4_711  #: of the draws
GIVEN, DRAWN = "given", "draws"
SOURCES = {DRAWN: "fresh draws of the training data", GIVEN: "initial weights on the given data"}
COLUMNS = ["training", *results.COLUMNS]  #: `seed` counts the draws as well: both begin at 0
BASELINE, COMPARED = "ffnn", ("kd_best", "kd_gated")
COPIES = 20  #: queries per training point, for both sources of chance; a fifth of `kernels.COPIES`, to be quick


class Draws(Problem):
    """A problem whose member i trains on draw i of the law: `x` (member, n, features), `labels` (member, n, classes).

    `train.x` (member, n, features) and `train.y` (member, n) are the draws; domains (n,) are the same in all.
    """

    def __init__(self, given: Problem):
        super().__init__(gaussians.generate(given.distance), given.study, given.progress)
        self.given = given
        x, y, _ = gaussians.fresh_training(given.distance, given.study.seeds, SEED)
        self.train = Split(x, y, self.train.d)
        self.x, self.labels = self.scaled(x), np.eye(self.classes)[y]

    def start(self, heads=None, kernel=glorot_uniform, features: int | None = None) -> list[np.ndarray]:
        """As in any problem: of as many features as a point has."""
        return super().start(heads, kernel, features or self.x.shape[-1])

    def draw(self, i: int) -> Problem:
        """One draw as a problem of its own, of one seed."""
        train = Split(self.train.x[i], self.train.y[i], self.train.d)
        return Problem(Dataset(f"draw {i}", train, self.select, self.report), replace(self.study, seeds=1))


def kd_best(population: Problem) -> Trained:
    """`kernels.kd_best` with fewer queries: members of `Draws` have teachers, gate and queries of their own draw."""
    given = getattr(population, "given", population)
    sources = map(population.draw, population.seeds) if isinstance(population, Draws) else [given]
    points, targets = [], []
    for source in sources:
        machines = kernels(given) if source is given else Kernels(source, like=kernels(given))
        x = queries(source)[0][: COPIES * len(source.train)]
        points.append(population.scaled(x).astype(np.float32))
        targets.append(machines.mixture(x).astype(np.float32))
    x, target = (np.stack(arrays) if len(arrays) > 1 else arrays[0] for arrays in (points, targets))
    fit = population.fit("kd_best", (target,), x=x, batches=population.mixed(np.arange(x.shape[-2])))
    return student(population, fit)


def run(problem: Problem) -> pd.DataFrame:
    """Tidy results on fresh points, column `training` being draws or given; no rows where the law is not known."""
    if problem.distance is None:
        return pd.DataFrame(columns=COLUMNS)
    draws, fresh = Draws(problem), problem.splits["fresh"]
    methods = {name: METHODS[name].run for name in (BASELINE, *COMPARED)} | {"kd_best": kd_best}
    ways = [(GIVEN, problem, "bayes", METHODS["bayes"].run)]
    ways += [(GIVEN, problem, *way) for way in methods.items()] + [(DRAWN, draws, *way) for way in methods.items()]
    frames = []
    for training, population, name, method in ways:
        tally = results.tally(fresh, method(population).log_probabilities)
        scores = results.frame(problem.dataset.name, name, "fresh", tally)
        frames.append(scores.assign(training=training)[COLUMNS])
    return pd.concat(frames, ignore_index=True)


def compare(frame: pd.DataFrame) -> pd.DataFrame:
    """Paired differences to `ffnn` for each method and source of chance: what `statistics.compare` says, and more.

    Beside it `sd` of the differences, `won`, the share of pairs in which the method is the more accurate, and `gap`,
    the share of the way from `ffnn` to Bayes that is closed.
    """
    accuracy = results.select(frame)
    ceiling = accuracy[accuracy.method == "bayes"]["value"].mean()
    tables = []
    for training in SOURCES:
        of = accuracy[(accuracy.training == training) & (accuracy.method != "bayes")]
        values = of.pivot(index="seed", columns="method", values="value")
        differences = values[list(COMPARED)].sub(values[BASELINE], axis=0)
        table = comparison.compare(values[[BASELINE, *COMPARED]], BASELINE)
        table["sd"], table["won"] = differences.std(), (differences > 0).mean()
        base = values[BASELINE].mean()
        table["gap"] = [comparison.gap_closed(values[name].mean(), base, ceiling) for name in table.index]
        tables.append(table.assign(training=training).reset_index())
    return pd.concat(tables, ignore_index=True)


def forest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare` as `plots.forest` wants them."""
    labels = [f"{METHODS[row.method].title}: {SOURCES[row.training]}" for row in table.itertuples()]
    return table.assign(label=labels)[["label", "mean", "low", "high", "verdict"]]


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare` for people; intervals are in the figure."""
    chance = table.training.map({DRAWN: "fresh draws", GIVEN: "given data"})
    shown = table.assign(method=[METHODS[name].title for name in table.method], over=chance)
    shown = shown.rename(columns={"mean": "difference", "p": "p (Holm)", "won": "ahead in", "gap": "gap closed"})
    return shown.set_index("method")[["over", "difference", "sd", "p (Holm)", "ahead in", "gap closed", "verdict"]]


def sentence(table: pd.DataFrame, method: str = "kd_best") -> str:
    """Whether a method beats `ffnn` over draws, by how much, and which source of chance is the larger."""
    rows = table[table.method == method].set_index("training")
    drawn, given = rows.loc[DRAWN], rows.loc[GIVEN]
    verdict = {
        comparison.BETTER: "beats the network trained directly, whatever the draw of the training data",
        comparison.WORSE: "is worse than the network trained directly over draws of the training data",
    }.get(drawn.verdict, "is not shown to differ from the network trained directly over draws of the training data")
    sign = "more" if drawn["mean"] > 0 else "less"
    text = (
        f"**{METHODS[method].title} {verdict}**: over {drawn.seeds} draws it is {abs(drawn['mean']):.4f} {sign} "
        f"accurate (95 % interval {signed(drawn.low)} to {signed(drawn.high)}, p = {drawn.p:.2g}), and ahead in "
        f"{percent(drawn.won)} of them. Over as many initial weights on the given data the difference is "
        f"{difference(given['mean'], given.low, given.high)}: {_agree(drawn, given)}."
    )
    if np.isfinite(drawn.gap):
        text += (
            f" Of the gap to Bayes it closes {percent(drawn.gap)} over draws, {percent(given.gap)} on the given data."
        )
    if min(drawn.sd, given.sd) > 0:
        larger = "draw of the data" if drawn.sd > given.sd else "start"
        ratio = max(drawn.sd, given.sd) / min(drawn.sd, given.sd)
        text += f" The difference has an sd of {drawn.sd:.4f} over draws and of {given.sd:.4f} over starts: " + (
            f"the {larger} matters more, {ratio:.1f} times." if ratio >= 1.1 else "about the same."
        )
    return text


def _agree(drawn, given) -> str:
    if drawn.verdict == given.verdict:
        return f"the same verdict, {drawn.verdict}"
    return f"there the verdict is {given.verdict}, here {drawn.verdict}"


def write(frame: pd.DataFrame, output) -> str:
    """Writes `draws.csv` and its checksum into a folder; returns a line that says so."""
    Path(output).mkdir(parents=True, exist_ok=True)
    results.write(frame, Path(output) / "draws.csv")
    return results.write_checksums(output)
