"""Tidy results: one row per number, in memory and on disk, and the checksums that end a run.

Columns are `dataset, method, seed, split, domain, metric, value`; `split` is valid, test or fresh, `domain` is
all, 0, 1, ... Out of scope: what the numbers mean.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data.dataset import Split, blocks
from kdlib.data.names import without_cut
from kdlib.evaluation.metrics import Accumulator

COLUMNS = ["dataset", "method", "seed", "split", "domain", "metric", "value"]
CHECKSUMS = "checksums.json"
MAX_DATASETS = 8  #: that the summary shows one by one
BAYES = "bayes"  #: not a method to compare, but what the others are compared with
RENAMED = {"kd_best": "kd_kernel_teachers"}  #: methods that older results know by another name
BLOCK = 20_480  #: points scored at once: of a hundred networks, some tens of megabytes


def frame(dataset: str, method: str, split: str, scores: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Every metric of a population on a split, overall and, where domains are known, some in each.

    scores: (domain, metric) -> (member,), as `Accumulator.values` has them.
    """
    return pd.concat(
        [
            pd.DataFrame({
                "dataset": dataset, "method": method, "seed": np.arange(len(values)),
                "split": split, "domain": domain, "metric": metric, "value": values,
            })
            for (domain, metric), values in scores.items()
        ],
        ignore_index=True,
    )[COLUMNS]  # fmt: skip


def score(split: Split, log_probabilities: Callable, target: Callable | None = None) -> Accumulator:
    """Scores a population on a split, block by block.

    log_probabilities, target: functions of points (n, features) and domains (n,) or None, as in `registry.Trained`.
    """
    scores = Accumulator()
    for rows in blocks(split.x, BLOCK):
        part = split.take(rows)
        scores.add(log_probabilities(part.x, part.d), part.y, part.d, target and target(part.x, part.d))
    return scores


def reported(results: pd.DataFrame) -> str:
    """The split that a dataset's results report: fresh points where there are any, else test, else valid."""
    there = set(results["split"])
    return next(split for split in ("fresh", "test", "valid") if split in there)


def digits(split: str) -> int:
    """Decimals that percentages on a split deserve: two of fresh points, which are many, else one."""
    return 2 if split == "fresh" else 1


def select(results: pd.DataFrame, metric: str = "accuracy", domain: str = "all", **equal) -> pd.DataFrame:
    """The rows of one metric, one domain and whatever else is asked to be equal, e.g. `split="fresh"`."""
    wanted = {"metric": metric, "domain": domain, **equal}
    return results[np.logical_and.reduce([results[column] == value for column, value in wanted.items()])]


def means(results: pd.DataFrame, **equal) -> dict[str, tuple[float, float]]:
    """Mean and sd over seeds of each method, in order of appearance, of what `select` gives."""
    groups = select(results, **equal).groupby("method", sort=False)["value"]
    return {name: (float(values.mean()), float(values.std())) for name, values in groups}


def write(results: pd.DataFrame, path) -> None:
    """Writes results as CSV, numbers to the last digit; the same results give the same bytes."""
    results.to_csv(path, index=False, float_format="%.17g", lineterminator="\n")


def read(path) -> pd.DataFrame:
    """Results as written by `write`, methods by today's names; raises ValueError if the columns are others."""
    text = dict.fromkeys(COLUMNS, str) | {"seed": int, "value": float}
    frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"value": [""]})  # a dataset may be named NA
    if list(frame.columns) != COLUMNS:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {', '.join(frame.columns)}")
    return frame.assign(method=frame["method"].replace(RENAMED))


