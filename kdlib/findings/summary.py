"""What the results of all datasets say: the summary's answer, sentences and tables.

As in `claims`, which does the same for one dataset, a sentence says what the numbers say, whichever way they point.
Leaves out figures (`plots`), the explorer, and the slow studies (`studies`).
"""

from functools import cache, partial

import numpy as np
import pandas as pd

from kdlib.data.published import PUBLISHED
from kdlib.display import literal
from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.formatting import NO_BREAK, counted_range, difference, percent, plus_minus, signed, value_range
from kdlib.evaluation.results import CEILINGS, MOST, Reports, means, reported
from kdlib.findings.dataset import STORY, comparison

STUDENTS = {
    "kd_best": "taught by **kernel machines**, one per domain,",
    "kd_gated": "taught by each domain's network, **weighed by how probable its domain is**,",
    "kd_routed": "built with the original's **faults mended**, each sample taught by its own domain's network,",
    "kd_original": "built **as in the original**",
}  #: by method, what the answer calls it


@cache
def comparisons(runs: Reports) -> dict[str, pd.DataFrame]:
    """`comparison` of each dataset whose run is good."""
    return {name: comparison(runs.of(name), runs.methods(name)) for name in runs.good}


def overview(runs: Reports) -> str:
    """The answer to the report's question: a verdict, and how each kind of student does over all datasets."""
    if not runs.good:
        return "No run has succeeded, so there is nothing to compare; the reasons are listed below."
    tables = comparisons(runs)
    won = any(table["verdict"][name] == BETTER for table in tables.values() for name in table.index if name in STORY)
    verdict = "**Distillation can win.**" if won else "**Distillation is not shown to win.**"
    seeds = sorted({int(table["seeds"].max()) for table in tables.values()})
    students = [_across(tables, name, who) for name, who in STUDENTS.items()]
    lines = [
        f"{verdict} Against a network trained directly on all domains, in percentage points of accuracy, in pairs "
        f"over {counted_range(seeds, 'seed')}, a student\n",
        *(f"- {student}" for student in students if student),
    ]
    if ceilings(runs.first()):
        lines += ["", "[The chart](#figure-gaps) shows what each leaves to the best possible."]
    return "\n".join(lines)


def many(runs: Reports) -> bool:
    """Whether there are more datasets than can be shown one by one."""
    return len(runs.good) > MOST


def left_out(runs: Reports) -> str:
    """Which datasets the figures with a panel for each do not show."""
    if not many(runs):
        return ""
    return (
        f"What is drawn for each dataset by itself, here and below, is drawn for the first {MOST} of {len(runs.good)}, "
        "by name; sentences and tables are about all. Each dataset's own report has the rest."
    )


def spread(runs: Reports) -> pd.DataFrame:
    """Each dataset's difference to FFNN by method, in percentage points: label, dataset, value, verdict."""
    rows = [
        (method, name, 100 * row["difference"], row["verdict"])
        for name, table in comparisons(runs).items()
        for method, row in table.iterrows()
        if method in STORY
    ]
    frame = pd.DataFrame(rows, columns=["method", "dataset", "value", "verdict"])
    return frame.assign(label=frame["method"].map(drawn(runs)))


def _across(tables, name, subject) -> str:
    rows = [table.loc[name] for table in tables.values() if name in table.index]
    if not rows:
        return ""
    total = len(rows)
    better, worse = (sum(r["verdict"] == verdict for r in rows) for verdict in (BETTER, WORSE))
    neither = total - better - worse
    counts = {"better": better, "worse": worse, "not shown to differ": neither}
    (first, count), *others = [(word, count) for word, count in counts.items() if count]
    every = {1: "on the dataset", 2: "on both datasets"}.get(total, f"on all {total} datasets")
    where = f"on {count} of {total} datasets" if others else every
    said = ", ".join([f"{first} {where}", *(f"{word} on {count}" for word, count in others)])
    points = value_range([100 * r["difference"] for r in rows], partial(signed, digits=2))
    text = f"{subject} is {said} ({points} points)"
    closed = [r["gap closed"] for r in rows if r["verdict"] == BETTER and np.isfinite(r["gap closed"])]
    if closed:
        where = "" if better == total else ", where it is better,"
        text += f" and closes{where} {value_range(closed, percent)} of the gap to the best possible"
    return text + "."


def gate(runs: Reports) -> str:
    """What the learned gate is worth: `kd_gated` against `kd_routed`, both taught by networks, in percentage points."""
    tables = {}
    for name in runs.good:
        results, methods = runs.of(name), runs.methods(name)
        if {"kd_gated", "kd_routed"} <= set(methods.index):
            tables[name] = comparison(results[results["method"].isin(["kd_gated", "kd_routed"])],
                                      methods.loc[["kd_routed", "kd_gated"]], baseline="kd_routed")  # fmt: skip
    said = _across(tables, "kd_gated", "Against the routed student, the one taught through the **gate**")
    if many(runs):
        return said
    rows = {name: table.loc["kd_gated"] for name, table in tables.items()}
    each = "\n".join(f"- {literal(name)}: **{row['verdict']}**, {_points(row)}." for name, row in rows.items())
    return f"{said}\n\n{each}" if said else ""


