"""How all figures look: sizes, colours, markers, panels, legends, and words of numbers.

The same thing looks the same everywhere: a class is a colour (0 blue, 1 orange), a domain a marker (0 cross, 1 square,
2 circle, as in the original), a method a row or a panel with its title. Colours are Okabe & Ito's ("Color universal
design", 2008); what Matplotlib can be told is in `style.mplstyle`. Leaves out what is drawn.
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
NARROW = 5.6  #: of a figure of one panel, so that a phone shrinks its letters less
MARKERS = ("x", "s", "o", "^", "D", "v", "P", "*", "<", ">", "p", "h")  #: of domains 0, 1, 2, ...
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))  #: of methods, beside their colours
LEGEND = 12  #: classes or domains in a legend at most
ROLES = {"ink": "text.color", "soft": "xtick.labelcolor", "line": "grid.color", "paper": "axes.facecolor"}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, the caption below it (Markdown), and the alt text for those who cannot see it."""

    figure: Figure
    caption: str
    alt: str
    on_dark: Callable[[], Figure] | None = None  #: draws it once more, for a dark page

    def show(self, data: str = "", name: str = "") -> None:
        """Shows the figure in the notebook and on the page.

        `data` is the file beside the page that has its numbers, `name` what Markdown refers to it by (`show.figure`).
        """
        from kdlib import display  # it imports IPython, which drawing does without

        dark = self.on_dark and self.on_dark()
        display.figure(self.figure, self.caption, self.alt, dark=dark, data=data, name=name)


def styled(draw):
    """Draws under the report's own style, whatever the session's is; and again, if asked, for a dark page."""

    @functools.wraps(draw)
    def styled(*args, **settings) -> Plot:
        def on_dark() -> Figure:
            dark = matplotlib.rc_params_from_file(DARK, use_default_template=False)
            with matplotlib.rc_context(fname=STYLE, rc=dark):
                return draw(*args, **settings).figure

        with matplotlib.rc_context(fname=STYLE):
            return replace(draw(*args, **settings), on_dark=on_dark)

    return styled


def place(line) -> str:
    return f"{line['label']} on {line['dataset']}" if line.get("dataset") else str(line["label"])


def columns_for(count) -> int:
    """Panels to a row: three, or two where that leaves no gap."""
    return 2 if count in (1, 2, 4) else 3


def make_panels(count, columns, height, *, width=None, layout="constrained", **shared):
    """A figure of `count` panels, so many to a row, each of a height in inches: (figure, panels)."""
    if not count:
        raise ValueError("expected something to draw, got nothing")
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (width or (NARROW if count == 1 else WIDTH), rows * height + 0.35)
    fig = Figure(figsize=size, layout=layout)
    axes = fig.subplots(rows, columns, squeeze=False, **shared).ravel()
    for ax in axes[count:]:
        ax.remove()
    for ax in axes[max(0, count - columns) : count]:  # the lowest of each column, also where the last row is short
        ax.tick_params(labelbottom=True)
    return fig, list(axes[:count])


def role_colour(role) -> tuple[float, float, float]:
    return to_rgb(matplotlib.rcParams[ROLES[role]])


def class_colour(c) -> tuple[float, float, float]:
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return to_rgb(colours[c % len(colours)])


def method_look(method, titles):
    """Colour and dashes of a method's line; blue and orange stay with classes 0 and 1."""
    i = list(titles).index(method)
    return class_colour(2 + i % 10), DASHES[i % len(DASHES)]


def legend_keys(domains, classes) -> tuple[list, list]:
    """Entries of the legend: a marker for each domain, a colour for each class."""
    markers, colours = [], []
    for k in range(min(domains, LEGEND)):
        more = f" to {domains - 1}" if k == LEGEND - 1 and domains > LEGEND else ""
        looks = {"marker": MARKERS[k], "markersize": 6, "markeredgewidth": 1.6 if MARKERS[k] == "x" else 0}
        markers.append(Line2D([], [], linestyle="none", color=role_colour("ink"), label=f"domain {k}{more}", **looks))
    for c in range(min(classes, LEGEND)):
        more = f" to {classes - 1}" if c == LEGEND - 1 and classes > LEGEND else ""
        colours.append(Patch(facecolor=class_colour(c), label=f"class {c}{more}"))
    return markers, colours


def finish(fig, *groups, columns=6) -> None:
    """Lays the panels out for good, and puts a legend right above them: groups of entries, so many to a line."""
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
        wide = -(-len(keys) // lines)
        blank = Line2D([], [], linestyle="none", label=" ")
        grid = np.array(keys + [blank] * (lines * wide - len(keys)), object).reshape(lines, wide)
        handles = list(grid.T.ravel())  # Matplotlib fills a legend column by column
        legend = fig.legend(handles=handles, loc="lower center", ncols=wide, bbox_to_anchor=(x, y))
        y = legend.get_window_extent().transformed(fig.transFigure.inverted()).y1


def logarithmic(axis):
    """A logarithmic axis with plain numbers; call it when all is drawn."""
    axis._set_axes_scale("log")
    low, high = axis.get_view_interval()
    wide = high > 5 * low  # else 1, 2 and 5 would leave it without numbers
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8) if wide else MaxNLocator(3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def put_title(ax, title, below=""):
    """A panel's title, and a number under it."""
    ax.set_title(title + ("\n" if title and below else "") + below, linespacing=1.3)


def all_titles(titles, methods) -> dict[str, str]:
    """Titles of all methods: those given, in their order, then those without one, by name."""
    return {**(titles or {}), **{m: str(m) for m in methods if m not in (titles or {})}}


def wrapped(text, inches) -> str:
    return textwrap.fill(str(text), max(10, int(inches * 72 / 6.4)), break_long_words=True)


def plus_minus(pair, digits=3) -> str:
    """“0.983 ± 0.005” of (mean, sd), “0.983” of (mean,), a number, or where sd is not known; nothing of None."""
    known = [] if pair is None else [value for value in np.atleast_1d(pair) if np.isfinite(value)]
    return " ± ".join(f"{value:.{digits}f}" for value in known).replace("-", "−")


def signed(value) -> str:
    return f"{value:+.4f}".replace("-", "−")


def percent(share) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def counted(n, one, many=None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def counted_range(counts, one) -> str:
    low, high = min(counts), max(counts)
    return counted(high, one) if low == high else f"{low} to {high} {one}s"
