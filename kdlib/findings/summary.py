"""What the results of all datasets say: the summary's answer, sentences and tables.

As in `dataset`, which does the same for one dataset, a sentence says what the numbers show, in whichever direction they
point. Out of scope: figures (`plots`), the explorer, and the slow studies (`studies`).
"""

from functools import cache, partial

import numpy as np
import pandas as pd

from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.formatting import (
    counted_range,
    difference,
    percent,
    plus_minus,
    signed,
    value_range,
    whole,
)
from kdlib.evaluation.results import BAYES, MAX_DATASETS, Reports, means, reported
from kdlib.findings import dataset as dataset_findings


def methods(runs: Reports) -> pd.DataFrame:
    """What is registered of all methods that ran on any dataset."""
    every = pd.concat([runs.methods(name) for name in runs.good])
    return every[~every.index.duplicated()]


@cache
def comparisons(runs: Reports) -> dict[str, pd.DataFrame]:
    """`dataset.comparison` of each dataset whose run is good."""
    return {name: dataset_findings.comparison(runs.of(name), runs.methods(name)) for name in runs.good}


def baseline(runs: Reports) -> str:
    """The title of what methods are compared with."""
    registered = methods(runs)
    return registered.loc[dataset_findings.baseline(registered), "title"]


def overview(runs: Reports) -> str:
    """The answer to the report's question: a verdict, and how each of the summary's students does over all datasets."""
    if not runs.good:
        return "No run has succeeded, so there is nothing to compare; the reasons are listed below."
    tables, registered = comparisons(runs), methods(runs)
    students = dataset_findings.in_summary(registered, "student")
    rows = {name: [table.loc[name] for table in tables.values() if name in table.index] for name in students}
    best_first = sorted(students, key=lambda name: -np.mean([row["difference"] for row in rows[name]]))
    won = any(row["verdict"] == BETTER for of in rows.values() for row in of)
    verdict = "Distillation can beat direct training" if won else "No student is shown to beat direct training"
    seeds = counted_range({int(table["seeds"].max()) for table in tables.values()}, "seed")
    lines = [
        f"**{verdict}.** Differences in accuracy from direct training (*{baseline(runs)}*), in percentage points, "
        f"paired over {seeds}:\n"
    ]
    for name in best_first:
        lines.append(f"- **{students[name]}**: {_over_datasets(rows[name])}. {registered.loc[name, 'description']}")
    if ceilings(runs.first()):
        lines += ["", "[The chart](#figure-gaps) shows how far each method is from the best possible accuracy."]
    return "\n".join(lines)


def _over_datasets(rows) -> str:
    """Rows of a `comparison`, one per dataset, in words: verdicts, the range of differences, and of the gap closed."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (BETTER, WORSE, NEITHER)}
    (first, count), *others = [(verdict, count) for verdict, count in counts.items() if count]
    if first == NEITHER:
        where = {1: "", 2: " on either dataset"}.get(count, f" on any of the {count} datasets")
    else:
        where = ", ".join([_on(count, len(rows)), *(f"{verdict} on {n}" for verdict, n in others)])
    text = f"{first}{where} ({_range_of_points(rows)})"
    closed = [row["gap closed"] for row in rows if row["verdict"] == BETTER and np.isfinite(row["gap closed"])]
    if closed:
        subset = " where it is better," if others else ""
        text += f";{subset} closes {value_range(closed, percent)} of the gap to the best possible"
    return text


def controls(runs: Reports) -> str:
    """What the students' gains are due to: on how many datasets each reason that a control isolates is supported."""
    every = pd.concat([dataset_findings.contrasts(runs.of(name), runs.methods(name)) for name in runs.good])
    title, lines = methods(runs)["title"], []
    for control, rows in every.groupby(level=0, sort=False):
        supported, first = int((rows["verdict"] == BETTER).sum()), rows.iloc[0]
        verdict = f"supported{_on(supported, len(rows))}" if supported else "not supported"
        lines.append(
            f"- **{verdict}**: {first['isolates']}. *{title[first['student']]}* less *{title[control]}*: "
            f"{_range_of_points(rows.to_dict('records'))}."
        )
    return "\n".join(lines)


