"""What is said of the original's datasets alone: its accuracies beside ours, and why its student lost.

`ablation` is always as in `ablation.csv`, with a column `dataset` if there are several. Out of scope: the factorial
study of the same question (`studies`).
"""

from functools import partial

import pandas as pd

from kdlib.evaluation import comparison as statistics
from kdlib.evaluation.formatting import counted, percent, plus_minus, points, signed, value_range
from kdlib.evaluation.results import Reports, means

AS_PUBLISHED = "as in the original"  #: the label of the replica in an ablation
EXPLANATIONS = {
    "domains mixed": "The fixed order of the domains",
    "best epoch selected": "No model selection on held-out data",
    "both": "Both together",
}  #: the original's own, by the label of their fix
MIN_SHARE, MIN_PART = 0.5, 0.1  #: of the total gain: of an explanation that is supported, supported in part
MAX_DISTANCE = 0.02  #: from a published accuracy, of one that is reproduced


def originals(runs: Reports) -> list[str]:
    """The datasets that are the original's."""
    return [name for name in runs.good if runs.facts(name)["published"]]


def ablations(runs: Reports) -> pd.DataFrame:
    """`ablation.csv` of each of the original's datasets, with a column `dataset`."""
    return pd.concat([runs.ablation(name).assign(dataset=name) for name in originals(runs)], ignore_index=True)


def reproduction(runs: Reports) -> pd.DataFrame:
    """The original's accuracies and ours in percent, on the validation points: mean and sd of FFNN and KD.

    A row for each of the original's datasets; none of any other.
    """
    rows = {}
    for name in originals(runs):
        published, ours, rows[name] = runs.facts(name)["published"], means(runs.of(name), split="valid"), {}
        for title, method in _replicas(runs.methods(name)).items():
            rows[name] |= {
                f"{title}, original": plus_minus(*(100 * number for number in published[title]), 1),
                f"{title}, ours": plus_minus(*(100 * number for number in ours[method]), 1),
                f"{title}, difference": signed(100 * (ours[method][0] - published[title][0]), 1),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def replica_limits(runs: Reports) -> str:
    """How far the original's student, rebuilt, is from the published accuracies."""
    distances = []
    for name in originals(runs):
        replica = _replicas(runs.methods(name)).get("KD")
        published, _ = runs.facts(name)["published"]["KD"]
        if replica:
            distances.append(means(runs.of(name), split="valid")[replica][0] - published)
    if not distances:
        return ""
    far = max(map(abs, distances)) > MAX_DISTANCE
    distance = value_range([100 * each for each in distances], partial(signed, digits=1))
    return (
        f"The rebuilt student differs from the published one by {distance} points"
        f"{': it does not reproduce the published accuracies at every distance of the domains' * far}. Its "
        "number of epochs, a twelfth of the other methods', is a guess. What follows holds for the rebuilt student, "
        "and for the original's only as far as the two are alike."
    )


def _replicas(registered: pd.DataFrame) -> dict[str, str]:
    """The methods that rebuild the original's, by its names for them."""
    replicas = {"FFNN": registered["role"] == "baseline", "KD": registered["section"] == "the original"}
    return {title: registered.index[which][0] for title, which in replicas.items() if which.any()}


def explanations(ablation: pd.DataFrame) -> str:
    """Whether the original's explanations hold: does fixing one alone recover the loss? ablation: as in `ablation.csv`.

    Supported: its gain has an interval above zero and is at least half of what fixing every deviation gains; in part:
    at least a tenth of it. With several datasets, each seed's mean over them is judged.
    """
    steps = ablation[ablation["kind"] == "step"]
    mean = steps.groupby("label", sort=False)["accuracy"].mean()
    total = mean.iloc[-1] - mean.iloc[0]
    tried = ablation[ablation["kind"] == "explanation"]
    tried = tried.groupby(["seed", "label"], sort=False)["accuracy"].mean().unstack("label")
    lines = [
        f"Fixing every deviation changes the accuracy of the original's student by {signed(100 * total, 1)} points, "
        f"over {counted(steps['seed'].nunique(), 'seed')}{_mean_of_datasets(ablation)}. The original's explanations, "
        f"each fixed alone, over {counted(len(tried), 'seed')}:\n"
    ]
    for label, explanation in EXPLANATIONS.items():
        gain = tried[label] - tried[AS_PUBLISHED]
        low, high = statistics.interval_of_differences(gain)
        verdict = "not supported"
        if low > 0 and gain.mean() >= MIN_PART * total:
            verdict = "supported" if gain.mean() >= MIN_SHARE * total else "supported in part"
        share = f", {percent(gain.mean() / total)} of the total" if total > 0 else ""
        lines.append(
            f"- *{explanation}*: **{verdict}**, {points(gain.mean(), low, high, 1)}{share}, "
            f"from {percent(tried[AS_PUBLISHED].mean(), 1)} to {percent(tried[label].mean(), 1)}."
        )
    return "\n".join(lines)


def ablation_steps(ablation: pd.DataFrame) -> pd.DataFrame:
    """Each step for the figure: label, mean, low, high (95%), seeds, and dataset if there is one."""
    keys = ["dataset", "label"] if "dataset" in ablation else ["label"]
    rows = ablation[ablation["kind"] == "step"].groupby(keys, sort=False)["accuracy"]
    low, high = (lambda values, end=end: statistics.interval(values)[end] for end in (0, 1))
    return rows.agg(mean="mean", low=low, high=high, seeds="size").reset_index()


def largest_step(ablation: pd.DataFrame) -> str:
    """Which step of the ablation gains most, in a sentence."""
    mean = ablation[ablation["kind"] == "step"].groupby("label", sort=False)["accuracy"].mean()
    gains, total = mean.diff().iloc[1:], mean.iloc[-1] - mean.iloc[0]
    largest = gains.idxmax()
    share = f", {percent(gains[largest] / total)} of the total" if total > 0 else ""
    return (
        f"Fixing every deviation takes the original's student from {percent(mean.iloc[0], 1)} to "
        f"{percent(mean.iloc[-1], 1)}. The largest step of [the ablation](#figure-ablation) is *{largest}*: "
        f"{signed(100 * gains[largest], 1)} points{share}{_mean_of_datasets(ablation)}."
    )


def _mean_of_datasets(ablation) -> str:
    datasets = ablation["dataset"].nunique() if "dataset" in ablation else 1
    return f" (mean of {datasets} datasets)" if datasets > 1 else ""
