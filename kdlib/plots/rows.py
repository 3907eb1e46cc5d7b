"""Figures of rows: a label at the left, marks on a scale that all rows share, numbers at the right.

A row far below the others would squeeze these together: it is drawn as an arrow at the edge, beside its number.
"""

from matplotlib import rcParams
from matplotlib.markers import CARETLEFT

from kdlib.plots.theme import page_width, role_colour

CLIPPED = " An arrow at the left edge stands for a value below the scale."  #: for captions


def label_width() -> float:
    """Inches of the labels at the left."""
    return max(1.15, 0.24 * page_width())


def label_rows(ax, labels) -> None:
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0, labelsize=rcParams["axes.labelsize"], labelcolor=role_colour("ink"))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def label_scale(fig, axes, text) -> None:
    """Names the scale once, also if there are several panels."""
    if len(axes) == 1:
        axes[0].set_xlabel(text)
    else:
        fig.supxlabel(text, size=rcParams["axes.labelsize"])


def annotate_row(ax, row, text, below=None) -> None:
    """Numbers at the right of a row, and a word in soft ink under them."""
    transform, size = ax.get_yaxis_transform(), rcParams["xtick.labelsize"]
    ax.text(1.02, row, text, transform=transform, va="bottom" if below else "center", size=size)
    if below:
        ax.text(1.02, row + 0.06, below, transform=transform, va="top", size=size, color=role_colour("soft"))


def clip_limit(means, lows, top, least: float) -> float | None:
    """Where to clip the scale, if some means lie far below the others; else None.

    lows: how far down each row's marks reach. top: the highest of all that is drawn. least: a distance below the top
    that is never far.
    """
    lowest = top - 3 * max(top - means.median(), least)
    if means.min() >= lowest:
        return None
    shown = lows[means >= lowest].min()
    return float(shown - 0.06 * (top - shown))


def mark_clipped(ax, row) -> None:
    """An arrow whose tip is at the left edge, for a row below the scale."""
    style = {"marker": CARETLEFT, "color": role_colour("ink"), "markersize": 6}
    ax.plot(0, row, **style, transform=ax.get_yaxis_transform(), clip_on=False)
