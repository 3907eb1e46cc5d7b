"""What the slow studies found, over all datasets: tables and sentences for the summary.

Each study writes its numbers beside a dataset's report, in a folder of its notebook's name. Of a study that was not
run, sentences are empty and tables have no rows. What a study says of one dataset is computed by its own module, or by
`dataset.contrasts`, which are imported when they are needed, because they import TensorFlow.
"""

import pandas as pd

from kdlib.evaluation.comparison import BETTER
from kdlib.evaluation.formatting import NO_BREAK, counted, decimal, difference, percent, points, signed, value_range
from kdlib.evaluation.results import Reports
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary_tables

STUDIES = {
    "factorial": ("factorial.csv", "Every combination of the original's deviations; its unknown settings"),
    "controls": ("results.csv", "What a student's gain is due to"),
    "resampled_data": ("draws.csv", "The comparison on fresh draws of the training data"),
    "hyperparameter_search": ("search_reported.csv", "The same hyperparameter search for every method"),
    "label_budget": ("label_budget.csv", "Fewer labels, and smaller students"),
    "sequential_domains": ("sequential_domains.csv", "One domain after the other, and learning without forgetting"),
    "unpooled_sites": ("results.csv", "Sites that may not pool their samples"),
}  #: by the notebook's name: the file that holds its numbers, and its subject

POOLED = "kd_kernel_teachers"  #: the student of kernel machines whose gate, queries and scale need pooled samples
UNPOOLED = {"sites_gated": "the student of sites that pool nothing", "sites_mean": "plain averaging (FedDF)"}


def available(runs: Reports) -> str:
    """Which slow studies this report has, and for how many datasets; nothing if it has none."""
    counts = {name: len(_found(runs, name)) for name in STUDIES}
    lines = [f"- {STUDIES[name][1]}: {count} of {len(runs.good)} datasets" for name, count in counts.items() if count]
    return "\n".join(lines)


def _found(runs, study, file=None) -> dict[str, pd.DataFrame]:
    """A study's numbers by dataset, where it was run and found something."""
    tables = {name: runs.study(name, study, file or STUDIES[study][0]) for name in runs.good}
    return {name: table for name, table in tables.items() if table is not None and len(table)}


def explanations(runs: Reports) -> str:
    """Verdicts on the original's explanations, and the leading factors, of each seed's mean over datasets."""
    tables = _found(runs, "factorial")
    if not tables:
        return ""
    from kdlib.studies import factorial, factorial_findings

    every = pd.concat(tables.values(), ignore_index=True)
    mean = every.groupby([*factorial.FACTORS, "seed"])["accuracy"].mean().reset_index()
    verdicts = [factorial_findings.verdict(mean, factor) for factor in factorial.EXPLANATIONS]
    lines = "\n".join(f"- {sentence}" for sentence in [*verdicts, factorial_findings.leading_factors(mean)])
    return f"Means over {counted(len(tables), 'dataset')}, {counted(mean.seed.nunique(), 'seed')}:\n\n{lines}"


def common_setting(runs: Reports) -> pd.DataFrame:
    """The one setting of T, alpha and epochs that comes nearest to all published accuracies: a row per dataset.

    Nearest is the smallest of the largest distances. Columns, in percent: published, reproduced, sd, distance; and the
    setting: temperature, alpha, epochs.
    """
    tables = _found(runs, "factorial", "map.csv")
    known = {name: table for name, table in tables.items() if table["published"].notna().all()}
    if not known:
        return pd.DataFrame()
    keys = ["temperature", "alpha", "epochs"]
    every = pd.concat([table.assign(dataset=name) for name, table in known.items()])
    nearest = every.groupby(keys)["distance"].max().idxmin()
    rows = every.set_index(keys).sort_index().loc[[nearest]].reset_index().set_index("dataset")
    rows = rows.rename(columns={"mean": "reproduced"})
    numbers = ["published", "reproduced", "sd", "distance"]
    return pd.concat([100 * rows[numbers], rows[keys]], axis=1)


