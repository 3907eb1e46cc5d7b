"""What many datasets hold together, as tables: the datasets are the sample, and the cuts of one are averaged first.

A dataset that comes in several cuts, `<dataset>-cut1` and so on, is judged over its cuts, each the mean over seeds; any
other over its seeds. Over datasets, each counts once. Intervals are of Student's t: those of a single dataset are not
corrected, so that no loss is hidden by the number of comparisons; those over datasets are, for the number of methods
beside each other (Holm). Out of scope: sentences (`collection`), datasets one by one (`summary_tables`), and figures
(`plots`).
"""

from functools import cache

import pandas as pd

from kdlib.evaluation import comparison as statistics
from kdlib.evaluation.comparison import BETTER, WORSE
from kdlib.evaluation.formatting import difference
from kdlib.evaluation.results import BAYES, Reports, reported, select
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary_tables

METRICS = {"accuracy": "accuracy", "nll": "cross-entropy"}
SCALES = {"accuracy": (100, 2), "nll": (1, 4)}  #: of what is shown: a factor, and decimals
PORTFOLIO = "portfolio"  #: the method whose candidates and weights `portfolio.csv` holds


@cache
def values(runs: Reports, metric: str) -> dict[str, pd.DataFrame]:
    """Each dataset's values on the reported points: a row per cut, or per seed where there is one cut, by method."""
    tables = {}
    for dataset, cuts in runs.cuts.items():
        of_cuts = []
        for name in cuts:
            rows = select(runs.of(name), metric=metric, split=reported(runs.of(name)))
            table = rows.pivot(index="seed", columns="method", values="value")
            lone = table.columns[table.count() == 1]  # of methods that involve no chance, for all seeds
            of_cuts.append(table.fillna(table[lone].max()))
        tables[dataset] = of_cuts[0] if len(cuts) == 1 else pd.DataFrame([table.mean() for table in of_cuts])
    return tables


def differences(runs: Reports, method: str, other: str, metric: str = "accuracy") -> pd.DataFrame:
    """A method less another on each dataset (rows) that has both; columns as in `dataset.comparison`."""
    tables = [
        statistics.judge({dataset: (table[method] - table[other]).dropna()})
        for dataset, table in values(runs, metric).items()
        if {method, other} <= set(table.columns)
    ]
    return _judged(pd.concat(tables), metric) if tables else pd.DataFrame()


@cache
def gains(runs: Reports, metric: str = "accuracy") -> pd.DataFrame:
    """`differences` to the baseline of every method that does not use the domain, by method and dataset."""
    registered = summary_tables.methods(runs)
    direct = dataset_findings.baseline(registered)
    names = registered.index[~registered["uses_domain"]].drop([direct, BAYES], errors="ignore")
    tables = {name: differences(runs, name, direct, metric) for name in names}
    return pd.concat({name: table for name, table in tables.items() if len(table)}, names=["method", "dataset"])


def means(rows: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """The mean over datasets of each method's differences, as in `gains`; corrected for the number of methods."""
    groups = rows.groupby(level="method", sort=False)["difference"]
    return _judged(statistics.judge(dict(iter(groups))), metric)


def _judged(table, metric) -> pd.DataFrame:
    if metric in dataset_findings.LOWER_IS_BETTER:
        table["verdict"] = table["verdict"].replace({WORSE: BETTER, BETTER: WORSE})
    return table.rename(columns={"mean": "difference"})


def of_methods(runs, methods, metric="accuracy") -> pd.DataFrame:
    """The rows of `gains` of some methods."""
    rows = gains(runs, metric)
    return rows[rows.index.isin(list(methods), level="method")]


def over_datasets(runs, metric="accuracy") -> pd.DataFrame:
    """`means` of the summary's methods."""
    return means(of_methods(runs, summary_tables.titles(runs), metric), metric)


@cache
def choices(runs: Reports) -> dict[str, str]:
    """The method to use on each dataset: the network of the lowest cross-entropy on the validation split, over cuts."""
    chosen = {}
    for dataset, cuts in runs.cuts.items():
        of_cuts = [dataset_findings.selection_losses(runs.of(name), runs.methods(name)) for name in cuts]
        chosen[dataset] = pd.concat(of_cuts, axis=1).mean(axis=1).idxmin()
    return chosen


def verdicts(runs: Reports) -> pd.DataFrame:
    """Of the summary's methods (rows): mean difference from the baseline, and on how many datasets there is which."""
    shown, columns = summary_tables.titles(runs), []
    for metric, head in (("accuracy", "accuracy, points"), ("nll", "cross-entropy")):
        rows = of_methods(runs, shown, metric)
        columns.append(means(rows, metric).apply(number, axis=1, metric=metric).rename(head))
        for verdict in (BETTER, WORSE):
            columns.append((rows["verdict"] == verdict).groupby(level="method", sort=False).sum().rename(verdict))
    return pd.concat(columns, axis=1).rename(index=shown).rename_axis("method")


def spread(runs: Reports) -> pd.DataFrame:
    """Each dataset's difference from the baseline by method, in percentage points: label, dataset, value, verdict."""
    shown = summary_tables.titles(runs)
    rows = of_methods(runs, shown).reset_index()
    rows = rows.assign(label=rows["method"].map(shown), value=100 * rows["difference"])
    return rows[["label", "dataset", "value", "verdict"]]


def portfolios(runs: Reports) -> pd.DataFrame:
    """What the portfolio is made of on each dataset, mean over cuts, and what it gains, undistilled and distilled.

    Columns: the kind of candidates that carries the largest weight, its weight, the weight of the candidates that tell
    the domains apart, and gains in percentage points.
    """
    registered, rows = summary_tables.methods(runs), {}
    distilled = registered.index[registered["teacher"] == PORTFOLIO]
    for dataset, cuts in runs.cuts.items():
        tables = [table for table in map(runs.portfolio, cuts) if table is not None]
        if tables:
            candidates = pd.concat(tables)
            weights = candidates["weight"] / len(tables)
            kinds = weights.groupby(candidates["kind"]).sum()
            gained = 100 * gains(runs).xs(dataset, level="dataset")["difference"]
            rows[dataset] = {
                "largest weight": kinds.idxmax(),
                "its weight": kinds.max(),
                "weight that tells domains": weights[candidates["tells_domains"]].sum(),
            } | {registered.loc[name, "title"]: gained[name] for name in (PORTFOLIO, *distilled) if name in gained}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def number(row, metric="accuracy") -> str:
    """A difference with its interval: of the accuracy in percentage points."""
    scale, digits = SCALES[metric]
    return difference(*(scale * row[key] for key in ("difference", "low", "high")), digits=digits)
