"""Comparisons: differences with their intervals, or over many datasets; an ablation step by step; calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from kdlib.evaluation.comparison import BETTER, CONFIDENCE_LEVEL, NEITHER, WORSE
from kdlib.evaluation.formatting import counted, counted_range, decimal, difference, percent, signed
from kdlib.plots import theme
from kdlib.plots.rows import CLIPPED, annotate_row, clip_limit, label_rows, label_scale, label_width, mark_clipped
from kdlib.plots.theme import Plot, styled


@styled
def forest(
    frame: pd.DataFrame,
    quantity: str = "difference in accuracy",
    *,
    clip: bool = False,
    corrected: bool = False,
    digits: int = 2,
    ceilings: Mapping[str, float] | None = None,
) -> Plot:
    """Paired differences in percentage points with their 95% intervals; a filled marker where one excludes zero.

    frame: columns label, mean, low, high as shares of 1, and optionally verdict (a word or two), dataset (a panel for
    each). clip: those far below the others become arrows at the edge, so that these can be told apart. corrected:
    whether the intervals allow for the number of comparisons, as those of `comparison.compare` do. ceilings: the
    largest difference possible, by dataset, where known; a dashed line. Intervals of two or three seeds can be wider
    than differences can be: they are cut there.
    """
    frame = frame.assign(**{column: 100 * frame[column] for column in ("mean", "low", "high")})
    ceilings = {name: 100 * top for name, top in (ceilings or {}).items()}
    many = "dataset" in frame and frame.dataset.nunique() > 2  # then panels are small, and side by side on one scale
    fig, axes, groups = _panels_of_rows(frame, row=0.38 if many else 0.58, columns=4 if many else 1, share_scale=True)
    low, high = (frame[end].fillna(frame["mean"]).clip(-100, 100) for end in ("low", "high"))  # one seed has none
    top = max(high.max(), 0, *ceilings.values())
    left = clip_limit(frame["mean"], low.clip(upper=0), top, least=1) if clip else None
    line = {"color": theme.role_colour("ink"), "linewidth": 1.1, "linestyle": theme.DASHES[1]}
    descriptions = []
    for ax, (name, rows) in zip(axes, groups, strict=True):
        ax.axvline(0, color=theme.role_colour("ink"), linewidth=1.1)
        if name in ceilings:
            ax.axvline(ceilings[name], **line)
        for r, row in enumerate(rows.to_dict("records")):
            text, verdict = difference(row["mean"], row["low"], row["high"], digits), row.get("verdict")
            word = verdict if verdict != NEITHER else None  # an empty marker says so
            annotate_row(ax, r, *([signed(row["mean"], digits)] if many else [text, word and theme.wrapped(word, 1.4)]))
            place = f"{row['label']} on {name}" if name else row["label"]
            descriptions.append(f"{place}: {text}" + (f", {verdict}" if verdict else ""))
            if left is not None and row["mean"] < left:
                mark_clipped(ax, r)
                continue
            face = "ink" if row["low"] > 0 or row["high"] < 0 else "paper"
            ends = np.clip([row["low"], row["high"]], -100, 100)
            ax.plot(ends, [r, r], color=theme.role_colour("ink"), linewidth=2, zorder=2)
            ax.plot(row["mean"], r, "o", color=theme.role_colour("ink"), markersize=6, zorder=3,
                    markerfacecolor=theme.role_colour(face), markeredgewidth=1.5)  # fmt: skip
    for ax in axes:
        ax.set_xlim(left=left)  # last: it ends the automatic scale, which panels may share
    label_scale(fig, axes, f"{quantity}, percentage points")
    theme.finish(fig, [Line2D([], [], **line, label="Bayes, the best possible")] if ceilings else [])
    excluding = int(((frame.low > 0) | (frame.high < 0)).sum())
    correction = ", corrected for the number of comparisons (Holm)" if corrected else ""
    notes = [
        " The dashed line is the best possible (Bayes)." if ceilings else "",
        CLIPPED if left is not None else "",
        " Intervals are cut at ±100 points, which no difference exceeds."
        if (frame[["low", "high"]].abs() > 100).any(axis=None)
        else "",
    ]
    caption = (
        f"{theme.capitalised(quantity)} in percentage points, with {percent(CONFIDENCE_LEVEL)} intervals{correction}. "
        f"A filled marker means that the interval excludes zero: {excluding} of {len(frame)}.{''.join(notes)}"
    )
    return Plot(fig, caption, f"Forest plot of the {quantity}, in percentage points. {'; '.join(descriptions)}.", frame)


@styled
def spread(frame: pd.DataFrame, quantity: str = "difference from FFNN, percentage points") -> Plot:
    """One difference per dataset, a row of dots for each method: filled where it is shown to be one, hollow where not.

    frame: columns label, dataset, value, verdict. The scale is linear around zero and logarithmic beyond.
    """
    if frame.empty:
        raise ValueError("frame: expected at least one difference, got none")
    labels = list(dict.fromkeys(frame.label))
    fig, (ax,) = theme.make_panels(1, 1, 0.62 * len(labels) + 0.4, width=theme.page_width())
    label_rows(ax, [theme.wrapped(label, label_width()) for label in labels])
    ax.axvline(0, color=theme.role_colour("ink"), linewidth=1.1)
    ax.set_xscale("symlog", linthresh=0.1)
    ax.xaxis.set_major_locator(FixedLocator([0, *(sign * step for sign in (-1, 1) for step in (0.1, 1, 10, 100))]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0"))
    rng, descriptions = np.random.default_rng(0), []
    for row, label in enumerate(labels):
        mine = frame[frame.label == label]
        heights = row + rng.uniform(-0.25, 0.25, len(mine))
        shown = (mine.verdict != NEITHER).to_numpy()
        for faces, which in ((theme.class_colour(4), shown), ("none", ~shown)):
            ax.scatter(
                mine.value[which], heights[which], s=22, facecolor=faces, edgecolor=theme.class_colour(4), alpha=0.7
            )
        median = mine.value.median()
        ax.plot([median, median], [row - 0.36, row + 0.36], color=theme.role_colour("ink"), linewidth=2.4)
        counts = mine.verdict.value_counts()
        words = {
            verdict: f"{verdict} on {counts[verdict]}" for verdict in (BETTER, NEITHER, WORSE) if verdict in counts
        }
        descriptions.append(f"{label}: median {signed(median, 2)}, {', '.join(words.values())}")
        words.pop(NEITHER, None)
        annotate_row(ax, row, signed(median, 2), theme.wrapped(", ".join(words.values()) or NEITHER, 1.3))
    ax.set_xlim(min(-0.1, frame.value.min() * 1.5), max(0.1, frame.value.max() * 1.5))
    label_scale(fig, [ax], quantity)
    theme.finish(fig)
    datasets = frame.dataset.nunique()
    caption = (
        f"{theme.capitalised(quantity.replace(',', ', in', 1))}: a dot per dataset ({datasets}), filled if the verdict "
        f"is {BETTER} or {WORSE}. The line marks the median, printed at the right. The scale is logarithmic beyond "
        "±0.1."
    )
    alt = f"Strip plot of the {quantity}, over {counted(datasets, 'dataset')}. {'; '.join(descriptions)}."
    return Plot(fig, caption, alt, frame)


@styled
def cumulative_ablation(frame: pd.DataFrame, quantity: str = "accuracy") -> Plot:
    """Steps from one design to another, each building on the one before: value, 95% interval, and gain, in percent.

    frame: columns label, mean, low, high as shares of 1, in the order of the steps, and optionally seeds, dataset (a
    panel for each).
    """
    frame = frame.assign(**{column: 100 * frame[column] for column in ("mean", "low", "high")})
    fig, axes, groups = _panels_of_rows(frame, row=0.56, columns=2)
    descriptions = []
    for ax, (name, rows) in zip(axes, groups, strict=True):
        means, places = rows["mean"].to_numpy(float), np.arange(len(rows))
        heights = np.concatenate([[0], np.repeat(places[1:] - 0.5, 2), [len(rows) - 1]])  # steps halfway between rows
        ax.plot(np.repeat(means, 2), heights, color=theme.class_colour(4), linewidth=1.4, zorder=1)
        ax.hlines(places, rows.low, rows.high, color=theme.role_colour("ink"), linewidth=2, zorder=2)
        ax.plot(means, places, "o", color=theme.role_colour("ink"), markersize=6, zorder=3)
        texts, gains = [decimal(mean, 1) for mean in means], ["", *(signed(gain, 1) for gain in np.diff(means))]
        steps = []
        for r, (label, mean, gain) in enumerate(zip(rows.label, texts, gains, strict=True)):
            annotate_row(ax, r, mean, gain)
            steps.append(f"{label} {mean}" + (f" ({gain})" if gain else ""))
        descriptions.append((f"{name}: " if name else "") + ", then ".join(steps) + ".")
    label_scale(fig, axes, f"{quantity}, percent")
    theme.finish(fig)
    seeds = f" over {counted_range(frame.seeds, 'seed')}" if "seeds" in frame else ""
    caption = (
        f"Step by step: each row changes one thing in the row above it. {theme.capitalised(quantity)} in percent with "
        f"its {percent(CONFIDENCE_LEVEL)} interval{seeds}, and the gain over the row above."
    )
    alt = f"Cumulative ablation: {quantity} in percent after each step. {' '.join(descriptions)}"
    return Plot(fig, caption, alt, frame)


def _panels_of_rows(frame, row, columns=1, share_scale=False):
    """A panel per dataset of a frame with labels, rows of so many inches or more: figure, panels, [(dataset, rows)]."""
    if frame.empty:
        raise ValueError("frame: expected at least one row, got none")
    groups = list(frame.groupby("dataset", sort=False)) if "dataset" in frame else [("", frame)]
    rows = max(len(group) for _, group in groups)
    same = len({tuple(group.label) for _, group in groups}) == 1
    columns = columns if same and not theme.is_narrow() else 1  # side by side if one column of labels serves all
    share = {"sharey": same, "sharex": share_scale or columns == 1}
    lines = max(theme.wrapped(label, label_width()).count("\n") + 1 for label in frame.label)
    row = max(row, 0.18 * lines)
    fig, axes = theme.make_panels(len(groups), columns, row * rows + 0.55, width=theme.page_width(), **share)
    for ax, (name, group) in zip(axes, groups, strict=True):
        label_rows(ax, [theme.wrapped(label, label_width()) for label in group.label])
        count = 3 if theme.is_narrow() else 5 if columns == 1 else 12 // columns
        ax.xaxis.set_major_locator(MaxNLocator(count, steps=(1, 2, 5, 10)))  # round numbers, which are short
        theme.set_title(ax, theme.wrapped(name, 5 / columns))
    return fig, axes, groups


@styled
def reliability(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Plot:
    """Accuracy against confidence, a panel per method: a calibrated network lies on the diagonal.

    frame: a row per method and bin, columns method, confidence (mean of the bin), accuracy, count. The
    expected calibration error (ECE) is the mean distance from the diagonal, weighted by count.
    """
    frame = frame[frame["count"] > 0]
    titles = theme.all_titles(titles, frame.method.unique())
    groups = {m: group for m in titles if len(group := frame[frame.method == m])}
    columns = theme.columns_for(len(groups))
    fig, axes = theme.make_panels(
        len(groups), columns, theme.page_width() / columns + 0.7, sharex=True, sharey=True, layout="compressed"
    )
    low = max(0.0, np.floor(10 * min(frame.confidence.min(), frame.accuracy.min(), 0.5)) / 10)
    pad = 0.05 * (1 - low)
    width = (theme.page_width() - 0.5) / min(columns, len(groups)) - 0.15
    descriptions = []
    for ax, (method, bins) in zip(axes, groups.items(), strict=True):
        bins = bins.sort_values("confidence")
        share = bins["count"] / bins["count"].sum()
        excess = bins.confidence - bins.accuracy
        ece, bias = decimal((share * excess.abs()).sum(), 3), (share * excess).sum()
        ax.plot([low, 1], [low, 1], color=theme.role_colour("soft"), linewidth=1, linestyle=theme.DASHES[1])
        colour = theme.method_style(method)["color"]
        ax.vlines(bins.confidence, bins.confidence, bins.accuracy, color=colour, linewidth=1.6)
        ax.scatter(bins.confidence, bins.accuracy, s=12 + 260 * share, color=colour, alpha=0.85, zorder=3)
        ax.set(xlim=(low - pad, 1 + pad), ylim=(low - pad, 1 + pad), box_aspect=1)
        ax.locator_params(nbins=4)
        theme.set_title(ax, theme.wrapped(titles[method], width), f"ECE {ece}")
        direction = "over-confident" if bias > 0 else "under-confident"
        descriptions.append(f"{titles[method]}: ECE {ece}, {direction} by {decimal(abs(bias), 3)} on average")
    theme.label_outer(axes, columns, "confidence", "accuracy")
    theme.finish(fig)
    caption = (
        "Accuracy of the predictions made with each confidence. The area of a dot is the share of predictions, and the "
        "dashed line is perfect calibration: below it a network is over-confident. ECE, the expected calibration "
        "error, is the mean distance from the line."
    )
    data = frame.assign(method=frame.method.map(titles))[["method", "confidence", "accuracy", "count"]]
    return Plot(fig, caption, f"Reliability diagrams. {'; '.join(descriptions)}.", data)