def reproduction(runs: Reports) -> str:
    """Whether one setting reproduces every published accuracy, in a sentence."""
    table = common_setting(runs)
    if table.empty:
        return ""
    from kdlib.studies.factorial_findings import MAX_DISTANCE

    first, farthest = table.iloc[0], table["distance"].idxmax()
    verdict = "**reproduces**" if table["distance"].max() <= 100 * MAX_DISTANCE else "**does not reproduce**"
    epochs = counted(int(first.epochs), "epoch")
    return (
        f"The original's settings are not known. Of all that were tried, T = {first.temperature:g}, "
        f"α = {first.alpha:g} and {epochs} come nearest to its accuracies on all datasets at once. This "
        f"setting {verdict} them all within {100 * MAX_DISTANCE:g} points: the farthest is {farthest}, "
        f"{decimal(table['distance'].max(), 1)} points away."
    )


def controls_table(runs: Reports) -> pd.DataFrame:
    """Each student minus its controls, and whether what each control isolates is supported: a column per dataset."""
    columns = {}
    for name, frame in _found(runs, "controls").items():
        methods = runs.study(name, "controls", "methods.csv").set_index("method")
        title = methods["title"]
        columns[name] = {}
        for control, row in dataset_findings.contrasts(frame.astype({"domain": str}), methods).iterrows():
            verdict = "supported" if row["verdict"] == BETTER else f"not{NO_BREAK}supported"
            reason = f"{row['isolates']} ({title[row['student']]} minus {title[control]})"
            columns[name][reason] = f"{signed(100 * row['difference'], 2)} {verdict}"
    return pd.DataFrame(columns).rename_axis("reason")


def resampling_table(runs: Reports) -> pd.DataFrame:
    """Differences from the baseline, in points, over fresh draws of the training data: a row per dataset and method."""
    tables = _found(runs, "resampled_data")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import resampled_data

    rows = []
    for name, frame in tables.items():
        table = resampled_data.compare(frame.astype({"domain": str}))
        numbers = resampled_data.numbers(table)
        ends = [[signed(100 * end, 2) for end in (row.low, row.high)] for row in table.itertuples()]
        intervals = [f"[{low},{NO_BREAK}{high}]" for low, high in ends]
        numbers.insert(numbers.columns.get_loc("difference") + 1, "interval", intervals)
        rows.append(numbers[numbers["over"] == "fresh draws"].drop(columns=["over", "sd"]).assign(dataset=name))
    return pd.concat(rows).reset_index().set_index(["dataset", "method"])


def search_table(runs: Reports) -> pd.DataFrame:
    """What the search gains each method, and students over direct training with chosen settings, in points."""
    tables = _found(runs, "hyperparameter_search")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import hyperparameter_search as search

    columns = {}
    for name, frame in tables.items():
        rows = {f"{title}: chosen minus default": row for title, row in search.gains(frame).iterrows()}
        rows |= {f"{title} minus direct training, both chosen": row for title, row in search.students(frame).iterrows()}
        columns[name] = {
            label: difference(*(100 * row[["mean", "low", "high"]]), digits=2) for label, row in rows.items()
        }
    return pd.DataFrame(columns).rename_axis("difference")