def budgets(runs: Reports) -> str:
    """Which of the summary's students take another number of updates than the baseline."""
    texts = []
    for name, title in dataset_findings.in_summary(methods(runs), "student").items():
        tables = [table for table in map(runs.methods, runs.good) if name in table.index]
        own = [table.loc[name, "updates"] for table in tables]
        direct = [table.loc[dataset_findings.baseline(table), "updates"] for table in tables]
        if own != direct:
            texts.append(f"*{title}* takes {value_range(own, whole)} updates, not {value_range(direct, whole)}")
    return f"{'; '.join(texts)}." if texts else ""


def _on(count: int, total: int) -> str:
    """` on 2 of 4 datasets`; nothing of a single dataset."""
    if count < total:
        return f" on {count} of {total} datasets"
    return {1: "", 2: " on both datasets"}.get(total, f" on all {total} datasets")


def _range_of_points(rows) -> str:
    return f"{value_range([100 * row['difference'] for row in rows], partial(signed, digits=2))} points"


def exceeds_panel_limit(runs: Reports) -> bool:
    """Whether there are more datasets than can be shown one by one."""
    return len(runs.good) > MAX_DATASETS


def left_out(runs: Reports) -> str:
    """Which datasets the figures with a panel for each do not show."""
    if not exceeds_panel_limit(runs):
        return ""
    return (
        f"Figures with a panel per dataset, here and below, show the first {MAX_DATASETS} of {len(runs.good)} "
        "datasets, by name; sentences and tables cover all. The other panels are in the datasets' own reports."
    )


def spread(runs: Reports) -> pd.DataFrame:
    """Each dataset's difference to the baseline by method, in percentage points: label, dataset, value, verdict."""
    rows = [
        (title, name, 100 * table.loc[method, "difference"], table.loc[method, "verdict"])
        for name, table in comparisons(runs).items()
        for method, title in titles(runs).items()
        if method in table.index
    ]
    return pd.DataFrame(rows, columns=["label", "dataset", "value", "verdict"])


def results_table(runs: Reports) -> pd.DataFrame:
    """The original's accuracies and ours, on the validation points: mean and sd of FFNN and KD, a row per dataset."""
    rows = {}
    for name, manifest in runs.manifests.items():
        if name not in runs.good:
            rows[name] = {"run": f"{manifest['status']}: {manifest['reason']}"}
            continue
        published = runs.facts(name)["published"] or {}
        ours, rows[name] = means(runs.of(name), split="valid"), {}
        for title, method in _replicas(runs.methods(name)).items():
            rows[name][f"{title}, original"] = _pair(published.get(title))
            rows[name][f"{title}, ours"] = _pair(ours.get(method))
            both = title in published and method in ours
            rows[name][f"{title}, difference"] = signed(ours[method][0] - published[title][0]) if both else "–"
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
    return table[[*(column for column in table.columns if column != "run"), *(["run"] if "run" in table else [])]]


def _replicas(registered: pd.DataFrame) -> dict[str, str]:
    """The methods that rebuild the original's, by its names for them."""
    replicas = {"FFNN": registered["role"] == "baseline", "KD": registered["section"] == "the original"}
    return {title: registered.index[which][0] for title, which in replicas.items() if which.any()}


def originals(runs: Reports) -> list[str]:
    """The datasets that are the original's."""
    return [name for name in runs.good if runs.facts(name)["published"]]


def accuracy_table(runs: Reports) -> pd.DataFrame:
    """Mean accuracy of every method (rows) on each dataset's reported split (columns).

    Of many datasets, datasets are rows, and columns are the summary's methods and Bayes.
    """
    columns = {name: {m: mean for m, (mean, _) in scores.items()} for name, scores in accuracies(runs).items()}
    table = pd.DataFrame(columns)
    if exceeds_panel_limit(runs):
        shown = [name for name in (*titles(runs), BAYES) if name in table.index]
        return table.loc[shown].rename(index=runs.titles).T.rename_axis("dataset")
    return table.rename(index=runs.titles).rename_axis("method")


