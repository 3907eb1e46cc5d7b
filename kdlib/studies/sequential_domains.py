"""One pass over the domains in sequence, in every order, with and without learning without forgetting.

A network learns one domain after the other, an equal share of `ffnn`'s updates each, and never sees an earlier one
again. With the term of Li & Hoiem (2016) it is held, on each new domain's inputs, to what it said there before:

    L = CE(labels, softmax(z)) + strength * KL(softmax(r / T) || softmax(z / T)),    T = 2

with the outputs r recorded when the domain begins, and a strength of 1, as published, or T^2, as in Hinton's loss.
Theirs gives each task a head of its own and warms the new one up; here all domains have the same classes and share
the one head, so both are left out. Each domain begins with a fresh Adam and a learning rate that falls to zero anew.
All orders, with and without the term, are one population.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import tensorflow as tf

from kdlib.data.dataset import Split
from kdlib.evaluation import results as tidy
from kdlib.evaluation.comparison import interval, interval_of_differences
from kdlib.evaluation.formatting import difference, estimate, points
from kdlib.evaluation.metrics import accuracy
from kdlib.methods import Problem
from kdlib.methods.direct import plain_network
from kdlib.methods.targets import soften
from kdlib.training import loop
from kdlib.training.batches import Shuffled, Together
from kdlib.training.losses import cross_entropy, divergence
from kdlib.training.networks import predict
from kdlib.training.plan import TrainingPlan

MAX_SEEDS = 10
MAX_ORDERS = 6  #: all that three domains have
TEMPERATURE = 2.0  #: Li & Hoiem's
STRENGTHS = {"plain": 0.0, "lwf": 1.0, "lwf_scaled": TEMPERATURE**2}  #: by method; Li & Hoiem's lambda is 1
TITLES = {"plain": "Without the term", "lwf": "With the term, as published", "lwf_scaled": "With the term times T²"}
BRIEF = {"plain": "no term", "lwf": "term", "lwf_scaled": "term T²"}


def orders(domains: int) -> list[tuple[int, ...]]:
    """All orders of up to three domains; of more, six different ones at random, the same each time."""
    if domains <= 3:
        return list(permutations(range(domains)))
    rng, found = np.random.default_rng(0), {}
    while len(found) < MAX_ORDERS:
        found[tuple(rng.permutation(domains).tolist())] = None
    return list(found)


def without_forgetting(logits, targets, settings):
    """Li & Hoiem's loss (member,); targets: labels and recorded probabilities softened by T; settings: `strength`."""
    labels, recorded = targets
    held = divergence(recorded, tf.nn.log_softmax(logits / TEMPERATURE))
    return cross_entropy(logits, (labels,)) + settings["strength"] * held


class Passes:
    """One dataset's passes: `results` has the accuracy after each domain, `ffnn` that of mixed batches."""

    def __init__(self, dataset, settings, progress=None):
        self.problem = problem = Problem(dataset, replace(settings, seeds=min(settings.seeds, MAX_SEEDS)), progress)
        self.orders = orders(problem.domains)
        self.split, self.scored = _scored(problem)
        self.results = pd.concat([self._score(*phase) for phase in enumerate(self._phases(), 1)], ignore_index=True)
        self.ffnn = accuracy(
            predict(plain_network(problem).weights, problem.scaled(self.scored.x)), self.scored.y
        )  # (seed,)

    @property
    def updates(self) -> list[int]:
        """Updates on the first, second, ... domain of each order: `ffnn`'s in equal parts."""
        problem = self.problem
        parts = np.array_split(np.arange(problem.steps * problem.settings.epochs), problem.domains)
        return [max(1, len(part)) for part in parts]

    def _phases(self) -> Iterator[list[np.ndarray]]:
        """Weights after each domain; members are (method, order, seed), the last varying fastest."""
        problem, copies = self.problem, len(TITLES) * len(self.orders)
        weights = [np.tile(w, (copies, 1, 1)) for w in problem.initial_weights()]
        for phase, updates in enumerate(self.updates):
            recorded = soften(predict(weights, problem.x), TEMPERATURE)  # (member, n, classes)
            now = min(phase, 1) * np.array(list(STRENGTHS.values()))  # in the first domain there is nothing to forget
            strength = np.repeat(now, len(self.orders) * len(problem.seeds))
            plan = TrainingPlan(
                f"domain {phase + 1} of {problem.domains}", weights, problem.x, (problem.labels, recorded),
                without_forgetting, self._batches(phase, updates), loop.cosine(problem.settings.learning_rate, updates),
                {"strength": strength},
            )  # fmt: skip
            weights = problem.run(plan).weights
            yield weights

    def _batches(self, phase: int, updates: int) -> Together:
        """Batches of each order's own domain in a phase."""
        problem = self.problem
        epochs, extra = divmod(updates, problem.steps)
        size, seeds = problem.settings.batch_size, tuple(problem.seeds)
        single = [Shuffled(rows, size, problem.steps, epochs, seeds, extra) for rows in problem.domain_rows]
        return Together(tuple(single[order[phase]] for order in self.orders) * len(TITLES))

    def _score(self, phase: int, weights) -> pd.DataFrame:
        """Accuracy of each member overall and on each domain, after some number of domains."""
        x, y, d = self.problem.scaled(self.scored.x), self.scored.y, self.scored.d
        logits = predict(weights, x)
        names = ["-".join(map(str, order)) for order in self.orders]
        members = pd.MultiIndex.from_product([TITLES, names, self.problem.seeds], names=["method", "order", "seed"])
        values = {str(k): accuracy(logits[:, d == k], y[d == k]) for k in np.unique(d)}
        wide = pd.DataFrame({"all": accuracy(logits, y)} | values, members).rename_axis(columns="domain")
        tidy = wide.stack().rename("value").reset_index()
        return tidy.assign(dataset=self.problem.dataset.name, split=self.split, phase=phase, metric="accuracy")


