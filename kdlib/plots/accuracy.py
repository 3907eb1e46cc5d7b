"""Accuracies: what methods reach, seed by seed, below the ceiling, and in each domain."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kdlib.plots.rows import CUT, arrow, beside, floor, label_rows, label_scale
from kdlib.plots.theme import (
    DASHES,
    MARKERS,
    WIDTH,
    Plot,
    all_titles,
    class_colour,
    counted_range,
    finish,
    legend_keys,
    logarithmic,
    make_panels,
    percent,
    plus_minus,
    role_colour,
    styled,
    wrapped,
)


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
        left = _left(mine, ceilings.get(name))
        _strips(ax, mine, methods, digits=4 if len(panels) == 1 else 3, left=left)
        cut |= left is not None
        if name in ceilings:
            ax.axvline(ceilings[name], color=role_colour("ink"), linewidth=1.1, linestyle=DASHES[1])
        ax.set_xlim(left=left)  # last: it ends the automatic scale
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
        left = _left(mine)
        cut |= left is not None
        table = mine.groupby(["method", "domain"]).value.agg(["mean", "std"]).fillna(0)
        listed = []
        for row, method in enumerate(methods):
            means = {k: table.loc[(method, k)] for k in domains if (method, k) in table.index}
            for domain, offset in zip(domains, offsets, strict=True):
                if domain in means:
                    _dot(ax, *means[domain], row + offset, left, marker=MARKERS[int(domain) % len(MARKERS)])
            if means:
                values = sorted((mean, domain) for domain, (mean, _) in means.items())
                (low, lowest), (high, highest) = values[0], values[-1]
                beside(ax, row, f"{low:.3f} to {high:.3f}" if len(values) > 1 else f"{low:.3f}")
                listed.append(f"{titles[method]} {low:.3f} (domain {lowest}) to {high:.3f} (domain {highest})")
        ax.set_xlim(left=left)  # last: it ends the automatic scale
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


def _left(scores, ceiling=None) -> float | None:
    """Where to cut the scale, if the means of some methods lie far below the others; else None."""
    groups = scores.groupby(["method", "domain"]).value
    means = groups.mean()
    return floor(means, groups.min().clip(upper=ceiling), max(means.max(), ceiling or 0))


def _dot(ax, mean, sd, row, left, marker="o", width=1.1):
    """A mean with its deviation; left of the scale an arrow at the edge."""
    if left is not None and mean < left:
        return arrow(ax, row)
    ax.plot([mean - sd, mean + sd], [row, row], color=role_colour("soft"), linewidth=width)
    ink, paper = role_colour("ink"), role_colour("paper")  # a rim of paper sets it off from the seeds' dots
    rim = {"markeredgewidth": 1.4} if marker == "x" else {"markeredgewidth": 0.8, "markeredgecolor": paper}
    ax.plot(mean, row, marker=marker, color=ink, markersize=6, **rim)


def _strips(ax, scores, methods, digits, notes=None, left=None):
    """A row per method: seeds as dots, mean with standard deviation, and these as numbers at the right."""
    rng = np.random.default_rng(0)
    for row, method in enumerate(methods):
        values = scores.value[scores.method == method].to_numpy(float)
        if not len(values):
            continue
        heights = row + rng.permutation(np.linspace(-0.26, 0.26, len(values))) if len(values) > 1 else [row]
        mean, sd = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        if left is None or mean >= left:
            ax.scatter(values, heights, s=14, color=class_colour(4), alpha=0.65)
        _dot(ax, mean, sd, row, left, width=2)
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
    runs = scores.groupby(["method", "dataset", "domain"]).size().drop("bayes", errors="ignore")  # it has no seeds
    return counted_range(set(runs) or {1}, "seed")


def _split(split) -> str:
    named = {"valid": "the validation points", "test": "the test points", "reported": "the reported points"}
    return (named | {"fresh": "fresh points"}).get(split, split)


def _of(value, name):
    return value.get(name) if isinstance(value, Mapping) else value
