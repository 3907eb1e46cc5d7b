"""The results of a sweep: one tidy table, each method's best setting, and the effect of each setting.

A point is one combination of settings on a dataset; its folder is named after what is swept, `temperature=4,alpha=0.5`.
A method's setting is selected by its mean accuracy on a split that is not reported: the validation split or, where that
is reported, the part of train that selects. Intervals are Student's t over seeds: they cover initialisation and batch
order. Out of scope: running points (`report.sweep`), figures (`plots`) and sentences (`findings.sweep`).
"""

import json
from functools import cached_property
from itertools import combinations
from pathlib import Path

import pandas as pd

from kdlib.evaluation import comparison, results
from kdlib.evaluation.formatting import decimal, difference, plus_minus, setting
from kdlib.evaluation.results import BAYES, COLUMNS, reported, select

SELECTION = "select"  #: the split that selects where valid is reported
MAX_ROWS = 200  #: of points in a table


def write(experiment, output) -> str:
    """Writes a point's results and methods, and their checksums, into a folder; returns a line that says so."""
    frames, problem = [experiment.results], experiment.problem
    if problem.reported == "valid":
        for name, trained in experiment.trained.items():
            scores = results.score(problem.select, trained.log_probabilities)
            frames.append(results.frame(experiment.dataset.name, name, SELECTION, scores.values()))
    Path(output).mkdir(parents=True, exist_ok=True)
    experiment.methods.to_csv(Path(output) / "methods.csv", lineterminator="\n")
    return results.write_tables({"results": pd.concat(frames, ignore_index=True)}, output)


