"""What the slow studies found, over all datasets: tables and sentences for the summary.

Each study writes its numbers beside a dataset's report, in a folder of its notebook's name. Where a study was not
run, a sentence says so, and a table has no rows. Leaves out what a study says of one dataset: `why`, `draws`, `orders`,
`search`, `when`, and `claims.controls`, which these functions ask as well.
"""

import pandas as pd

from kdlib.evaluation.formatting import NO_BREAK, counted, difference, percent, signed
from kdlib.evaluation.results import Reports
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary

STUDIES = {
    "why": ("factorial.csv", "Every combination of the original's suspects, and a map of its unknown settings"),
    "controls": ("results.csv", "What a student's gain is due to"),
    "draws": ("draws.csv", "The comparison on fresh draws of the training data"),
    "search": ("search_reported.csv", "One search of settings for every method"),
    "when": ("when.csv", "Fewer labels, and smaller students"),
    "orders": ("orders.csv", "One domain after the other, with and without a term against forgetting"),
}  #: by the notebook's name: the file that holds its numbers, and what it is about


def there(runs: Reports) -> str:
    """Which slow studies this report holds, and of how many datasets."""
    counts = {name: len(_found(runs, name)) for name in STUDIES}
    lines = [f"- {STUDIES[name][1]}: {count} of {len(runs.good)} datasets" for name, count in counts.items() if count]
    return "\n".join(lines) or "This report holds none of the slow studies; `make study` adds them."


def _found(runs, study, file=None) -> dict[str, pd.DataFrame]:
    """A study's numbers by dataset, where it was run and found something."""
    tables = {name: runs.study(name, study, file or STUDIES[study][0]) for name in runs.good}
    return {name: table for name, table in tables.items() if table is not None and len(table)}


def reasons(runs: Reports) -> str:
    """Verdicts on the original's explanations, and the leading suspects, of each seed's mean over datasets."""
    tables = _found(runs, "why")
    if not tables:
        return ""
    from kdlib.studies import factorial, factorial_findings

    every = pd.concat(tables.values(), ignore_index=True)
    pooled = every.groupby([*factorial.SUSPECTS, "seed"])["accuracy"].mean().reset_index()
    said = [factorial_findings.verdict(pooled, suspect) for suspect in factorial.EXPLANATIONS]
    lines = "\n".join(f"- {sentence}" for sentence in [*said, factorial_findings.leading(pooled)])
    return f"Means over {counted(len(tables), 'dataset')}, {counted(pooled.seed.nunique(), 'seed')}:\n\n{lines}"


def one_setting(runs: Reports) -> pd.DataFrame:
    """The one setting of T, alpha and epochs that comes nearest to all published accuracies: a row per dataset.

    Nearest is what leaves the smallest of largest distances. Columns: published, reproduced, sd, distance, and the
    setting: temperature, alpha, epochs.
    """
    tables = _found(runs, "why", "map.csv")
    known = {name: table for name, table in tables.items() if table["published"].notna().all()}
    if not known:
        return pd.DataFrame()
    keys = ["temperature", "alpha", "epochs"]
    every = pd.concat([table.assign(dataset=name) for name, table in known.items()])
    at = every.groupby(keys)["distance"].max().idxmin()
    found = every.set_index(keys).sort_index().loc[[at]].reset_index().set_index("dataset")
    return found.rename(columns={"mean": "reproduced"})[["published", "reproduced", "sd", "distance", *keys]]


def reproduced(runs: Reports) -> str:
    """Whether one setting reproduces every published accuracy, in a sentence."""
    table = one_setting(runs)
    if table.empty:
        return ""
    from kdlib.studies.factorial_findings import NEAR

    first, worst = table.iloc[0], table["distance"].idxmax()
    holds = "**reproduces**" if table["distance"].max() <= NEAR else "**does not reproduce**"
    return (
        f"What the original does not tell: of all settings tried, T = {first.temperature:g}, α = {first.alpha:g} and "
        f"{first.epochs:g} epochs come nearest to its accuracies on all datasets at once. That setting "
        f"{holds} them all within {NEAR:g}: the farthest is {worst}, {table['distance'].max():.4f} away."
    )


