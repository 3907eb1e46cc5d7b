"""What the results of one dataset say: sentences and tables, so that no number is typed into a notebook's prose.

A sentence says what the numbers show, in whichever direction they point. `methods` is always a frame of what is
registered of the methods that ran, as `Experiment.methods` and `Reports.methods` give it. Out of scope: figures
(`plots`), statistics (`comparison`), and several datasets at once (`summary`).
"""

import numpy as np
import pandas as pd

from kdlib.evaluation import comparison as statistics
from kdlib.evaluation.comparison import BETTER, WORSE
from kdlib.evaluation.formatting import counted, decimal, difference, percent, points
from kdlib.evaluation.results import BAYES, reported, select
from kdlib.evaluation.results import digits as digits_of

LOWER_IS_BETTER = "nll", "ece"
IN_POINTS = ["difference", "low", "high"]


def baseline(methods: pd.DataFrame) -> str:
    """The method that others are compared with: the last that is registered as a baseline."""
    return methods.index[methods["role"] == "baseline"][-1]


def in_summary(methods: pd.DataFrame, *roles: str) -> dict[str, str]:
    """Titles by name of the summary's methods, which do not use the domain; of some roles if any are given."""
    shown = methods["in_summary"] & ~methods["uses_domain"] & (methods["role"].isin(roles) if roles else True)
    return methods.loc[shown, "title"].to_dict()


def comparison(
    results: pd.DataFrame, methods: pd.DataFrame, against: str = "", metric: str = "accuracy"
) -> pd.DataFrame:
    """Each method that does not use the domain against one of them, by default the baseline, on the reported split.

    Columns: the metric, `sd`, `difference`, `low`, `high` (95%), `p` (Holm), `verdict`, `gap closed` (share of the way
    from `against` to Bayes, NaN where Bayes is not known), `seeds`, `raw p` (uncorrected).
    """
    against = against or baseline(methods)
    values = select(results, metric=metric, split=reported(results))
    accuracy = values.pivot(index="seed", columns="method", values="value")
    order = [name for name in methods.index[~methods["uses_domain"]] if name in accuracy and name != BAYES]
    table = statistics.compare(accuracy[order], against).rename(columns={"mean": "difference"})
    mean = accuracy[order].mean()
    ceiling = accuracy[BAYES].mean() if BAYES in accuracy else np.nan
    if metric in LOWER_IS_BETTER:
        table["verdict"] = table["verdict"].replace({WORSE: BETTER, BETTER: WORSE})
    table.insert(0, metric, mean)
    table.insert(1, "sd", accuracy[order].std())
    sign = -1 if metric in LOWER_IS_BETTER else 1
    table["gap closed"] = [
        statistics.gap_closed(sign * mean[name], sign * mean[against], sign * ceiling) for name in table.index
    ]
    return table


def digits(results: pd.DataFrame) -> int:
    """Decimals that percentages on the reported split deserve."""
    return digits_of(reported(results))


def ran(table: pd.DataFrame) -> str:
    """Each method that ran, what it is and its accuracy; table: as `Experiment.run_all` gives it."""
    rows = table.dropna(subset="accuracy").iterrows()
    return "\n".join(
        f"- *{title}*: {row['description']} Accuracy {percent(row['accuracy'], 1)}." for title, row in rows
    )


