"""Training points in the plane of the figures: a marker per domain, a colour per class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from kdlib.data.dataset import Dataset
from kdlib.evaluation.formatting import counted, decimal, percent, value_range
from kdlib.plots import theme
from kdlib.plots.plane import Plane
from kdlib.plots.theme import Plot, styled

MAX_POINTS, MAX_GRID_POINTS = 1500, 600  #: of a figure, and of a small panel; more would only hide each other


@dataclass(frozen=True, eq=False)
class TrainingPoints:
    """The training points of a dataset in its `Plane`."""

    x: np.ndarray  #: (n, 2)
    y: np.ndarray  #: (n,)
    d: np.ndarray  #: (n,)
    variance: tuple[float, ...] = ()  #: shares of it, where the axes are principal components rather than features

    @classmethod
    def from_maps(cls, maps: Mapping) -> "TrainingPoints":
        """From the arrays of a `boundaries.npz`."""
        points, y, d = (np.asarray(maps[key]) for key in ("points", "points_y", "points_d"))
        return cls(points, y, d, tuple(map(float, maps["variance"])) if np.asarray(maps["plane"]) else ())

    @property
    def has_one_feature(self) -> bool:
        """Whether the second axis means nothing."""
        return not np.ptp(self.x[:, 1])

    @property
    def domains(self) -> int:
        return int(self.d.max()) + 1

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    def shown(self) -> np.ndarray:
        """Where the points are drawn (n, 2): those of one feature in a strip per domain, at random heights."""
        if not self.has_one_feature:
            return self.x
        return np.stack([self.x[:, 0], self.d + np.random.default_rng(0).uniform(-0.32, 0.32, len(self.x))], axis=1)

    def axis_labels(self) -> tuple[str, str]:
        if self.variance:
            return tuple(f"component {i} ({percent(share)} of variance)" for i, share in enumerate(self.variance, 1))
        return "feature 1", "domain" if self.has_one_feature else "feature 2"

    def table(self, most: int) -> pd.DataFrame:
        """The points that `draw_points` draws of so many at most, with class and domain."""
        across, up = self.axis_labels()
        places = {across: self.x[:, 0]} | ({} if self.has_one_feature else {up: self.x[:, 1]})
        return pd.DataFrame(places | {"class": self.y, "domain": self.d}).iloc[drawn_rows(len(self.x), most)]

    def sizes(self) -> str:
        counts = f"{counted(self.domains, 'domain')} and {counted(self.classes, 'class', 'classes')}"
        return f"{counted(len(self.x), 'training point')} in {counts}"

    def describe(self) -> str:
        """How far apart the domains lie: the distances of their means, in standard deviations within a domain."""
        if self.domains == 1:
            return f"The largest class has {percent(np.bincount(self.y).max() / len(self.y), 1)} of the points."
        x = self.x[:, :1] if self.has_one_feature else self.x
        groups = [x[self.d == k] for k in range(self.domains)]
        means = np.array([group.mean(axis=0) for group in groups])
        gaps = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(len(means), 1)]
        within = np.sqrt(np.mean([group.var(axis=0).mean() for group in groups])) or 1.0
        distances = value_range(gaps / within, lambda gap: decimal(gap, 1))
        return f"The domains' means are {distances} standard deviations apart."


@styled
def training_points(dataset: Dataset) -> Plot:
    """The training points in the plane: markers are domains, colours are classes.

    More than two features are projected (see `Plane`); a single one is drawn as a strip per domain.
    """
    plane = Plane(dataset.train.x)
    variance = tuple(plane.variance) if plane.is_projection else ()
    points = TrainingPoints(plane.project(dataset.train.x), dataset.train.y, dataset.train.d, variance)
    fig, (ax,) = theme.make_panels(1, 1, 5.2, layout="compressed")
    drawn = draw_points(ax, points.shown(), points.y, points.d, 15, MAX_POINTS)
    _set_axes(ax, points, points.shown(), 4.6)
    theme.finish(fig, *theme.point_keys(points.domains, points.classes), columns=4)
    note = ""
    if plane.is_projection:
        note = (
            f" The axes are the first two principal components of the {plane.features} standardised features; together "
            f"they hold {percent(plane.variance.sum())} of the variance."
        )
    caption = f"The {points.sizes()}. The marker shows the domain, the colour the class.{note}"
    alt = f"Scatter plot of {dataset.name}: {points.sizes()}.{note} {points.describe()}"
    return Plot(fig, caption + _thinned(drawn, len(points.x)), alt, points.table(MAX_POINTS))


@styled
def training_points_grid(datasets: Mapping[str, Mapping]) -> Plot:
    """The training points of several datasets, side by side, on one scale where that is fair.

    datasets: {title: maps}, maps as in `boundaries`.
    """
    clouds = {title: TrainingPoints.from_maps(maps) for title, maps in datasets.items()}
    shown = [points.shown() for points in clouds.values()]
    everything = np.concatenate(shown)
    have_two_features = not any(points.variance or points.has_one_feature for points in clouds.values())
    one_scale = have_two_features and _are_alike(shown)
    columns = 1 if theme.is_narrow() else 4 if len(clouds) in (3, 4) else 2
    fig, axes = theme.make_panels(
        len(clouds),
        columns,
        theme.page_width() / columns + 0.3,
        sharex=one_scale,
        sharey=one_scale,
        layout="compressed",
    )
    drawn = 0
    for ax, (title, points), x in zip(axes, clouds.items(), shown, strict=True):
        drawn += draw_points(ax, x, points.y, points.d, 24 / columns, MAX_GRID_POINTS)
        _set_axes(ax, points, everything if one_scale else x, 5 / columns)
        ax.set_title(theme.wrapped(title, 7 / columns))
        if one_scale:
            ax.label_outer()
    domains = max(points.domains for points in clouds.values())
    classes = max(points.classes for points in clouds.values())
    theme.finish(fig, *theme.point_keys(domains, classes))
    caption = (
        f"The training points of {counted(len(clouds), 'dataset')}{', all on one scale' if one_scale else ''}. "
        f"The marker shows the domain, the colour the class.{_thinned(drawn, len(everything))}"
    )
    descriptions = [f"{title}: {points.sizes()}. {points.describe()}" for title, points in clouds.items()]
    data = pd.concat([points.table(MAX_GRID_POINTS).assign(dataset=title) for title, points in clouds.items()])
    return Plot(fig, caption, f"{counted(len(clouds), 'scatter plot')}. {' '.join(descriptions)}", data)


def draw_points(ax, x, y, d, size, max_points, alpha=0.75) -> int:
    """Draws at most so many points (n, 2), in random order so that no class hides another; returns their number."""
    rows = drawn_rows(len(x), max_points)
    colours = np.array([theme.class_colour(c) for c in range(int(y.max()) + 1)])
    for k in np.unique(d):
        mine = rows[d[rows] == k]
        marker = theme.MARKERS[k % len(theme.MARKERS)]
        width = 0.06 * size**0.5 + 0.7 if marker == "x" else 0
        ax.scatter(*x[mine].T, s=size, c=colours[y[mine]], marker=marker, alpha=alpha, linewidths=width)
    return len(rows)


def drawn_rows(count, most) -> np.ndarray:
    """Which points are drawn, in random order, so that no class hides another."""
    return np.random.default_rng(0).permutation(count)[:most]


def _set_axes(ax, points, x, label_width) -> None:
    """Names the axes, in lines of so many inches, and sets their limits so that they hold x (n, 2)."""
    across, up = (theme.wrapped(label, label_width) for label in points.axis_labels())
    low, high = x.min(axis=0), x.max(axis=0)
    pad = 0.04 * np.where(high > low, high - low, 1)
    ax.set(xlabel=across, xlim=(low[0] - pad[0], high[0] + pad[0]))
    ax.set(ylabel=up, ylim=(low[1] - pad[1], high[1] + pad[1]))
    if points.has_one_feature:
        ax.set_yticks(range(points.domains))
        ax.set_box_aspect(min(1.0, 0.12 + 0.14 * points.domains))
        return
    ax.set_box_aspect(height_over_width(*(high - low)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))


def height_over_width(width, height) -> float:
    """Height over width of a panel: that of its axes, unless their units plainly differ."""
    ratio = height / width if width > 0 and height > 0 else 1.0
    return float(ratio) if 0.4 <= ratio <= 2.5 else 1.0


def _are_alike(clouds) -> bool:
    """Whether clouds of points (n, 2) are of a size that one scale shows all of."""
    spans = np.array([np.ptp(x, axis=0).max() for x in clouds])
    return bool(np.ptp(np.concatenate(clouds), axis=0).max() < 4 * spans.min())


def _thinned(drawn, count) -> str:
    return "" if drawn == count else f" A random {drawn} of the {count} points are drawn."
