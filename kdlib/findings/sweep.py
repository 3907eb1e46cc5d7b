"""What a sweep shows, in sentences computed from its points; see `studies.sweep`."""

from kdlib.display import literal
from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.formatting import and_list, counted, counted_range, percent, plus_minus, setting
from kdlib.evaluation.formatting import points as in_points
from kdlib.studies.sweep import Points

LIMITS = {"alpha": (0, 1), "fraction": (1,)}  #: the ends of a setting's range
MAX_DATASETS = 12  #: that get a line each


def describe_grid(points: Points) -> str:
    """The grid in a sentence, and how many of its points failed."""
    if not points.manifests:
        return "There are no points; `make sweep` runs them."
    datasets = {dataset for dataset, _ in points.manifests}
    lists = "; ".join(f"*{name}* {', '.join(map(setting, values))}" for name, values in points.swept.items())
    fixed = ", ".join(f"{name} {setting(value)}" for name, value in points.fixed.items())
    failed = len(points.manifests) - len(points.good)
    seeds = sorted(points.scores["seeds"].unique())
    text = f"{counted(len(points.manifests), 'point')} on {counted(len(datasets), 'dataset')}: {lists}. "
    if seeds:
        text += f"Each trains {counted(len(points.titles), 'method')} from {counted_range(seeds, 'seed')}. "
    text += f"Fixed: {fixed}. " if fixed else ""
    return text + (f"**{failed} failed**; they are listed below, with reasons." if failed else "None failed.")


def finding(points: Points) -> str:
    """How methods compare when each has its own best setting, and the best of them on each dataset."""
    head = ""
    if len(points.verdicts):
        counts = [
            f"*{points.titles[method]}*: {_count_verdicts(rows['verdict'])}"
            for method, rows in points.verdicts.groupby("method", sort=False)
        ]
        baseline = points.titles[points.baseline]
        head = f"**Each at its own best setting, against {baseline}**: {'; '.join(counts)}.\n\n"
    compared = points.best[points.best["method"].isin(points.compared)]
    best = compared.sort_values("selection", ascending=False, kind="stable").drop_duplicates("dataset").sort_index()
    lines = [f"- {literal(line['dataset'])}: {_describe_best(points, line)}" for line in best.to_dict("records")]
    if (more := len(lines) - MAX_DATASETS) > 0:
        lines[MAX_DATASETS:] = [f"- and {more} more, in [the table](#table-best)"]
    return head + "\n".join(lines)


def _count_verdicts(verdicts) -> str:
    """`better on 3 of 4 datasets, worse on 1`; of one dataset the verdict alone."""
    if len(verdicts) == 1:
        return verdicts.iloc[0]
    (first, count), *others = [(word, n) for word in (BETTER, WORSE, NEITHER) if (n := int((verdicts == word).sum()))]
    return ", ".join([f"{first} on {count} of {len(verdicts)} datasets", *(f"{word} on {n}" for word, n in others)])


def _describe_best(points, line) -> str:
    at = points.setting(line)
    digits, reached = points.digits, plus_minus(100 * line["mean"], 100 * line["sd"], points.digits)
    text = (
        f"*{points.titles[line['method']]}*{f' with {at}' if at else ''} has the highest accuracy on the selection "
        f"split ({percent(line['selection'], 1)}); its reported accuracy is **{reached}%**"
    )
    if (line["dataset"], line["method"]) in points.verdicts.index:
        found = points.verdicts.loc[line["dataset"], line["method"]]
        gain = in_points(found["mean"], found["low"], found["high"], digits)
        text += f", {gain} against {points.titles[points.baseline]} at its best: {found['verdict']}"
    if line["dataset"] in points.ceilings:
        text += f"; the highest possible is {percent(points.ceilings[line['dataset']], digits)}"
    return text + "."


def effect(points: Points, name: str) -> str:
    """How much a setting changes the accuracy, of which method most, and whether the best value is at an open end."""
    values, rows = points.swept[name], []
    for (dataset, method), mine in points.slices(name).groupby(["dataset", "method"], sort=False):
        low, high = mine.loc[mine["mean"].idxmin()], mine.loc[mine["mean"].idxmax()]
        selected = mine.loc[mine["selection"].idxmax(), name]
        rows.append((high["mean"] - low["mean"], dataset, method, low, high, selected))
    head = f"**{name}** ([figure](#figure-{anchor(name)}))"
    changed = [row for row in rows if row[0] > 0]
    if not changed:
        return f"{head} has no effect."
    span, dataset, method, low, high, _ = max(changed, key=lambda row: row[0])
    ends = " to ".join(f"{percent(row['mean'], points.digits)} at {setting(row[name])}" for row in (low, high))
    text = (
        f"{head} has the largest effect on *{points.titles[method]}* on {literal(dataset)}: from {ends}, a difference "
        f"of {percent(span, points.digits).removesuffix('%')} points."
    )
    open_ends = {values[0], values[-1]} - set(LIMITS.get(name, ()))
    at_ends = sum(row[5] in open_ends for row in changed)
    if len(values) > 2 and at_ends:
        text += (
            f" The selected value is at an open end of the list in {at_ends} of the {counted(len(changed), 'case')} "
            "with an effect: values beyond it may be better."
        )
    unaffected = [f"*{title}*" for method, title in points.titles.items() if method not in {row[2] for row in changed}]
    return text + (f" It has no effect on {and_list(unaffected)}." if unaffected else "")


def anchor(*names: str) -> str:
    """The name on the page of the figure of some settings: `batch-size-and-alpha`."""
    return "-and-".join(name.replace("_", "-") for name in names)
