"""Accuracies and learning curves: what methods reach, seed by seed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFTBASE
from matplotlib.ticker import MaxNLocator

from kdlib.plots.looks import (
    DASHES,
    MARKERS,
    WIDTH,
    Plot,
    all_titles,
    beside,
    class_colour,
    counted,
    counted_range,
    finish,
    label_rows,
    label_scale,
    legend_keys,
    logarithmic,
    make_panels,
    method_look,
    percent,
    plus_minus,
    role_colour,
    styled,
    wrapped,
)

CUT = " An arrow at the left edge stands for what lies below the scale."


@styled
def learning_curves(curves: Mapping, titles: Mapping[str, str] | None = None, watched: str = "validation") -> Plot:
    """Training loss, and accuracy on the points watched during training, by epoch: median and 10-90 % over seeds.

    curves: {method: fit}, each with `loss` (epochs, member) and `watched`, a dict that may hold `accuracy`
    (epochs, member). watched: what the watched points are called.
    """
    titles = all_titles(titles, curves)
    scores = {m: np.asarray(fit.watched["accuracy"]) for m, fit in curves.items() if "accuracy" in (fit.watched or {})}
    panels = [("Training loss", {m: np.asarray(fit.loss) for m, fit in curves.items()})]
    panels += [(f"{watched.capitalize()} accuracy", scores)] if scores else []
    fig, axes = make_panels(len(panels), 2, 3.5)
    for ax, (label, values) in zip(axes, panels, strict=True):
        for method, runs in values.items():
            low, median, high = _quantiles(runs)
            epochs = np.arange(1, len(median) + 1)
            colour, dashes = method_look(method, titles)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(epochs, median, color=colour, linestyle=dashes, marker="o" if len(median) == 1 else None)
        if ax is axes[0] and all(np.nanmin(_finite(runs), initial=np.inf) > 0 for runs in values.values()):
            logarithmic(ax.yaxis)
        ax.set(xlabel="epoch", title=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if ax.get_yscale() == "linear":
            ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    look = {m: method_look(m, titles) for m in curves}
    lines = [Line2D([], [], color=c, linestyle=d, label=wrapped(titles[m], 3)) for m, (c, d) in look.items()]
    finish(fig, lines, columns=2)
    members = {np.asarray(fit.loss).shape[1] for fit in curves.values()}
    lost = sum(int((~np.isfinite(np.asarray(fit.loss)).all(axis=0)).sum()) for fit in curves.values())
    caption = (
        f"Training, epoch by epoch: median over {counted_range(members, 'seed')}, and the band that holds the middle "
        "80 % of them. Methods train on different losses, so that only the shapes of these compare."
        + (f" {counted(lost, 'run')} ceased to be finite and {'is' if lost == 1 else 'are'} left out." if lost else "")
    )
    ends = [
        f"{titles[m]}: loss {_quantiles(fit.loss)[1][-1]:.3g}"
        + (f", {watched} accuracy {_quantiles(scores[m])[1][-1]:.3f}" if m in scores else "")
        for m, fit in curves.items()
    ]
    epochs = {len(fit.loss) for fit in curves.values()}
    alt = f"Learning curves over {counted_range(epochs, 'epoch')}. Medians of the last epoch: {'; '.join(ends)}."
    return Plot(fig, caption, alt)


def _finite(runs) -> np.ndarray:
    """Runs (epochs, member) without those that ceased to be finite."""
    runs = np.asarray(runs, float)
    return runs[:, np.isfinite(runs).all(axis=0)]


def _quantiles(runs) -> np.ndarray:
    """10 %, 50 % and 90 % over members of (epochs, member): (3, epochs)."""
    runs = _finite(runs)
    return np.quantile(runs, (0.1, 0.5, 0.9), axis=1) if runs.shape[1] else np.full((3, len(runs)), np.nan)


@styled
def accuracies(results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling=None) -> Plot:
    """Accuracy of each method: a dot per seed, mean and standard deviation; one panel per dataset.

    ceiling: the best that can be reached (Bayes), a number, or {dataset: number}, where known. A method far below
    the others becomes an arrow at the edge, so that these can be told apart; its number stands beside it.
    """
    scores = _scores(results, split, titles)
    if ceiling is not None and (scores.method != "bayes").any():
        scores = scores[scores.method != "bayes"]  # it is the line
    fig, panels, methods, titles = _rows(scores, titles)
    ceilings = {name: c for name in panels if (c := _of(ceiling, name)) is not None}
    cut = False
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        floor = _floor(mine, ceilings.get(name))
        _strips(ax, mine, methods, digits=4 if len(panels) == 1 else 3, floor=floor)
        cut |= floor is not None
        if name in ceilings:
            ax.axvline(ceilings[name], color=role_colour("ink"), linewidth=1.1, linestyle=DASHES[1])
        ax.set_xlim(left=floor)  # last: it ends the automatic scale
    label_scale(fig, panels, f"accuracy on {_split(split)}")
    line = Line2D([], [], color=role_colour("ink"), linewidth=1.1, linestyle=DASHES[1], label="Bayes ceiling")
    finish(fig, [line] if ceilings else [])
    caption = (
        f"Accuracy on {_split(split)}: a dot for each of {_seeds(scores)}, the mean, and a bar of one standard "
        f"deviation to each side.{' The dashed line is the best that can be reached (Bayes).' if ceilings else ''}"
        f"{CUT if cut else ''}"
    )
    ends = [f"{c:.4f}" + (f" on {name}" if len(panels) > 1 else "") for name, c in ceilings.items()]
    told = f" The Bayes ceiling is {', '.join(ends)}." if ends else ""
    return Plot(fig, caption, f"Accuracy by method. {_means(scores, titles)}{told}")


@styled
def gap_to_ceiling(
    results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling, baseline: str | None = None
) -> Plot:
    """What each method leaves below the best that can be reached, in percentage points, seed by seed.

    ceiling: a number, or {dataset: number}; datasets without one are left out. baseline: the method whose gap
    the others close by so many percent.
    """
    scores = _scores(results, split, titles)
    scores = scores[scores.method != "bayes"]
    tops = scores.dataset.map(lambda name: _of(ceiling, name)).astype(float)
    scores = scores.assign(value=100 * (tops - scores.value))[tops.notna()]
    if scores.empty:
        raise ValueError("ceiling: expected that of at least one dataset of the results, got none")
    fig, panels, methods, titles = _rows(scores, titles)
    said = []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        means = mine.groupby("method").value.mean()
        closed = {}
        if baseline in means and means[baseline] > 0:
            closed = {m: 1 - means[m] / means[baseline] for m in methods if m in means and m != baseline}
        notes = {m: f"{share:.0%} closed".replace("%", " %") if share > 0 else "wider" for m, share in closed.items()}
        if closed:
            best = max(closed, key=closed.get)
            place = f" on {name}" if len(panels) > 1 else ""
            most = f"{titles[best]} closes most, {percent(closed[best])}"
            said.append((most if closed[best] > 0 else "no method closes any") + place)
        _strips(ax, mine, methods, digits=2, notes=notes)
        if mine.value.min() > 0:
            logarithmic(ax.xaxis)
        else:
            ax.axvline(0, color=role_colour("ink"), linewidth=1.1)
    label_scale(fig, panels, "below the Bayes ceiling, percentage points")
    finish(fig)
    caption = (
        f"What each method leaves below the best that can be reached (Bayes), on {_split(split)}: "
        f"{_seeds(scores)}, mean and standard deviation."
    )
    caption += f" “Closed” is the part of the gap of “{titles[baseline]}” that is gone." if said else ""
    alt = f"Gap to the Bayes ceiling by method, in percentage points. {_means(scores, titles, 2)}"
    return Plot(fig, caption, alt + (f" Of the gap of {titles[baseline]}, {'; '.join(said)}." if said else ""))


@styled
def per_domain(results: pd.DataFrame, titles: Mapping[str, str], split: str) -> Plot:
    """Accuracy of each method in each domain: mean over seeds and standard deviation; one panel per dataset.

    What is far below the rest is an arrow at the edge, as in `accuracies`; the range over domains stands beside.
    """
    scores = _scores(results, split, titles, domains=True)
    domains = sorted(scores.domain.unique(), key=int)
    fig, panels, methods, titles = _rows(scores, titles, row=max(0.46, 0.13 * len(domains) + 0.08))
    offsets = np.linspace(-0.3, 0.3, len(domains)) if len(domains) > 1 else [0.0]
    cut, alts = False, []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        floor = _floor(mine)
        cut |= floor is not None
        table = mine.groupby(["method", "domain"]).value.agg(["mean", "std"]).fillna(0)
        listed = []
        for row, method in enumerate(methods):
            means = {k: table.loc[(method, k)] for k in domains if (method, k) in table.index}
            for domain, offset in zip(domains, offsets, strict=True):
                if domain in means:
                    _dot(ax, *means[domain], row + offset, floor, marker=MARKERS[int(domain) % len(MARKERS)])
            if means:
                values = sorted((mean, domain) for domain, (mean, _) in means.items())
                (low, lowest), (high, highest) = values[0], values[-1]
                beside(ax, row, f"{low:.3f} to {high:.3f}" if len(values) > 1 else f"{low:.3f}")
                listed.append(f"{titles[method]} {low:.3f} (domain {lowest}) to {high:.3f} (domain {highest})")
        ax.set_xlim(left=floor)  # last: it ends the automatic scale
        if len(panels) > 1:
            (low, where), (high, there) = [(table["mean"].agg(f), table["mean"].agg(f"idx{f}")) for f in ("min", "max")]
            ends = [f"{v:.3f} ({titles[m]}, domain {k})" for v, (m, k) in ((low, where), (high, there))]
            alts.append(f"On {name}: from {ends[0]} to {ends[1]}.")
        else:
            alts.append(f"{'; '.join(listed)}.")
    label_scale(fig, panels, f"accuracy on {_split(split)}")
    finish(fig, *legend_keys(max(map(int, domains)) + 1, 0))
    caption = (
        f"Accuracy on {_split(split)} in each domain: mean and standard deviation of {_seeds(scores)}, and the range "
        f"of the means. The marker tells the domain.{CUT if cut else ''}"
    )
    return Plot(fig, caption, f"Accuracy by method and domain. {' '.join(alts)}")


def _scores(results, split, titles, domains=False, metric="accuracy") -> pd.DataFrame:
    """The finite rows of one split and metric, of the methods that have titles: overall, or those of each domain."""
    overall = results.domain.astype(str) == "all"
    chosen = results[(results.split == split) & (results.metric == metric) & (overall != domains)]
    chosen = chosen[chosen.method.isin(list(titles))] if titles else chosen
    chosen = chosen[np.isfinite(chosen.value.astype(float))].assign(domain=lambda rows: rows.domain.astype(str))
    if chosen.empty:
        there = ", ".join(sorted(results.split.astype(str).unique())) or "none"
        which = "of single domains" if domains else "of domain 'all'"
        raise ValueError(
            f"results: expected finite rows {which} with split {split!r} and metric {metric!r}; splits: {there}"
        )
    return chosen


def _rows(scores, titles, row=0.46):
    """A panel per dataset, a row per method: the figure, {dataset: panel}, methods in order, titles of all."""
    names = list(dict.fromkeys(scores.dataset))
    titles = all_titles(titles, scores.method.unique())
    present = set(scores.method)
    methods = [method for method in titles if method in present]
    fig, axes = make_panels(len(names), 2, row * len(methods) + 0.55, width=WIDTH, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        label_rows(ax, [wrapped(titles[m], 1.75) for m in methods])
        ax.xaxis.set_major_locator(MaxNLocator(4 if len(names) > 1 else 6))
        for between in range(1, len(methods)):
            ax.axhline(between - 0.5, color=role_colour("line"), linewidth=0.8)
        if len(names) > 1:
            ax.set_title(wrapped(name, 2.6))
    return fig, dict(zip(names, axes, strict=True)), methods, titles


def _floor(scores, ceiling=None) -> float | None:
    """Where to cut the scale, if some means (of a method, or one in a domain) lie far below the others; else None."""
    groups = scores.groupby(["method", "domain"]).value
    means = groups.mean()
    top = max(means.max(), ceiling or 0)
    lowest = top - 3 * max(top - means.median(), 0.01)
    if means.min() >= lowest:
        return None
    shown = min(groups.min()[means >= lowest].min(), top if ceiling is None else ceiling)
    return float(shown - 0.06 * (top - shown))


def _dot(ax, mean, sd, row, floor, marker="o", width=1.1):
    """A mean with its deviation; below the floor an arrow at the edge."""
    if floor is not None and mean < floor:
        at = ax.get_yaxis_transform()
        ax.plot(0.03, row, marker=CARETLEFTBASE, color=role_colour("ink"), markersize=6, transform=at, clip_on=False)
        return
    edge = 1.4 if marker == "x" else 0
    ax.plot([mean - sd, mean + sd], [row, row], color=role_colour("soft"), linewidth=width)
    ax.plot(mean, row, marker=marker, color=role_colour("ink"), markersize=5.5, markeredgewidth=edge)


def _strips(ax, scores, methods, digits, notes=None, floor=None):
    """A row per method: seeds as dots, mean with standard deviation, and these as numbers at the right."""
    rng = np.random.default_rng(0)
    for row, method in enumerate(methods):
        values = scores.value[scores.method == method].to_numpy(float)
        if not len(values):
            continue
        heights = row + rng.permutation(np.linspace(-0.26, 0.26, len(values))) if len(values) > 1 else [row]
        mean, sd = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        if floor is None or mean >= floor:
            ax.scatter(values, heights, s=14, color=class_colour(4), alpha=0.65)
        _dot(ax, mean, sd, row, floor, width=2)
        beside(ax, row, plus_minus((mean, sd) if len(values) > 1 else mean, digits), (notes or {}).get(method))


def _means(scores, titles, digits=4) -> str:
    """Mean and deviation of each method as a sentence; of several datasets, the lowest and the highest of each."""
    sentences = []
    names = list(dict.fromkeys(scores.dataset))
    for name in names:
        groups = scores[scores.dataset == name].groupby("method").value
        means, deviations, runs = groups.mean(), groups.std(), groups.size()
        pairs = {m: (means[m], deviations[m]) if runs[m] > 1 else means[m] for m in titles if m in means}
        told = {m: f"{titles[m]} {plus_minus(pair, digits)}" for m, pair in pairs.items()}
        if len(names) == 1:
            sentences.append(f"{', '.join(told.values())}.")
        else:
            sentences.append(f"On {name}: from {told[means.idxmin()]} to {told[means.idxmax()]}.")
    return " ".join(sentences)


def _seeds(scores) -> str:
    return counted_range({len(runs) for _, runs in scores.groupby(["dataset", "method", "domain"])}, "seed")


def _split(split) -> str:
    named = {"valid": "the validation points", "test": "the test points", "reported": "the reported points"}
    return (named | {"fresh": "fresh points"}).get(split, split)


def _of(value, name):
    return value.get(name) if isinstance(value, Mapping) else value
