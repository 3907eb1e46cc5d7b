"""What the results of one dataset say: sentences and tables, so that no number is typed into a notebook's prose.

A sentence says what the numbers say, whichever way they point; a claim that they do not support reads "not
supported". Leaves out figures (`plots`), the arithmetic (`statistics`) and all datasets together (`summary`).
"""

import numpy as np
import pandas as pd

from kdlib.evaluation import comparison as statistics
from kdlib.evaluation.comparison import BETTER, WORSE
from kdlib.evaluation.formatting import counted, difference, percent, signed
from kdlib.evaluation.results import CEILINGS, reported, select

STORY = ("ffnn", "kd_original", "kd_routed", "kd_mean", "kd_gated", "kd_best")  #: the methods that tell it


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
    text = f"Over {counted(seeds, 'seed')}, direct training reaches an accuracy of **{baseline_accuracy:.4f}**"
    text += f"; no classifier that does not see the domain can exceed {ceiling:.4f}" if ceiling else ""
    students = [name for name in ("kd_original", "kd_routed", "kd_gated", "kd_best") if name in table.index]
    lines = [f"- *{titles[name]}*: {against(table.loc[name])}." for name in students]
    return "\n".join([f"{text}.{' Beside it, in pairs:' if lines else ''}\n", *lines]).strip()


CAUSES = {
    "kernel_direct": "a teacher per domain matters, not only the kind of machine",
    "kd_kernel_direct": "a teacher per domain matters, also where the one machine has a student",
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
            gain = difference(-row["difference"], -row["high"], -row["low"])
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
    climbed = rungs[rungs["what"] == "ladder"]
    mean = climbed.groupby("label", sort=False)["accuracy"].mean()
    whole = mean.iloc[-1] - mean.iloc[0]
    tried = rungs[rungs["what"] == "explanation"]
    tried = tried.groupby(["seed", "label"], sort=False)["accuracy"].mean().unstack("label")
    said = {
        "domains mixed": "The fixed order of the domains",
        "best epoch selected": "No model selection on held-out data",
        "both": "Both together",
    }
    lines = [
        f"In the original's student, mending everything changes the accuracy by {signed(whole)}, over "
        f"{counted(climbed['seed'].nunique(), 'seed')}{_of_all(rungs)}. Each explanation, mended alone, over "
        f"{counted(len(tried), 'seed')}:\n"
    ]
    for label, what in said.items():
        gain = tried[label] - tried["as in the original"]
        low, high = statistics.interval(gain)
        clear = statistics.p_value(gain) < 1 - statistics.CONFIDENCE_LEVEL and not low <= 0 <= high
        verdict = "not supported"
        if clear and gain.mean() > 0:
            verdict = "supported" if gain.mean() >= whole / 2 else "supported in part"
        lines.append(
            f"- *{what}*: **{verdict}**, {difference(gain.mean(), low, high)}, "
            f"from {tried['as in the original'].mean():.4f} to {tried[label].mean():.4f}."
        )
    return "\n".join(lines)


def ladder(rungs: pd.DataFrame) -> pd.DataFrame:
    """Each rung for the figure: label, mean, low, high (95 %), seeds, and dataset if there is one."""
    keys = ["dataset", "label"] if "dataset" in rungs else ["label"]
    rows = rungs[rungs["what"] == "ladder"].groupby(keys, sort=False)["accuracy"]
    low, high = (lambda values, end=end: statistics.interval(values)[end] for end in (0, 1))
    return rows.agg(mean="mean", low=low, high=high, seeds="size").reset_index()


def biggest_step(rungs: pd.DataFrame) -> str:
    """Which mend on the ladder gains most, in a sentence."""
    mean = rungs[rungs["what"] == "ladder"].groupby("label", sort=False)["accuracy"].mean()
    steps = mean.diff().iloc[1:]
    best, whole = steps.idxmax(), mean.iloc[-1] - mean.iloc[0]
    text = (
        f"From the original's student ({mean.iloc[0]:.4f}) to the mended one ({mean.iloc[-1]:.4f}), the largest step "
    )
    text += f"of [the ladder](#figure-ladder) is *{best}*: {signed(steps[best])}"
    return text + (f", {percent(steps[best] / whole)} of the way" if whole > 0 else "") + f"{_of_all(rungs)}."


def _of_all(rungs) -> str:
    datasets = rungs["dataset"].nunique() if "dataset" in rungs else 1
    return f" (mean of {datasets} datasets)" if datasets > 1 else ""


def against(row) -> str:
    """A row of a `comparison` in words: its verdict, difference and interval, and how much of the gap it closes."""
    text = f"**{row['verdict']}**, {difference(row['difference'], row['low'], row['high'])}"
    if row["verdict"] == BETTER and np.isfinite(row["gap closed"]):
        text += f", {percent(row['gap closed'])} of the gap closed"
    return text
