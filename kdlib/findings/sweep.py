"""What a sweep says, in sentences computed from its points; see `sweep`."""

from kdlib.display import literal
from kdlib.evaluation.comparison import BETTER, WORSE
from kdlib.evaluation.formatting import and_list, counted, counted_range, decimal, difference, plus_minus, setting
from kdlib.studies.sweep import Points

LIMITS = {"alpha": (0, 1), "fraction": (1,)}  #: values that nothing lies beyond
MOST_LINES = 12  #: of datasets, each of which gets a line


def what_ran(points: Points) -> str:
    """The grid in a sentence, and how much of it there is."""
    if not points.manifests:
        return "There are no points here; `make sweep` makes them."
    datasets = {dataset for dataset, _ in points.manifests}
    lists = "; ".join(f"*{name}* {', '.join(map(setting, values))}" for name, values in points.swept.items())
    held = ", ".join(f"{name} {setting(value)}" for name, value in points.held.items())
    failed = len(points.manifests) - len(points.good)
    seeds = sorted(points.scores["seeds"].unique())
    text = f"{counted(len(points.manifests), 'point')} on {counted(len(datasets), 'dataset')}: {lists}. "
    if seeds:
        text += f"Each trains {counted(len(points.titles), 'method')} from {counted_range(seeds, 'seed')}. "
    text += f"The same everywhere: {held}. " if held else ""
    return text + (f"**{failed} failed**; they are listed below, with reasons." if failed else "None failed.")


def finding(points: Points) -> str:
    """Who wins when each method has its own best setting."""
    lines = []
    if len(points.verdicts):
        for method, rows in points.verdicts.groupby("method", sort=False):
            counts = [(int((rows["verdict"] == v).sum()), v) for v in (BETTER, WORSE)]
            counts.append((len(rows) - sum(n for n, _ in counts), "not shown to differ"))
            said = ", ".join(f"{verdict} on {n}" for n, verdict in counts if n) + f" of {len(rows)} datasets"
            if len(rows) == 1:
                said = next(verdict for n, verdict in counts if n)
            lines.append(f"*{points.titles[method]}*: {said}")
        head = f"**Each at its own best setting, against {points.titles[points.baseline]}**: {'; '.join(lines)}.\n\n"
    else:
        head = ""
    each = []
    for dataset, rows in points.best.groupby("dataset", sort=False):
        told = rows["method"].map(points.methods["told the domain"]).astype(bool)
        line = rows[~told].sort_values("chooses", ascending=False, kind="stable").iloc[0] if (~told).any() else None
        if line is not None and len(each) < MOST_LINES:
            each.append(f"- {literal(dataset)}: {_winner(points, line)}")
    left = points.best["dataset"].nunique() - len(each)
    return head + "\n".join(each) + (f"\n- and {left} more, in [the table](#table-best)" if left > 0 and each else "")


def _winner(points, line) -> str:
    where_set = f"with {points.setting(line) or 'any setting'}"
    where = f"*{points.titles[line['method']]}* {where_set} is ahead where settings are chosen"
    reached = plus_minus(line["mean"], line["sd"])
    text = f"{where} ({decimal(line['chooses'])}), and reaches **{reached}** where they are reported"
    if (line["dataset"], line["method"]) in points.verdicts.index:
        found = points.verdicts.loc[line["dataset"], line["method"]]
        baseline = points.titles[points.baseline]
        gain = difference(found["mean"], found["low"], found["high"])
        text += f", {gain} beside {baseline} at its best: {found['verdict']}"
    if line["dataset"] in points.ceilings:
        text += f"; no method can exceed {decimal(points.ceilings[line['dataset']])}"
    return text + "."


def effect(points: Points, name: str) -> str:
    """How much a setting moves the accuracy, for whom most, and whether the best value lies at the end of the list."""
    values, rows = points.swept[name], []
    for (dataset, method), mine in points.slices(name).groupby(["dataset", "method"], sort=False):
        low, high = mine.loc[mine["mean"].idxmin()], mine.loc[mine["mean"].idxmax()]
        chosen = mine.loc[mine["chooses"].idxmax(), name]
        rows.append((high["mean"] - low["mean"], dataset, method, low, high, chosen))
    moved = [row for row in rows if row[0] > 0]
    still = [f"*{points.titles[m]}*" for m in points.titles if all(row[0] == 0 for row in rows if row[2] == m)]
    nothing = f" It changes nothing for {and_list(still)}." if still else ""
    head = f"**{name}** ([its lines](#figure-{anchor(name)}))"
    if not moved:
        return f"{head} changes nothing."
    span, dataset, method, low, high, _ = max(moved, key=lambda row: row[0])
    ends = " to ".join(f"{decimal(row['mean'])} at {setting(row[name])}" for row in (low, high))
    text = f"{head} moves *{points.titles[method]}* on {literal(dataset)} most: from {ends}, by {decimal(span)}."
    open_ends = {values[0], values[-1]} - set(LIMITS.get(name, ()))
    edges = sum(row[5] in open_ends for row in moved)
    if len(values) > 2 and edges:
        text += (
            f" The chosen value is at an open end of the list in {edges} of {counted(len(moved), 'case')} in "
            "which it matters: values beyond may be better."
        )
    return text + nothing


def anchor(*names: str) -> str:
    """What the figure of some settings is called on the page: `batch-size-and-alpha`."""
    return "-and-".join(name.replace("_", "-") for name in names)