class Points:
    """The points in a folder, `<dataset>/<point>/`: their manifests, results and tables."""

    def __init__(self, folder):
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("*/*=*/manifest.json"))
        self.manifests = {(p.parents[1].name, p.parent.name): json.loads(p.read_text("utf-8")) for p in paths}
        paths = sorted(self.folder.glob("*/manifest.json"))
        self.invalid = {path.parent.name: json.loads(path.read_text("utf-8")) for path in paths}  #: whole datasets
        self.good = [key for key, manifest in self.manifests.items() if manifest["status"] == "ok"]
        names = dict.fromkeys(pair.partition("=")[0] for _, point in self.manifests for pair in point.split(","))
        self.swept = {name: self._values(name) for name in names}  #: values in order, by setting
        self.varied = [name for name, values in self.swept.items() if len(values) > 1]

    def _values(self, name) -> list:
        values = sorted(manifest["parameters"][name] for manifest in self.manifests.values())
        return list(dict.fromkeys(map(_value, values)))

    @property
    def fixed(self) -> dict:
        """Values by setting of what is not swept, without the number of seeds, which the results have."""
        parameters = next(iter(self.manifests.values()), {}).get("parameters", {})
        others = {*self.swept, "seeds", "methods", "draft"}
        return {name: _value(value) for name, value in parameters.items() if name not in others}

    @cached_property
    def results(self) -> pd.DataFrame:
        """Tidy results of all good points: the usual columns, and one per swept setting."""
        frames = [
            results.read(self.folder / dataset / point / "results.csv").assign(
                **{name: _value(self.manifests[dataset, point]["parameters"][name]) for name in self.swept}
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
        """What is registered of each method of the sweep, in its order; without Bayes, which is the ceiling."""
        paths = [self.folder / dataset / point / "methods.csv" for dataset, point in self.good]
        frames = [pd.read_csv(path, index_col="method", keep_default_na=False) for path in paths]
        every = pd.concat(frames) if frames else pd.DataFrame(columns=["title", "role", "uses_domain"])
        return every[~every.index.duplicated()].drop(index=BAYES, errors="ignore")

    @property
    def titles(self) -> dict[str, str]:
        return self.methods["title"].to_dict()

    @property
    def compared(self) -> list[str]:
        """The methods that are compared: those that do not use the domain and are no bounds."""
        apart = self.methods["uses_domain"].astype(bool) | (self.methods["role"] == "bound")
        return list(self.methods.index[~apart])

    @property
    def baseline(self) -> str:
        """What methods are compared with: the last of the baselines or, without one, the first that is compared."""
        baselines = self.methods.index[self.methods["role"] == "baseline"]
        return next(iter([*baselines[::-1], *self.compared]), "")

    @property
    def digits(self) -> int:
        """Decimals that percentages deserve: those of the dataset that deserves most."""
        return max((results.digits(reported(mine)) for _, mine in self.results.groupby("dataset")), default=1)

    @cached_property
    def ceilings(self) -> dict[str, float]:
        """The accuracy that no method can exceed, of each dataset where it is known."""
        bayes = select(self.results, method=BAYES, split="fresh")
        return bayes.groupby("dataset", sort=False)["value"].first().to_dict()

    @cached_property
    def _accuracies(self) -> pd.DataFrame:
        """Accuracy by seed on the split that is reported and on the one that selects, as column `use` says."""
        frame = select(self.results)
        frame = frame[frame["method"].isin(self.methods.index)]
        uses = []
        for dataset, mine in self.results.groupby("dataset", sort=False):
            split = reported(mine)
            uses += [(dataset, split, "reported"), (dataset, SELECTION if split == "valid" else "valid", "selection")]
        return frame.merge(pd.DataFrame(uses, columns=["dataset", "split", "use"]), on=["dataset", "split"])

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row per dataset, method and point: mean, sd, seeds, low, high of the reported accuracy, and `selection`.

        The latter is the mean accuracy on the split that selects.
        """
        keys = ["dataset", "method", *self.swept]
        groups = {use: rows.groupby(keys, sort=False)["value"] for use, rows in self._accuracies.groupby("use")}
        if not groups:
            return pd.DataFrame(columns=[*keys, "mean", "sd", "seeds", "low", "high", "selection"])
        table = groups["reported"].agg(mean="mean", sd="std", seeds="size")
        intervals = groups["reported"].apply(comparison.interval)
        table = table.assign(low=intervals.str[0], high=intervals.str[1], selection=groups["selection"].mean())
        return table.reset_index()

    @cached_property
    def best(self) -> pd.DataFrame:
        """The rows of `scores` that are selected: of each dataset and method, the first of the highest `selection`."""
        return self.scores.loc[self.scores.groupby(["dataset", "method"], sort=False)["selection"].idxmax()]

    def slices(self, *names: str) -> pd.DataFrame:
        """The rows of `scores` in which all settings but the named ones have their selected values."""
        others = [name for name in self.swept if name not in names]
        return self.scores.merge(self.best[["dataset", "method", *others]], on=["dataset", "method", *others])

    def has_effect(self, dataset: str, method: str, name: str) -> bool:
        """Whether a setting changes a method's accuracy: direct training, for one, has no temperature."""
        mine = self.slices(name).query("dataset == @dataset and method == @method")
        return mine["mean"].nunique() > 1

    def setting(self, line) -> str:
        """A point in words, without settings that have no effect: `temperature 4, alpha 0.5`."""
        names = [name for name in self.varied if self.has_effect(line["dataset"], line["method"], name)]
        return ", ".join(f"{name} {setting(line[name])}" for name in names)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self.varied, 2))

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Each method against the baseline, both at their best settings: `comparison.compare` by dataset and method."""
        selected = self._accuracies[self._accuracies["use"] == "reported"].merge(
            self.best[["dataset", "method", *self.swept]], on=["dataset", "method", *self.swept]
        )
        tables = {}
        for dataset, mine in selected.groupby("dataset", sort=False):
            values = mine.pivot(index="seed", columns="method", values="value")
            if self.baseline in values:
                compared = [name for name in self.compared if name in values]
                tables[dataset] = comparison.compare(values[compared], self.baseline)
        return pd.concat(tables, names=["dataset"]) if tables else pd.DataFrame()

    # --- Tables ---

    def best_table(self) -> pd.DataFrame:
        """The selected setting of each method, its accuracy on both splits in percent, and a verdict."""
        rows, digits = [], self.digits
        for line in self.best.to_dict("records"):
            dataset, method = line["dataset"], line["method"]
            row = {"dataset": dataset, "method": self.titles[method]}
            row |= {"setting": self.setting(line) or "–", "selection split": decimal(100 * line["selection"], 1)}
            row |= {"reported": plus_minus(100 * line["mean"], 100 * line["sd"], digits)}
            if (dataset, method) in self.verdicts.index:
                found = self.verdicts.loc[dataset, method]
                points = 100 * found[["mean", "low", "high"]].astype(float)
                row[f"minus {self.titles[self.baseline]}"] = difference(*points, digits)
                row["verdict"] = found["verdict"]
            rows.append(row)
        return pd.DataFrame(rows).fillna("–").set_index("dataset")

    def table(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Reported accuracy in percent of each point and method, at most `MAX_ROWS` points; and which were selected."""
        keys = ["dataset", *self.swept]

        def wide(rows, values):
            return rows.assign(title=rows["method"].map(self.titles)).pivot(index=keys, columns="title", values=values)

        shown = 100 * wide(self.scores, "mean")[list(self.titles.values())]
        order = self.scores.set_index(keys).index.unique()[:MAX_ROWS]
        selected = wide(self.best, "mean").reindex(index=order, columns=shown.columns).notna()
        shown = shown.reindex(order).rename_axis(columns=None)
        shown.index = pd.MultiIndex.from_tuples([tuple(map(setting, key)) for key in order], names=keys)
        return shown, selected

    def failures(self) -> pd.DataFrame:
        """Points without a result, and why; a dataset whose points all failed for the same reason is one row."""
        rows = [(dataset, point, m["status"], m["reason"]) for (dataset, point), m in self.manifests.items()
                if m["status"] != "ok"]  # fmt: skip
        frame = pd.DataFrame(rows, columns=["dataset", "point", "status", "reason"])
        points = pd.Series([dataset for dataset, _ in self.manifests]).value_counts()
        for (dataset, _, _), same in list(frame.groupby(["dataset", "status", "reason"])):
            if 1 < len(same) == points[dataset]:
                frame = frame.drop(index=same.index[1:])
                frame.loc[same.index[0], "point"] = f"all {len(same)}"
        invalid = [(name, "all", record["status"], record["reason"]) for name, record in self.invalid.items()]
        return pd.concat([frame, pd.DataFrame(invalid, columns=frame.columns)]).set_index("dataset")

    def write(self, output) -> str:
        """Writes the results of all points and their checksum into a folder; returns a line that says so."""
        return results.write_tables({"results": self.results}, output)


def _value(value):
    """A setting's value in a table: a number, or `64-32` of a list."""
    return setting(value) if isinstance(value, list) else value
