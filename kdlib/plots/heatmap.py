"""Tables as colours."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kdlib.evaluation.formatting import decimal
from kdlib.plots import theme
from kdlib.plots.theme import Plot, styled

STAR = "★"
MAX_NUMBERS = 150  #: cells of a table whose numbers are printed
LABEL, CHARACTER = 1.9, 0.08  #: inches: widest label of a row, and a character


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

    value: what the numbers are. x, y: names of the axes; labels default to the frame's. marked: what a star means.
    centre: a value such as 0 on whose sides colours turn to blue (above) and orange (below).
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
    colours = {}
    if centre is not None:
        reach = max(abs(low - centre), abs(high - centre)) or 1.0
        low, high = centre - reach, centre + reach
        ends = [theme.class_colour(1), theme.role_colour("paper"), theme.class_colour(0)]
        colours = {"cmap": LinearSegmentedColormap.from_list("diverging", ends)}
    width = min(theme.page_width(), 2.6 + 0.75 * len(columns))
    fig = Figure(figsize=(width, min(10.0, 1.2 + 0.42 * len(lines))), layout="constrained")
    ax = fig.subplots()
    cell = (width - 1 - min(LABEL, CHARACTER * max(map(len, lines)))) / len(columns)  # inches
    longest = max(len(decimal(number, digits)) for number in table[np.isfinite(table)]) + 2 * stars.any()
    has_numbers = table.size <= MAX_NUMBERS and CHARACTER * longest <= cell
    image = draw_cells(ax, table, stars, low, high, digits if has_numbers else None, size=10, space=" ", **colours)
    is_crowded = max(map(len, columns)) * 0.09 > (width - 2.2) / len(columns)
    ax.set_xticks(range(len(columns)), columns, **({"rotation": 45, "ha": "right"} if is_crowded else {}))
    ax.set_yticks(range(len(lines)), [theme.wrapped(line, LABEL) for line in lines])
    ax.set(xlabel=x, ylabel=y)
    bar = fig.colorbar(image, ax=ax, label=value, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    theme.finish(fig)
    names = (x or "column", columns), (y or "row", lines)
    alt = f"Heat map of {value}, {len(lines)} by {len(columns)}: {describe_range(table, *names, digits)}."
    axes = f" by {y} (rows) and {x} (columns)" if x and y else ""
    caption = f"{theme.capitalised(value)}{axes}."
    if stars.any():
        caption += f" A star marks {marked}."
        cells = [describe_cell(table, tuple(at), *names, digits) for at in np.argwhere(stars)[: theme.MAX_LEGEND]]
        alt += f" Starred ({marked}): {'; '.join(cells)}."
    data = pd.DataFrame(table, pd.Index(lines, name=y or "row"), columns).reset_index()
    return Plot(fig, caption, alt, data, own_dark=True)


def draw_cells(ax, table, stars, low, high, digits, size, space="", **colours):
    """A table (rows, columns) as colours from low to high, with numbers if there are digits, and stars: the image."""
    high = high if high > low else low + 1
    image = ax.imshow(np.ma.masked_invalid(table), aspect="auto", vmin=low, vmax=high, **colours)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    dark, light = sorted([theme.role_colour("ink"), theme.role_colour("paper")], key=sum)
    for r, c in np.argwhere(np.isfinite(table)):
        words = ([] if digits is None else [decimal(table[r, c], digits)]) + [STAR] * bool(stars[r, c])
        luminance = np.dot(image.cmap(image.norm(table[r, c]))[:3], (0.299, 0.587, 0.114))
        ax.text(c, r, space.join(words), ha="center", va="center", size=size, color=dark if luminance > 0.5 else light,
                weight="bold" if stars[r, c] else "normal")  # fmt: skip
    return image


def describe_cell(table, at, x, y, digits) -> str:
    """`0.9513 at temperature 8, hidden 64-32`, of the cell at (row, column); x, y: (name, labels) of the axes."""
    (across, columns), (down, lines) = x, y
    return f"{decimal(table[at], digits)} at {across} {columns[at[1]]}, {down} {lines[at[0]]}"


def describe_range(table, x, y, digits) -> str:
    low, high = (np.unravel_index(find(table), table.shape) for find in (np.nanargmin, np.nanargmax))
    return f"from {describe_cell(table, low, x, y, digits)} to {describe_cell(table, high, x, y, digits)}"
