"""What the points of a sweep found: one tidy table, each method's best setting, and what each setting changes.

A point is a dataset with one choice of settings; its folder is named after what is swept, `temperature=4,alpha=0.5`.
A method's setting is chosen by its mean accuracy on points that are not reported: the validation split or, where that
is reported, the part of train that selects. Intervals are Student's t over seeds, which speak of the start and of
nothing else. Leaves out running points (the press), figures (`plots`) and sentences (`sweep_claims`).
"""

import json
from functools import cached_property
from itertools import combinations
from pathlib import Path

import pandas as pd

from kdlib.evaluation import comparison, results
from kdlib.evaluation.formatting import decimal, difference, plus_minus, setting
from kdlib.evaluation.results import CEILINGS, COLUMNS, reported, select

SELECTS = "select"  #: the split that chooses where valid is reported
MOST_ROWS = 200  #: of points in a table


def write(experiment, output) -> str:
    """Writes a point's results and methods, and their checksums, into a folder; returns a line that says so."""
    frames, problem = [experiment.results], experiment.problem
    if problem.reported == "valid":
        for name, trained in experiment.trained.items():
            tally = results.tally(problem.select, trained.log_probabilities)
            frames.append(results.frame(experiment.dataset.name, name, SELECTS, tally))
    Path(output).mkdir(parents=True, exist_ok=True)
    results.write(pd.concat(frames, ignore_index=True), Path(output) / "results.csv")
    experiment.methods.to_csv(Path(output) / "methods.csv", lineterminator="\n")
    return results.write_checksums(output)


