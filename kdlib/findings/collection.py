"""What many datasets say together: the datasets are the sample, and the cuts of one are averaged first.

A dataset that comes in several cuts, `<dataset>-cut1` and so on, is judged over its cuts, each the mean over seeds; any
other over its seeds. Over datasets, each counts once. Intervals are of Student's t: those of a single dataset are not
corrected, so that no loss is hidden by the number of comparisons; those over datasets are, for the number of methods
beside each other (Holm). Out of scope: datasets one by one (`summary`), and figures (`plots`).
"""

from functools import cache

import pandas as pd

from kdlib.display import literal
from kdlib.evaluation import comparison as statistics
from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.formatting import counted, difference, percent, signed
from kdlib.evaluation.results import BAYES, Reports, reported, select
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary, summary_tables

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


def _of(runs, methods, metric="accuracy") -> pd.DataFrame:
    """The rows of `gains` of some methods."""
    rows = gains(runs, metric)
    return rows[rows.index.isin(list(methods), level="method")]


def _over_datasets(runs, metric="accuracy") -> pd.DataFrame:
    """`means` of the summary's methods."""
    return means(_of(runs, summary_tables.titles(runs), metric), metric)


def answer(runs: Reports) -> str:
    """The answer to the report's question, and the student that gains most on average."""
    students = dataset_findings.in_summary(summary_tables.methods(runs), "student")
    over = _over_datasets(runs)
    best = over.loc[over.index.isin(list(students)), "difference"].idxmax()
    return (
        f"{summary.headline(_of(runs, students))} On average over the datasets, the best student, *{students[best]}*, "
        f"differs from direct training by {_interval(over.loc[best])}; it is {_counts(gains(runs).loc[best])}."
    )


def overview(runs: Reports) -> str:
    """How each of the summary's students does over datasets."""
    registered = summary_tables.methods(runs)
    students = dataset_findings.in_summary(registered, "student")
    over = {metric: _over_datasets(runs, metric) for metric in METRICS}
    lines = [
        f"Means over {counted(len(runs.cuts), 'dataset')} of the difference from direct training "
        f"(*{summary_tables.baseline(runs)}*). Each dataset counts once; a lower cross-entropy is better. Intervals "
        "take the datasets as a sample, and are corrected for the number of methods (Holm).\n",
    ]
    best_first = over["accuracy"].sort_values("difference", ascending=False).index
    for name in best_first[best_first.isin(list(students))]:
        accuracy, loss = (
            f"{_mean(over[metric].loc[name], metric)}; {_counts(gains(runs, metric).loc[name])}" for metric in METRICS
        )
        description = registered.loc[name, "description"]
        lines.append(f"- *{students[name]}*. Accuracy: {accuracy}. Cross-entropy: {loss}. {description}")
    lines += [
        "",
        "Verdicts on single datasets are not corrected: without any effect, one dataset in forty would be better and "
        "one in forty worse. [The chart](#figure-spread) has a dot for each dataset.",
    ]
    return "\n".join(lines)


def losses(runs: Reports) -> str:
    """On which datasets each of the summary's students is worse than direct training, the largest loss first."""
    registered, lines = summary_tables.methods(runs), []
    title, students = registered["title"], dataset_findings.in_summary(registered, "student")
    for metric, noun in METRICS.items():
        rows = _of(runs, students, metric)
        for name, worse in rows[rows["verdict"] == WORSE].groupby(level="method", sort=False):
            scale, digits = SCALES[metric]
            lost = scale * worse.droplevel("method")["difference"].sort_values(key=abs, ascending=False)
            unit = " points" * (metric == "accuracy")
            named = ", ".join(f"{literal(dataset)} ({signed(loss, digits)}{unit})" for dataset, loss in lost.items())
            lines.append(f"- *{title[name]}* is worse in {noun} on {named}.")
    return "\n".join(lines) or "No student is shown to be worse on any dataset, in accuracy or in cross-entropy."


def controls(runs: Reports) -> str:
    """What the students' gains are due to: whether each reason that a control isolates is supported on average."""
    registered = summary_tables.methods(runs)
    title, lines = registered["title"], []
    for control in registered.index[registered["control_of"].isin(registered.index) & ~registered["uses_domain"]]:
        student = registered.loc[control, "control_of"]
        rows = differences(runs, student, control)
        if len(rows):
            over = means(pd.concat({control: rows}, names=["method"])).loc[control]
            lines.append(
                f"- **{'supported' if over['verdict'] == BETTER else 'not supported'}**: "
                f"{registered.loc[control, 'isolates']}. *{title[student]}* minus *{title[control]}*: {_mean(over)}; "
                f"{_counts(rows, named=True)}."
            )
    return "\n".join(lines)