def controls(runs: Reports) -> pd.DataFrame:
    """`kd_best` less each control, and whether the cause that the control lacks is shown to matter (rows: causes)."""
    columns = {}
    for name, frame in _found(runs, "controls").items():
        methods = runs.study(name, "controls", "methods.csv").set_index("method")
        table = dataset_findings.comparison(frame.astype({"domain": str}), methods, baseline="kd_best")
        columns[name] = {
            f"{cause} ({methods.loc[control, 'title']})": f"{signed(-row['difference'])} "
            + ("supported" if row["verdict"] == dataset_findings.WORSE else f"not{NO_BREAK}supported")
            for control, cause in dataset_findings.CAUSES.items()
            if control in table.index
            for row in [table.loc[control]]
        }
    return pd.DataFrame(columns).rename_axis("cause")


def draws(runs: Reports) -> pd.DataFrame:
    """Differences to FFNN over fresh draws of the training data, with verdicts: a row per dataset and method."""
    tables = _found(runs, "draws")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import resampled_data as study

    rows = []
    for name, frame in tables.items():
        table = study.compare(frame.astype({"domain": str}))
        numbers = study.numbers(table)
        intervals = [f"[{signed(row.low)},{NO_BREAK}{signed(row.high)}]" for row in table.itertuples()]
        numbers.insert(numbers.columns.get_loc("difference") + 1, "interval", intervals)
        rows.append(numbers[numbers["over"] == "fresh draws"].drop(columns=["over", "sd"]).assign(dataset=name))
    return pd.concat(rows).reset_index().set_index(["dataset", "method"])


def searched(runs: Reports) -> pd.DataFrame:
    """What the search gains each method, and students over FFNN when both are searched, in percentage points."""
    tables = _found(runs, "search")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import hyperparameter_search

    columns = {}
    for name, frame in tables.items():
        rows = {
            f"{title}: chosen less study's own": row for title, row in hyperparameter_search.gains(frame).iterrows()
        }
        rows |= {
            f"{title} less FFNN, both chosen": row for title, row in hyperparameter_search.students(frame).iterrows()
        }
        columns[name] = {
            label: difference(*(100 * row[hyperparameter_search.FOUND]), digits=2) for label, row in rows.items()
        }
    return pd.DataFrame(columns).rename_axis("difference")


def helped(runs: Reports) -> pd.DataFrame:
    """Where `kd_best` is ahead of FFNN, of all shares of labels and widths: a row per dataset."""
    tables = _found(runs, "when")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import label_budget

    rows = {}
    for name, frame in tables.items():
        found = label_budget.differences(frame)
        gain, clear = found["mean"].unstack(), found[found["clear"]]["mean"]
        shares, widths = gain.mean(axis=1), gain.mean(axis=0)
        rows[name] = {
            "clearly ahead": f"{(clear > 0).sum()} of {len(found)}",
            "clearly behind": f"{(clear < 0).sum()} of {len(found)}",
            f"gain with {percent(shares.index[0])} of the labels": signed(shares.iloc[0]),
            "with all labels": signed(shares.iloc[-1]),
            f"at width {widths.index[0]}": signed(widths.iloc[0]),
            f"at width {widths.index[-1]}": signed(widths.iloc[-1]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def passed(runs: Reports) -> pd.DataFrame:
    """Accuracy at the end of one pass over the domains, mean of all orders and seeds: a row per dataset."""
    tables = _found(runs, "orders")
    if not tables:
        return pd.DataFrame()
    from kdlib.studies import sequential_domains

    rows = {}
    for name, frame in tables.items():
        last = frame[(frame.phase == frame.phase.max()) & (frame.domain.astype(str) == "all")]
        means = last.groupby("method")["value"].mean()
        direct = summary.accuracies(runs)[name]["ffnn"][0]
        rows[name] = {"all domains mixed (FFNN)": direct} | {
            t: means[m] for m, t in sequential_domains.TITLES.items() if m in means
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
