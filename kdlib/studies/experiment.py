"""All methods on one dataset: what the template notebook calls, cell by cell.

An `Experiment` runs methods of the registry, scores each on every split, notes its predictions on a grid for the
decision boundaries, and writes it all down. Leaves out figures (`plots`) and what the numbers mean.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import Dataset
from kdlib.evaluation import metrics, results  # noqa: F401  all methods register
from kdlib.methods import kernel_teachers, methods, original  # noqa: F401  all methods register
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS, Trained
from kdlib.plots.plane import Plane
from kdlib.settings import Settings
from kdlib.training.loop import Fit


def data_path(dataset: str) -> Path:
    """Where a dataset is: the path as given or, wherever Jupyter was started, the one in the project's `data/`."""
    path = Path(dataset)
    if path.exists() or path.is_absolute():
        return path
    in_project = Path(__file__).resolve().parents[2] / "data" / path.name
    return in_project if in_project.exists() else path


class Experiment:
    """Methods on one dataset. `run` each in turn; then `results`, `table()`, `maps` and `write`."""

    def __init__(self, dataset: Dataset, study: Settings, progress=None, fraction: float = 1.0):
        self.dataset, self.study = dataset, study
        self.problem = Problem(dataset, study, progress, fraction)
        self.plane = Plane(dataset.train.x)
        self.trained: dict[str, Trained] = {}
        self.left_out: dict[str, str] = {}  #: methods that make no sense here, with the reason
        self.rungs: pd.DataFrame | None = None
        self._bins: dict[str, list[np.ndarray]] = {}
        self._scores: list[pd.DataFrame] = []
        self.maps = {
            "axis0": self.plane.axis0, "axis1": self.plane.axis1, "plane": np.array(int(self.plane.is_projection)),
            "points": self.plane.project(dataset.train.x), "points_y": dataset.train.y, "points_d": dataset.train.d,
        }  # fmt: skip
        if self.problem.distance is not None:
            self.maps["distance"] = np.array(self.problem.distance)
            self.run("bayes")

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the methods that ran, by name."""
        return {name: METHODS[name].title for name in self.trained}

    def run(self, name: str) -> Trained | None:
        """Trains and scores a method of the registry; None if it makes no sense on this dataset (see `left_out`)."""
        if name not in METHODS:
            raise KeyError(f"no method {name!r}; there are {', '.join(METHODS)}")
        if METHODS[name].fresh_only and self.problem.distance is None:
            self.left_out[name] = "the law of these data is not known"
            return None
        if METHODS[name].several and self.problem.domains == 1:
            self.left_out[name] = "there is one domain"
            return None
        self.trained[name] = trained = METHODS[name].run(self.problem)
        for split_name, split in self.problem.splits.items():
            if trained.told_domain and split.d is None:
                self.left_out[name] = f"the {split_name} split does not tell the domain"
                continue
            tally = results.tally(split, trained.log_probabilities, trained.teacher)
            self._scores.append(results.frame(self.dataset.name, name, split_name, tally))
            if split_name == self.problem.reported:
                self._bins[name] = [values.mean(axis=0) for values in tally.reliability()]
        if not trained.told_domain:
            self._map(name, trained.log_probabilities(self.plane.grid, None))
        return trained

    def run_all(self, *names: str) -> pd.DataFrame:
        """Runs several methods; what each is and its mean accuracy on the reported split, or why it was left out."""
        for name in names:
            self.run(name)
        accuracy = self.accuracy()
        rows = {
            METHODS[name].title: [METHODS[name].what if name in self.trained else self.left_out[name],
                                  accuracy.get(name, (np.nan,))[0]]
            for name in names
        }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index", columns=["what", "accuracy"]).rename_axis("method")

    def map_teachers(self) -> dict[str, str]:
        """Adds each teacher's own map, named `teacher_0`, ...; returns their titles."""
        logits = self.problem.teacher_logits(self.plane.grid)
        for k, each in enumerate(logits):
            self._map(f"teacher_{k}", each - np.logaddexp.reduce(each, axis=2, keepdims=True))
        return {f"teacher_{k}": f"Teacher of domain {k}" for k in range(len(logits))}

    def climb(self) -> pd.DataFrame:
        """Tries the replica's faults one after the other, and the original's own explanations; see `replica.climb`."""
        self.rungs = original.climb(self.problem)
        return self.rungs

    def _map(self, name: str, log_p: np.ndarray) -> None:
        shape = (log_p.shape[2], len(self.plane.axis1), len(self.plane.axis0))
        votes = np.stack([(log_p.argmax(axis=2) == c).mean(axis=0) for c in range(shape[0])])
        self.maps[f"{name}/mean"] = np.exp(log_p).mean(axis=0).T.reshape(shape).astype(np.float16)
        self.maps[f"{name}/votes"] = votes.reshape(shape).astype(np.float16)
        self.maps[f"{name}/seeds"] = log_p.argmax(axis=2).astype(np.uint8).reshape(-1, *shape[1:])

    @property
    def results(self) -> pd.DataFrame:
        """Tidy results of all methods that ran."""
        return pd.concat(self._scores, ignore_index=True)

    def accuracy(self, split: str | None = None) -> dict[str, tuple[float, float]]:
        """Mean and sd over seeds of each method's accuracy on a split; default: the reported split."""
        return results.means(self.results, split=split or self.problem.reported)

    @property
    def ceiling(self) -> float | None:
        """The best accuracy that there is on the reported split, where the law of the data is known."""
        return self.accuracy()["bayes"][0] if "bayes" in self.trained else None

    @property
    def students(self) -> dict[str, str]:
        """Titles of the methods that see the point and not its domain, by name."""
        return {n: title for n, title in self.titles.items() if n != "bayes" and not self.trained[n].told_domain}

    def curves(self, *names: str) -> dict[str, Fit]:
        """How the networks of some methods that predict were trained; of those that ran."""
        return {name: next(iter(self.trained[name].fits.values())) for name in names if name in self.trained}

    def reasons(self) -> pd.DataFrame:
        """Methods that were left out, or not scored on a split, and why."""
        rows = {METHODS[name].title: reason for name, reason in self.left_out.items()}
        return pd.DataFrame({"reason": pd.Series(rows, dtype=str)}).rename_axis("method")

    def describe(self, split: str) -> str:
        """A split in words: `the 300 test points`."""
        points = f"{len(self.problem.splits[split]):,}".replace(",", "\u202f")
        return f"{points} fresh points" if split == "fresh" else f"the {points} {split} points"

    def reliability(self, names=("ffnn", "kd_routed", "kd_gated", "kd_best")) -> pd.DataFrame:
        """Confidence, accuracy and share (`count`) of each bin on the reported split, means over seeds."""
        frames = [
            pd.DataFrame({"method": name, "confidence": confidence, "accuracy": right, "count": share})
            for name, (confidence, right, share) in self._bins.items()
            if name in names
        ]
        return pd.concat(frames, ignore_index=True)

    def honesty(self) -> pd.DataFrame:
        """Means over seeds of nll, ece and agreement with the teacher, on the reported split, a row per method."""
        rows = self.results[(self.results.split == self.problem.reported) & (self.results.domain == "all")]
        table = rows.groupby(["method", "metric"], sort=False)["value"].mean().unstack("metric")
        wanted = [metric for metric in ("nll", "ece", "agreement") if metric in table]
        return (
            table[wanted]
            .rename(index=self.titles, columns={"agreement": "agreement with teacher"})
            .rename_axis(columns=None)
        )

    def samples(self) -> pd.DataFrame:
        """Samples of each split, and what it is for."""
        problem = self.problem
        rows = {"train": (len(problem.train), "trains networks and teachers")}
        if self.dataset.test is None:
            rows["part of train"] = (len(problem.select), "is watched during training; selects")
        else:
            rows["valid"] = (len(problem.select), "is watched during training; selects")
        rows[self.dataset.reported] = (len(problem.report), "is reported")
        if "fresh" in problem.splits:
            rows["fresh"] = (len(problem.splits["fresh"]), "new draws of the same law; is reported")
        return pd.DataFrame.from_dict(rows, orient="index", columns=["samples", "what it does"]).rename_axis("split")

    def table(self, split: str | None = None) -> pd.DataFrame:
        """Mean and sd over seeds of the accuracy on a split, overall and per domain; default: the reported split."""
        split = split or self.problem.reported
        accuracy = self.results[(self.results.metric == "accuracy") & (self.results.split == split)]
        groups = accuracy.groupby(["method", "domain"], sort=False)["value"]
        table = groups.agg(mean="mean", sd="std").unstack("domain")
        domains = sorted((name for name in table.columns.levels[1] if name != "all"), key=int)
        named = {("mean", "all"): "mean", ("sd", "all"): "sd"} | {("mean", k): f"domain {k}" for k in domains}
        table = table[list(named)].set_axis(list(named.values()), axis=1)
        return table.rename(index=lambda name: METHODS[name].title).rename_axis(index="method")

    @property
    def methods(self) -> pd.DataFrame:
        """What each method is called and what it spent: updates per seed, of the student and of its teachers."""
        rows = {
            name: [METHODS[name].title, t.updates, t.teacher_updates, t.queries, t.told_domain]
            for name, t in self.trained.items()
        }
        columns = ["title", "updates", "updates of teachers", "queries", "told the domain"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("method")

    def write(self, output) -> str:
        """Writes results, methods and maps into a folder, and their checksums; returns a line that says so."""
        output = Path(output)
        output.mkdir(parents=True, exist_ok=True)
        results.write(self.results, output / "results.csv")
        self.methods.to_csv(output / "methods.csv", lineterminator="\n")
        if self.rungs is not None:
            self.rungs.to_csv(output / "ladder.csv", index=False, lineterminator="\n")
        np.savez_compressed(output / "boundaries.npz", **self.maps)
        return results.write_checksums(os.fspath(output))
