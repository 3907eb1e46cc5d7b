"""What many datasets say together: the answer, its reasons and advice, in sentences.

Out of scope: how datasets and their cuts are judged (`collection_tables`), datasets one by one (`summary`), and figures
(`plots`).
"""

import pandas as pd

from kdlib.display import literal
from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.formatting import counted, percent, signed
from kdlib.evaluation.results import Reports
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary, summary_tables
from kdlib.findings.collection_tables import (
    METRICS,
    SCALES,
    choices,
    differences,
    gains,
    means,
    number,
    of_methods,
    over_datasets,
)


def answer(runs: Reports) -> str:
    """The answer to the report's question, and the student that gains most on average."""
    students = dataset_findings.in_summary(summary_tables.methods(runs), "student")
    over = over_datasets(runs)
    best = over.loc[over.index.isin(list(students)), "difference"].idxmax()
    headline = summary.headline(of_methods(runs, students))
    return (
        f"{headline} On average over the datasets, the best student, *{students[best]}*, "
        f"differs from direct training by {_interval(over.loc[best])}; it is {_counts(gains(runs).loc[best])}."
    )


def overview(runs: Reports) -> str:
    """How each of the summary's students does over datasets."""
    registered = summary_tables.methods(runs)
    students = dataset_findings.in_summary(registered, "student")
    over = {metric: over_datasets(runs, metric) for metric in METRICS}
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
        rows = of_methods(runs, students, metric)
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


def _interval(row, metric="accuracy") -> str:
    return number(row, metric) + " points" * (metric == "accuracy")


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
