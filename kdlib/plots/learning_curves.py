"""Learning curves: loss and accuracy, epoch by epoch."""

from collections.abc import Mapping

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kdlib.plots.theme import (
    Plot,
    all_titles,
    counted,
    counted_range,
    finish,
    logarithmic,
    make_panels,
    method_look,
    styled,
    wrapped,
)


@styled
def learning_curves(curves: Mapping, titles: Mapping[str, str] | None = None, watched: str = "validation") -> Plot:
    """Training loss, and accuracy on the points watched during training, by epoch: median and 10-90 % over seeds.

    curves: {method: fit}, each with `loss` (epochs, member) and `watched`, a dict that may hold `accuracy`
    (epochs, member). watched: what the watched points are called.
    """
    titles = all_titles(titles, curves)
    scores = {m: np.asarray(fit.watched["accuracy"]) for m, fit in curves.items() if "accuracy" in (fit.watched or {})}
    panels = [("Training loss", {m: np.asarray(fit.loss) for m, fit in curves.items()})]
    panels += [(f"{watched.capitalize()} accuracy", scores)] if scores else []
    fig, axes = make_panels(len(panels), 2, 3.5)
    for ax, (label, values) in zip(axes, panels, strict=True):
        for method, runs in values.items():
            low, median, high = _quantiles(runs)
            epochs = np.arange(1, len(median) + 1)
            colour, dashes = method_look(method, titles)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(epochs, median, color=colour, linestyle=dashes, marker="o" if len(median) == 1 else None)
        if ax is axes[0] and all(np.nanmin(_finite(runs), initial=np.inf) > 0 for runs in values.values()):
            logarithmic(ax.yaxis)
        ax.set(xlabel="epoch", title=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if ax.get_yscale() == "linear":
            ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    look = {m: method_look(m, titles) for m in curves}
    lines = [Line2D([], [], color=c, linestyle=d, label=wrapped(titles[m], 3)) for m, (c, d) in look.items()]
    finish(fig, lines, columns=2)
    members = {np.asarray(fit.loss).shape[1] for fit in curves.values()}
    lost = sum(int((~np.isfinite(np.asarray(fit.loss)).all(axis=0)).sum()) for fit in curves.values())
    caption = (
        f"Training, epoch by epoch: median over {counted_range(members, 'seed')}, and the band that holds the middle "
        "80 % of them. Methods train on different losses, so that only the shapes of these compare."
        + (f" {counted(lost, 'run')} ceased to be finite and {'is' if lost == 1 else 'are'} left out." if lost else "")
    )
    ends = [
        f"{titles[m]}: loss {_quantiles(fit.loss)[1][-1]:.3g}"
        + (f", {watched} accuracy {_quantiles(scores[m])[1][-1]:.3f}" if m in scores else "")
        for m, fit in curves.items()
    ]
    epochs = {len(fit.loss) for fit in curves.values()}
    alt = f"Learning curves over {counted_range(epochs, 'epoch')}. Medians of the last epoch: {'; '.join(ends)}."
    return Plot(fig, caption, alt)


def _finite(runs) -> np.ndarray:
    """Runs (epochs, member) without those that ceased to be finite."""
    runs = np.asarray(runs, float)
    return runs[:, np.isfinite(runs).all(axis=0)]


def _quantiles(runs) -> np.ndarray:
    """10 %, 50 % and 90 % over members of (epochs, member): (3, epochs)."""
    runs = _finite(runs)
    return np.quantile(runs, (0.1, 0.5, 0.9), axis=1) if runs.shape[1] else np.full((3, len(runs)), np.nan)