class Points:
    """The points in a folder, `<dataset>/<point>/`: their manifests, results and tables."""

    def __init__(self, folder):
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("*/*=*/manifest.json"))
        self.manifests = {(p.parents[1].name, p.parent.name): json.loads(p.read_text("utf-8")) for p in paths}
        paths = sorted(self.folder.glob("*/manifest.json"))
        self.refused = {path.parent.name: json.loads(path.read_text("utf-8")) for path in paths}  #: whole datasets
        self.good = [key for key, manifest in self.manifests.items() if manifest["status"] == "ok"]
        names = dict.fromkeys(pair.partition("=")[0] for _, point in self.manifests for pair in point.split(","))
        self.swept = {name: self._values(name) for name in names}  #: values in order, by setting
        self.moving = [name for name, values in self.swept.items() if len(values) > 1]

    def _values(self, name) -> list:
        values = sorted(manifest["parameters"][name] for manifest in self.manifests.values())
        return list(dict.fromkeys(map(_cell, values)))

    @property
    def held(self) -> dict:
        """What is no list in the sweep's file, and not the number of seeds, which the results tell."""
        parameters = next(iter(self.manifests.values()), {}).get("parameters", {})
        others = {*self.swept, "seeds", "methods", "draft"}
        return {name: _cell(value) for name, value in parameters.items() if name not in others}

    @cached_property
    def results(self) -> pd.DataFrame:
        """Tidy results of all good points: the usual columns, and one per swept setting."""
        frames = [
            results.read(self.folder / dataset / point / "results.csv").assign(
                **{name: _cell(self.manifests[dataset, point]["parameters"][name]) for name in self.swept}
            )
            for dataset, point in self.good
        ]
        if not frames:
            return pd.DataFrame(columns=[*COLUMNS, *self.swept])
        places = {name: values.index for name, values in self.swept.items()}
        frame = pd.concat(frames, ignore_index=True)
        return frame.sort_values(["dataset", *self.swept], kind="stable", ignore_index=True,
                                 key=lambda column: column.map(places.get(column.name, str)))  # fmt: skip

    @cached_property
    def methods(self) -> pd.DataFrame:
        """Titles by method, in the order of the sweep, and whether it is told the domain."""
        paths = [self.folder / dataset / point / "methods.csv" for dataset, point in self.good]
        frames = [pd.read_csv(path, index_col="method") for path in paths]
        every = pd.concat(frames) if frames else pd.DataFrame(columns=["title", "told the domain"])
        return every[~every.index.duplicated()].drop(index=list(CEILINGS), errors="ignore")

    @property
    def titles(self) -> dict[str, str]:
        return self.methods["title"].to_dict()

    @cached_property
    def ceilings(self) -> dict[str, float]:
        """The accuracy that no method can exceed, of each dataset where it is known."""
        bayes = select(self.results, method="bayes", split="fresh")
        return bayes.groupby("dataset", sort=False)["value"].first().to_dict()

    @cached_property
    def _accuracies(self) -> pd.DataFrame:
        """Accuracy by seed on the split that is reported and on the one that chooses, which `role` tells apart."""
        frame = select(self.results)
        frame = frame[frame["method"].isin(self.methods.index)]
        roles = []
        for dataset, mine in self.results.groupby("dataset", sort=False):
            split = reported(mine)
            roles += [(dataset, split, "reported"), (dataset, SELECTS if split == "valid" else "valid", "chooses")]
        return frame.merge(pd.DataFrame(roles, columns=["dataset", "split", "role"]), on=["dataset", "split"])

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row per dataset, method and point: mean, sd, seeds, low, high of what is reported, and what `chooses`."""
        keys = ["dataset", "method", *self.swept]
        groups = {role: rows.groupby(keys, sort=False)["value"] for role, rows in self._accuracies.groupby("role")}
        if not groups:
            return pd.DataFrame(columns=[*keys, "mean", "sd", "seeds", "low", "high", "chooses"])
        table = groups["reported"].agg(mean="mean", sd="std", seeds="size")
        intervals = groups["reported"].apply(comparison.t_interval)
        table = table.assign(low=intervals.str[0], high=intervals.str[1], chooses=groups["chooses"].mean())
        return table.reset_index()

    @cached_property
    def best(self) -> pd.DataFrame:
        """The rows of `scores` that are chosen: of each dataset and method, the first of the highest."""
        return self.scores.loc[self.scores.groupby(["dataset", "method"], sort=False)["chooses"].idxmax()]

    def slices(self, *names: str) -> pd.DataFrame:
        """The rows of `scores` in which all but the named settings are as chosen."""
        others = [name for name in self.swept if name not in names]
        return self.scores.merge(self.best[["dataset", "method", *others]], on=["dataset", "method", *others])

    def moves(self, dataset: str, method: str, name: str) -> bool:
        """Whether a setting changes anything for a method: FFNN, for one, knows no temperature."""
        mine = self.slices(name).query("dataset == @dataset and method == @method")
        return mine["mean"].nunique() > 1

    def setting(self, line) -> str:
        """A point in words, without what changes nothing: `temperature 4, alpha 0.5`."""
        return ", ".join(
            f"{name} {setting(line[name])}" for name in self.moving if self.moves(line["dataset"], line["method"], name)
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self.moving, 2))

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Each method against the baseline, both at their best settings: `statistics.compare` by dataset and method."""
        chosen = self._accuracies[self._accuracies["role"] == "reported"].merge(
            self.best[["dataset", "method", *self.swept]], on=["dataset", "method", *self.swept]
        )
        tables = {}
        for dataset, mine in chosen.groupby("dataset", sort=False):
            values = mine.pivot(index="seed", columns="method", values="value")
            if self.baseline in values:
                alike = [m for m in self.methods.index if m in values and not self.methods["told the domain"][m]]
                tables[dataset] = comparison.compare(values[alike], self.baseline)
        return pd.concat(tables, names=["dataset"]) if tables else pd.DataFrame()

    @property
    def baseline(self) -> str:
        """What methods are compared with: FFNN, or the first that is not told the domain."""
        told = self.methods["told the domain"]
        return "ffnn" if "ffnn" in told.index else next(iter(told.index[~told.astype(bool)]), "")

    # --- Tables ---

    def best_table(self) -> pd.DataFrame:
        """The chosen setting of each method, how it scores where it was chosen and where it is reported, a verdict."""
        rows = []
        for line in self.best.to_dict("records"):
            dataset, method = line["dataset"], line["method"]
            row = {"dataset": dataset, "method": self.titles[method]}
            row |= {"setting": self.setting(line) or "–"}
            row |= {"where chosen": decimal(line["chooses"]), "reported": plus_minus(line["mean"], line["sd"])}
            if (dataset, method) in self.verdicts.index:
                found = self.verdicts.loc[dataset, method]
                points = 100 * found[["mean", "low", "high"]].astype(float)
                row[f"over {self.titles[self.baseline]}"] = difference(*points, digits=2)
                row["verdict"] = found["verdict"]
            rows.append(row)
        return pd.DataFrame(rows).fillna("–").set_index("dataset")

    def table(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Reported accuracy of every point and method, `MOST_ROWS` points at most; and which of them were chosen."""
        keys = ["dataset", *self.swept]

        def wide(rows, values):
            return rows.assign(title=rows["method"].map(self.titles)).pivot(index=keys, columns="title", values=values)

        shown = wide(self.scores, "mean")[list(self.titles.values())]
        order = self.scores.set_index(keys).index.unique()[:MOST_ROWS]
        chosen = wide(self.best, "mean").reindex(index=order, columns=shown.columns).notna()
        shown = shown.reindex(order).rename_axis(columns=None)
        shown.index = pd.MultiIndex.from_tuples([tuple(map(setting, key)) for key in order], names=keys)
        return shown, chosen

    def failures(self) -> pd.DataFrame:
        """Points that have no result, and why; where a whole dataset has none for one reason, it is one row."""
        rows = [(dataset, point, m["status"], m["reason"]) for (dataset, point), m in self.manifests.items()
                if m["status"] != "ok"]  # fmt: skip
        frame = pd.DataFrame(rows, columns=["dataset", "point", "status", "reason"])
        points = pd.Series([dataset for dataset, _ in self.manifests]).value_counts()
        for (dataset, _, _), same in list(frame.groupby(["dataset", "status", "reason"])):
            if 1 < len(same) == points[dataset]:
                frame = frame.drop(index=same.index[1:])
                frame.loc[same.index[0], "point"] = f"all {len(same)}"
        refused = [(name, "all", record["status"], record["reason"]) for name, record in self.refused.items()]
        return pd.concat([frame, pd.DataFrame(refused, columns=frame.columns)]).set_index("dataset")

    def write(self, output) -> str:
        """Writes the results of all points and their checksum into a folder; returns a line that says so."""
        results.write(self.results, Path(output) / "results.csv")
        return results.write_checksums(output)


def _cell(value):
    """A setting's value in a table: a number, or `64-32` of a list."""
    return setting(value) if isinstance(value, list) else value
