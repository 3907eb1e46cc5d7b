"""Accuracies: what methods reach, seed by seed, below the ceiling, and in each domain."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kdlib.evaluation.formatting import counted_range, decimal, percent, plus_minus, value_range
from kdlib.plots.rows import CLIPPED, annotate_row, clip_limit, label_rows, label_scale, mark_clipped
from kdlib.plots.theme import (
    DASHES,
    MARKERS,
    WIDTH,
    Plot,
    all_titles,
    class_colour,
    finish,
    make_panels,
    point_keys,
    role_colour,
    set_logarithmic,
    set_title,
    styled,
    wrapped,
)

SPLITS = {
    "valid": "the validation points",
    "test": "the test points",
    "fresh": "fresh points",
    "reported": "the reported points",
}


@styled
def accuracies(results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling=None) -> Plot:
    """Accuracy of each method: a dot per seed, mean and standard deviation; one panel per dataset.

    ceiling: the highest accuracy possible (Bayes), a number, or {dataset: number}, where known. A method far below
    the others becomes an arrow at the edge, so that these can be told apart; its number stands beside it.
    """
    scores = _select_scores(results, split, titles)
    if ceiling is not None and (scores.method != "bayes").any():
        scores = scores[scores.method != "bayes"]  # it is the line
    fig, panels, titles = _make_rows(scores, titles)
    ceilings = {name: top for name in panels if (top := _of_dataset(ceiling, name)) is not None}
    line = {"color": role_colour("ink"), "linewidth": 1.1, "linestyle": DASHES[1]}
    is_clipped = False
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        left = _clip_limit(mine, ceilings.get(name))
        is_clipped |= left is not None
        _draw_seeds(ax, mine, titles, digits=4 if len(panels) == 1 else 3, left=left)
        if name in ceilings:
            ax.axvline(ceilings[name], **line)
        ax.set_xlim(left=left)  # last: it ends the automatic scale
    label_scale(fig, list(panels.values()), f"accuracy on {SPLITS.get(split, split)}")
    finish(fig, [Line2D([], [], **line, label="Bayes ceiling")] if ceilings else [])
    caption = (
        f"Accuracy on {SPLITS.get(split, split)}: a dot per seed ({_seeds(scores)}), the mean, and a bar of one "
        f"standard deviation to each side."
        f"{' The dashed line is the highest accuracy possible (Bayes).' if ceilings else ''}"
        f"{CLIPPED if is_clipped else ''}"
    )
    alt = f"Accuracy by method. {_describe_means(scores, titles)}"
    if ceilings:
        places = {name: f" on {name}" if len(panels) > 1 else "" for name in ceilings}
        alt += f" The Bayes ceiling is {', '.join(decimal(top) + places[name] for name, top in ceilings.items())}."
    return Plot(fig, caption, alt)


@styled
def gap_to_ceiling(
    results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling, baseline: str | None = None
) -> Plot:
    """How far each method stays below the highest accuracy possible, in percentage points, seed by seed.

    ceiling: a number, or {dataset: number}; datasets without one are left out. baseline: the method whose gap
    the others close by so many percent.
    """
    scores = _select_scores(results, split, titles)
    scores = scores[scores.method != "bayes"]
    ceilings = scores.dataset.map(lambda name: _of_dataset(ceiling, name)).astype(float)
    scores = scores.assign(value=100 * (ceilings - scores.value))[ceilings.notna()]
    if scores.empty:
        raise ValueError("ceiling: expected that of at least one dataset of the results, got none")
    fig, panels, titles = _make_rows(scores, titles)
    descriptions = []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        means = mine.groupby("method").value.mean()
        closed = pd.Series(dtype=float)
        if means.get(baseline, 0) > 0:
            closed = 1 - means.drop(baseline) / means[baseline]
        if len(closed):
            best = closed.idxmax()
            most = f"{titles[best]} closes most, {percent(closed[best], 1)}"
            place = f" on {name}" if len(panels) > 1 else ""
            descriptions.append((most if closed[best] > 0 else "no method closes any") + place)
        notes = {m: f"{percent(share)} closed" if share > 0 else "wider" for m, share in closed.items()}
        _draw_seeds(ax, mine, titles, digits=2, notes=notes)
        if mine.value.min() > 0:
            set_logarithmic(ax.xaxis)
        else:
            ax.axvline(0, color=role_colour("ink"), linewidth=1.1)
    label_scale(fig, list(panels.values()), "below the Bayes ceiling, percentage points")
    finish(fig)
    of = f" of {next(iter(panels))}" if len(panels) == 1 < results.dataset.nunique() else ""  # no panel's title says so
    caption = (
        f"How far each method stays below the highest accuracy possible (Bayes), on {SPLITS.get(split, split)}{of}: "
        f"{_seeds(scores)}, mean and standard deviation."
    )
    alt = f"Gap to the Bayes ceiling by method, in percentage points. {_describe_means(scores, titles, 2)}"
    if descriptions:
        caption += f" “Closed” is the share of the gap of “{titles[baseline]}” that a method closes."
        alt += f" Of the gap of {titles[baseline]}, {'; '.join(descriptions)}."
    return Plot(fig, caption, alt)


@styled
def per_domain(results: pd.DataFrame, titles: Mapping[str, str], split: str) -> Plot:
    """Accuracy of each method in each domain: mean over seeds and standard deviation; one panel per dataset.

    What is far below the rest is an arrow at the edge, as in `accuracies`; the range over domains stands beside it.
    """
    scores = _select_scores(results, split, titles, domains=True)
    domains = sorted(scores.domain.unique(), key=int)
    fig, panels, titles = _make_rows(scores, titles, row=max(0.46, 0.13 * len(domains) + 0.08))
    offsets = dict(zip(domains, np.linspace(-0.3, 0.3, len(domains)) if len(domains) > 1 else [0.0], strict=True))
    is_clipped, sentences = False, []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        left = _clip_limit(mine)
        is_clipped |= left is not None
        table = mine.groupby(["method", "domain"]).value.agg(["mean", "std"]).fillna(0)
        descriptions = []
        for row, method in enumerate(titles):
            if method not in table.index:
                continue
            for domain, mean, sd in table.loc[method].itertuples():
                marker = MARKERS[int(domain) % len(MARKERS)]
                _draw_mean(ax, mean, sd, row + offsets[domain], left, marker=marker)
            means = table["mean"][method]
            annotate_row(ax, row, value_range(means, partial(decimal, digits=3)))
            low, high = (f"{decimal(means[k], 3)} (domain {k})" for k in (means.idxmin(), means.idxmax()))
            descriptions.append(f"{titles[method]} {low} to {high}")
        ax.set_xlim(left=left)  # last: it ends the automatic scale
        if len(panels) > 1:
            ends = [(table["mean"][end], *end) for end in (table["mean"].idxmin(), table["mean"].idxmax())]
            low, high = (f"{decimal(mean, 3)} ({titles[method]}, domain {k})" for mean, method, k in ends)
            descriptions = [f"On {name}: from {low} to {high}"]
        sentences.append("; ".join(descriptions) + ".")
    label_scale(fig, list(panels.values()), f"accuracy on {SPLITS.get(split, split)}")
    finish(fig, *point_keys(max(map(int, domains)) + 1, 0))
    caption = (
        f"Accuracy on {SPLITS.get(split, split)} in each domain: mean and standard deviation of {_seeds(scores)}, and "
        f"the range of the means. The marker shows the domain.{CLIPPED if is_clipped else ''}"
    )
    return Plot(fig, caption, f"Accuracy by method and domain. {' '.join(sentences)}")


def _select_scores(results, split, titles, domains=False, metric="accuracy") -> pd.DataFrame:
    """The finite rows of one split and metric, of the methods that have titles: overall, or those of each domain."""
    overall = results.domain.astype(str) == "all"
    chosen = results[(results.split == split) & (results.metric == metric) & (overall != domains)]
    chosen = chosen[chosen.method.isin(list(titles))] if titles else chosen
    chosen = chosen[np.isfinite(chosen.value.astype(float))].assign(domain=lambda rows: rows.domain.astype(str))
    if chosen.empty:
        available = ", ".join(sorted(results.split.astype(str).unique())) or "none"
        which = "of single domains" if domains else "of domain 'all'"
        raise ValueError(
            f"results: expected finite rows {which} with split {split!r} and metric {metric!r}; splits: {available}"
        )
    return chosen


def _make_rows(scores, titles, row=0.46):
    """A panel per dataset, a row per method: the figure, {dataset: panel}, and titles of the methods in order."""
    names = list(dict.fromkeys(scores.dataset))
    present = set(scores.method)
    titles = {m: title for m, title in all_titles(titles, scores.method.unique()).items() if m in present}
    fig, axes = make_panels(len(names), 2, row * len(titles) + 0.55, width=WIDTH, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        label_rows(ax, [wrapped(title, 1.75) for title in titles.values()])
        ax.xaxis.set_major_locator(MaxNLocator(4 if len(names) > 1 else 6))
        for border in range(1, len(titles)):
            ax.axhline(border - 0.5, color=role_colour("line"), linewidth=0.8)
        set_title(ax, wrapped(name, 2.6) if len(names) > 1 else "")
    return fig, dict(zip(names, axes, strict=True)), titles


def _clip_limit(scores, ceiling=None) -> float | None:
    """Where to clip the scale, if the means of some methods lie far below the others; else None."""
    groups = scores.groupby(["method", "domain"]).value
    means = groups.mean()
    return clip_limit(means, groups.min().clip(upper=ceiling), max(means.max(), ceiling or 0))


def _draw_mean(ax, mean, sd, row, left, marker="o", width=1.1) -> None:
    """A mean with its deviation; left of the scale an arrow at the edge."""
    if left is not None and mean < left:
        mark_clipped(ax, row)
        return
    ax.plot([mean - sd, mean + sd], [row, row], color=role_colour("soft"), linewidth=width)
    ink, paper = role_colour("ink"), role_colour("paper")  # a rim of paper sets it off from the seeds' dots
    rim = {"markeredgewidth": 1.4} if marker == "x" else {"markeredgewidth": 0.8, "markeredgecolor": paper}
    ax.plot(mean, row, marker=marker, color=ink, markersize=6, **rim)


def _draw_seeds(ax, scores, methods, digits, notes=None, left=None) -> None:
    """A row per method: seeds as dots, mean with standard deviation, and these as numbers at the right."""
    rng = np.random.default_rng(0)
    for row, method in enumerate(methods):
        values = scores.value[scores.method == method].astype(float)
        if values.empty:
            continue
        heights = row + rng.permutation(np.linspace(-0.26, 0.26, len(values))) if len(values) > 1 else [row]
        mean, sd = values.mean(), values.std()
        if left is None or mean >= left:
            ax.scatter(values, heights, s=14, color=class_colour(4), alpha=0.65)
        _draw_mean(ax, mean, np.nan_to_num(sd), row, left, width=2)
        annotate_row(ax, row, plus_minus(mean, sd, digits), (notes or {}).get(method))


def _describe_means(scores, titles, digits=4) -> str:
    """Mean and deviation of each method as a sentence; of several datasets, the lowest and the highest of each."""
    sentences = []
    names = list(dict.fromkeys(scores.dataset))
    for name in names:
        groups = scores[scores.dataset == name].groupby("method").value
        means, deviations = groups.mean(), groups.std()
        texts = {m: f"{titles[m]} {plus_minus(means[m], deviations[m], digits)}" for m in titles if m in means}
        if len(names) == 1:
            sentences.append(f"{', '.join(texts.values())}.")
        else:
            sentences.append(f"On {name}: from {texts[means.idxmin()]} to {texts[means.idxmax()]}.")
    return " ".join(sentences)


def _seeds(scores) -> str:
    runs = scores.groupby(["method", "dataset", "domain"]).size().drop("bayes", errors="ignore")  # it has no seeds
    return counted_range(set(runs) or {1}, "seed")


def _of_dataset(value, name):
    """What belongs to a dataset, of a dict by dataset or of one value for all."""
    return value.get(name) if isinstance(value, Mapping) else value
