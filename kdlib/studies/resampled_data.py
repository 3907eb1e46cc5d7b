"""Is the student better whatever the training data? Each member trains on a draw of its own.

Over seeds on the given data, chance is in the initial weights and the order of batches alone. Here member i also has
a training set of its own, drawn anew from the data-generating distribution; its initial weights and its batches are
still those of seed i. Methods are compared draw by draw, so that the intervals are about other data from this
distribution, not about this file (Dietterich 1998). All draws keep the given data's scale, so that the same initial
weights are the same function everywhere. Teachers and gate are fitted to each draw; the choice between kernel machines
is made once, on the given data, because it is slow. Out of scope: data of unknown distribution, of which no more can
be drawn.
"""

from functools import partial
from inspect import signature

import numpy as np
import pandas as pd

from kdlib.data import Split
from kdlib.evaluation import comparison, results
from kdlib.evaluation.formatting import decimal, percent, points
from kdlib.methods import METHODS, Method, Problem, Role, Student, Trained
from kdlib.training.plan import stack

SEED = 4_711  #: of the draws
GIVEN, DRAWN = "given", "draws"
SOURCES = {DRAWN: "fresh draws of the training data", GIVEN: "initial weights on the given data"}
COLUMNS = ["training", *results.COLUMNS]  #: `seed` counts the draws as well: both begin at 0
COPIES = 20  #: queries per training point, for both sources of chance; fewer than in the report, to be quick
BASELINE = "ffnn"
SEARCHING = {"kd_portfolio"}  #: a quarter of a minute on each draw


def compared() -> dict[str, Method]:
    """Plain direct training and the summary's students, but for those that search anew on each draw, by name."""
    students = {name: m for name, m in METHODS.items() if m.role == Role.STUDENT and m.in_summary}
    return {BASELINE: METHODS[BASELINE]} | {name: m for name, m in students.items() if name not in SEARCHING}


def draw(problem: Problem, seed: int) -> Problem:
    """The problem of one seed on a training set of its own, with as many samples of each domain as the given one."""
    d = problem.train.d
    rng = np.random.default_rng([SEED, seed])
    return problem.trained_on(Split(*problem.distribution.sample(d, rng), d), [seed], machines_from=problem)


def run(problem: Problem) -> pd.DataFrame:
    """Tidy results on fresh points, column `training` being draws or given; no rows for an unknown distribution."""
    if problem.distribution is None:
        return pd.DataFrame(columns=COLUMNS)
    draws = [draw(problem, seed) for seed in problem.seeds]
    frames = [_scores(problem, "bayes", METHODS["bayes"].train(problem), GIVEN)]
    for name, method in compared().items():
        if any(method.unfit(each) for each in (problem, *draws)):
            continue
        define = method.define
        if "copies" in signature(define).parameters:
            define = partial(define, copies=COPIES)
        for training, problems in ((GIVEN, [problem]), (DRAWN, draws)):
            students = [define(each) for each in problems]
            frames.append(_scores(problem, name, train(problem, students), training))
    return pd.concat(frames, ignore_index=True)


def train(problem: Problem, students: list[Student]) -> Trained:
    """Students of one method, each on its own training set; those of the same length are one population."""
    lengths = np.array([student.plan.batches.updates for student in students])  # may be chosen, hence differ
    groups = [[students[i] for i in np.flatnonzero(lengths == length)] for length in np.unique(lengths)]
    trained = [group[0].trained(problem, problem.run(stack([each.plan for each in group]))) for group in groups]
    of_members = np.repeat(lengths, [student.plan.members for student in students])
    place = np.argsort(np.argsort(of_members, kind="stable"))  # of each member among those of all groups

    def log_probabilities(x, d=None):
        return np.concatenate([each.log_probabilities(x, d) for each in trained])[place]

    return Trained(log_probabilities)


