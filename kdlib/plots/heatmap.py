"""A table as colours."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kdlib.plots.theme import LEGEND, WIDTH, Plot, class_colour, finish, role_colour, styled, wrapped


@styled
def heat_map(
    values: pd.DataFrame | np.ndarray,
    value: str,
    *,
    x: str = "",
    y: str = "",
    x_labels=None,
    y_labels=None,
    marks=None,
    marked: str = "the best",
    centre: float | None = None,
    digits: int = 3,
) -> Plot:
    """A table (rows, columns) as colours, with its numbers; those in `marks` (bools of the same shape) get a star.

    value: what the numbers are. x, y: names of the axes; labels default to the frame's. marked: what a star says.
    centre: a value such as 0 at which colours part into blue (above) and orange (below).
    """
    frame = pd.DataFrame(values)
    table = frame.to_numpy(float)
    columns = [str(label) for label in (frame.columns if x_labels is None else x_labels)]
    lines = [str(label) for label in (frame.index if y_labels is None else y_labels)]
    x, y = x or str(frame.columns.name or ""), y or str(frame.index.name or "")
    stars = np.zeros(table.shape, bool) if marks is None else np.asarray(marks, bool)
    if stars.shape != table.shape:
        raise ValueError(f"marks: expected booleans of shape {table.shape}, got {stars.shape}")
    if not np.isfinite(table).any():
        raise ValueError("values: expected at least one finite number, got none")
    low, high = np.nanmin(table), np.nanmax(table)
    looks = {"vmin": low, "vmax": high if high > low else low + 1}
    if centre is not None:
        reach = max(abs(low - centre), abs(high - centre)) or 1.0
        colours = [class_colour(1), role_colour("paper"), class_colour(0)]
        parted = LinearSegmentedColormap.from_list("parted", colours)
        looks = {"vmin": centre - reach, "vmax": centre + reach, "cmap": parted}
    numbers = table.size <= 150 and len(columns) <= 9
    width = min(WIDTH, 2.6 + 0.75 * len(columns))
    fig = Figure(figsize=(width, min(10.0, 1.2 + 0.42 * len(lines))), layout="constrained")
    ax = fig.subplots()
    image = ax.imshow(np.ma.masked_invalid(table), aspect="auto", **looks)
    wide = max(map(len, columns)) * 0.09 > (width - 2.2) / len(columns)
    ax.set_xticks(range(len(columns)), columns, **({"rotation": 45, "ha": "right"} if wide else {}))
    ax.set_yticks(range(len(lines)), [wrapped(line, 1.9) for line in lines])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=x, ylabel=y)
    for r, c in np.argwhere(np.isfinite(table)):
        text = f"{table[r, c]:.{digits}f}".replace("-", "−") if numbers else ""
        text = f"{text} ★".strip() if stars[r, c] else text
        ground = np.dot(image.cmap(image.norm(table[r, c]))[:3], (0.299, 0.587, 0.114))
        ink, paper = sorted([role_colour("ink"), role_colour("paper")], key=sum)
        ax.text(c, r, text, ha="center", va="center", size=10, color=ink if ground > 0.5 else paper,
                weight="bold" if stars[r, c] else "normal")  # fmt: skip
    bar = fig.colorbar(image, ax=ax, label=value, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    finish(fig)

    def cell(at):
        return (
            f"{table[at]:.{digits}f}".replace("-", "−")
            + f" at {y or 'row'} {lines[at[0]]}, {x or 'column'} {columns[at[1]]}"
        )

    extremes = [np.unravel_index(find(table), table.shape) for find in (np.nanargmin, np.nanargmax)]
    told = (
        f" Starred ({marked}): {'; '.join(cell(tuple(at)) for at in np.argwhere(stars)[:LEGEND])}."
        if stars.any()
        else ""
    )
    alt = f"Heat map of {value}, {len(lines)} by {len(columns)}: from {cell(extremes[0])} to {cell(extremes[1])}.{told}"
    axes = f" by {y} (rows) and {x} (columns)" if x and y else ""
    caption = f"{value[:1].upper()}{value[1:]}{axes}.{f' A star marks {marked}.' if stars.any() else ''}"
    return Plot(fig, caption, alt)