def write_checksums(output) -> str:
    """Writes `checksums.json` beside a run's files: their SHA-256, by name; returns a line that says so.

    A run without it did not reach its end; whoever publishes the files checks them against it.
    """
    output = Path(output)
    files = sorted(path for path in output.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    hashes = {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (output / CHECKSUMS).write_text(json.dumps({"files": hashes}, indent=1) + "\n", encoding="utf-8")
    return f"checksums of {', '.join(hashes)}"


def write_tables(tables: dict[str, pd.DataFrame], output) -> str:
    """Writes tables as CSV, by name, into a folder, and their checksums; returns a line that says so."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write(table, output / f"{name}.csv")
    return write_checksums(output)


def _is_report(folder: Path) -> bool:
    """Whether a folder is not a dataset's but a report of its own, as `reports/draft` is."""
    return (folder / "summary.ipynb").is_file()


class Reports:
    """What runs left in a folder of reports: each dataset's manifest, results and maps."""

    def __init__(self, folder):
        self.folder = Path(folder)
        manifests = [path for path in sorted(self.folder.glob("*/manifest.json")) if not _is_report(path.parent)]
        self.manifests = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in manifests}
        self.good = [name for name, manifest in self.manifests.items() if manifest["status"] == "ok"]
        self.of = cache(lambda name: read(self.folder / name / "results.csv"))  #: a dataset's results, by name

    def first(self, most: int = MAX_DATASETS) -> "Reports":
        """The same, with so many good runs at most, the first cuts: what is shown one by one has no room for more."""
        few = copy.copy(self)
        if len(self.good) > most:
            few.good = [cuts[0] for cuts in self.cuts.values()][:most]
        return few

    @property
    def cuts(self) -> dict[str, list[str]]:
        """The good runs of each dataset: one, or those of its cuts, named `<dataset>-cut1` and so on."""
        datasets = {}
        for name in self.good:
            datasets.setdefault(without_cut(name)[0], []).append(name)
        return datasets

    @property
    def results(self) -> pd.DataFrame:
        """All runs' results, one after the other; no rows if no run is good."""
        frames = [self.of(name) for name in self.good]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)

    @property
    def status(self) -> pd.DataFrame:
        """One row per dataset: status, reason if any run has one, and seconds."""
        rows = {name: [m["status"], m["reason"], m["seconds"]] for name, m in self.manifests.items()}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["status", "reason", "seconds"])
        return (table if table["reason"].any() else table.drop(columns="reason")).rename_axis("dataset")

    def methods(self, name: str) -> pd.DataFrame:
        """A dataset's methods by name: title, role and whatever else is registered of them, and what each cost."""
        return pd.read_csv(self.folder / name / "methods.csv", index_col="method", keep_default_na=False)

    @property
    def titles(self) -> dict[str, str]:
        """Titles of all methods that ran on any dataset, by name."""
        return {m: title for name in self.good for m, title in self.methods(name)["title"].items()}

    def ablation(self, name: str) -> pd.DataFrame:
        """A dataset's `ablation.csv`: kind, label, seed, accuracy."""
        return pd.read_csv(self.folder / name / "ablation.csv")

    def portfolio(self, name: str) -> pd.DataFrame | None:
        """A dataset's `portfolio.csv`, if there is one: the candidates, their kinds and weights."""
        path = self.folder / name / "portfolio.csv"
        return pd.read_csv(path) if path.is_file() else None

    def study(self, name: str, study: str, file: str) -> pd.DataFrame | None:
        """A file of a slow study of a dataset, if that was run and is good."""
        folder = self.folder / name / study
        if not (folder / "manifest.json").is_file():
            return None
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return pd.read_csv(folder / file) if manifest["status"] == "ok" else None

    def maps(self, name: str) -> dict[str, np.ndarray]:
        """A dataset's `boundaries.npz`."""
        with np.load(self.folder / name / "boundaries.npz") as maps:
            return dict(maps)

    def facts(self, name: str) -> dict:
        """A dataset's `facts.json`: the name of its distribution and its published accuracies, None if not known."""
        return json.loads((self.folder / name / "facts.json").read_text(encoding="utf-8"))

    def write(self, output, table: pd.DataFrame) -> str:
        """Writes the results of all runs, a table of them, and checksums into a folder; returns a line that says so."""
        write(self.results, Path(output) / "results.csv")
        table.to_csv(Path(output) / "table.csv", lineterminator="\n")
        return write_checksums(output)
