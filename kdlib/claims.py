"""Sentences and tables whose numbers come from the results: no number is typed into a notebook's prose.

A sentence says what the numbers say, whichever way they point; a claim that they do not support reads "not
supported". Leaves out figures (`plots`) and the arithmetic (`statistics`).
"""

import numpy as np
import pandas as pd

from kdlib import statistics
from kdlib.results import Reports, means, select
from kdlib.show import literal
from kdlib.statistics import BETTER, WORSE

#: The original's accuracies on the 300 validation points: mean and sd of three runs, from its README, by d
PUBLISHED = {
    1.0: {"FFNN": (0.9833, 0.0047), "KD": (0.8373, 0.0074)},
    0.75: {"FFNN": (0.9887, 0.0034), "KD": (0.8467, 0.0056)},
    0.5: {"FFNN": (0.9680, 0.0034), "KD": (0.8380, 0.0016)},
    0.25: {"FFNN": (0.7680, 0.0176), "KD": (0.7153, 0.0058)},
}
STORY = ("ffnn", "kd_original", "kd_routed", "kd_mean", "kd_gated", "kd_best")  #: the methods that tell it
CEILINGS = ("bayes", "bayes_told")  #: not methods to compare, but what they are compared with


def reported(results: pd.DataFrame) -> str:
    """The split that a dataset's results report: fresh points where there are any, else test, else valid."""
    there = set(results["split"])
    return next(split for split in ("fresh", "test", "valid") if split in there)


def comparison(results: pd.DataFrame, methods: pd.DataFrame, baseline: str = "ffnn") -> pd.DataFrame:
    """Each method that is not told the domain against a baseline, on the reported split.

    methods: as written by an experiment (`title`, `told the domain`). Columns: `accuracy`, `sd`, `difference`, `low`,
    `high` (95 %), `p` (Holm), `verdict`, `gap closed` (share of the way from the baseline to Bayes, NaN if unknown).
    """
    accuracy = select(results, split=reported(results)).pivot(index="seed", columns="method", values="value")
    told = set(methods.index[methods["told the domain"]])
    order = [m for m in methods.index if m in accuracy and m not in told and m not in CEILINGS]
    table = statistics.compare(accuracy[order], baseline).rename(columns={"mean": "difference"})
    mean = accuracy[order].mean()
    ceiling = accuracy["bayes"].mean() if "bayes" in accuracy else np.nan
    table.insert(0, "accuracy", mean)
    table.insert(1, "sd", accuracy[order].std())
    table["gap closed"] = [statistics.gap_closed(mean[m], mean[baseline], ceiling) for m in table.index]
    return table


def finding(table: pd.DataFrame, titles: dict[str, str], baseline_accuracy: float, ceiling: float | None) -> str:
    """One dataset in short: what each student is worth beside direct training; table: a `comparison`."""
    seeds = int(table["seeds"].max())
    text = f"Over {_seeds(seeds)}, direct training reaches an accuracy of **{baseline_accuracy:.4f}**"
    text += f"; no classifier that does not see the domain can exceed {ceiling:.4f}" if ceiling else ""
    students = [name for name in ("kd_original", "kd_routed", "kd_gated", "kd_best") if name in table.index]
    lines = [f"- *{titles[name]}*: {_against(table.loc[name])}." for name in students]
    return "\n".join([f"{text}.{' Beside it, in pairs:' if lines else ''}\n", *lines]).strip()


CAUSES = {
    "kernel_direct": "a teacher per domain matters, not only the kind of machine",
    "kd_kernel_direct": "the same, beside that machine's student",
    "kd_gated_queries": "the kind of teacher matters, not only that it is asked about more points",
    "ffnn_noisy": "the teachers' answers matter, not only that there are more points",
    "kd_ensemble": "it is more than the averaging of networks",
}  #: what `kd_best` has and a control has not


