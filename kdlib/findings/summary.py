"""What the results of all datasets say: the summary's answer, its sentences, and its advice.

As in `dataset`, which does the same for one dataset, a sentence says what the numbers show, in whichever direction they
point. Out of scope: tables (`summary_tables`), figures (`plots`), the explorer, the slow studies (`studies`), what only
the original's datasets have (`original`), and means over many datasets (`collection`).
"""

from functools import partial

import numpy as np
import pandas as pd

from kdlib.evaluation.comparison import BETTER, CONFIDENCE_LEVEL, NEITHER, WORSE, holm
from kdlib.evaluation.formatting import counted, counted_range, difference, percent, signed, value_range, whole
from kdlib.evaluation.results import Reports
from kdlib.findings import dataset as dataset_findings
from kdlib.findings.summary_tables import baseline, comparisons, exceeds_panel_limit, judged, methods, titles


def answer(runs: Reports) -> str:
    """The answer to the report's question in a sentence."""
    if not runs.good:
        return "No run has succeeded, so there is nothing to compare; the reasons are listed below."
    students = list(dataset_findings.in_summary(methods(runs), "student"))
    return headline(pd.concat([table[table.index.isin(students)] for table in comparisons(runs).values()]))


def overview(runs: Reports) -> str:
    """How each of the summary's students does over all datasets, the best first."""
    if not runs.good:
        return ""
    tables, registered = comparisons(runs), methods(runs)
    students = dataset_findings.in_summary(registered, "student")
    rows = {name: [table.loc[name] for table in tables.values() if name in table.index] for name in students}
    best_first = sorted(students, key=lambda name: -np.mean([row["difference"] for row in rows[name]]))
    seeds = counted_range({int(table["seeds"].max()) for table in tables.values()}, "seed")
    lines = [f"Compared with direct training at its best (*{baseline(runs)}*), paired over {seeds}:\n"]
    for name in best_first:
        lines.append(f"- **{students[name]}**: {_over_datasets(rows[name])}.")
    return "\n".join(lines)


def headline(gains: pd.DataFrame) -> str:
    """Whether any student is better on any dataset, corrected for the number of both (Holm).

    gains: a row for each dataset and student, columns `raw p` and `verdict`. A verdict is corrected for all methods on
    its dataset, which can be more than there are students on all datasets: what counts here holds in both ways.
    """
    shown = gains.loc[holm(gains["raw p"]) < 1 - CONFIDENCE_LEVEL, "verdict"]
    better, worse = (int((shown == verdict).sum()) for verdict in (BETTER, WORSE))
    verdict = "Distillation can beat direct training" if better else "No student is shown to beat direct training"
    if 0 < better < worse:
        verdict += ", but loses to it more often"
    return (
        f"**{verdict}**: of {counted(len(gains), 'comparison')} of a student with direct training on a dataset, the "
        f"student is better in {better or 'none'} and worse in {worse or 'none'}, corrected for their number (Holm)."
    )


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
            f"- **{verdict}**: {first['isolates']}. *{title[first['student']]}* minus *{title[control]}*: "
            f"{_range_of_points(rows.to_dict('records'))}."
        )
    return "\n".join(lines)


def credit(runs: Reports) -> str:
    """Who earns the students' gains: their teachers undistilled, and what the students keep; ranges over datasets."""
    title, tables, lines = methods(runs)["title"], comparisons(runs), []
    for student, teacher in dataset_findings.taught(methods(runs)).items():
        pairs = [table.loc[[teacher, student]] for table in tables.values() if {teacher, student} <= set(table.index)]
        if not pairs:
            continue
        own, its = (_range_of_points([pair.loc[name] for pair in pairs]) for name in (teacher, student))
        kept = [
            pair.loc[student, "difference"] / pair.loc[teacher, "difference"]
            for pair in pairs
            if pair.loc[teacher, "verdict"] == BETTER
        ]
        where = " where the teacher is better" if len(kept) < len(pairs) else ""
        keeps = f": it keeps {value_range(kept, percent)} of the gain{where}" if kept else ""
        lines.append(f"- *{title[teacher]}*: {own}; its student, *{title[student]}*: {its}{keeps}.")
    return (
        "\n".join([f"Undistilled teachers and their students, compared with *{baseline(runs)}*:\n", *lines])
        if lines
        else ""
    )


def advice(runs: Reports) -> pd.DataFrame:
    """The method to use on each dataset, by its cross-entropy on the validation split, and how it compares there."""
    rows = {}
    for name in runs.good:
        results, registered = runs.of(name), runs.methods(name)
        losses = dataset_findings.selection_losses(results, registered)
        accuracy, nll = (
            dataset_findings.comparison(results, registered, metric=metric) for metric in ("accuracy", "nll")
        )
        rows[name] = advised(losses.idxmin(), accuracy, nll, registered["title"])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def advised(best: str, accuracy: pd.DataFrame, nll: pd.DataFrame, title: pd.Series) -> dict[str, str]:
    """A row of `advice`; accuracy, nll: of all methods but the baseline, difference from it, interval and verdict."""
    row = {"use": title[best], "accuracy, points": "–", "cross-entropy": "–"}
    if best in accuracy.index:
        row["accuracy, points"] = judged(accuracy.loc[best])
        loss = nll.loc[best]
        row["cross-entropy"] = f"{difference(*loss[['difference', 'low', 'high']])} {loss['verdict']}"
    return row


def budgets(runs: Reports) -> str:
    """Which of the summary's methods take another number of updates than plain direct training, the first baseline."""
    updates = pd.DataFrame({name: runs.methods(name)["updates"] for name in runs.good}).loc[list(titles(runs))]
    plain = updates.loc[next(iter(dataset_findings.in_summary(methods(runs), "baseline")))]
    others = updates[(updates.notna() & (updates != plain)).any(axis=1)]
    if others.empty:
        return ""
    ranges = {name: value_range(row.dropna().astype(int), whole) for name, row in updates.iterrows()}
    plain, *listed = (f"*{titles(runs)[name]}*, {ranges[name]}" for name in (plain.name, *others.index))
    return f"Updates per seed, where they are not those of {plain}: {'; '.join(listed)}."


def _on(count: int, total: int) -> str:
    """` on 2 of 4 datasets`; nothing of a single dataset."""
    if count < total:
        return f" on {count} of {total} datasets"
    return {1: "", 2: " on both datasets"}.get(total, f" on all {total} datasets")


def _range_of_points(rows) -> str:
    return f"{value_range([100 * row['difference'] for row in rows], partial(signed, digits=2))} points"


def left_out(runs: Reports) -> str:
    """Which datasets the figures with a panel for each do not show."""
    if not exceeds_panel_limit(runs):
        return ""
    shown, datasets = len(runs.first().good), len(runs.cuts)
    which = f"the first {shown} of {datasets} datasets, by name" if shown < datasets else counted(datasets, "dataset")
    cut = ", of each its first cut" if datasets < len(runs.good) else ""
    return (
        f"Figures with a panel per dataset show {which}{cut}; sentences and tables cover all. The other panels are on "
        "the datasets' own pages."
    )
