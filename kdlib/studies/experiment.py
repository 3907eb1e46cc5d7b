"""All methods on one dataset: what the template notebook calls, cell by cell.

An `Experiment` runs registered methods, scores each on every split, maps its decisions, and writes it all down. Out of
scope: what a map is (`decision_maps`), tables (`experiment_tables`), figures (`plots`) and what the numbers mean
(`findings`).
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import Dataset
from kdlib.data.published import published
from kdlib.evaluation import metrics, results
from kdlib.evaluation.formatting import whole
from kdlib.methods import METHODS, Method, Problem, Student, Trained, external_teachers, original
from kdlib.methods.network_teachers import domain_teachers
from kdlib.methods.portfolio import Portfolio
from kdlib.models import keras_file
from kdlib.models.networks import Networks
from kdlib.settings import Settings
from kdlib.studies.decision_maps import DecisionMaps
from kdlib.training.loop import Fit
from kdlib.training.networks import threads

REGISTERED = "title description role section in_summary uses_domain teacher control_of isolates".split()
OUTCOMES = ["updates", "teacher_updates", "queries", "choice", "learns_from"]


def data_path(dataset: str) -> Path:
    """Where a dataset is: the path as given or, wherever Jupyter was started, the one in the project's `data/`."""
    path = Path(dataset)
    if path.exists() or path.is_absolute():
        return path
    in_project = Path(__file__).resolve().parents[2] / "data" / path.name
    return in_project if in_project.exists() else path


def cores() -> int:
    """Processor cores for this process and its helpers: as many as `KDLIB_CORES` says, all if it says nothing."""
    given = os.environ.get("KDLIB_CORES", "")
    return int(given) if given.isdecimal() and int(given) else os.cpu_count() or 1