def credit(runs: Reports) -> str:
    """Who earns the students' gains: their teachers undistilled, and what the students keep; means over datasets."""
    title, lines, rows = summary_tables.methods(runs)["title"], [], gains(runs)
    for student, teacher in dataset_findings.taught(summary_tables.methods(runs)).items():
        if {student, teacher} <= set(rows.index.get_level_values("method")):
            own, its = (means(rows.loc[[name]]).loc[name] for name in (teacher, student))
            keeps = ""
            if own["verdict"] == BETTER:
                keeps = f": it keeps {percent(its['difference'] / own['difference'])} of the gain"
            lines.append(
                f"- *{title[teacher]}*: {_interval(own)}; its student, *{title[student]}*: {_interval(its)}{keeps}."
            )
    direct = summary_tables.baseline(runs)
    start = f"Undistilled teachers and their students, compared with *{direct}*: mean accuracy over datasets.\n"
    return "\n".join([start, *lines]) if lines else ""


@cache
def choices(runs: Reports) -> dict[str, str]:
    """The method to use on each dataset: the network of the lowest cross-entropy on the validation split, over cuts."""
    chosen = {}
    for dataset, cuts in runs.cuts.items():
        of_cuts = [dataset_findings.selection_losses(runs.of(name), runs.methods(name)) for name in cuts]
        chosen[dataset] = pd.concat(of_cuts, axis=1).mean(axis=1).idxmin()
    return chosen


def advice(runs: Reports) -> pd.DataFrame:
    """The method to use on each dataset, and how it compares with the baseline there."""
    title, rows = summary_tables.methods(runs)["title"], {}
    for dataset, best in choices(runs).items():
        compared = (gains(runs, metric).xs(dataset, level="dataset") for metric in METRICS)
        rows[dataset] = summary.advised(best, *compared, title)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def advice_gain(runs: Reports) -> str:
    """What the advised methods gain over direct training, on average over datasets; 0 where it is what is advised."""
    lines = [f"The advised methods, compared with *{summary_tables.baseline(runs)}*:\n"]
    for metric, noun in METRICS.items():
        rows = gains(runs, metric).reorder_levels(["dataset", "method"])
        rows = rows.reindex(list(choices(runs).items())).fillna({"difference": 0.0, "verdict": NEITHER})
        over = means(rows.droplevel("method").assign(method="advised").set_index("method", append=True), metric)
        lines.append(f"- {noun}: {_mean(over.loc['advised'], metric)}; {_counts(rows)}.")
    return "\n".join(lines)


def verdicts(runs: Reports) -> pd.DataFrame:
    """Of the summary's methods (rows): mean difference from the baseline, and on how many datasets there is which."""
    shown, columns = summary_tables.titles(runs), []
    for metric, head in (("accuracy", "accuracy, points"), ("nll", "cross-entropy")):
        rows = _of(runs, shown, metric)
        columns.append(means(rows, metric).apply(_number, axis=1, metric=metric).rename(head))
        for verdict in (BETTER, WORSE):
            columns.append((rows["verdict"] == verdict).groupby(level="method", sort=False).sum().rename(verdict))
    return pd.concat(columns, axis=1).rename(index=shown).rename_axis("method")


def spread(runs: Reports) -> pd.DataFrame:
    """Each dataset's difference from the baseline by method, in percentage points: label, dataset, value, verdict."""
    shown = summary_tables.titles(runs)
    rows = _of(runs, shown).reset_index()
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


def _number(row, metric="accuracy") -> str:
    """A difference with its interval: of the accuracy in percentage points."""
    scale, digits = SCALES[metric]
    return difference(*(scale * row[key] for key in ("difference", "low", "high")), digits=digits)


def _interval(row, metric="accuracy") -> str:
    return _number(row, metric) + " points" * (metric == "accuracy")


def _mean(row, metric="accuracy") -> str:
    """A row of `means` in words."""
    verdict = "" if row["verdict"] == NEITHER else f"**{row['verdict']}**, "
    return f"{verdict}{_interval(row, metric)} on average"


def _counts(rows, named=False) -> str:
    """On how many datasets, of `differences`, there is one; named: on which."""
    parts, total = [], counted(len(rows), "dataset")
    for verdict in (BETTER, WORSE):
        which = rows.index[rows["verdict"] == verdict]
        if len(which):
            number = {len(rows): f"all {total}"}.get(len(which), f"{len(which)}{'' if parts else ' of ' + total}")
            parts.append(f"{verdict} on {number}" + (f" ({', '.join(map(literal, which))})" if named else ""))
    return ", ".join(parts) or f"neither better nor worse on any of {total}"
