"""Comparisons: differences with their intervals or over datasets, mends one after the other, calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.plots.rows import CUT, arrow, beside, floor, label_rows, label_scale
from kdlib.plots.theme import (
    DASHES,
    WIDTH,
    Plot,
    all_titles,
    class_colour,
    columns_for,
    counted_range,
    finish,
    make_panels,
    percent,
    place,
    put_title,
    role_colour,
    signed,
    styled,
    wrapped,
)


@styled
def forest(
    frame: pd.DataFrame, quantity: str = "difference in accuracy", level: float = 0.95, cut: bool = False
) -> Plot:
    """Paired differences with their intervals, a row each; a filled marker where the interval leaves out zero.

    frame: columns label, mean, low, high, and optionally verdict (a word or two), dataset (a panel for each).
    cut: those far below the others become arrows at the edge, so that these can be told apart.
    """
    fig, axes, groups = _steps(frame, row=0.58)
    left = floor(frame["mean"], frame.low.clip(upper=0), max(frame.high.max(), 0)) if cut else None
    for ax, (_, rows) in zip(axes, groups, strict=True):
        ax.axvline(0, color=role_colour("ink"), linewidth=1.1)
        for r, line in enumerate(rows.to_dict("records")):
            text = f"{signed(line['mean'])} [{signed(line['low'])}, {signed(line['high'])}]"
            beside(ax, r, text, line.get("verdict"))
            if left is not None and line["mean"] < left:
                arrow(ax, r)
                continue
            sure = line["low"] > 0 or line["high"] < 0
            ax.plot([line["low"], line["high"]], [r, r], color=role_colour("ink"), linewidth=2, zorder=2)
            ax.plot(line["mean"], r, "o", color=role_colour("ink"), markersize=7, zorder=3,
                    markerfacecolor=role_colour("ink" if sure else "paper"), markeredgewidth=1.5)  # fmt: skip
        ax.set_xlim(left=left)  # last: it ends the automatic scale
    label_scale(fig, dict(enumerate(axes)), quantity)
    finish(fig)
    sure = int(((frame.low > 0) | (frame.high < 0)).sum())
    caption = (
        f"{quantity[:1].upper()}{quantity[1:]}, with {percent(level)} intervals. A filled marker stands for "
        f"an interval that leaves out zero: {sure} of {len(frame)}.{CUT if left is not None else ''}"
    )
    verdicts = "verdict" in frame
    each = [
        f"{place(line)}: {signed(line['mean'])} ({signed(line['low'])} to {signed(line['high'])})"
        + (f", {line['verdict']}" if verdicts else "")
        for line in frame.to_dict("records")
    ]
    return Plot(fig, caption, f"Forest plot of the {quantity}. {'; '.join(each)}.")


@styled
def spread(frame: pd.DataFrame, quantity: str = "difference to FFNN, percentage points") -> Plot:
    """One difference per dataset, a row of dots for each method: filled where a verdict is one, hollow where not.

    frame: columns label, dataset, value, verdict. The scale is linear around zero and logarithmic beyond.
    """
    if frame.empty:
        raise ValueError("frame: expected at least one difference, got none")
    labels = list(dict.fromkeys(frame.label))
    fig, (ax,) = make_panels(1, 1, 0.62 * len(labels) + 0.4, width=WIDTH)
    label_rows(ax, [wrapped(label, 1.9) for label in labels])
    ax.axvline(0, color=role_colour("ink"), linewidth=1.1)
    ax.set_xscale("symlog", linthresh=0.1)
    ax.xaxis.set_major_locator(FixedLocator([0, *(sign * step for sign in (-1, 1) for step in (0.1, 1, 10, 100))]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0"))
    rng, said = np.random.default_rng(0), []
    for row, label in enumerate(labels):
        mine = frame[frame.label == label]
        heights = row + rng.uniform(-0.25, 0.25, len(mine))
        shown = (mine.verdict != NEITHER).to_numpy()
        for faces, which in ((class_colour(4), shown), ("none", ~shown)):
            ax.scatter(mine.value[which], heights[which], s=22, facecolor=faces, edgecolor=class_colour(4), alpha=0.7)
        median = mine.value.median()
        ax.plot([median, median], [row - 0.36, row + 0.36], color=role_colour("ink"), linewidth=2.4)
        counts = {verdict: int((mine.verdict == verdict).sum()) for verdict in (BETTER, NEITHER, WORSE)}
        told = ", ".join(f"{word} on {count}" for word, count in counts.items() if count and word != NEITHER)
        beside(ax, row, f"{median:+.2f}".replace("-", "−"), wrapped(told or NEITHER, 1.3))
        said.append(f"{label}: median {median:+.2f}, {', '.join(f'{w} on {c}' for w, c in counts.items() if c)}")
    ax.set_xlim(min(-0.1, frame.value.min() * 1.5), max(0.1, frame.value.max() * 1.5))
    label_scale(fig, {"": ax}, quantity)
    finish(fig)
    sets = frame.dataset.nunique()
    caption = (
        f"The {quantity.replace(',', ', in', 1)}: a dot for each of {sets} datasets, filled where a difference is "
        "shown; the line is the median, given at the right. Beyond ±0.1 the scale is logarithmic."
    )
    return Plot(fig, caption, f"Strips of the {quantity}, on {sets} datasets. {'; '.join(said)}.".replace("-", "−"))


@styled
def ladder(frame: pd.DataFrame, quantity: str = "accuracy", level: float = 0.95) -> Plot:
    """Steps from one design to another, each building on the one before: value, interval, and gain.

    frame: columns label, mean, low, high, in the order of the steps, and optionally seeds, dataset (a panel for each).
    """
    fig, axes, groups = _steps(frame, row=0.56, columns=2)
    alts = []
    for ax, (name, rows) in zip(axes, groups, strict=True):
        means, places = rows["mean"].to_numpy(float), np.arange(len(rows))
        treads = np.concatenate([[0], np.repeat(places[1:] - 0.5, 2), [len(rows) - 1]])  # halfway between two rows
        ax.plot(np.repeat(means, 2), treads, color=class_colour(4), linewidth=1.4, zorder=1)
        ax.hlines(places, rows.low, rows.high, color=role_colour("ink"), linewidth=2, zorder=2)
        ax.plot(means, places, "o", color=role_colour("ink"), markersize=6, zorder=3)
        gains = ["", *(signed(gain) for gain in np.diff(means))]
        for r, mean, gain in zip(places, means, gains, strict=True):
            beside(ax, r, f"{mean:.4f}", gain)
        steps = [
            f"{label} {mean:.4f}{f' ({gain})' if gain else ''}"
            for label, mean, gain in zip(rows.label, means, gains, strict=True)
        ]
        alts.append((f"{name}: " if name else "") + ", then ".join(steps) + ".")
    label_scale(fig, dict(enumerate(axes)), quantity)
    finish(fig)
    over = f" over {counted_range(set(frame.seeds), 'seed')}" if "seeds" in frame else ""
    caption = (
        f"Step by step: each row changes one thing in the row above it. {quantity[:1].upper()}{quantity[1:]} with its "
        f"{percent(level)} interval{over}, and the gain over the row above."
    )
    return Plot(fig, caption, f"Steps in {quantity}. {' '.join(alts)}")


def _steps(frame, row, columns=1):
    """A panel per dataset of a frame with labels: the figure, its panels, and [(dataset, rows)]."""
    if frame.empty:
        raise ValueError("frame: expected at least one row, got none")
    groups = list(frame.groupby("dataset", sort=False)) if "dataset" in frame else [("", frame)]
    rows = max(len(group) for _, group in groups)
    same = len({tuple(group.label) for _, group in groups}) == 1
    columns = columns if same else 1  # side by side if one column of labels serves both
    fig, axes = make_panels(len(groups), columns, row * rows + 0.55, width=WIDTH, sharey=same, sharex=columns == 1)
    for ax, (name, group) in zip(axes, groups, strict=True):
        label_rows(ax, [wrapped(label, 2.3 if columns == 1 else 1.75) for label in group.label])
        ax.xaxis.set_major_locator(MaxNLocator(5 if columns == 1 else 4))
        if name:
            ax.set_title(wrapped(name, 3))
    return fig, axes, groups


@styled
def reliability(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Plot:
    """Confidence against accuracy, a panel per method: on the diagonal a network means what it says.

    frame: a row per method and bin, columns method, confidence (mean of the bin), accuracy, count. The
    expected calibration error (ECE) is the mean distance from the diagonal, weighted by count.
    """
    frame = frame[frame["count"] > 0]
    titles = all_titles(titles, frame.method.unique())
    groups = {m: group for m in titles if len(group := frame[frame.method == m])}
    columns = columns_for(len(groups))
    fig, axes = make_panels(len(groups), columns, 3.4, sharex=True, sharey=True, layout="compressed")
    low = min(frame.confidence.min(), frame.accuracy.min(), 0.5)
    low = max(0.0, np.floor(low * 10) / 10)
    width = (WIDTH - 0.5) / min(columns, len(groups)) - 0.15
    said = []
    for i, (ax, (method, bins)) in enumerate(zip(axes, groups.items(), strict=True)):
        bins = bins.sort_values("confidence")
        share = bins["count"] / bins["count"].sum()
        ece = float((share * (bins.accuracy - bins.confidence).abs()).sum())
        ax.plot([low, 1], [low, 1], color=role_colour("soft"), linewidth=1, linestyle=DASHES[1])
        ax.vlines(bins.confidence, bins.confidence, bins.accuracy, color=class_colour(4), linewidth=1.6)
        ax.scatter(bins.confidence, bins.accuracy, s=12 + 260 * share, color=role_colour("ink"), alpha=0.85, zorder=3)
        pad = 0.05 * (1 - low)
        ax.set(xlim=(low - pad, 1 + pad), ylim=(low - pad, 1 + pad))
        ax.set_box_aspect(1)
        ax.locator_params(nbins=4)
        ax.set(xlabel="confidence" if i >= len(groups) - columns else "", ylabel="accuracy" if i % columns == 0 else "")
        put_title(ax, wrapped(titles[method], width), f"ECE {ece:.3f}")
        above = float((share * (bins.confidence - bins.accuracy)).sum())
        lean = "over-confident" if above > 0 else "under-confident"
        said.append(f"{titles[method]}: ECE {ece:.3f}, {lean} by {abs(above):.3f} on average")
    finish(fig)
    caption = (
        "Accuracy of the predictions of each confidence; the area of a dot is their share, the dashed line perfect "
        "calibration. Below the line a network is over-confident. ECE is the mean distance from the line."
    )
    return Plot(fig, caption, f"Reliability diagrams. {'; '.join(said)}.")
