"""The data as points: a marker per domain, a colour per class."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from kdlib.data.dataset import Dataset
from kdlib.plots.theme import (
    MARKERS,
    Plot,
    class_colour,
    counted,
    finish,
    legend_keys,
    make_panels,
    percent,
    styled,
    wrapped,
)

DRAWN = 6000  #: points of a scatter plot at most; more would only hide each other


@styled
def scatter(dataset: Dataset) -> Plot:
    """The training points in the plane: markers are domains, colours classes.

    More than two features are projected on the first two principal components; a single one is drawn as a
    strip per domain.
    """
    fig, (ax,) = make_panels(1, 1, 5.2, layout="compressed")
    x, labels, note = plane(dataset)
    drawn = draw_points(ax, x, dataset.train.y, dataset.train.d, 15, DRAWN)
    axes_of_points(ax, x, labels, dataset)
    finish(fig, *legend_keys(dataset.domains, dataset.classes), columns=4)
    caption = f"The {_sizes(dataset)}. The marker tells the domain, the colour the class.{note}{thinned(drawn, x)}"
    alt = f"Scatter plot of {dataset.name}: {_sizes(dataset)}.{note} {_spread(x, dataset)}"
    return Plot(fig, caption, alt)


@styled
def scatters(datasets: Mapping[str, Dataset]) -> Plot:
    """The training points of several datasets {title: dataset}, side by side, on one scale where that is fair."""
    planes = [plane(dataset) for dataset in datasets.values()]
    one_scale = all(dataset.features == 2 for dataset in datasets.values()) and alike([p[0] for p in planes])
    fig, axes = make_panels(len(datasets), 2, 4.0, sharex=one_scale, sharey=one_scale, layout="compressed")
    everything = np.concatenate([x for x, _, _ in planes])
    drawn = 0
    for ax, (title, dataset), (x, labels, _) in zip(axes, datasets.items(), planes, strict=True):
        drawn += draw_points(ax, x, dataset.train.y, dataset.train.d, 9, DRAWN // 2)
        axes_of_points(ax, everything if one_scale else x, labels, dataset)
        ax.set_title(wrapped(title, 3.4))
        ax.label_outer() if one_scale else None
    domains = max(dataset.domains for dataset in datasets.values())
    classes = max(dataset.classes for dataset in datasets.values())
    finish(fig, *legend_keys(domains, classes))
    notes = {note for _, _, note in planes if note}
    caption = (
        f"The training points of {counted(len(datasets), 'dataset')}{', all on one scale' if one_scale else ''}. "
        f"The marker tells the domain, the colour the class.{notes.pop() if len(notes) == 1 else ''}"
        f"{thinned(drawn, everything)}"
    )
    each = [
        f"{title}: {_sizes(dataset)}. {_spread(plane[0], dataset)}"
        for (title, dataset), plane in zip(datasets.items(), planes, strict=True)
    ]
    return Plot(fig, caption, f"{counted(len(datasets), 'scatter plot')}. {' '.join(each)}")


def plane(dataset: Dataset) -> tuple[np.ndarray, tuple[str, str], str]:
    """Coordinates (n, 2) of the training points, the axes' names, and what to say of them."""
    x = dataset.train.x
    if dataset.features == 1:
        # The height within a strip means nothing; it keeps equal points apart.
        jitter = np.random.default_rng(0).uniform(-0.32, 0.32, len(x))
        return np.stack([x[:, 0], dataset.train.d + jitter], axis=1), ("feature 1", "domain"), ""
    if dataset.features == 2:
        return x, ("feature 1", "feature 2"), ""
    centred = x - x.mean(axis=0)
    scale = np.abs(centred).max() or 1.0  # squares of huge features would overflow
    _, sizes, directions = np.linalg.svd(centred / scale, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[[0, 1], largest])[:, None]  # a sign that does not depend on LAPACK
    share = np.square(sizes[:2]).sum() / (np.square(sizes).sum() or 1.0)
    note = (
        f" Of {dataset.features} features, the first two principal components are drawn, "
        f"which hold {percent(round(share, 2))} of the variance."
    )
    return centred @ directions.T, ("principal component 1", "principal component 2"), note


def draw_points(ax, x, y, d, size, most, alpha=0.75) -> int:
    """Draws at most so many points, in random order so that no class hides another; returns their number."""
    rows = np.random.default_rng(0).permutation(len(x))[:most]
    colours = np.array([class_colour(c) for c in range(int(y.max()) + 1)])
    for k in np.unique(d):
        mine = rows[d[rows] == k]
        marker = MARKERS[k % len(MARKERS)]
        width = 0.06 * size**0.5 + 0.7 if marker == "x" else 0
        ax.scatter(*x[mine].T, s=size, c=colours[y[mine]], marker=marker, alpha=alpha, linewidths=width)
    return len(rows)


def axes_of_points(ax, x, labels, dataset):
    ax.set(xlabel=labels[0], ylabel=labels[1])
    low, high = x.min(axis=0), x.max(axis=0)
    pad = 0.04 * np.where(high > low, high - low, 1)
    ax.set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
    if dataset.features == 1:
        ax.set_yticks(range(dataset.domains))
        ax.set_box_aspect(min(1.0, 0.12 + 0.14 * dataset.domains))
        return
    ax.set_box_aspect(height_over_width(*(high - low)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))


def height_over_width(width, height) -> float:
    """Height over width of a panel: that of its axes, unless their units plainly differ."""
    ratio = height / width if width > 0 and height > 0 else 1.0
    return float(ratio) if 0.4 <= ratio <= 2.5 else 1.0


def alike(clouds) -> bool:
    """Whether clouds of points (n, 2) are of a size that one scale shows all of."""
    spans = np.array([np.ptp(x, axis=0).max() for x in clouds])
    return bool(np.ptp(np.concatenate(clouds), axis=0).max() < 4 * spans.min())


def _sizes(dataset) -> str:
    counts = [counted(dataset.domains, "domain"), counted(dataset.classes, "class", "classes")]
    return f"{len(dataset.train)} training points in {' and '.join(counts)}"


def _spread(x, dataset) -> str:
    """How far apart the domains lie, in words: the least distance of their means, in their own spreads."""
    if dataset.domains == 1:
        return f"{percent(np.bincount(dataset.train.y).max() / len(x))} of them are of the largest class."
    if dataset.features == 1:
        x = x[:, :1]
    groups = [x[dataset.train.d == k] for k in range(dataset.domains)]
    means = np.array([group.mean(axis=0) for group in groups])
    gaps = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(len(means), 1)]
    own = np.sqrt(np.mean([group.var(axis=0).mean() for group in groups])) or 1.0
    low, high = f"{gaps.min() / own:.1f}", f"{gaps.max() / own:.1f}"
    return f"The domains' means are {low if low == high else f'{low} to {high}'} standard deviations apart."


def thinned(drawn, x) -> str:
    return "" if drawn == len(x) else f" A random {drawn} of the {len(x)} points are drawn."