def _scores(problem: Problem, name: str, trained, training: str) -> pd.DataFrame:
    scores = results.score(problem.splits["fresh"], trained.log_probabilities)
    return results.frame(problem.dataset.name, name, "fresh", scores.values()).assign(training=training)[COLUMNS]


def compare(frame: pd.DataFrame) -> pd.DataFrame:
    """Paired differences from the baseline for each method and source of chance: `comparison.compare`, and more.

    Beside it `sd` of the differences, `won`, the share of pairs in which the method is the more accurate, and `gap`,
    the share of the way from the baseline to Bayes that is closed.
    """
    accuracy = results.select(frame)
    ceiling = accuracy[accuracy.method == results.BAYES]["value"].mean()
    methods = [name for name in accuracy.method.unique() if name != results.BAYES]
    tables = []
    for training in SOURCES:
        values = accuracy[accuracy.training == training].pivot(index="seed", columns="method", values="value")[methods]
        table = comparison.compare(values, BASELINE)
        differences = values[table.index].sub(values[BASELINE], axis=0)
        table["sd"], table["won"] = differences.std(), (differences > 0).mean()
        baseline = values[BASELINE].mean()
        table["gap"] = [comparison.gap_closed(values[name].mean(), baseline, ceiling) for name in table.index]
        tables.append(table.assign(training=training).reset_index())
    return pd.concat(tables, ignore_index=True)


def forest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare` as `plots.forest` wants them."""
    named = table.assign(label=[METHODS[name].title for name in table.method], dataset=table.training.map(SOURCES))
    return named[["dataset", "label", "mean", "low", "high", "verdict"]]


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare` for people, differences and their sd in points; intervals are in the figure."""
    chance = table.training.map({DRAWN: "fresh draws", GIVEN: "given data"})
    named = table.assign(method=[METHODS[name].title for name in table.method], over=chance)
    named[["mean", "sd"]] *= 100
    named = named.rename(columns={"mean": "difference", "p": "p (Holm)", "won": "ahead in", "gap": "gap closed"})
    return named.set_index("method")[["over", "difference", "sd", "p (Holm)", "ahead in", "gap closed", "verdict"]]


def sentence(table: pd.DataFrame, method: str) -> str:
    """Whether a method beats direct training over draws, by how much, and which source of chance is the larger."""
    rows = table[table.method == method].set_index("training")
    drawn, given = rows.loc[DRAWN], rows.loc[GIVEN]
    verdict = {
        comparison.BETTER: "is better than direct training over draws of the training data",
        comparison.WORSE: "is worse than direct training over draws of the training data",
    }.get(drawn.verdict, "shows no significant difference from direct training over draws of the training data")
    text = (
        f"**{METHODS[method].title} {verdict}**: over {drawn.seeds} draws the difference in accuracy is "
        f"{points(drawn['mean'], drawn.low, drawn.high)} (95 % interval, p = {drawn.p:.2g}), and it is ahead in "
        f"{percent(drawn.won)} of them. Over as many initial weights on the given data the difference is "
        f"{points(given['mean'], given.low, given.high)}: {_agreement(drawn, given)}."
    )
    if np.isfinite(drawn.gap):
        text += (
            f" It closes {percent(drawn.gap)} of the gap to Bayes over draws, {percent(given.gap)} on the given data."
        )
    if min(drawn.sd, given.sd) > 0:
        larger = "draw of the training data" if drawn.sd > given.sd else "initialisation"
        ratio = max(drawn.sd, given.sd) / min(drawn.sd, given.sd)
        text += (
            f" The difference has an sd of {decimal(100 * drawn.sd, 2)} points over draws and "
            f"{decimal(100 * given.sd, 2)} over initial weights: "
            + (f"the {larger} matters {ratio:.1f} times as much." if ratio >= 1.1 else "about the same.")
        )
    return text


def _agreement(drawn, given) -> str:
    if drawn.verdict == given.verdict:
        return f"the same verdict, {drawn.verdict}"
    return f"there the verdict is {given.verdict}, here {drawn.verdict}"
