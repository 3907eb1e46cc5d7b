"""How all figures look: sizes, colours, markers, panels and legends.

The same thing looks the same everywhere: a class is a colour (0 blue, 1 orange), a domain a marker (0 cross, 1 square,
2 circle, as in the original), a method a row or a panel with its title. Colours are Okabe & Ito's ("Color universal
design", 2008); Matplotlib's own settings are in `style.mplstyle`. Out of scope: what a figure shows.
"""

import functools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

STYLE = Path(__file__).with_name("style.mplstyle")
DARK = Path(__file__).with_name("dark.mplstyle")
WIDTH = 7.4  #: inches, 710 pixels on the page
NARROW_WIDTH = 5.6  #: of a figure of one panel, so that its letters shrink less on a phone
MARKERS = ("x", "s", "o", "^", "D", "v", "P", "*", "<", ">", "p", "h")  #: of domains 0, 1, 2, ...
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))  #: of methods, in addition to their colours
MAX_LEGEND = 12  #: classes or domains in a legend
ROLES = {"ink": "text.color", "soft": "xtick.labelcolor", "line": "grid.color", "paper": "axes.facecolor"}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, the caption below it (Markdown), and the alt text for readers who cannot see it."""

    figure: Figure
    caption: str
    alt: str
    draw_dark: Callable[[], Figure] | None = None  #: draws the figure again, for a dark page

    def show(self, data: str = "", name: str = "") -> None:
        """Shows the figure in the notebook and on the page.

        `data` is the file beside the page that holds its numbers, `name` what Markdown refers to it by (see
        `display.figure`).
        """
        from kdlib import display  # imports IPython, which drawing does without

        dark = self.draw_dark and self.draw_dark()
        display.figure(self.figure, self.caption, self.alt, dark=dark, data=data, name=name)


def styled(draw):
    """Makes a function that returns a `Plot` draw in the report's style, whatever the session's is."""

    @functools.wraps(draw)
    def styled(*args, **settings) -> Plot:
        def draw_dark() -> Figure:
            dark = matplotlib.rc_params_from_file(DARK, use_default_template=False)
            with matplotlib.rc_context(fname=STYLE, rc=dark):
                return draw(*args, **settings).figure

        with matplotlib.rc_context(fname=STYLE):
            return replace(draw(*args, **settings), draw_dark=draw_dark)

    return styled


# --- Colours and markers ---


def role_colour(role) -> tuple[float, float, float]:
    return to_rgb(matplotlib.rcParams[ROLES[role]])


def class_colour(c) -> tuple[float, float, float]:
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return to_rgb(colours[c % len(colours)])


def method_style(method, titles) -> dict:
    """Colour and dashes of a method's line; blue and orange stay with classes 0 and 1."""
    i = list(titles).index(method)
    return {"color": class_colour(2 + i % 10), "linestyle": DASHES[i % len(DASHES)]}


# --- Panels and axes ---


def columns_for(count) -> int:
    """Panels to a row: three, or two where that leaves no gap."""
    return 2 if count in (1, 2, 4) else 3


def make_panels(count, columns, height, *, width=None, layout="constrained", **shared):
    """A figure of `count` panels, so many to a row, each of a height in inches: (figure, panels)."""
    if not count:
        raise ValueError("expected something to draw, got nothing")
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (width or (NARROW_WIDTH if count == 1 else WIDTH), rows * height + 0.35)
    fig = Figure(figsize=size, layout=layout)
    axes = fig.subplots(rows, columns, squeeze=False, **shared).ravel()
    for ax in axes[count:]:
        ax.remove()
    for ax in axes[max(0, count - columns) : count]:  # the lowest of each column, also where the last row is short
        ax.tick_params(labelbottom=True)
    return fig, list(axes[:count])


def label_outer(axes, columns, x, y) -> None:
    """Names the x-axis of the lowest panel of each column, and the y-axis of the first of each row."""
    for i, ax in enumerate(axes):
        ax.set(xlabel=x if i >= len(axes) - columns else "", ylabel=y if i % columns == 0 else "")


def set_title(ax, title, number="") -> None:
    """A panel's title, and a number under it."""
    ax.set_title("\n".join(filter(None, [title, number])), linespacing=1.3)


def set_logarithmic(axis) -> None:
    """A logarithmic axis with plain numbers; call it when all is drawn."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    is_wide = high > 5 * low  # else 1, 2 and 5 would leave it without numbers
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8) if is_wide else MaxNLocator(3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


# --- Legends ---


def method_keys(methods, titles, **line) -> list[Line2D]:
    """Entries of the legend: a line for each method."""
    return [Line2D([], [], **method_style(m, titles), **line, label=wrapped(titles[m], 3)) for m in methods]


def point_keys(domains, classes) -> tuple[list, list]:
    """Entries of the legend: a marker for each domain, a colour for each class; the last stands for all others."""
    markers, colours = [], []
    for k in range(min(domains, MAX_LEGEND)):
        width = 1.6 if MARKERS[k] == "x" else 0
        marker = Line2D([], [], linestyle="none", color=role_colour("ink"), marker=MARKERS[k], markersize=6)
        marker.set(markeredgewidth=width, label=_key("domain", k, domains))
        markers.append(marker)
    for c in range(min(classes, MAX_LEGEND)):
        colours.append(Patch(facecolor=class_colour(c), label=_key("class", c, classes)))
    return markers, colours


def _key(noun, i, count) -> str:
    return f"{noun} {i}" + (f" to {count - 1}" if i == MAX_LEGEND - 1 and count > MAX_LEGEND else "")


def finish(fig, *groups, columns=6) -> None:
    """Fixes the layout of the panels, and puts a legend right above them: groups of entries, so many to a line."""
    fig.get_layout_engine().execute(fig)
    fig.set_layout_engine("none")  # the legend's place depends on the panels', not they on it
    blocks = [[]]
    for group in groups:
        if len(blocks[-1]) + len(group) <= columns:
            blocks[-1] += group
        else:
            blocks.append(list(group))
    box = Bbox.union([ax.get_tightbbox() for ax in fig.axes]).transformed(fig.transFigure.inverted())
    x, y = (box.x0 + box.x1) / 2, box.y1 + 0.1 / fig.get_figheight()
    for keys in filter(None, reversed(blocks)):
        lines = -(-len(keys) // columns)
        per_line = -(-len(keys) // lines)
        blank = Line2D([], [], linestyle="none", label=" ")
        grid = np.array(keys + [blank] * (lines * per_line - len(keys)), object).reshape(lines, per_line)
        handles = list(grid.T.ravel())  # Matplotlib fills a legend column by column
        legend = fig.legend(handles=handles, loc="lower center", ncols=per_line, bbox_to_anchor=(x, y))
        y = legend.get_window_extent().transformed(fig.transFigure.inverted()).y1


# --- Words ---


def all_titles(titles, methods) -> dict[str, str]:
    """Titles of all methods: those given, in their order, then those without one, by name."""
    return {**(titles or {}), **{m: str(m) for m in methods if m not in (titles or {})}}


def wrapped(text, inches) -> str:
    return textwrap.fill(str(text), max(10, int(inches * 72 / 6.4)), break_long_words=True)


def capitalised(text) -> str:
    """With a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]
