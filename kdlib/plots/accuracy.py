"""Accuracies of one dataset: what methods reach, seed by seed, and in each domain. Figures are in percent."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kdlib.evaluation.formatting import counted_range, decimal, plus_minus, value_range
from kdlib.plots import theme
from kdlib.plots.rows import CLIPPED, annotate_row, clip_limit, label_rows, label_width, mark_clipped
from kdlib.plots.theme import Plot, styled

SPLITS = {"valid": "the validation points", "test": "the test points", "fresh": "fresh points"}


@styled
def accuracies(results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling: float | None = None) -> Plot:
    """Accuracy of each method: a dot per seed, mean and standard deviation.

    ceiling: the highest accuracy possible (Bayes), where known. A method far below the others becomes an arrow at the
    edge, so that these can be told apart; its number stands beside it.
    """
    scores = _select_scores(results, split, titles)
    scores = scores[scores.method != "bayes"] if ceiling is not None else scores  # it is the line
    fig, ax, titles = _make_rows(scores, titles)
    top = None if ceiling is None else 100 * ceiling
    left = _clip_limit(scores, top)
    line = {"color": theme.role_colour("ink"), "linewidth": 1.1, "linestyle": theme.DASHES[1]}
    rng = np.random.default_rng(0)
    groups = scores.groupby("method", sort=False).value
    means, deviations = groups.mean(), groups.std()
    for row, method in enumerate(titles):
        values = scores.value[scores.method == method]
        heights = row + rng.permutation(np.linspace(-0.26, 0.26, len(values))) if len(values) > 1 else [row]
        if left is None or means[method] >= left:
            ax.scatter(values, heights, s=14, color=theme.method_style(method)["color"], alpha=0.65)
        _draw_mean(ax, means[method], np.nan_to_num(deviations[method]), row, left, width=2)
        annotate_row(ax, row, plus_minus(means[method], deviations[method], 2))
    if top is not None:
        ax.axvline(top, **line)
    ax.set_xlim(left=left)  # last: it ends the automatic scale
    ax.set_xlabel(f"accuracy on {SPLITS[split]}, percent")
    theme.finish(fig, [Line2D([], [], **line, label="Bayes")] if top is not None else [])
    caption = (
        f"Accuracy on {SPLITS[split]}, in percent: a dot per seed ({_seeds(scores)}), the mean, and a bar of one "
        f"standard deviation to each side.{' The dashed line is Bayes, the best possible.' if top is not None else ''}"
        f"{CLIPPED if left is not None else ''}"
    )
    texts = [f"{titles[m]} {plus_minus(means[m], deviations[m], 2)}" for m in titles]
    bayes = "" if top is None else f" Bayes reaches {decimal(top, 2)}."
    data = scores.assign(method=scores.method.map(titles))[["method", "seed", "value"]]
    return Plot(fig, caption, f"Accuracy in percent by method: {', '.join(texts)}.{bayes}", data)


@styled
def per_domain(results: pd.DataFrame, titles: Mapping[str, str], split: str) -> Plot:
    """Accuracy of each method in each domain: mean over seeds and standard deviation.

    What is far below the rest is an arrow at the edge, as in `accuracies`; the range over domains stands beside it.
    """
    scores = _select_scores(results, split, titles, domains=True)
    domains = sorted(scores.domain.unique(), key=int)
    fig, ax, titles = _make_rows(scores, titles, row=max(0.46, 0.13 * len(domains) + 0.08))
    offsets = dict(zip(domains, np.linspace(-0.3, 0.3, len(domains)) if len(domains) > 1 else [0.0], strict=True))
    left = _clip_limit(scores)
    table = scores.groupby(["method", "domain"]).value.agg(["mean", "std"]).fillna(0)
    descriptions = []
    for row, method in enumerate(titles):
        for domain, mean, sd in table.loc[method].itertuples():
            marker = theme.MARKERS[int(domain) % len(theme.MARKERS)]
            _draw_mean(ax, mean, sd, row + offsets[domain], left, marker, color=theme.method_style(method)["color"])
        means = table["mean"][method]
        annotate_row(ax, row, value_range(means, partial(decimal, digits=1)))
        low, high = (f"{decimal(means[k], 1)} (domain {k})" for k in (means.idxmin(), means.idxmax()))
        descriptions.append(f"{titles[method]} {low} to {high}")
    ax.set_xlim(left=left)  # last: it ends the automatic scale
    ax.set_xlabel(f"accuracy on {SPLITS[split]}, percent")
    theme.finish(fig, *theme.point_keys(max(map(int, domains)) + 1, 0))
    caption = (
        f"Accuracy on {SPLITS[split]} in each domain, in percent: mean and standard deviation of {_seeds(scores)}, and "
        f"the range of the means. The marker shows the domain.{CLIPPED if left is not None else ''}"
    )
    data = table.reset_index().assign(method=lambda rows: rows.method.map(titles)).rename(columns={"std": "sd"})
    return Plot(fig, caption, f"Accuracy in percent by method and domain. {'; '.join(descriptions)}.", data)


def _select_scores(results, split, titles, domains=False) -> pd.DataFrame:
    """The finite accuracies of one split in percent, of the methods that have titles: overall, or those of domains."""
    overall = results.domain.astype(str) == "all"
    chosen = results[(results.split == split) & (results.metric == "accuracy") & (overall != domains)]
    chosen = chosen[chosen.method.isin(list(titles))] if titles else chosen
    chosen = chosen[np.isfinite(chosen.value.astype(float))]
    if chosen.empty:
        available = ", ".join(sorted(results.split.astype(str).unique())) or "none"
        which = "of single domains" if domains else "of domain 'all'"
        raise ValueError(f"results: expected finite accuracies {which} with split {split!r}; splits: {available}")
    return chosen.assign(domain=chosen.domain.astype(str), value=100 * chosen.value.astype(float))


def _make_rows(scores, titles, row=0.46):
    """A row per method: the figure, its panel, and titles of the methods in order."""
    present = set(scores.method)
    titles = {m: title for m, title in theme.all_titles(titles, scores.method.unique()).items() if m in present}
    labels = [theme.wrapped(title, label_width()) for title in titles.values()]
    row = max(row, *(0.19 * (label.count("\n") + 1) for label in labels))
    fig, (ax,) = theme.make_panels(1, 1, row * len(titles) + 0.55, width=theme.page_width())
    label_rows(ax, labels)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    for border in range(1, len(titles)):
        ax.axhline(border - 0.5, color=theme.role_colour("line"), linewidth=0.8)
    return fig, ax, titles


def _clip_limit(scores, ceiling=None) -> float | None:
    """Where to clip the scale, if the means of some methods lie far below the others; else None."""
    groups = scores.groupby(["method", "domain"]).value
    means = groups.mean()
    return clip_limit(means, groups.min().clip(upper=ceiling), max(means.max(), ceiling or 0), least=1)


def _draw_mean(ax, mean, sd, row, left, marker="o", width=1.1, color=None) -> None:
    """A mean with its deviation; left of the scale an arrow at the edge."""
    if left is not None and mean < left:
        mark_clipped(ax, row)
        return
    ax.plot([mean - sd, mean + sd], [row, row], color=theme.role_colour("soft"), linewidth=width)
    ink, paper = color or theme.role_colour("ink"), theme.role_colour("paper")
    # A rim in the colour of the paper sets the mean off from the seeds' dots.
    rim = {"markeredgewidth": 1.4} if marker == "x" else {"markeredgewidth": 0.8, "markeredgecolor": paper}
    ax.plot(mean, row, marker=marker, color=ink, markersize=6, **rim)


def _seeds(scores) -> str:
    runs = scores.groupby(["method", "domain"]).size().drop("bayes", errors="ignore")  # it has no seeds
    return counted_range(set(runs) or {1}, "seed")
