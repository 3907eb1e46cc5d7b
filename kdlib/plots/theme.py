"""How all figures look: sizes, colours, markers, panels and legends.

The same thing looks the same everywhere: a class is a colour (0 blue, 1 orange), a domain a marker (0 cross, 1 square,
2 circle, as in the original), a method a colour with a dash. A figure is drawn for wide and for narrow pages: whatever
depends on it comes from Matplotlib's settings. For dark pages its colours are changed (`dark`). Colours are Okabe &
Ito's ("Color universal design", 2008); Matplotlib's own settings are in `style.mplstyle`. Out of scope: what a figure
shows.
"""

import functools
import textwrap
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import PIL
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from kdlib.plots.dark import dark_colours
from kdlib.plots.images import encode
from kdlib.training.cache import default_cache

STYLE, DARK, NARROW = (Path(__file__).with_name(f"{name}.mplstyle") for name in ("style", "dark", "narrow"))
ONE_PANEL = 5.6  #: inches, of a figure of one panel
NARROW_PAGE = 5  #: inches; pages that are less wide are narrow
MARKERS = ("x", "s", "o", "^", "D", "v", "P", "*", "<", ">", "p", "h")  #: of domains 0, 1, 2, ...
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))  #: of methods, in addition to their colours
MAX_LEGEND = 12  #: classes or domains in a legend
METHODS = {
    "ffnn_tuned": (6, 0), "ffnn": (4, 1), "kd_original": (8, 2), "kd_routed": (5, 1), "kd_mean": (3, 3),
    "kd_gated": (7, 0), "kd_kernel_teachers": (2, 0), "kd_portfolio": (9, 0), "bayes_taught": (10, 1),
}  #: colour and dash of the methods that figures show most  # fmt: skip
ROLES = {"ink": "text.color", "soft": "xtick.labelcolor", "line": "grid.color", "paper": "axes.facecolor"}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, the caption below it (Markdown), the alt text for readers who cannot see it, and the numbers drawn."""

    figure: Figure
    caption: str
    alt: str
    data: pd.DataFrame | None = None
    own_dark: bool = False  #: whether it is drawn again for dark pages, where some of its colours stay as they are
    draw: Callable[..., Figure] | None = None  #: draws it again, in other styles
    keep: Callable[[dict], None] | None = None  #: keeps what is shown

    def show(self, name: str = "") -> None:
        """Shows the figure in the notebook and on the page; Markdown refers to it by `name` (see `display.figure`)."""
        from kdlib import display  # imports IPython, which drawing does without

        figures, darken = {"light": self.figure}, None
        if self.draw:
            figures["narrow"] = self.draw(NARROW)
            darken = functools.partial(dark_colours, light=style_colours(STYLE), dark=style_colours(DARK))
            if self.own_dark:
                figures |= {"dark": self.draw(DARK), "narrow_dark": self.draw(DARK, NARROW)}
        encoded = encode(figures, self.data, darken) | {"caption": self.caption, "alt": self.alt}
        if self.keep:
            self.keep(encoded)
        display.figure(encoded, name)


class KeptPlot:
    """A `Plot` whose images the cache has: it is drawn only where more than they are asked for."""

    def __init__(self, encoded: dict, plot: Callable[[], Plot]):
        self.encoded, self.plot = encoded, functools.cache(plot)

    def show(self, name: str = "") -> None:
        from kdlib import display

        display.figure(self.encoded, name)

    def __getattr__(self, name):
        return getattr(self.plot(), name)


def styled(draw):
    """Makes a function that returns a `Plot` draw in the report's style, whatever the session's is.

    A figure that was shown is not drawn again: the cache keeps its images, by the function and its arguments.
    """

    @functools.wraps(draw)
    def styled(*args, **settings) -> Plot:
        def draw_again(*styles: Path) -> Figure:
            with matplotlib.rc_context(fname=STYLE):
                for style in styles:
                    matplotlib.rcParams.update(matplotlib.rc_params_from_file(style, use_default_template=False))
                return draw(*args, **settings).figure

        def plot() -> Plot:
            with matplotlib.rc_context(fname=STYLE):
                return replace(draw(*args, **settings), draw=draw_again, keep=functools.partial(cache.put, key))

        cache = default_cache()
        styles = [style.read_text(encoding="utf-8") for style in (STYLE, DARK, NARROW)]
        key = cache.key(draw, args, settings, styles, matplotlib.__version__, PIL.__version__)
        encoded = cache.get(key)
        return plot() if encoded is None else KeptPlot(encoded, plot)

    return styled


# --- Colours and markers ---


@functools.cache
def style_colours(style: Path) -> np.ndarray:
    """All colours of a style (colour, 3): paper, ink, then the others."""
    settings = matplotlib.rc_params_from_file(style, use_default_template=False)
    names = ROLES["paper"], ROLES["ink"], ROLES["soft"], ROLES["line"], "axes.edgecolor"
    cycle = settings["axes.prop_cycle"].by_key()["color"]
    return np.array([to_rgb(colour) for colour in (*map(settings.get, names), *cycle)])


def role_colour(role) -> tuple[float, float, float]:
    return to_rgb(matplotlib.rcParams[ROLES[role]])


def class_colour(c) -> tuple[float, float, float]:
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return to_rgb(colours[c % len(colours)])


def method_style(method) -> dict:
    """Colour and dash of a method, the same everywhere; blue and orange stay with classes 0 and 1."""
    number = zlib.crc32(method.encode())  # of a method without a colour of its own
    colour, dash = METHODS.get(method, (2 + number % 10, number // 10 % len(DASHES)))
    return {"color": class_colour(colour), "linestyle": DASHES[dash]}


# --- Panels and axes ---


def page_width() -> float:
    """Inches that a figure may be wide."""
    return matplotlib.rcParams["figure.figsize"][0]


def is_narrow() -> bool:
    return page_width() < NARROW_PAGE


def columns_for(count) -> int:
    """Small panels to a row: three, or two where that leaves no gap or the page is narrow."""
    return 2 if is_narrow() or count in (1, 2, 4) else 3


def make_panels(count, columns, height, *, width=None, layout="constrained", **shared):
    """A figure of `count` panels, so many to a row, each of a height in inches: (figure, panels)."""
    if not count:
        raise ValueError("expected something to draw, got nothing")
    columns = min(columns, count)
    rows = -(-count // columns)
    wide = min(page_width(), width or (ONE_PANEL if count == 1 else page_width()))
    fig = Figure(figsize=(wide, rows * height + 0.35), layout=layout)
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
    return [Line2D([], [], **method_style(m), **line, label=wrapped(titles[m], 3)) for m in methods]


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
    columns = min(columns, 2) if is_narrow() else columns
    fig.get_layout_engine().execute(fig)
    fig.set_layout_engine(None)  # the legend's place depends on the panels', not they on it
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
    return textwrap.fill(str(text), max(13, int(inches * 72 / 6.4)), break_long_words=True)


def capitalised(text) -> str:
    """With a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]