def results_table(runs: Reports) -> pd.DataFrame:
    """The original's table and ours, on the validation points: mean and sd of FFNN and of KD, a row per dataset."""
    rows = {}
    for name, manifest in runs.manifests.items():
        if name not in runs.good:
            rows[name] = {"run": f"{manifest['status']}: {manifest['reason']}"}
            continue
        published = PUBLISHED.get(runs.distance(name), {})
        ours = means(runs.of(name), split="valid")
        rows[name] = {}
        for title, method in (("FFNN", "ffnn"), ("KD", "kd_original")):
            rows[name][f"{title}, original"] = _pair(published.get(title))
            rows[name][f"{title}, ours"] = _pair(ours.get(method))
            there = title in published and method in ours
            rows[name][f"{title}, difference"] = signed(ours[method][0] - published[title][0]) if there else "–"
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
    return table[[*(column for column in table.columns if column != "run"), *(["run"] if "run" in table else [])]]


def originals(runs: Reports) -> list[str]:
    """The datasets that are the original's."""
    return [name for name in runs.good if runs.distance(name) in PUBLISHED]


def accuracy_table(runs: Reports) -> pd.DataFrame:
    """Mean accuracy of every method (rows) on each dataset's reported split (columns).

    Of many datasets the methods that tell the story are columns, and datasets are rows.
    """
    columns = {name: {m: mean for m, (mean, _) in scores.items()} for name, scores in accuracies(runs).items()}
    table = pd.DataFrame(columns)
    if many(runs):
        story = [name for name in (*STORY, "bayes") if name in table.index]
        return table.loc[story].rename(index=runs.titles).T.rename_axis("dataset")
    return table.rename(index=runs.titles).rename_axis("method")


def best_students(runs: Reports, table: pd.DataFrame) -> pd.DataFrame:
    """The best cells of `accuracy_table` for each dataset, of methods neither told the domain nor ceilings."""
    if many(runs):
        return _best_students(runs, table.T).T
    return _best_students(runs, table)


def _best_students(runs, table):
    told = {title for name in runs.good for title in runs.methods(name).query("`told the domain`")["title"]}
    ceilings = {runs.titles.get(name) for name in (*CEILINGS, "bayes_taught")}
    students = ~table.index.isin(told | ceilings)
    return table.apply(lambda column: (column == column[students].max()) & students)


def drawn(runs: Reports) -> dict[str, str]:
    """Titles of the methods that tell the story in maps, by name."""
    return {name: runs.titles[name] for name in STORY if name in runs.titles}


def verdicts(runs: Reports) -> pd.DataFrame:
    """Difference to FFNN in percentage points, interval and verdict of every method (rows) on each dataset, as text."""

    columns = {
        name: table.apply(lambda row: f"{_points(row)} {row['verdict'].replace(' ', NO_BREAK)}", axis=1)
        for name, table in comparisons(runs).items()
    }
    return pd.DataFrame(columns).rename(index=runs.titles).rename_axis("method").fillna("–")


def counts(runs: Reports) -> pd.DataFrame:
    """What `verdicts` says, over all datasets: of every method (rows) how many there are of each, and differences."""
    rows = {}
    tables = pd.concat(comparisons(runs), names=["dataset", "method"])
    for name, of in tables.groupby(level="method", sort=False):
        points = 100 * of["difference"]
        rows[runs.titles[name]] = {
            **{f"{verdict} on": int((of["verdict"] == verdict).sum()) for verdict in (BETTER, NEITHER, WORSE)},
            "median": points.median(), "least": points.min(), "greatest": points.max(),
            "gap closed, median": of["gap closed"].median(),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def ceilings(runs: Reports) -> dict[str, float]:
    """The accuracy that no method can exceed, of each dataset where it is known."""
    return {name: scores["bayes"][0] for name, scores in accuracies(runs).items() if "bayes" in scores}


def gaps(runs: Reports) -> tuple[pd.DataFrame, dict[str, str]]:
    """Results of the methods of the story on each dataset's reported split, which is renamed `reported`; and titles."""
    frames = [frame[frame["split"] == reported(frame)].assign(split="reported") for frame in map(runs.of, runs.good)]
    return pd.concat(frames, ignore_index=True), drawn(runs) | {
        name: title for name, title in runs.titles.items() if name == "bayes_taught"
    }


def all_rungs(runs: Reports) -> pd.DataFrame:
    """Every dataset's `ladder.csv`, with a column `dataset`."""
    return pd.concat([runs.rungs(name).assign(dataset=name) for name in runs.good], ignore_index=True)


def accuracies(runs: Reports) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sd of each method's accuracy on each dataset's reported split."""
    return {name: means(runs.of(name), split=reported(runs.of(name))) for name in runs.good}


def _points(row) -> str:
    """A row of a `comparison`: its difference and interval in percentage points."""
    return difference(*(100 * row[key] for key in ("difference", "low", "high")), digits=2)


def _pair(pair) -> str:
    return "–" if pair is None else plus_minus(*pair)
