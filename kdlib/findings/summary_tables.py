"""What the runs of all datasets hold, as tables: the summary shows them, and its sentences are computed from them.

Out of scope: sentences (`summary`), the slow studies (`studies`), and means over many datasets (`collection`).
"""

from functools import cache

import pandas as pd

from kdlib.evaluation.comparison import NEITHER
from kdlib.evaluation.formatting import difference
from kdlib.evaluation.results import BAYES, MAX_DATASETS, Reports, means, reported
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import original


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


def titles(runs: Reports) -> dict[str, str]:
    """Titles by name of the summary's methods."""
    return dataset_findings.in_summary(methods(runs)) if runs.good else {}


def digits(runs: Reports) -> int:
    """Decimals that percentages of all datasets deserve."""
    return min(dataset_findings.digits(runs.of(name)) for name in runs.good)


def accuracies(runs: Reports) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sd of each method's accuracy on each dataset's reported split."""
    return {name: means(runs.of(name), split=reported(runs.of(name))) for name in runs.good}


def ceilings(runs: Reports) -> dict[str, float]:
    """The accuracy that no method can exceed, of each dataset where it is known."""
    return {name: scores[BAYES][0] for name, scores in accuracies(runs).items() if BAYES in scores}


def room(runs: Reports) -> dict[str, float]:
    """How far the baseline is from the highest accuracy possible, of each dataset where that is known."""
    direct = dataset_findings.baseline(methods(runs))
    means = accuracies(runs)
    return {name: top - means[name][direct][0] for name, top in ceilings(runs).items()}


def key_frame(runs: Reports) -> pd.DataFrame:
    """Differences from the baseline of students and their ceiling: dataset, label, mean, low, high, verdict."""
    registered = methods(runs)
    shown = dataset_findings.in_summary(registered, "student")
    shown |= registered.loc[registered["role"] == "bound", "title"].drop(BAYES, errors="ignore").to_dict()
    frames = []
    for name, table in comparisons(runs).items():
        rows = table.loc[table.index.intersection(list(shown), sort=False)].rename(columns={"difference": "mean"})
        frames.append(rows.assign(dataset=name, label=rows.index.map(shown)))
    return pd.concat(frames)[["dataset", "label", "mean", "low", "high", "verdict"]]


def definitions(runs: Reports) -> pd.DataFrame:
    """What each of the summary's methods is and learns from, by title; numbers are those of the first dataset."""
    registered = methods(runs)
    table = registered.loc[list(titles(runs)), ["title", "description", "learns_from"]]
    return table.set_axis(["method", "what it is", "learns from"], axis=1).set_index("method")


def results_table(runs: Reports) -> pd.DataFrame:
    """A row per dataset: mean accuracy of each method by title, the original's and ours, and why a run failed."""
    failed = {
        name: f"{manifest['status']}: {manifest['reason']}"
        for name, manifest in runs.manifests.items()
        if name not in runs.good
    }
    table = pd.DataFrame(index=pd.Index(list(runs.manifests), name="dataset"))
    if runs.good:
        means = {name: {m: mean for m, (mean, _) in scores.items()} for name, scores in accuracies(runs).items()}
        table = table.join([pd.DataFrame(means).rename(index=runs.titles).T, original.reproduction(runs)])
    return table.assign(run=pd.Series(failed)) if failed else table


def accuracy_table(runs: Reports) -> pd.DataFrame:
    """Mean accuracy in percent of every method (rows) on each dataset's reported split (columns).

    Of many datasets, datasets are rows, means over their cuts, and columns are the summary's methods and Bayes.
    """
    columns = {name: {m: mean for m, (mean, _) in scores.items()} for name, scores in accuracies(runs).items()}
    table = 100 * pd.DataFrame(columns)
    if exceeds_panel_limit(runs):
        shown = [name for name in (*titles(runs), BAYES) if name in table.index]
        of_cuts = {name: table.loc[shown, cuts].mean(axis=1) for name, cuts in runs.cuts.items()}
        return pd.DataFrame(of_cuts).rename(index=runs.titles).T.rename_axis("dataset")
    table = table.loc[methods(runs).index.intersection(table.index, sort=False)]
    return table.rename(index=runs.titles).rename_axis("method")


def best_students(runs: Reports, table: pd.DataFrame) -> pd.DataFrame:
    """The best cell of `accuracy_table` for each dataset, of methods that neither use the domain nor are bounds.

    Where several are equal, none is.
    """
    registered = methods(runs)
    apart = registered.loc[registered["uses_domain"] | (registered["role"] == "bound"), "title"]
    by_method = table.T if exceeds_panel_limit(runs) else table
    compared = ~by_method.index.isin(apart)
    best = by_method.apply(lambda column: (column == column[compared].max()) & compared)
    best &= best.sum() == 1
    return best.T if exceeds_panel_limit(runs) else best


def shown_on_maps(runs: Reports) -> dict[str, str]:
    """Titles by name of the baseline, the least accurate of the summary's students and the two most accurate.

    Accuracy is the mean difference from the baseline over datasets.
    """
    registered, tables = methods(runs), pd.concat(comparisons(runs), names=["dataset", "method"])
    mean = tables["difference"].groupby(level="method").mean()
    students = [name for name in dataset_findings.in_summary(registered, "student") if name in mean]
    ranked = sorted(students, key=mean.get)
    chosen = {dataset_findings.baseline(registered), *ranked[:1], *ranked[-2:]}
    return {name: title for name, title in registered["title"].items() if name in chosen}


def verdicts(runs: Reports) -> pd.DataFrame:
    """Difference from the baseline in points, interval, and verdict if any, of every method (rows) on each dataset."""
    columns = {name: table.apply(judged, axis=1) for name, table in comparisons(runs).items()}
    table = pd.DataFrame(columns)
    order = methods(runs).index.intersection(table.index, sort=False)
    return table.loc[order].rename(index=runs.titles).rename_axis("method").fillna("–")


def exceeds_panel_limit(runs: Reports) -> bool:
    """Whether there are more datasets than can be shown one by one."""
    return len(runs.good) > MAX_DATASETS


def judged(row) -> str:
    """A row of a `comparison`: its difference and interval in percentage points, and its verdict if there is one."""
    text = difference(*(100 * row[dataset_findings.IN_POINTS]), digits=2)
    return text if row["verdict"] == NEITHER else f"{text} {row['verdict']}"
