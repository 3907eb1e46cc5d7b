"""Sweeps: accuracy against one setting, and against two at once. Figures are in percent."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kdlib.evaluation.comparison import CONFIDENCE_LEVEL
from kdlib.evaluation.formatting import counted, decimal, percent, setting
from kdlib.plots import theme
from kdlib.plots.heatmap import describe_cell, describe_range, draw_cells
from kdlib.plots.theme import Plot, styled

MAX_PANELS = 8  #: datasets in a figure of lines
MAX_MAPS = 4  #: datasets in a figure of maps


@styled
def accuracy_by_setting(
    frame: pd.DataFrame, name: str, values, titles: Mapping[str, str], ceilings: Mapping | None = None
) -> Plot:
    """Accuracy against a setting's values, a line per method with its intervals, a panel per dataset.

    frame: a row per dataset, method and value, columns dataset, method, `name`, mean, low, high. values: all of
    them, in order; they are spaced evenly. ceilings: the highest accuracy possible (Bayes), by dataset, where known; a
    dashed line where it is near.
    """
    frame = _in_percent(frame)
    datasets, note = _first_datasets(frame, MAX_PANELS)
    places = {value: place for place, value in enumerate(values)}
    methods = [method for method in titles if (frame.method == method).any()]
    ceilings = {dataset: 100 * top for dataset, top in (ceilings or {}).items() if dataset in datasets}
    columns = 1 if theme.is_narrow() else 2
    fig, axes = theme.make_panels(len(datasets), columns, 3.3 if len(datasets) > 1 else 3.8)
    descriptions = []
    for ax, dataset in zip(axes, datasets, strict=True):
        for m, method in enumerate(methods):
            mine = frame[(frame.dataset == dataset) & (frame.method == method)]
            if mine.empty:
                continue
            mine = mine.assign(place=mine[name].map(places)).sort_values("place")
            x = mine.place + 0.09 * (m - (len(methods) - 1) / 2)  # side by side, so that no interval hides another
            style = theme.method_style(method)
            ax.vlines(x, mine.low, mine.high, color=style["color"], linewidth=1.6)
            ax.plot(x, mine["mean"], marker="o", markersize=5, **style)
            ends = (mine.loc[end] for end in (mine["mean"].idxmin(), mine["mean"].idxmax()))
            text = " to ".join(f"{decimal(end['mean'], 2)} at {setting(end[name])}" for end in ends)
            descriptions.append(f"{titles[method]}{f' on {dataset}' if len(datasets) > 1 else ''}: {text}")
        means, limits, top = frame[frame.dataset == dataset]["mean"], ax.get_ylim(), ceilings.get(dataset, np.inf)
        if top - means.max() < 2 * np.ptp(means):  # farther off, it would squeeze the lines together
            ax.axhline(top, color=theme.role_colour("ink"), linewidth=1.1, linestyle=theme.DASHES[1])
        else:
            ax.set_ylim(limits)
        ax.set_xticks(range(len(values)), map(setting, values))
        ax.set_xlim(-0.5, len(values) - 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
        ceiling = f"Bayes ceiling {decimal(ceilings[dataset], 2)}" if dataset in ceilings else ""
        theme.set_title(ax, theme.wrapped(dataset, 3) if len(datasets) > 1 else "", ceiling)
    theme.label_outer(axes, columns, name, "accuracy, percent")
    theme.finish(fig, theme.method_keys(methods, titles, marker="o"), columns=4)
    caption = (
        f"Accuracy in percent by {name}, on points not used for model selection: mean over seeds and "
        f"{percent(CONFIDENCE_LEVEL)} interval. Each method keeps its other settings at their selected values. "
        f"Values are spaced evenly.{note}"
    )
    alt = f"Lines of accuracy in percent by {name}. From the lowest to the highest mean: {'; '.join(descriptions)}."
    return Plot(fig, caption, alt, frame)


@styled
def accuracy_by_two_settings(frame: pd.DataFrame, selected: pd.DataFrame, x, y, titles: Mapping[str, str]) -> Plot:
    """Accuracy by two settings, as small maps: a row of maps per dataset, a column per method.

    frame: a row per dataset, method and pair of values, columns dataset, method, those settings, mean. selected: its
    rows that get a star. x, y: (name, values in order) of the settings. Colours compare within a dataset.
    """
    frame = _in_percent(frame)
    datasets, note = _first_datasets(frame, MAX_MAPS)
    methods = [method for method in titles if (frame.method == method).any()]
    (across, columns), (down, lines) = ((name, list(map(setting, values))) for name, values in (x, y))
    width = (theme.page_width() - 0.9) / max(2, len(methods))
    height = min(3.4, 0.45 + 0.34 * len(lines))
    fig = Figure(figsize=(width * len(methods) + 0.9, (height + 0.25) * len(datasets) + 0.6), layout="constrained")
    axes = fig.subplots(len(datasets), len(methods), squeeze=False, sharex=True, sharey=True)
    descriptions = []
    for ax, method in zip(axes[0], methods, strict=True):
        theme.set_title(ax, theme.wrapped(titles[method], width))
    for row, dataset in zip(axes, datasets, strict=True):
        means = frame[frame.dataset == dataset]["mean"]
        for ax, method in zip(row, methods, strict=True):
            table, stars = (
                rows[(rows.dataset == dataset) & (rows.method == method)]
                .pivot(index=down, columns=across, values="mean")
                .reindex(index=list(y[1]), columns=list(x[1]))
                .to_numpy(float)
                for rows in (frame, selected)
            )
            stars = np.isfinite(stars)
            draw_cells(ax, table, stars, means.min(), means.max(), 1 if width / len(columns) > 0.4 else None, size=8.5)
            ax.set_xticks(range(len(columns)), columns)
            ax.set_yticks(range(len(lines)), lines)
            if np.isfinite(table).any():
                names = (across, columns), (down, lines)
                text = f"{titles[method]} on {dataset}: {describe_range(table, *names, 2)}"
                cells = [f", selected {describe_cell(table, tuple(at), *names, 2)}" for at in np.argwhere(stars)]
                descriptions.append(text + "".join(cells) + ".")
        row[0].set_ylabel(f"{theme.wrapped(dataset, 2)}\n{down}" if len(datasets) > 1 else down)
    for ax in axes[-1]:
        ax.set_xlabel(across)
    caption = (
        f"Accuracy in percent by {across} and {down}, on points not used for model selection: means over seeds. "
        "A star marks the selected values; each method keeps its other settings at their selected values. "
        f"Darker is lower, within each dataset.{note}"
    )
    alt = f"{counted(len(descriptions), 'map')} of accuracy in percent by {across} and {down}. {' '.join(descriptions)}"
    return Plot(fig, caption, alt, frame, own_dark=True)


def _in_percent(frame) -> pd.DataFrame:
    shares = frame.columns.intersection(["mean", "sd", "low", "high", "selection"])
    return frame.assign(**100 * frame[shares])


def _first_datasets(frame, count) -> tuple[list[str], str]:
    """The first datasets of a frame, and a sentence for the caption if there are more."""
    if frame.empty:
        raise ValueError("frame: expected at least one row, got none")
    names = list(dict.fromkeys(frame.dataset))
    note = f" The first {count} of {len(names)} datasets are drawn." if len(names) > count else ""
    return names[:count], note
