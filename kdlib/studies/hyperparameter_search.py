"""One search of the same size for direct training and for its students: are the settings fair to all?

Schedule, rate, weight decay and number of epochs: every combination, for every method, on the same few seeds, all as
members of one population per number of epochs. The lowest mean cross-entropy on the selection split wins; the
reported split is not looked at. Then the chosen settings and the default are compared on the reported split, over
more seeds. What varies is the plan of a registered method, so that what is searched is what the other pages report. Out
of scope: what teachers are made of, and the temperature.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd

from kdlib.evaluation.comparison import interval_of_differences
from kdlib.evaluation.formatting import counted, difference, percent, points
from kdlib.evaluation.metrics import accuracy
from kdlib.methods import METHODS, Problem, Role, Student, Trained
from kdlib.settings import Settings
from kdlib.training import loop
from kdlib.training.plan import TrainingPlan, repeat

BASELINE = "ffnn"
SCHEDULES = ("constant", "cosine")
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DECAYS = (0.0, 1e-3, 1e-2)
MAX_SEEDS, MAX_FINAL_SEEDS = 3, 10  #: of the search, and of the comparison after it
KEYS = ["schedule", "rate", "decay", "epochs"]
INTERVAL = ["mean", "low", "high"]  #: columns of `gains` and `students`


@dataclass(frozen=True)
class Setting:
    """One point of the grid."""

    schedule: str  #: constant, or cosine: down to zero along half a cosine
    rate: float  #: Adam's, at the start
    decay: float  #: decoupled weight decay, per step in units of the rate (Loshchilov & Hutter 2019)
    epochs: int

    def rates(self, steps: int) -> np.ndarray:
        """Learning rate of each of all steps (steps,)."""
        return loop.cosine(self.rate, steps) if self.schedule == "cosine" else np.full(steps, self.rate, np.float32)

    def __str__(self):
        decay = f"decay {self.decay:g}" if self.decay else "no decay"
        return f"{self.schedule} {self.rate:g}, {decay}, {counted(self.epochs, 'epoch')}"


def default_setting(settings: Settings) -> Setting:
    """What all methods of a report are trained with."""
    return Setting("cosine", settings.learning_rate, 0.0, settings.epochs)


def grid(settings: Settings) -> list[Setting]:
    """All settings; the default rate is among them, and the default epochs or a third of them."""
    rates = sorted({*RATES, settings.learning_rate})
    epochs = sorted({max(1, round(settings.epochs / 3)), settings.epochs})
    return [Setting(*each) for each in product(SCHEDULES, rates, DECAYS, epochs)]


def retrained(plan: TrainingPlan, settings: list[Setting], seeds: int) -> TrainingPlan:
    """The plan's first seeds with each setting, which agree in their epochs: members are (setting, seed)."""
    (epochs,) = {setting.epochs for setting in settings}
    plan = repeat(replace(plan, batches=replace(plan.batches, epochs=epochs)), len(settings), seeds)
    rates = np.stack([setting.rates(plan.batches.updates) for setting in settings], axis=1)
    decays = [setting.decay for setting in settings]
    return replace(plan, rates=np.repeat(rates, seeds, axis=1), weight_decay=np.repeat(decays, seeds))


def means(tried: pd.DataFrame) -> pd.Series:
    """Mean cross-entropy of each setting over seeds, by `Setting`; infinite where a seed diverged."""
    loss = tried.assign(loss=tried["loss"].fillna(np.inf)).groupby(KEYS, sort=False)["loss"].mean()
    return pd.Series({Setting(*key): value for key, value in loss.items()})


def choose(tried: pd.DataFrame) -> Setting:
    """The setting of the lowest mean cross-entropy on the selection split; one that diverged is not chosen."""
    return means(tried).idxmin()


