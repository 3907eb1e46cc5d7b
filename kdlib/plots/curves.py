"""Learning curves: loss and accuracy during training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from kdlib.evaluation.formatting import counted, counted_range, decimal
from kdlib.plots import theme
from kdlib.plots.theme import Plot, styled

QUANTILES = (0.1, 0.5, 0.9)


@styled
def learning_curves(curves: Mapping, titles: Mapping[str, str] | None = None, watched: str = "validation") -> Plot:
    """Training loss, and accuracy on the points watched during training, by epoch: median and 10-90% over seeds.

    curves: {method: fit}, each with `loss` (epochs, member), `watched`, a dict that may hold `accuracy`
    (scored, member), and then the epochs that were `scored`. watched: what the watched points are called.
    """
    titles = theme.all_titles(titles, curves)
    losses = {m: np.asarray(fit.loss, float) for m, fit in curves.items()}
    scores = {m: np.asarray(fit.watched["accuracy"]) for m, fit in curves.items() if "accuracy" in (fit.watched or {})}
    panels = [("Training loss", losses)] + [(f"{watched.capitalize()} accuracy", scores)] * bool(scores)
    fig, axes = theme.make_panels(len(panels), 1 if theme.is_narrow() else 2, 3.5)
    drawn = []
    for ax, (label, values) in zip(axes, panels, strict=True):
        for method, runs in values.items():
            low, median, high = _quantiles(runs)
            epochs = np.arange(1, len(median) + 1) if values is losses else curves[method].scored
            every = max(1, len(median) // 30)  # of the epochs, in the table of the data
            bands = {"epoch": epochs, "low": low, "median": median, "high": high}
            drawn.append(pd.DataFrame({"panel": label, "method": titles[method]} | bands)[every - 1 :: every])
            style = theme.method_style(method)
            ax.fill_between(epochs, low, high, color=style["color"], alpha=0.16, linewidth=0)
            ax.plot(epochs, median, **style, marker="o" if len(median) == 1 else None)
        ax.set(xlabel="epoch", title=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    if min(_finite(runs).min(initial=np.inf) for runs in losses.values()) > 0:
        theme.set_logarithmic(axes[0].yaxis)
    theme.finish(fig, theme.method_keys(curves, titles), columns=2)
    seeds = counted_range({loss.shape[1] for loss in losses.values()}, "seed")
    diverged = sum(loss.shape[1] - _finite(loss).shape[1] for loss in losses.values())
    caption = (
        f"Loss and accuracy during training: the median over {seeds}, and a band that holds the middle 80% of them. "
        "Methods minimise different losses, so only the shapes of the loss curves can be compared."
    )
    if diverged:
        caption += f" {counted(diverged, 'run')} diverged and {'is' if diverged == 1 else 'are'} left out."
    ends = [
        f"{titles[m]}: loss {_quantiles(loss)[1][-1]:.3g}"
        + (f", {watched} accuracy {decimal(_quantiles(scores[m])[1][-1], 3)}" if m in scores else "")
        for m, loss in losses.items()
    ]
    epochs = counted_range(map(len, losses.values()), "epoch")
    alt = f"Learning curves over {epochs}. Medians of the last epoch: {'; '.join(ends)}."
    return Plot(fig, caption, alt, pd.concat(drawn))


def _finite(runs) -> np.ndarray:
    """Runs (epochs, member) without those that diverged: whose values did not stay finite."""
    return runs[:, np.isfinite(runs).all(axis=0)]


def _quantiles(runs) -> np.ndarray:
    """10%, 50% and 90% over members of (epochs, member): (3, epochs)."""
    runs = _finite(runs)
    return np.quantile(runs, QUANTILES, axis=1) if runs.shape[1] else np.full((3, len(runs)), np.nan)
