"""One search of the same size for the network trained directly and for its students: are the settings fair to all?

Schedule, rate, weight decay and number of epochs: every combination, for every method, on the same few seeds, all as
members of one population per number of epochs. The lowest mean cross-entropy on the selection split wins; the
reported split is not looked at. Then the chosen settings and the study's own are compared on the reported split, over
more seeds. A method is run as it is registered, and its student's training noted and repeated with other settings, so
that what is searched is what the other pages report. Leaves out what teachers are made of and the temperature.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from kdlib.evaluation.comparison import interval
from kdlib.evaluation.formatting import counted, difference
from kdlib.evaluation.metrics import accuracy
from kdlib.methods import kernel_teachers  # noqa: F401  kernels registers kd_best
from kdlib.methods.methods import student
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS
from kdlib.settings import Settings
from kdlib.training import loop
from kdlib.training.losses import cross_entropy

SEARCHED = ("ffnn", "kd_routed", "kd_gated", "kd_best")
SCHEDULES = ("constant", "cosine")
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DECAYS = (0.0, 1e-3, 1e-2)
SEEDS, MORE_SEEDS = 3, 10  #: at most, of the search and of the comparison after it
KEYS = ["schedule", "rate", "decay", "epochs"]
FOUND = ["mean", "low", "high"]  #: columns of `gains` and `students`


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


def usual(study: Settings) -> Setting:
    """What the study trains all methods with."""
    return Setting("cosine", study.learning_rate, 0.0, study.epochs)


def grid(study: Settings) -> list[Setting]:
    """All settings; the study's own rate is among them, and its epochs or a third of them."""
    rates = sorted({*RATES, study.learning_rate})
    epochs = sorted({max(1, round(study.epochs / 3)), study.epochs})
    return [Setting(*each) for each in product(SCHEDULES, rates, DECAYS, epochs)]


class Noting(Problem):
    """A problem that notes how each searched method's student is trained, to train it again otherwise."""

    def __init__(self, dataset, study, progress=None):
        super().__init__(dataset, replace(study, seeds=min(study.seeds, MORE_SEEDS)), progress)
        self.noted = {}

    def fit(self, task, targets, loss=cross_entropy, *, batches=None, steps=None, **more):
        if task in SEARCHED:
            batches = list(self.mixed(steps=steps) if batches is None else batches)
            self.noted[task] = {"targets": targets, "loss": loss, "batches": batches, **more}
        return super().fit(task, targets, loss, batches=batches, steps=steps, **more)

    def again(self, task: str, settings: list[Setting], seeds: int) -> loop.Fit:
        """Trains a noted student with each setting, which agree in their epochs: members are (setting, seed)."""
        (epochs,) = {setting.epochs for setting in settings}
        more = dict(self.noted[task])
        targets, loss, batches = more.pop("targets"), more.pop("loss"), more.pop("batches")[:epochs]
        more.pop("rates", None)
        weights, x, watch = more.pop("weights", None), more.pop("x", None), more.pop("watch", None)

        def copies(array):  # of what is each member's own
            array = np.asarray(array)
            return np.tile(array[:seeds], (len(settings),) + (1,) * (array.ndim - 1))

        steps = sum(map(len, batches))
        return loop.fit(
            [copies(w) for w in (self.start() if weights is None else weights)],
            self.x if x is None else x if np.ndim(x) == 2 else copies(x),
            tuple(t if np.ndim(t) == 2 else copies(t) for t in targets),
            loss,
            (np.tile(index[:, :seeds], (1, len(settings), 1)) for index in batches),
            np.repeat(np.stack([setting.rates(steps) for setting in settings], axis=1), seeds, axis=1),
            weight_decay=np.repeat([setting.decay for setting in settings], seeds),
            settings={name: copies(value) if np.ndim(value) else value for name, value in more.items()},
            watch=(self.scaled(self.select.x) if watch is None else watch, np.eye(self.classes)[self.select.y]),
            progress=self.progress and (lambda epoch: self.progress(f"search: {task}", epoch, epochs)),
        )  # fmt: skip


def means(tried: pd.DataFrame) -> pd.Series:
    """Mean cross-entropy of each setting over seeds, by `Setting`; infinite where a seed diverged."""
    loss = tried.assign(loss=tried["loss"].fillna(np.inf)).groupby(KEYS, sort=False)["loss"].mean()
    return pd.Series({Setting(*key): value for key, value in loss.items()})


