"""Sentences and tables whose numbers come from the results: no number is typed into a notebook's prose.

A sentence says what the numbers say, whichever way they point. Leaves out figures (`plots`).
"""

import pandas as pd

from kdlib.results import Reports, means, select

#: The original's accuracies on the 300 validation points: mean and sd of three runs, from its README, by d
PUBLISHED = {
    1.0: {"FFNN": (0.9833, 0.0047), "KD": (0.8373, 0.0074)},
    0.75: {"FFNN": (0.9887, 0.0034), "KD": (0.8467, 0.0056)},
    0.5: {"FFNN": (0.9680, 0.0034), "KD": (0.8380, 0.0016)},
    0.25: {"FFNN": (0.7680, 0.0176), "KD": (0.7153, 0.0058)},
}


def reported(results: pd.DataFrame) -> str:
    """The split that a dataset's results report: fresh points where there are any, else test, else valid."""
    there = set(results["split"])
    return next(split for split in ("fresh", "test", "valid") if split in there)


def finding(results: pd.DataFrame) -> str:
    """One dataset in a paragraph: the two students against the network trained directly."""
    split = reported(results)
    accuracy = means(results, split=split)
    direct, original, routed = (accuracy[name][0] for name in ("ffnn", "kd_original", "kd_routed"))
    seeds = select(results, split=split, method="ffnn")["seed"].nunique()
    text = (
        f"Over {_seeds(seeds)}, on {_split(split)}: trained directly, the network reaches an accuracy of {direct:.4f}. "
        f"The student built as in the original reaches {original:.4f}, {_against(original - direct)}; "
        f"the mended one reaches {routed:.4f}, {_against(routed - direct)}."
    )
    if "bayes" in accuracy:
        text += f" No classifier that does not see the domain can exceed {accuracy['bayes'][0]:.4f}."
    return text


def overview(runs: Reports) -> str:
    """All datasets in a paragraph."""
    if not runs.good:
        return "No run has succeeded, so there is nothing to compare; the reasons are listed below."
    original, routed, seeds = [], [], set()
    for name in runs.good:
        results = runs.of(name)
        accuracy = means(results, split=reported(results))
        original.append(accuracy["kd_original"][0] - accuracy["ffnn"][0])
        routed.append(accuracy["kd_routed"][0] - accuracy["ffnn"][0])
        seeds.add(results[results.method == "ffnn"]["seed"].nunique())
    total = len(runs.good)
    worse = sum(difference < 0 for difference in original)
    return (
        f"On **{worse} of {total}** dataset{'s' * (total != 1)} the student built as in the original is less accurate "
        f"than the network trained directly ({_differences(original)}; mean of {_seeds(*sorted(seeds))}). "
        f"With its faults mended, the student's difference to direct training is {_differences(routed)}."
    )


def results_table(runs: Reports) -> pd.DataFrame:
    """The original's table and ours, on the validation points: mean and sd of FFNN and of KD, a row per dataset."""
    rows = {}
    for name, manifest in runs.manifests.items():
        if name not in runs.good:
            rows[name] = {"": f"{manifest['status']}: {manifest['reason']}"}
            continue
        published = PUBLISHED.get(runs.distance(name), {})
        ours = means(runs.of(name), split="valid")
        rows[name] = {"": ""}
        for title, method in (("FFNN", "ffnn"), ("KD", "kd_original")):
            rows[name][f"{title}, original"] = _pair(published.get(title))
            rows[name][f"{title}, ours"] = _pair(ours.get(method))
        rows[name]["KD mended, ours"] = _pair(ours.get("kd_routed"))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
    if (table[""] == "").all():
        return table.drop(columns="")
    return table[[*(column for column in table.columns if column), ""]].rename(columns={"": "run"})


def accuracy_table(runs: Reports) -> pd.DataFrame:
    """Mean accuracy of every method (columns) on each dataset's reported split (rows)."""
    rows, titles = {}, runs.titles
    for name in runs.good:
        results = runs.of(name)
        split = reported(results)
        rows[name] = {"on": _split(split)}
        rows[name] |= {titles[m]: mean for m, (mean, _) in means(results, split=split).items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def students(runs: Reports) -> dict[str, str]:
    """Titles of the methods that have maps, by name."""
    mapped = {key.partition("/")[0] for name in runs.good for key in runs.maps(name) if key.endswith("/mean")}
    return {name: title for name, title in runs.titles.items() if name in mapped and name != "bayes"}


def accuracies(runs: Reports) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sd of each method's accuracy on each dataset's reported split."""
    return {name: means(runs.of(name), split=reported(runs.of(name))) for name in runs.good}


def _pair(pair) -> str:
    return "–" if pair is None else f"{pair[0]:.4f} ± {pair[1]:.4f}"


def _seeds(*counts) -> str:
    return f"{' or '.join(map(str, counts))} seed{'s' * (counts != (1,))}"


def _split(split) -> str:
    return "fresh points" if split == "fresh" else f"the {split} points"


def _against(difference) -> str:
    if abs(difference) < 5e-5:
        return "the same to four decimals"
    return f"{abs(difference):.4f} {'more' if difference > 0 else 'less'}"


def _differences(values) -> str:
    low, high = min(values), max(values)
    return f"{low:+.4f}" if len(values) == 1 else f"{low:+.4f} to {high:+.4f}"