def comparison_table(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    """A `comparison` as text, in percentage points."""
    rows = {
        name: {
            "accuracy": percent(row["accuracy"], digits),
            "difference and interval": difference(*(100 * row[IN_POINTS]), digits=digits),
            "p (Holm)": f"{row['p']:.2g}",
            "verdict": row["verdict"],
            "gap closed": percent(row["gap closed"]) if row["verdict"] == BETTER else "–",
        }
        for name, row in table.iterrows()
    }
    shown = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
    return shown if np.isfinite(table["gap closed"]).any() else shown.drop(columns="gap closed")


def finding(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """One dataset in short: the baseline's accuracy, and how each of the summary's students compares with it."""
    table, title = comparison(results, methods), methods["title"]
    accuracy = select(results, split=reported(results)).groupby("method")["value"]
    mean, direct = accuracy.mean(), baseline(methods)
    text = f"Direct training (*{title[direct]}*) reaches an accuracy of **{percent(mean[direct], digits(results))}**, "
    text += f"over {counted(accuracy.size()[direct], 'seed')}"
    if BAYES in mean:
        text += f"; no classifier that is not given the domain can exceed {percent(mean[BAYES], digits(results))}"
    students = [name for name in in_summary(methods, "student") if name in table.index]
    best_first = sorted(students, key=lambda name: -table.loc[name, "difference"])
    lines = [f"- *{title[name]}*: {describe(table.loc[name], digits(results))}." for name in best_first]
    return "\n".join([f"{text}.{' Students, compared with it:' if lines else ''}\n", *lines]).strip()


def contrasts(results: pd.DataFrame, methods: pd.DataFrame) -> pd.DataFrame:
    """Each student against its controls, which lack one thing that it has; a row per control, in the methods' order.

    Columns: `student`, `isolates` (what a better student shows), `difference` (student less control), `low`, `high`,
    `verdict` on the student; all corrected for the number of its controls.
    """
    lacking = methods[methods["control_of"].isin(methods.index) & ~methods["uses_domain"]]
    tables = []
    for student, controls in lacking.groupby("control_of", sort=False):
        family = methods.loc[[student, *controls.index]]
        table = comparison(results, family, against=student).assign(student=student, isolates=controls["isolates"])
        table[["difference", "low", "high"]] = -table[["difference", "high", "low"]]
        table["verdict"] = table["verdict"].replace({WORSE: BETTER, BETTER: WORSE})
        tables.append(table)
    columns = ["student", "isolates", "difference", "low", "high", "verdict"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def controls(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """What the students' gains are due to: which of the reasons that their controls isolate are supported."""
    title = methods["title"]
    return "\n".join(
        f"- **{'supported' if row['verdict'] == BETTER else 'not supported'}**: {row['isolates']}. "
        f"*{title[row['student']]}* minus *{title[control]}*: {points(*row[IN_POINTS], digits(results))}."
        for control, row in contrasts(results, methods).iterrows()
    )


def taught(methods: pd.DataFrame) -> dict[str, str]:
    """Teachers by student, where both are methods: of the summary's students, and of controls with a pooled teacher."""
    pairs = {}
    for student in in_summary(methods, "student"):
        pooled = methods.index[(methods["control_of"] == student) & (methods["teacher"] != "")]
        pairs |= {name: methods.loc[name, "teacher"] for name in (student, *pooled)}
    return {student: teacher for student, teacher in pairs.items() if teacher in methods.index}


def credit(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """Who earns a student's gain over the baseline: its teachers undistilled, and what the student keeps of it."""
    table, title = comparison(results, methods), methods["title"]
    lines = []
    for student, teacher in taught(methods).items():
        if {student, teacher} <= set(table.index):
            gains = table.loc[[teacher, student], "difference"]
            keeps = ""
            if table.loc[teacher, "verdict"] == BETTER:
                keeps = f": it keeps {percent(gains[student] / gains[teacher])} of the gain"
            own, its = (points(*table.loc[each, IN_POINTS], digits(results)) for each in (teacher, student))
            lines.append(f"- *{title[teacher]}*: {own}; its student, *{title[student]}*: {its}{keeps}.")
    start = f"Undistilled teachers and their students, compared with *{title[baseline(methods)]}*:\n"
    return "\n".join([start, *lines]) if lines else ""


def selection_losses(results: pd.DataFrame, methods: pd.DataFrame) -> pd.Series:
    """Mean cross-entropy on the validation split, which trains nothing, of the networks among the summary's methods."""
    networks = list(in_summary(methods, "baseline", "student"))
    return select(results, metric="nll", split="valid").groupby("method")["value"].mean()[networks]


def advice(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """Which method to use on this dataset: the network of the lowest cross-entropy on points that train nothing."""
    title, direct = methods["title"], baseline(methods)
    losses = selection_losses(results, methods)
    best = losses.idxmin()
    text = (
        f"**Use *{title[best]}***: of the networks compared it has the lowest cross-entropy on the validation split, "
        f"{decimal(losses[best], 3)}."
    )
    if best == direct:
        return f"{text} No student improves on direct training here."
    accuracy, nll = (comparison(results, methods, metric=metric).loc[best] for metric in ("accuracy", "nll"))
    same = reported(results) == "valid"
    where = "the same points (which favours what was chosen on them)" if same else "the reported points"
    return (
        f"{text} Compared with *{title[direct]}* on {where}: accuracy {describe(accuracy, digits(results))}; "
        f"cross-entropy {describe(nll)}."
    )


def sampling_error(accuracy: float, count: int) -> str:
    """How uncertain an accuracy on so many points is, because the points are a sample."""
    low, high = statistics.sampling_interval(accuracy, count)
    return (
        f"An accuracy of {percent(accuracy, 1)} on {count} points has a 95% sampling interval from {percent(low, 1)} "
        f"to {percent(high, 1)} (Wilson), whatever the number of seeds. Methods are scored on the same points, so a "
        "difference between two of them can be much more precise."
    )


def describe(row, digits: int = 0) -> str:
    """A row of a `comparison` in words: its verdict, difference and interval, and how much of the gap it closes.

    digits: of an accuracy's percentage points; 0: the row is of another metric, in its own unit.
    """
    text = f"**{row['verdict']}**, {points(*row[IN_POINTS], digits) if digits else difference(*row[IN_POINTS])}"
    if row["verdict"] == BETTER and np.isfinite(row["gap closed"]):
        text += f", {percent(row['gap closed'])} of the gap closed"
    return text
