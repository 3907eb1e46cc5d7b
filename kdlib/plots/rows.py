"""Rows of a figure: a label at the left, marks on a scale that all share, numbers at the right.

A row far below the others would press these together: it becomes an arrow at the edge, and its number tells the rest.
"""

from matplotlib.markers import CARETLEFTBASE

from kdlib.plots.theme import role_colour

CUT = " An arrow at the left edge stands for what lies below the scale."


def label_rows(ax, labels):
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0, labelsize=11, labelcolor=role_colour("ink"))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def label_scale(fig, panels, text):
    if len(panels) == 1:
        next(iter(panels.values())).set_xlabel(text)
    else:
        fig.supxlabel(text, size=11)


def beside(ax, row, text, below=None):
    """Numbers at the right of a row, and a word in soft ink under them."""
    at = ax.get_yaxis_transform()
    ax.text(1.02, row, text, transform=at, va="bottom" if below else "center", size=10)
    if below:
        ax.text(1.02, row + 0.06, below, transform=at, va="top", size=10, color=role_colour("soft"))


def floor(means, lows, top) -> float | None:
    """Where to cut the scale, if some means lie far below the others; else None.

    lows: how far down each row's marks reach. top: the highest of all that is drawn.
    """
    lowest = top - 3 * max(top - means.median(), 0.01)
    if means.min() >= lowest:
        return None
    shown = lows[means >= lowest].min()
    return float(shown - 0.06 * (top - shown))


def arrow(ax, row) -> None:
    """Stands at the left edge for what lies below the scale."""
    at = ax.get_yaxis_transform()
    ax.plot(0.03, row, marker=CARETLEFTBASE, color=role_colour("ink"), markersize=6, transform=at, clip_on=False)