def label_budget_table(runs: Reports) -> pd.DataFrame:
    """Where the student is ahead of direct training, in points, by share of labels and width: a row per dataset."""
    tables = _found(runs, "label_budget")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import label_budget

    rows = {}
    for name, frame in tables.items():
        differences = label_budget.differences(frame)
        gain, clear = differences["mean"].unstack(), differences[differences["clear"]]["mean"]
        shares, widths = gain.mean(axis=1), gain.mean(axis=0)
        rows[name] = {
            "clearly ahead": f"{(clear > 0).sum()} of {len(differences)}",
            "clearly behind": f"{(clear < 0).sum()} of {len(differences)}",
            f"gain with {percent(shares.index[0])} of the labels": signed(100 * shares.iloc[0], 2),
            "with all labels": signed(100 * shares.iloc[-1], 2),
            f"at width {widths.index[0]}": signed(100 * widths.iloc[0], 2),
            f"at width {widths.index[-1]}": signed(100 * widths.iloc[-1], 2),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def sequential_table(runs: Reports) -> pd.DataFrame:
    """Accuracy in percent at the end of one pass over the domains, mean of orders and seeds: a row per dataset."""
    tables = _found(runs, "sequential_domains")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import sequential_domains

    rows, mixed = {}, f"All domains mixed ({summary_tables.baseline(runs)})"
    for name, frame in tables.items():
        last = frame[(frame.phase == frame.phase.max()) & (frame.domain.astype(str) == "all")]
        means = last.groupby("method")["value"].mean()
        direct, _ = summary_tables.accuracies(runs)[name][dataset_findings.baseline(runs.methods(name))]
        titles = sequential_domains.TITLES
        rows[name] = {mixed: direct} | {title: means[method] for method, title in titles.items() if method in means}
    return 100 * pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def unpooled(results: pd.DataFrame, methods: pd.DataFrame) -> pd.DataFrame:
    """Gains over the baseline of the pooled student and of those that need no pooled sample, on one dataset.

    Columns: `difference`, `low`, `high`, `verdict`, and `kept`, the share of the pooled gain; NaN where there is none.
    """
    table = dataset_findings.comparison(results, methods)
    gains = table.loc[[name for name in (POOLED, *UNPOOLED) if name in table.index]]
    gain = gains["difference"].get(POOLED, 0) if gains["verdict"].get(POOLED) == BETTER else float("nan")
    return gains.assign(kept=gains["difference"] / gain)[["difference", "low", "high", "verdict", "kept"]]


def unpooled_sentence(results: pd.DataFrame, methods: pd.DataFrame) -> str:
    """What share of the pooled gain is kept on one dataset; empty if there are no sites."""
    gains, title = unpooled(results, methods), methods["title"]
    if "sites_gated" not in gains.index:
        return ""
    said = {name: points(*gains.loc[name, ["difference", "low", "high"]]) for name in gains.index}
    compared = f"*{title[dataset_findings.baseline(methods)]}*: {said['sites_gated']}, against {said[POOLED]} of "
    compared += f"*{title[POOLED]}* and {said['sites_mean']} of *{title['sites_mean']}*."
    if gains["kept"].notna().all():
        kept = percent(gains.loc["sites_gated", "kept"])
        return f"**The student of sites that pool nothing keeps {kept} of the gain.** Compared with {compared}"
    return (
        "The pooled student is not shown to be better than direct training, so there is no gain to keep. Compared with "
        f"{compared}"
    )


def unpooled_summary(runs: Reports) -> str:
    """What share of the pooled gain is kept, over all datasets, in one sentence; empty without the study."""
    tables = []
    for name, frame in _found(runs, "unpooled_sites").items():
        methods = runs.study(name, "unpooled_sites", "methods.csv").set_index("method")
        if "sites_gated" in methods.index:
            tables.append(unpooled(frame.astype({"domain": str}), methods))
    gained = [table for table in tables if table["kept"].notna().all()]
    if not tables:
        return ""
    if not gained:
        return "**Sites that may not pool**: on no dataset is the pooled student shown to be better."
    kept = {name: value_range([table.loc[name, "kept"] for table in gained], percent) for name in UNPOOLED}
    return (
        f"**Sites that may not pool**: where the pooled student of kernel machines is better than direct training, on "
        f"{len(gained)} of {counted(len(tables), 'dataset')}, {UNPOOLED['sites_gated']} keeps {kept['sites_gated']} of "
        f"the gain; {UNPOOLED['sites_mean']} keeps {kept['sites_mean']}."
    )