def _scored(problem: Problem) -> tuple[str, Split]:
    """What accuracies are of: the reported split, or where its points' domains are not told, one where they are."""
    splits = {problem.reported: problem.splits[problem.reported], "selection": problem.select, "train": problem.train}
    return next((name, split) for name, split in splits.items() if split.d is not None)


def by_domain(results: pd.DataFrame) -> pd.DataFrame:
    """A row per method, order, domain and seed: `place` in the order, accuracy when `learned` and at the `end`.

    `forgotten` is their difference (Chaudhry et al. 2018, with the accuracy when learned in place of the best since);
    NaN for the last domain of an order, after which nothing comes.
    """
    each = results[results.domain != "all"]
    wide = each.pivot(index=["method", "order", "domain", "seed"], columns="phase", values="value")
    places = np.array([order.split("-").index(k) for _, order, k, _ in wide.index], int)
    phases = wide.to_numpy()
    found = pd.DataFrame({"place": places + 1, "learned": phases[np.arange(len(phases)), places]}, wide.index)
    found["end"] = phases[:, -1]
    found["forgotten"] = (found.learned - found.end).where(found.place < phases.shape[1])
    return found.reset_index()


def intervals(values: pd.DataFrame, column: str, *by: str) -> pd.DataFrame:
    """Mean, low, high: 95 % interval over seeds of what was first averaged within each seed, for each group of `by`."""
    seeds = values.dropna(subset=column).groupby([*by, "seed"], sort=False)[column].mean()
    rows = [[*key, each.mean(), *interval(each)] for key, each in seeds.groupby(list(by), sort=False)]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high"])


def at_the_end(results: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent after the last domain, a row per method and order, a column per domain: mean over seeds."""
    last = results[results.phase == results.phase.max()]
    table = last.pivot_table(index=["method", "order"], columns="domain", values="value")
    return 100 * table.loc[list(TITLES)].rename(index=BRIEF, level="method")


def forest(results: pd.DataFrame) -> pd.DataFrame:
    """Forgetting of each order, mean of its domains, as `plots.forest` wants it; a panel per method."""
    frame = intervals(by_domain(results), "forgotten", "method", "order")
    frame["label"] = [order.replace("-", ", then ") for order in frame.order]
    frame["dataset"] = pd.Categorical(frame.method.map(TITLES), list(TITLES.values()))
    return frame.sort_values("dataset", kind="stable").astype({"dataset": object})


def table(results: pd.DataFrame) -> pd.DataFrame:
    """Forgetting in points per order and domain: mean and interval over seeds, a column per method."""
    digits, each = tidy.digits(results.split.iloc[0]), by_domain(results).dropna()
    groups = 100 * each.set_index(["order", "domain", "method"])["forgotten"]
    cells = groups.groupby(level=groups.index.names).agg(lambda lost: difference(lost.mean(), *interval(lost), digits))
    cells = cells.unstack("method")
    return cells[[key for key in TITLES if key in cells]].rename(columns=TITLES).rename_axis(columns=None)


def finding(results: pd.DataFrame, ffnn: np.ndarray) -> str:
    """What one pass costs, and what the term changes, in sentences."""
    each = by_domain(results)
    if each.place.max() == 1:
        return "There is one domain, so its order is moot: one pass is the direct training."
    per_seed = each.assign(later=each.learned.where(each.place > 1)).groupby(["method", "seed"])
    per_seed = per_seed[["forgotten", "later"]].mean()
    last = results[(results.phase == results.phase.max()) & (results.domain == "all")]
    per_seed["overall"] = last.groupby(["method", "seed"])["value"].mean()
    plain, digits, lines = per_seed.loc["plain"], tidy.digits(results.split.iloc[0]), []

    def mean(form, values):
        return form(np.mean(values), *interval(values), digits=digits)

    for key in TITLES:
        mine, worst = per_seed.loc[key], each[each.method == key].groupby(["order", "domain"])["forgotten"].mean()
        order, k = worst.idxmax()
        line = (
            f"- **{TITLES[key]}**: a later domain is learned to an accuracy of {mean(estimate, mine.later)}; "
            f"forgetting is {mean(points, mine.forgotten)}, and largest of domain {k} in the order "
            f"{order.replace('-', ', ')} ({points(worst.max(), digits=digits)}); over all domains the pass ends at "
            f"{mean(estimate, mine.overall)}"
        )
        if key != "plain":
            less = _less(mine.forgotten - plain.forgotten, "forgetting")
            line += f": against no term, {less} and {_less(mine.overall - plain.overall, 'accuracy at the end')}"
        lines.append(f"{line}.")
    return (
        f"One pass, mean of {results.order.nunique()} orders and {len(plain)} seeds (95 % intervals over seeds):\n\n"
        + "\n".join(lines)
        + f"\n\nThe network that sees all domains mixed reaches {mean(estimate, ffnn)} with the same number of "
        f"updates: {_less(plain.overall.to_numpy() - ffnn, 'accuracy')} in one pass without the term."
    )


def _less(difference, what: str) -> str:
    low, high = interval_of_differences(difference)
    return f"more {what}" if low > 0 else f"less {what}" if high < 0 else f"no significant difference in {what}"