class Experiment:
    """Methods on one dataset. `run` some, or a whole section of them; then `results`, `maps` and `write`."""

    def __init__(self, dataset: Dataset, settings: Settings, progress=None, fraction: float = 1.0, cores: int = 1):
        self.dataset, self.settings = dataset, settings
        self.problem = Problem(dataset, settings, progress, fraction, cores=cores)
        self.trained: dict[str, Trained] = {}
        self.left_out: dict[str, str] = {}  #: methods that make no sense here, with the reason
        self.ablation: pd.DataFrame | None = None
        self.candidates: pd.DataFrame | None = None
        self.networks: Networks | None = None
        self.bins: dict[str, tuple[np.ndarray, ...]] = {}  #: (seed, bin): `metrics`' reliability of each method
        self._scores: list[pd.DataFrame] = []
        self._maps = DecisionMaps(dataset.train)
        if self.problem.distribution is not None:
            self.run(results.BAYES)

    def run(self, name: str, defined: Student | Trained | None = None) -> Trained | None:
        """Trains and scores a registered method; None if it makes no sense on this dataset (see `left_out`).

        defined: as in `Method.train`.
        """
        if name not in METHODS:
            raise KeyError(f"no method {name!r}; there are {', '.join(METHODS)}")
        method = METHODS[name]
        if reason := method.unfit(self.problem):
            silent = method.needs_original or (method.needs_answers and self.dataset.train.t is None)
            if not silent:  # of most datasets there is nothing to say about such methods
                self.left_out[name] = reason
            return None
        self.trained[name] = trained = method.train(self.problem, defined)
        for split_name, split in self.problem.splits.items():
            if method.uses_domain and split.d is None:
                self.left_out[name] = f"the {split_name} split does not tell the domain"
                continue
            scores, reliability = self._score(method, trained, split_name)
            self._scores.append(results.frame(self.dataset.name, name, split_name, scores))
            if split_name == self.problem.reported:
                self.bins[name] = reliability
        if not method.uses_domain:
            self._maps.add(name, trained.log_probabilities(self._maps.plane.grid, None))
            if method.in_summary and trained.weights:
                self._maps.add_early(name, trained.fits["student"], self.problem)
        return trained

    def _score(self, method: Method, trained: Trained, split: str) -> tuple[dict, tuple[np.ndarray, ...]]:
        """Every metric on a split, as `Accumulator.values` has them, and its reliability; computed once, if cached."""
        problem, cache = self.problem, self.problem.cache
        data = self.dataset.sha256 or self.dataset
        key = cache.key(results.score, method.define, data, self.settings, problem.fraction, split, threads())
        if (kept := cache.get(key)) is None:
            scores = results.score(problem.splits[split], trained.log_probabilities, trained.target)
            kept = [[[*which, each] for which, each in scores.values().items()], scores.reliability()]
            cache.put(key, kept)
        scores, reliability = kept
        return {(domain, metric): each for domain, metric, each in scores}, tuple(reliability)

    def run_all(self, *names: str) -> pd.DataFrame:
        """Runs several methods; what each is and its mean accuracy on the reported split, or why it was left out."""
        missing = [name for name in names if name not in self.trained]
        begun = self._begin(missing) if self.problem.helpers.count else {}
        for name in missing:
            self.run(name, begun.get(name))
        names = [name for name in names if name in self.trained or name in self.left_out]
        accuracy = self.accuracy() if self._scores else {}
        rows = {
            METHODS[name].title: [METHODS[name].description if name in self.trained else self.left_out[name],
                                  accuracy.get(name, (np.nan,))[0]]
            for name in names
        }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index", columns=["description", "accuracy"]).rename_axis("method")

    def _begin(self, names: list[str]) -> dict[str, Student | Trained]:
        """Begins all that make sense on this dataset, so that helpers can train them; what `Method.begin` returned."""
        methods = {name: METHODS[name] for name in names if name in METHODS}
        return {name: method.begin(self.problem) for name, method in methods.items() if not method.unfit(self.problem)}

    def run_section(self, section: str) -> pd.DataFrame:
        """Runs all methods registered for a section of a notebook, as `run_all` does."""
        return self.run_all(*(name for name, method in METHODS.items() if method.section == section))

    def map_teachers(self) -> dict[str, str]:
        """Adds each network teacher's own map, named `teacher_0`, ...; returns their titles."""
        for k, teacher in enumerate(self.problem.once(domain_teachers)):
            logits = teacher.logits(self._maps.plane.grid)
            self._maps.add(f"teacher_{k}", logits - np.logaddexp.reduce(logits, axis=2, keepdims=True))
        return {f"teacher_{k}": f"Teacher of domain {k}" for k in range(self.problem.domains)}

    def external_teachers(self) -> pd.DataFrame:
        """What the teachers reach that the dataset brings; see `external_teachers.reached`."""
        return external_teachers.reached(self.problem)

    def portfolio(self) -> pd.DataFrame:
        """The candidates of the portfolio: kind, temperature, cross-entropy out of fold, and weight."""
        self.candidates = self.problem.once(Portfolio).table()
        return self.candidates

    def student(self) -> Networks:
        """The networks of the summary's methods, and the one that is chosen of them on the selection split.

        Its method has the lowest cross-entropy there, on average over the seeds, and it the lowest of its method.
        """
        problem, split = self.problem, self.problem.select
        kept = {name: self.trained[name] for name in self.ran(in_summary=True) if self.trained[name].weights}
        losses = {name: metrics.nll(each.log_probabilities(split.x, None), split.y) for name, each in kept.items()}
        losses = {name: np.where(np.isfinite(loss), loss, np.inf) for name, loss in losses.items()}
        chosen = min(losses, key=lambda name: losses[name].mean())
        self.networks = Networks.of(
            {name: each.weights for name, each in kept.items()}, problem.mean, problem.deviation,
            dataset=self.dataset.name, sha256=self.dataset.sha256, settings=asdict(self.settings),
            method=chosen, seed=int(losses[chosen].argmin()),
            activations={name: each.activation for name, each in kept.items()},
            titles={name: METHODS[name].title for name in kept},
            **self.dataset.called,
        )  # fmt: skip
        return self.networks

    def cumulative_ablation(self) -> pd.DataFrame:
        """Fixes the replica's deviations one after the other; see `original.cumulative_ablation`."""
        self.ablation = original.cumulative_ablation(self.problem)
        return self.ablation

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """What methods decide around the training points; see `DecisionMaps`."""
        return self._maps.arrays

    def ran(self, *roles: str, in_summary: bool | None = None) -> dict[str, Method]:
        """The methods that ran, by name: those of some roles, if any are given, and in the summary or not."""
        methods = {name: METHODS[name] for name in self.trained}
        return {
            name: method
            for name, method in methods.items()
            if (not roles or method.role in roles) and in_summary in (None, method.in_summary)
        }

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the methods that ran, by name."""
        return {name: method.title for name, method in self.ran().items()}

    @property
    def students(self) -> dict[str, str]:
        """Titles of the methods that see the point and not its domain, by name, without Bayes."""
        return {name: m.title for name, m in self.ran().items() if name != results.BAYES and not m.uses_domain}

    @property
    def results(self) -> pd.DataFrame:
        """Tidy results of all methods that ran."""
        return pd.concat(self._scores, ignore_index=True)

    def accuracy(self, split: str | None = None) -> dict[str, tuple[float, float]]:
        """Mean and sd over seeds of each method's accuracy on a split; default: the reported split."""
        return results.means(self.results, split=split or self.problem.reported)

    @property
    def ceiling(self) -> float | None:
        """The best accuracy that there is on the reported split, where the distribution is known."""
        return self.accuracy()[results.BAYES][0] if results.BAYES in self.trained else None

    def curves(self) -> dict[str, Fit]:
        """How networks that predict were trained, of the baseline, its variants and the students in the summary."""
        trained = {name: next(iter(self.trained[name].fits.values()), None) for name in self.ran(in_summary=True)}
        return {name: fit for name, fit in trained.items() if fit is not None}

    def describe(self, split: str) -> str:
        """A split in words: `the 300 test points`."""
        points = whole(len(self.problem.splits[split]))
        return f"{points} fresh points" if split == "fresh" else f"the {points} {split} points"

    def digits(self, split: str | None = None) -> int:
        """Decimals that percentages of a split deserve; default: the reported split."""
        return results.digits(split or self.problem.reported)

    @property
    def methods(self) -> pd.DataFrame:
        """What is registered of each method that ran, and what it cost per seed, of the student and of its teachers."""
        rows = {
            name: [getattr(method, column) for column in REGISTERED]
            + [getattr(self.trained[name], c) for c in OUTCOMES]
            for name, method in self.ran().items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=[*REGISTERED, *OUTCOMES]).rename_axis("method")

    def write(self, output, card: str = "", **tables: pd.DataFrame) -> str:
        """Writes results, methods, facts and maps into a folder, and their checksums; returns a line that says so.

        card: of the student, if there is one, which is then written too. tables: others to write, by name.
        """
        output = Path(output)
        output.mkdir(parents=True, exist_ok=True)
        results.write(self.results, output / "results.csv")
        self.methods.to_csv(output / "methods.csv", lineterminator="\n")
        for name, table in ({"ablation": self.ablation, "portfolio": self.candidates} | tables).items():
            if table is not None:
                table.to_csv(output / f"{name}.csv", index=False, lineterminator="\n")
        distribution = self.problem.distribution
        facts = {"distribution": distribution and distribution.name, "published": published(distribution)}
        (output / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        np.savez_compressed(output / "boundaries.npz", **self.maps)
        if self.networks is not None:
            self.networks.write(output / "student.npz")
            keras_file.write(output / "student.keras", self.networks, *map(self.networks.about.get, ("method", "seed")))
            (output / "student.md").write_text(f"# The student of {self.dataset.name}\n\n{card}", encoding="utf-8")
        return results.write_checksums(output)