def controls(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """What `kd_best`'s gain is due to, from its differences to the controls, which each lack one cause."""
    table = comparison(results, methods, baseline="kd_best")
    lines = []
    for name, cause in CAUSES.items():
        if name in table.index:
            row = table.loc[name]
            holds = "supported" if row["verdict"] == WORSE else "not supported"
            gain = f"{-row['difference']:+.4f} [{-row['high']:+.4f}, {-row['low']:+.4f}]"
            lines.append(f"- **{holds}**: {cause}. Against *{methods.loc[name, 'title']}* the student gains {gain}.")
    return "\n".join(lines)


def what_points_show(accuracy: float, points: int) -> str:
    """How uncertain an accuracy on so many points is, for the chance of which were drawn."""
    low, high = statistics.sampling_interval(accuracy, points)
    return (
        f"{points} points leave an accuracy of {accuracy:.3f} uncertain between {low:.3f} and {high:.3f} "
        "(95 %, Wilson), whatever the number of seeds: they cannot tell methods apart that differ by less."
    )


def explanations(rungs: pd.DataFrame) -> str:
    """Whether the original's explanations hold: does mending one alone make up the loss? rungs: as in `ladder.csv`.

    Supported: it gains at least half of what mending everything gains, from the ladder's first rung to its last. In
    part: it gains less, with an interval above zero. With several datasets, each seed's mean over them is judged.
    """
    mean = rungs[rungs["what"] == "ladder"].groupby("label", sort=False)["accuracy"].mean()
    whole = mean.iloc[-1] - mean.iloc[0]
    tried = rungs[rungs["what"] == "explanation"]
    tried = tried.groupby(["seed", "label"], sort=False)["accuracy"].mean().unstack("label")
    said = {
        "domains mixed": "The fixed order of the domains",
        "best epoch selected": "No model selection on held-out data",
        "both": "Both together",
    }
    lines = [f"Mending everything gains {whole:+.4f}; mended alone, in the original's student, what gain\n"]
    for label, what in said.items():
        gain = tried[label] - tried["as in the original"]
        low, high = statistics.interval(gain)
        clear = statistics.p_value(gain) < 1 - statistics.LEVEL and not low <= 0 <= high
        verdict = "not supported"
        if clear and gain.mean() > 0:
            verdict = "supported" if gain.mean() >= whole / 2 else "supported in part"
        lines.append(
            f"- *{what}*: **{verdict}**, {gain.mean():+.4f} [{low:+.4f}, {high:+.4f}], "
            f"from {tried['as in the original'].mean():.4f} to {tried[label].mean():.4f}."
        )
    return "\n".join(lines)


def ladder(rungs: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval of each rung, for the figure: label, mean, low, high, and dataset if there is one."""
    keys = ["dataset", "label"] if "dataset" in rungs else ["label"]
    rows = rungs[rungs["what"] == "ladder"].groupby(keys, sort=False)["accuracy"]
    table = rows.agg(mean="mean", low=lambda v: statistics.interval(v)[0], high=lambda v: statistics.interval(v)[1])
    return table.reset_index()


def biggest_step(rungs: pd.DataFrame) -> str:
    """Which mend on the ladder gains most, in a sentence."""
    mean = rungs[rungs["what"] == "ladder"].groupby("label", sort=False)["accuracy"].mean()
    steps = mean.diff().iloc[1:]
    best, whole = steps.idxmax(), mean.iloc[-1] - mean.iloc[0]
    text = (
        f"From the original's student ({mean.iloc[0]:.4f}) to the mended one ({mean.iloc[-1]:.4f}), the largest step "
    )
    text += f"of [the ladder](#figure-ladder) is *{best}*: {steps[best]:+.4f}"
    return text + (f", {steps[best] / whole:.0%} of the way." if whole > 0 else ".")


# --- All datasets -------------------------------------------------------------------------------------------------


def comparisons(runs: Reports) -> dict[str, pd.DataFrame]:
    """`comparison` of each dataset whose run is good."""
    return {name: comparison(runs.of(name), runs.methods(name)) for name in runs.good}


def overview(runs: Reports) -> str:
    """All datasets in a paragraph: the answer to the report's question."""
    if not runs.good:
        return "No run has succeeded, so there is nothing to compare; the reasons are listed below."
    tables = comparisons(runs)
    won = any(table["verdict"][name] == BETTER for table in tables.values() for name in table.index if name in STORY)
    sentences = [
        "**Distillation can win.**" if won else "**Distillation is not shown to win.**",
        _across(tables, "kd_best", "A student taught by **kernel machines**, one per domain,"),
        _across(tables, "kd_original", "A student built **as in the original**"),
        _across(
            tables, "kd_routed", "With the original's **faults mended**, each sample taught by its domain's network, it"
        ),
        _across(tables, "kd_gated", "Taught by those networks **weighed by how probable their domain is**, it"),
    ]
    seeds = sorted({int(table["seeds"].max()) for table in tables.values()})
    gaps = "; [the chart](#figure-gaps) shows what each leaves to the best possible" if ceilings(runs) else ""
    return " ".join(filter(None, sentences)) + (
        f" All are compared with a network trained directly on all domains, in pairs over {_seeds(*seeds)}{gaps}."
    )


def _across(tables, name, subject) -> str:
    rows = [table.loc[name] for table in tables.values() if name in table.index]
    if not rows:
        return ""
    total = len(rows)
    better, worse = (sum(r["verdict"] == verdict for r in rows) for verdict in (BETTER, WORSE))
    neither = total - better - worse
    counts = {"better": better, "worse": worse, "not shown to differ": neither}
    (first, count), *others = [(word, count) for word, count in counts.items() if count]
    where = {1: "on the dataset"}.get(
        total, f"on all {total} datasets" if not others else f"on {count} of {total} datasets"
    )
    said = ", ".join([f"{first} {where}", *(f"{word} on {count}" for word, count in others)])
    points = _range([100 * r["difference"] for r in rows], "+.2f")
    text = f"{subject} is {said} ({points} percentage points)"
    closed = [r["gap closed"] for r in rows if r["verdict"] == BETTER and np.isfinite(r["gap closed"])]
    if closed:
        where = "" if better == total else ", where it is better,"
        text += f" and closes{where} {_range(closed, '.0%')} of the gap to the best possible"
    return text + "."


def gate(runs: Reports) -> str:
    """What the learned gate is worth: `kd_gated` against `kd_routed`, both taught by networks."""
    tables = {}
    for name in runs.good:
        results, methods = runs.of(name), runs.methods(name)
        if {"kd_gated", "kd_routed"} <= set(methods.index):
            tables[name] = comparison(results[results["method"].isin(["kd_gated", "kd_routed"])],
                                      methods.loc[["kd_routed", "kd_gated"]], baseline="kd_routed")  # fmt: skip
    said = _across(tables, "kd_gated", "Against the routed student, the one taught through the **gate**")
    each = "\n".join(f"- {literal(name)}: {_against(table.loc['kd_gated'])}." for name, table in tables.items())
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
            rows[name][f"{title}, difference"] = f"{ours[method][0] - published[title][0]:+.4f}" if there else "–"
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
    return table[[*(column for column in table.columns if column != "run"), *(["run"] if "run" in table else [])]]


def accuracy_table(runs: Reports) -> pd.DataFrame:
    """Mean accuracy of every method (rows) on each dataset's reported split (columns)."""
    columns = {name: {m: mean for m, (mean, _) in scores.items()} for name, scores in accuracies(runs).items()}
    table = pd.DataFrame(columns)
    return table.rename(index=runs.titles).rename_axis("method")


def best_students(runs: Reports, table: pd.DataFrame) -> pd.DataFrame:
    """The best cells of `accuracy_table` in each column, of methods neither told the domain nor ceilings."""
    told = {title for name in runs.good for title in runs.methods(name).query("`told the domain`")["title"]}
    ceilings = {runs.titles.get(name) for name in (*CEILINGS, "bayes_taught")}
    students = ~table.index.isin(told | ceilings)
    return table.apply(lambda column: (column == column[students].max()) & students)


def drawn(runs: Reports) -> dict[str, str]:
    """Titles of the methods that tell the story in maps, by name."""
    return {name: runs.titles[name] for name in STORY if name in runs.titles}


def verdicts(runs: Reports) -> pd.DataFrame:
    """Difference to FFNN in percentage points, interval and verdict of every method (rows) on each dataset, as text."""

    def brief(row) -> str:
        low, high, mean = (100 * row[key] for key in ("low", "high", "difference"))
        return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] {row['verdict']}"

    columns = {name: table.apply(brief, axis=1) for name, table in comparisons(runs).items()}
    return pd.DataFrame(columns).rename(index=runs.titles).rename_axis("method").fillna("–")


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


def _pair(pair) -> str:
    return "–" if pair is None else f"{pair[0]:.4f} ± {pair[1]:.4f}"


def _seeds(*counts) -> str:
    return f"{' or '.join(map(str, counts))} seed{'s' * (counts != (1,))}"


def _against(row) -> str:
    text = f"**{row['verdict']}**, {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
    if row["verdict"] == BETTER and np.isfinite(row["gap closed"]):
        text += f", {row['gap closed']:.0%} of the gap closed"
    return text


def _range(values, form="+.4f") -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"