class Search:
    """The search on one dataset; `run` each of `methods`, then `tried`, `reported` and `table()`."""

    def __init__(self, dataset, settings, progress=None):
        self.problem = Problem(dataset, replace(settings, seeds=min(settings.seeds, MAX_FINAL_SEEDS)), progress)
        self.default, self.grid = default_setting(self.problem.settings), grid(self.problem.settings)
        self.seeds = min(settings.seeds, MAX_SEEDS)
        self.chosen: dict[str, Setting] = {}
        self._tried, self._reported = [], []

    @cached_property
    def methods(self) -> dict[str, Student]:
        """The baselines and the summary's students, as defined; not those with a schedule or a search of their own."""
        compared = [m for m in METHODS.values() if m.role in (Role.BASELINE, Role.STUDENT) and m.in_summary]
        students = {m.name: m.define(self.problem) for m in compared if not m.unfit(self.problem)}
        return {name: student for name, student in students.items() if not student.choice and self._is_default(student)}

    def _is_default(self, student: Student) -> bool:
        return np.array_equal(student.plan.rates, self.default.rates(student.plan.batches.updates))

    def run(self, name: str) -> Setting:
        """Searches one method, and scores its chosen setting and the default; returns the chosen one."""
        student = self.methods[name]
        tried = pd.concat([self._try(name, student, epochs) for epochs in dict.fromkeys(s.epochs for s in self.grid)])
        self.chosen[name] = chosen = choose(tried)
        default = self._trained(student, student.plan)
        best = default
        if chosen != self.default:
            best = self._trained(student, retrained(student.plan, [chosen], len(self.problem.seeds)))
        self._tried.append(tried)
        self._reported += [self._score(name, "default", default), self._score(name, "chosen", best)]
        return chosen

    def _trained(self, student: Student, plan: TrainingPlan) -> Trained:
        return student.trained(self.problem, self.problem.run(plan))

    def _try(self, name: str, student: Student, epochs: int) -> pd.DataFrame:
        """Loss and accuracy of every setting of so many epochs on the selection split."""
        settings = [setting for setting in self.grid if setting.epochs == epochs]
        plan = replace(retrained(student.plan, settings, self.seeds), task=f"search: {name}")
        watched = self.problem.run(plan).watched
        members = [{"method": name, **vars(s), "seed": seed} for s in settings for seed in range(self.seeds)]
        return pd.DataFrame(members).assign(**{metric: each[-1] for metric, each in watched.items()})

    def _score(self, name, which, trained) -> pd.DataFrame:
        split = self.problem.splits[self.problem.reported]
        right = accuracy(trained.log_probabilities(split.x, None), split.y)
        return pd.DataFrame({"method": name, "settings": which, "seed": range(len(right)), "accuracy": right})

    @property
    def tried(self) -> pd.DataFrame:
        """Every setting and seed of every method: cross-entropy (loss) and accuracy on the selection split."""
        return pd.concat(self._tried, ignore_index=True).assign(dataset=self.problem.dataset.name)

    @property
    def reported(self) -> pd.DataFrame:
        """Accuracy on the reported split, with the chosen setting and the default: a row per method and seed."""
        return pd.concat(self._reported, ignore_index=True)

    def losses(self) -> pd.DataFrame:
        """Lowest mean loss at each rate, over decays and epochs: a row per method and schedule, a column per rate."""
        every = {
            (METHODS[name].title, s.schedule, s.rate): loss
            for name in self.chosen
            for s, loss in sorted(means(self.tried[self.tried.method == name]).items(), key=lambda pair: -pair[1])
        }  # of equal keys the last stays: the lowest
        table = pd.Series(every).replace(np.inf, np.nan).unstack().rename(columns="{:g}".format)
        return table.set_axis([f"{title}, {schedule}" for title, schedule in table.index])

    def table(self) -> pd.DataFrame:
        """Per method: what was chosen, its loss, the rank and the loss of the default."""
        rows = {}
        for name, chosen in self.chosen.items():
            losses = means(self.tried[self.tried.method == name])
            rank = f"{int((losses < losses[self.default]).sum()) + 1} of {len(losses)}"
            rows[METHODS[name].title] = [str(chosen), losses[chosen], rank, losses[self.default]]
        columns = ["chosen", "loss, chosen", "rank of the default", "loss, default"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")


def gains(reported: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with the default setting, with the chosen one, and the paired difference with its interval."""
    rows = {}
    for name, each in reported.groupby("method", sort=False):
        wide = each.pivot(index="seed", columns="settings", values="accuracy")
        gain = wide["chosen"] - wide["default"]
        rows[METHODS[name].title] = [
            wide["default"].mean(),
            wide["chosen"].mean(),
            gain.mean(),
            *interval_of_differences(gain),
        ]
    columns = ["default", "chosen", "mean", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")


def gains_table(table: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """`gains` as words: accuracies in percent, the difference in percentage points with its interval."""
    words = table[["default", "chosen"]].map(lambda accuracy: percent(accuracy, digits)).add_prefix("accuracy, ")
    gain = [difference(*(100 * row), digits) for row in table[INTERVAL].to_numpy()]
    return words.assign(**{"difference, points": gain})


def students(reported: pd.DataFrame) -> pd.DataFrame:
    """Each student against direct training, each with its chosen setting: paired differences with intervals."""
    wide = reported[reported.settings == "chosen"].pivot(index="seed", columns="method", values="accuracy")
    differences = {METHODS[name].title: wide[name] - wide[BASELINE] for name in wide.columns.drop(BASELINE)}
    rows = {title: [each.mean(), *interval_of_differences(each)] for title, each in differences.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"]).rename_axis("method")


def finding(reported: pd.DataFrame, default: Setting, digits: int = 2) -> str:
    """Whether the default setting is fair to all methods, and who wins with the chosen ones, in sentences.

    digits: of percentage points.
    """
    gain, versus = gains(reported), students(reported)
    better = [f"{title} ({points(*line[INTERVAL], digits)})" for title, line in gain.iterrows() if line.low > 0]
    fair = len(gain) - len(better)
    text = (
        f"As far as {reported.seed.nunique()} seeds show, the default setting ({default}) is as good as what the "
        f"search chose for **{fair} of {len(gain)}** methods"
        + (f"; the choice is better for {', '.join(better)}. " if better else ". ")
        + "With the setting chosen for each, against direct training: "
    )
    if gain.low.isna().any():
        text = "With one seed there are no intervals, and nothing is shown. " + text
    return (
        text
        + "; ".join(
            f"{title} {_verdict(line)} ({points(*line[INTERVAL], digits)})" for title, line in versus.iterrows()
        )
        + "."
    )


def _verdict(line) -> str:
    return "is better" if line.low > 0 else "is worse" if line.high < 0 else "shows no difference"