def choose(tried: pd.DataFrame) -> Setting:
    """The setting of the lowest mean cross-entropy on the selection split; one that diverged is not chosen."""
    return means(tried).idxmin()


class Search:
    """The search on one dataset; `run` each method, then `tried`, `reported` and `table()`."""

    def __init__(self, dataset, study, progress=None):
        self.problem = Noting(dataset, study, progress)
        self.usual, self.grid = usual(self.problem.study), grid(self.problem.study)
        self.seeds = min(study.seeds, SEEDS)
        self.chosen: dict[str, Setting] = {}
        self._tried, self._reported = [], []

    def run(self, name: str) -> Setting:
        """Searches one method, and scores its chosen settings and the study's own; returns the chosen ones."""
        own = METHODS[name].run(self.problem)
        tried = pd.concat([self._try(name, epochs) for epochs in dict.fromkeys(s.epochs for s in self.grid)])
        self.chosen[name] = chosen = choose(tried)
        best = own if chosen == self.usual else student(
            self.problem, self.problem.again(name, [chosen], self.problem.study.seeds)
        )  # fmt: skip
        self._tried.append(tried)
        self._reported += [self._score(name, "study's own", own), self._score(name, "chosen", best)]
        return chosen

    def _try(self, name: str, epochs: int) -> pd.DataFrame:
        """Loss and accuracy of every setting of so many epochs on the selection split."""
        settings = [setting for setting in self.grid if setting.epochs == epochs]
        watched = self.problem.again(name, settings, self.seeds).watched
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
        """Accuracy on the reported split, with the chosen settings and the study's own: a row per method and seed."""
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
        """Per method: what was chosen, its loss, the place and the loss of the study's own settings."""
        rows = {}
        for name, chosen in self.chosen.items():
            losses = means(self.tried[self.tried.method == name])
            place = f"{int((losses < losses[self.usual]).sum()) + 1} of {len(losses)}"
            rows[METHODS[name].title] = [str(chosen), losses[chosen], place, losses[self.usual]]
        columns = ["chosen", "loss, chosen", "place of the study's own", "loss, study's own"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")


def gains(reported: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with the study's own settings, with the chosen ones, and the paired difference with its interval."""
    rows = {}
    for name, each in reported.groupby("method", sort=False):
        wide = each.pivot(index="seed", columns="settings", values="accuracy")
        gain = wide["chosen"] - wide["study's own"]
        rows[METHODS[name].title] = [wide["study's own"].mean(), wide["chosen"].mean(), gain.mean(), *interval(gain)]
    columns = ["study's own", "chosen", "mean", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")


def students(reported: pd.DataFrame) -> pd.DataFrame:
    """Each student against `ffnn`, both with the settings chosen for them: paired differences with intervals."""
    wide = reported[reported.settings == "chosen"].pivot(index="seed", columns="method", values="accuracy")
    compared = {METHODS[name].title: wide[name] - wide["ffnn"] for name in SEARCHED[1:] if name in wide}
    rows = {title: [each.mean(), *interval(each)] for title, each in compared.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"]).rename_axis("method")


def finding(reported: pd.DataFrame, own: Setting) -> str:
    """Whether the study's own settings are fair to all methods, and who wins with the chosen ones, in sentences."""
    gain, versus = gains(reported), students(reported)
    better = [f"{title} ({difference(*line[FOUND])})" for title, line in gain.iterrows() if line.low > 0]
    fair = len(gain) - len(better)
    text = (
        f"As far as {reported.seed.nunique()} seeds show, the study's own settings ({own}) are as good as what the "
        f"search chose for **{fair} of {len(gain)}** methods"
        + (f"; the choice is better for {', '.join(better)}. " if better else ". ")
        + "With the settings chosen for each, against the network trained directly: "
    )
    if gain.low.isna().any():
        text = "With one seed there are no intervals, and nothing is shown. " + text
    return (
        text
        + "; ".join(f"{title} {_verdict(line)} ({difference(*line[FOUND])})" for title, line in versus.iterrows())
        + "."
    )


def _verdict(line) -> str:
    return "is better" if line.low > 0 else "is worse" if line.high < 0 else "shows no difference"
