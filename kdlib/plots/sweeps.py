"""Sweeps: accuracy against one setting, and against two at once."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kdlib.plots.theme import (
    DASHES,
    WIDTH,
    Plot,
    counted,
    finish,
    make_panels,
    method_look,
    put_title,
    role_colour,
    styled,
    wrapped,
)

PANELS = 8  #: datasets in a figure at most
MAPS = 4  #: datasets in a figure of maps


@styled
def response(
    frame: pd.DataFrame, name: str, values, titles: Mapping[str, str], ceilings: Mapping | None = None
) -> Plot:
    """Accuracy against a setting's values, a line per method with its intervals, a panel per dataset.

    frame: a row per dataset, method and value, columns dataset, method, `name`, mean, low, high. values: all of
    them, in order; they stand evenly spaced. ceilings: the best that can be reached (Bayes), by dataset, where known; a
    dashed line where it is near.
    """
    names, left = _first(frame, PANELS)
    places = {value: place for place, value in enumerate(values)}
    methods = [method for method in titles if (frame.method == method).any()]
    ceilings = {n: top for n, top in (ceilings or {}).items() if n in names}
    fig, axes = make_panels(len(names), 2, 3.3 if len(names) > 1 else 3.8)
    said = []
    for i, (ax, dataset) in enumerate(zip(axes, names, strict=True)):
        for m, method in enumerate(methods):
            mine = frame[(frame.dataset == dataset) & (frame.method == method)]
            if mine.empty:
                continue
            mine = mine.assign(place=mine[name].map(places)).sort_values("place")
            x = mine.place + 0.09 * (m - (len(methods) - 1) / 2)  # side by side, so that no interval hides another
            colour, dashes = method_look(method, titles)
            ax.vlines(x, mine.low, mine.high, color=colour, linewidth=1.6)
            ax.plot(x, mine["mean"], "o", markersize=5, color=colour, linestyle=dashes)
            ends = [mine.loc[mine["mean"].agg(f"idx{f}")] for f in ("min", "max")]
            told = " to ".join(f"{end['mean']:.4f} at {_text(end[name])}" for end in ends)
            said.append(f"{titles[method]}{f' on {dataset}' if len(names) > 1 else ''}: {told}")
        mine = frame[frame.dataset == dataset]
        (low, high), top = ax.get_ylim(), ceilings.get(dataset, np.inf)
        if top - mine["mean"].max() < 2 * np.ptp(mine["mean"]):  # farther off, it would press the lines together
            ax.axhline(top, color=role_colour("ink"), linewidth=1.1, linestyle=DASHES[1])
        else:
            ax.set_ylim(low, high)
        ax.set_xticks(range(len(values)), [_text(value) for value in values])
        ax.set_xlim(-0.5, len(values) - 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
        ax.set(xlabel=name, ylabel="accuracy" if i % 2 == 0 else "")
        bayes = f"Bayes ceiling {ceilings[dataset]:.4f}" if dataset in ceilings else ""
        put_title(ax, wrapped(dataset, 3) if len(names) > 1 else "", bayes)
    look = {method: method_look(method, titles) for method in methods}
    keys = [Line2D([], [], color=c, linestyle=d, marker="o", label=wrapped(titles[m], 3)) for m, (c, d) in look.items()]
    finish(fig, keys, columns=4)
    caption = (
        f"Accuracy by {name}, on points that chose nothing: mean over seeds and 95 % interval. All else is as chosen "
        f"for each method. Values stand evenly spaced.{left}"
    )
    return Plot(fig, caption, f"Lines of accuracy by {name}. From the lowest to the highest mean: {'; '.join(said)}.")


@styled
def responses(frame: pd.DataFrame, chosen: pd.DataFrame, x, y, titles: Mapping[str, str]) -> Plot:
    """Accuracy by two settings, as small maps: a row of maps per dataset, a column per method.

    frame: a row per dataset, method and pair of values, columns dataset, method, those settings, mean. chosen: its rows
    that get a star. x, y: (name, values in order) of the settings. Colours compare within a dataset.
    """
    names, left = _first(frame, MAPS)
    methods = [method for method in titles if (frame.method == method).any()]
    (across, columns), (down, lines) = x, y
    width = (WIDTH - 0.9) / max(2, len(methods))
    height = min(3.4, 0.45 + 0.34 * len(lines))
    fig = Figure(figsize=(width * len(methods) + 0.9, (height + 0.25) * len(names) + 0.6), layout="constrained")
    axes = fig.subplots(len(names), len(methods), squeeze=False, sharex=True, sharey=True)
    said = []
    for ax, method in zip(axes[0], methods, strict=True):
        put_title(ax, wrapped(titles[method], width))
    for row, dataset in zip(axes, names, strict=True):
        scores = frame[frame.dataset == dataset]
        for ax, method in zip(row, methods, strict=True):
            mine, stars = (
                rows[(rows.dataset == dataset) & (rows.method == method)]
                .pivot(index=down, columns=across, values="mean")
                .reindex(index=lines, columns=columns)
                .to_numpy(float)
                for rows in (scores, chosen)
            )
            _small_map(ax, mine, stars, scores["mean"].min(), scores["mean"].max(), width / len(columns) > 0.4)
            ax.set_xticks(range(len(columns)), [_text(value) for value in columns])
            ax.set_yticks(range(len(lines)), [_text(value) for value in lines])
            if np.isfinite(mine).any():
                said.append(_told(mine, stars, titles[method], dataset, (across, columns), (down, lines)))
        row[0].set_ylabel(f"{wrapped(dataset, 2)}\n{down}" if len(names) > 1 else down)
    for ax in axes[-1]:
        ax.set_xlabel(across)
    caption = (
        f"Accuracy by {across} and {down}, on points that chose nothing: means over seeds. A star marks what was "
        f"chosen; all else is as chosen for each method. Darker is lower, in each dataset by itself.{left}"
    )
    return Plot(fig, caption, f"{counted(len(said), 'map')} of accuracy by {across} and {down}. {' '.join(said)}")


def _small_map(ax, table, stars, low, high, numbers):
    image = ax.imshow(np.ma.masked_invalid(table), aspect="auto", vmin=low, vmax=high if high > low else low + 1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for r, c in np.argwhere(np.isfinite(table)):
        star = "★" if np.isfinite(stars[r, c]) else ""
        text = f"{table[r, c]:.3f}{star}" if numbers else star
        ground = np.dot(image.cmap(image.norm(table[r, c]))[:3], (0.299, 0.587, 0.114))
        ink, paper = sorted([role_colour("ink"), role_colour("paper")], key=sum)
        ax.text(c, r, text, ha="center", va="center", size=8.5, color=ink if ground > 0.5 else paper,
                weight="bold" if star else "normal")  # fmt: skip


def _told(table, stars, title, dataset, x, y) -> str:
    def cell(at):
        return f"{table[at]:.4f} at {x[0]} {_text(x[1][at[1]])}, {y[0]} {_text(y[1][at[0]])}"

    low, high = (np.unravel_index(find(table), table.shape) for find in (np.nanargmin, np.nanargmax))
    text = f"{title} on {dataset}: from {cell(low)} to {cell(high)}"
    return text + "".join(f", chosen {cell(tuple(at))}" for at in np.argwhere(np.isfinite(stars))) + "."


def _first(frame, most) -> tuple[list[str], str]:
    """The first datasets of a frame, and a sentence on those that there is no room for."""
    if frame.empty:
        raise ValueError("frame: expected at least one row, got none")
    names = list(dict.fromkeys(frame.dataset))
    left = f" The first {most} of {len(names)} datasets are drawn." if len(names) > most else ""
    return names[:most], left


def _text(value) -> str:
    return value if isinstance(value, str) else f"{value:g}"