def best_students(runs: Reports, table: pd.DataFrame) -> pd.DataFrame:
    """The best cells of `accuracy_table` for each dataset, of methods that neither use the domain nor are bounds."""
    registered = methods(runs)
    apart = registered.loc[registered["uses_domain"] | (registered["role"] == "bound"), "title"]
    by_method = table.T if exceeds_panel_limit(runs) else table
    compared = ~by_method.index.isin(apart)
    best = by_method.apply(lambda column: (column == column[compared].max()) & compared)
    return best.T if exceeds_panel_limit(runs) else best


def titles(runs: Reports) -> dict[str, str]:
    """Titles by name of the summary's methods."""
    return dataset_findings.in_summary(methods(runs)) if runs.good else {}


def shown_on_maps(runs: Reports) -> dict[str, str]:
    """Titles by name of the baseline, the least accurate of the summary's students and the two most accurate.

    Accuracy is the mean difference to the baseline over datasets.
    """
    registered, tables = methods(runs), pd.concat(comparisons(runs), names=["dataset", "method"])
    mean = tables["difference"].groupby(level="method").mean()
    students = [name for name in dataset_findings.in_summary(registered, "student") if name in mean]
    ranked = sorted(students, key=mean.get)
    chosen = {dataset_findings.baseline(registered), *ranked[:1], *ranked[-2:]}
    return {name: title for name, title in registered["title"].items() if name in chosen}


def verdicts(runs: Reports) -> pd.DataFrame:
    """Difference to the baseline in points, interval and verdict of every method (rows) on each dataset, as text."""
    columns = {
        name: table.apply(lambda row: f"{_points(row)} {row['verdict']}", axis=1)
        for name, table in comparisons(runs).items()
    }
    return pd.DataFrame(columns).rename(index=runs.titles).rename_axis("method").fillna("–")


def counts(runs: Reports) -> pd.DataFrame:
    """`verdicts` over all datasets: of every method (rows) how many there are of each, and the differences."""
    rows = {}
    tables = pd.concat(comparisons(runs), names=["dataset", "method"])
    for name, of in tables.groupby(level="method", sort=False):
        points = 100 * of["difference"]
        rows[runs.titles[name]] = {
            **{f"{verdict} on": int((of["verdict"] == verdict).sum()) for verdict in (BETTER, NEITHER, WORSE)},
            "median": points.median(), "minimum": points.min(), "maximum": points.max(),
            "gap closed, median": of["gap closed"].median(),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def ceilings(runs: Reports) -> dict[str, float]:
    """The accuracy that no method can exceed, of each dataset where it is known."""
    return {name: scores[BAYES][0] for name, scores in accuracies(runs).items() if BAYES in scores}


def gaps(runs: Reports) -> tuple[pd.DataFrame, dict[str, str]]:
    """Results on each dataset's reported split, which is renamed `reported`; and titles of what is drawn.

    Drawn are the summary's methods, and bounds other than Bayes.
    """
    frames = [frame[frame["split"] == reported(frame)].assign(split="reported") for frame in map(runs.of, runs.good)]
    registered = methods(runs)
    bounds = registered.loc[registered["role"] == "bound", "title"].drop(BAYES, errors="ignore")
    return pd.concat(frames, ignore_index=True), titles(runs) | bounds.to_dict()


def ablations(runs: Reports) -> pd.DataFrame:
    """`ablation.csv` of each of the original's datasets, with a column `dataset`."""
    return pd.concat([runs.ablation(name).assign(dataset=name) for name in originals(runs)], ignore_index=True)


def accuracies(runs: Reports) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sd of each method's accuracy on each dataset's reported split."""
    return {name: means(runs.of(name), split=reported(runs.of(name))) for name in runs.good}


def _points(row) -> str:
    """A row of a `comparison`: its difference and interval in percentage points."""
    return difference(*(100 * row[key] for key in ("difference", "low", "high")), digits=2)


def _pair(pair) -> str:
    return "–" if pair is None else plus_minus(*pair)
