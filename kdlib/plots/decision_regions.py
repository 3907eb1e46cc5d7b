"""Decisions in the plane: what teachers decide, and where methods decide otherwise than a reference."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kdlib.evaluation.formatting import percent
from kdlib.plots import theme
from kdlib.plots.plane import density
from kdlib.plots.scatter import TrainingPoints, draw_points, height_over_width
from kdlib.plots.theme import Plot, styled

MAX_POINTS = 250  #: on each map
NINE_IN_TEN = 0.899  #: of the seeds; half precision rounds 0.9 down
LEVELS = (0.06, 0.2, 0.4, 0.6, 0.8, 1.01)  #: of the strength of a difference
MIN_WEIGHT = 0.02  #: of the greatest difference, that the figure of differences shows


@styled
def boundaries(maps: Mapping, dataset: str, titles: Mapping[str, str]) -> Plot:
    """What each method decides in the plane, where its seeds disagree, and the Bayes boundary.

    maps: arrays by name, as in `boundaries.npz`: `axis0` (w,), `axis1` (h,), `<method>/votes` (classes, h, w),
    `points` (n, 2), `points_y`, `points_d`, `plane`, `variance`, and `bayes/mean` where known. dataset: its name.
    titles: those of the methods to draw, in order.
    """
    points, methods = TrainingPoints.from_maps(maps), [m for m in titles if f"{m}/votes" in maps]
    columns, width = _columns(len(methods))
    height = width * _height_over_width(maps, points) + 0.7
    fig, axes = theme.make_panels(len(methods), columns, height, sharex=True, sharey=True, layout="compressed")
    for ax, method in zip(axes, methods, strict=True):
        _draw_map(ax, maps, method, points)
        theme.set_title(ax, theme.wrapped(titles[method], width))
        ax.locator_params(nbins=4)
        if points.has_one_feature:
            ax.set_yticks([])
    across, up = (theme.wrapped(label, width) for label in points.axis_labels())
    theme.label_outer(axes, columns, across, "" if points.has_one_feature else up)
    others = [Patch(facecolor=(*theme.role_colour("ink"), 0.6), label="seeds disagree")]
    if "bayes/mean" in maps:
        others.append(Line2D([], [], color=theme.role_colour("ink"), linewidth=1, label="Bayes boundary"))
    theme.finish(fig, *theme.point_keys(points.domains, points.classes), others)
    caption = (
        "Decision regions. The tint is the class that most seeds choose; grey marks where they disagree. "
        f"{'The line is the Bayes boundary. ' if 'bayes/mean' in maps else ''}Markers are some of the training points."
    )
    rows = []
    for method in methods:
        votes = _array(maps, f"{method}/votes")
        shares = np.bincount(votes.argmax(axis=0).ravel(), minlength=len(votes)) / votes[0].size
        areas = {f"class {c}, % of the area": 100 * share for c, share in enumerate(shares[: theme.MAX_LEGEND])}
        rows.append({"method": titles[method], **areas, "split, %": 100 * np.mean(votes.max(axis=0) < NINE_IN_TEN)})
    data = pd.DataFrame(rows)
    sentences = [
        f"{title}: {', '.join(f'class {c} {share:.1f}%' for c, share in enumerate(shares))} of the area; fewer than "
        f"nine in ten seeds agree on {split:.1f}%."
        for title, *shares, split in data.itertuples(index=False, name=None)
    ]
    return Plot(fig, caption, f"Maps of the decision regions on {dataset}. {' '.join(sentences)}", data)


@styled
def disagreement(datasets: Mapping[str, Mapping], titles: Mapping[str, str], baseline: str) -> Plot:
    """Where each method decides otherwise than Bayes, or than the baseline where Bayes is not known.

    datasets: {name: maps}, maps as in `boundaries`; a row of panels for each. titles: those of the methods to draw, in
    order. Differences are weighted by the density of the training points, and panels show the part of the plane where
    there are any.
    """
    several = len(datasets) > 1
    shown = {
        name: [m for m in titles if f"{m}/votes" in maps and m != _reference(maps, baseline)]
        for name, maps in datasets.items()
    }
    drawn = [m for m in titles if any(m in methods for methods in shown.values())]
    is_grid = several and not theme.is_narrow()  # a row per dataset, a column per method
    panels = [(name, m) for name, methods in shown.items() for m in (drawn if is_grid else methods)]
    columns, width = _columns(len(panels), len(drawn) if is_grid else 0)
    heads = [titles[m] if not several or is_grid else f"{name} · {titles[m]}" for name, m in panels]
    heads = [theme.wrapped(head, width) * (not is_grid or i < columns) for i, head in enumerate(heads)]
    lines = 1 if is_grid else 2 + max(head.count("\n") for head in heads)
    views = {name: _view(maps, shown[name], baseline) for name, maps in datasets.items()}
    tall = [width * _view_aspect(datasets[name], views[name]) + 0.2 * lines + 0.2 for name, _ in panels]
    tall = [max(tall[i : i + columns]) for i in range(0, len(tall), columns)]  # inches of each row
    fig, axes = theme.make_panels(len(panels), columns, np.mean(tall), layout="compressed", height_ratios=tall)
    rows = []
    for i, (ax, head, (name, method)) in enumerate(zip(axes, heads, panels, strict=True)):
        if is_grid and i % columns == 0:
            ax.set_ylabel(theme.wrapped(name, width))
        maps, reference = datasets[name], _reference(datasets[name], baseline)
        if method not in shown[name]:  # the reference itself
            theme.set_title(ax, head)
            ax.set(xticks=[], yticks=[], frame_on=False)
            continue
        share = float((density(maps) * _otherwise(maps, method, baseline)).sum())
        _draw_disagreement(ax, maps, method, baseline, views[name])
        theme.set_title(ax, head, percent(share, 1))
        rows.append({"dataset": name, "method": titles[method], "reference": titles.get(reference, "Bayes"),
                     "decided otherwise, %": 100 * share})  # fmt: skip
    data = pd.DataFrame(rows)
    classes = max(len(_array(maps, f"{m}/votes")) for name, maps in datasets.items() for m in shown[name][:1])
    keys = [
        Patch(facecolor=theme.class_colour(c), label=f"class {c} instead")
        for c in range(min(classes, theme.MAX_LEGEND))
    ]
    theme.finish(
        fig,
        [*keys, Line2D([], [], color=theme.role_colour("ink"), linewidth=1, label="boundary of the reference")],
        columns=4,
    )
    references = " and ".join(dict.fromkeys(data["reference"]))
    caption = (
        f"Where each method decides otherwise than {references}: the colour is the class it chooses instead, stronger "
        "where more points lie and more seeds choose it. The line is the boundary of the reference. The number is the "
        "share of points decided otherwise, weighted by the density of the training points in the plane."
    )
    texts = [
        f"{m} {percent(share / 100, 1)}" + f" on {name}" * several for name, m, _, share in data.itertuples(index=False)
    ]
    return Plot(fig, caption, f"Maps of decisions other than those of {references}: {', '.join(texts)}.", data)


def _columns(count, columns=0) -> tuple[int, float]:
    """Columns of so many small panels, and how wide each is in inches."""
    columns = min(count, 2 if theme.is_narrow() else columns or theme.columns_for(count))
    return columns, (theme.page_width() - 0.5) / columns - 0.15


def _reference(maps, baseline) -> str:
    return "bayes" if "bayes/mean" in maps else baseline


def _array(maps, key) -> np.ndarray:
    return np.asarray(maps[key], np.float64)  # kept in half precision, which rounds 0.9 down


def _reference_votes(maps, baseline) -> np.ndarray:
    return _array(maps, "bayes/mean" if "bayes/mean" in maps else f"{baseline}/votes")


def _otherwise(maps, method, baseline) -> np.ndarray:
    """The share of seeds that decide otherwise than the reference (h, w)."""
    chosen = _reference_votes(maps, baseline).argmax(axis=0)
    return 1 - np.take_along_axis(_array(maps, f"{method}/votes"), chosen[None], axis=0)[0]


def _view(maps, methods, baseline) -> tuple[slice, slice]:
    """The rows and columns of the grid that hold all differences of weight, with a margin."""
    weights = density(maps) * np.max([_otherwise(maps, method, baseline) for method in methods], axis=0)
    view = []
    for axis in (1, 0):
        where = np.flatnonzero((weights > MIN_WEIGHT * weights.max()).any(axis=axis))
        ends = (where[0], where[-1] + 1) if len(where) else (0, weights.shape[1 - axis])
        margin = 2 + (ends[1] - ends[0]) // 20
        view.append(slice(max(0, ends[0] - margin), ends[1] + margin))
    return tuple(view)


def _view_aspect(maps, view) -> float:
    """Height over width of the part of the plane that is shown."""
    x, y = np.asarray(maps["axis0"])[view[1]], np.asarray(maps["axis1"])[view[0]]
    return 0.3 if TrainingPoints.from_maps(maps).has_one_feature else height_over_width(np.ptp(x), np.ptp(y))


def _extent(x, y) -> tuple[float, float, float, float]:
    half = [0.5 * np.ptp(axis) / max(len(axis) - 1, 1) for axis in (x, y)]
    return x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1]


def _draw_disagreement(ax, maps, method, baseline, view) -> None:
    reference, votes = _reference_votes(maps, baseline), _array(maps, f"{method}/votes").copy()
    np.put_along_axis(votes, reference.argmax(axis=0)[None], 0, axis=0)  # what is left is decided otherwise
    weights = density(maps)
    strength = votes * np.minimum(1, np.sqrt(2 * weights / weights.max()))
    x, y = np.asarray(maps["axis0"])[view[1]], np.asarray(maps["axis1"])[view[0]]
    extent, paper = _extent(x, y), np.array(theme.role_colour("paper"))
    for c in np.flatnonzero(strength.max(axis=(1, 2)) > LEVELS[0]):
        tints = [(1 - level) * paper + level * np.array(theme.class_colour(c)) for level in (*LEVELS[1:-1], 1)]
        ax.contourf(x, y, strength[c][view], LEVELS, colors=tints)  # flat colours, which take few bytes
    _draw_boundary(ax, x, y, reference[:, view[0], view[1]])
    ax.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    ax.set_box_aspect(_view_aspect(maps, view))
    ax.spines[["top", "right"]].set_visible(True)


def _draw_boundary(ax, x, y, posterior) -> None:
    for margin in _margins(posterior):
        ax.contour(x, y, margin, levels=[0], colors=[theme.role_colour("ink")], linewidths=1)


def _height_over_width(maps, points) -> float:
    return 0.3 if points.has_one_feature else height_over_width(np.ptp(maps["axis0"]), np.ptp(maps["axis1"]))


def _draw_map(ax, maps, method, points) -> None:
    x, y = np.asarray(maps["axis0"]), np.asarray(maps["axis1"])
    extent = _extent(x, y)
    votes = _array(maps, f"{method}/votes")  # (classes, h, w)
    paper, ink = np.array(theme.role_colour("paper")), np.array(theme.role_colour("ink"))
    tints = np.array([0.62 * paper + 0.38 * np.array(theme.class_colour(c)) for c in range(len(votes))])
    image = tints[votes.argmax(axis=0)]
    doubt = (1 - votes.max(axis=0))[..., None] / (1 - 1 / len(votes))  # 0: all agree, 1: evenly split
    image = image + 0.62 * np.clip(doubt, 0, 1) * (ink - image)
    ax.imshow(np.clip(image, 0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    shown = points.x
    if points.has_one_feature:
        bottom, top = 0.8 * y[0] + 0.2 * y[-1], 0.2 * y[0] + 0.8 * y[-1]
        shown = np.stack([shown[:, 0], np.random.default_rng(0).uniform(bottom, top, len(shown))], axis=1)
    draw_points(ax, shown, points.y, points.d, 9, MAX_POINTS, alpha=1)
    if "bayes/mean" in maps:
        _draw_boundary(ax, x, y, _array(maps, "bayes/mean"))
    ax.set(xlim=extent[:2], ylim=extent[2:], box_aspect=_height_over_width(maps, points))
    ax.spines[["top", "right"]].set_visible(True)


def _margins(posterior) -> list[np.ndarray]:
    """By how much each class leads the others (h, w), for those that lead somewhere but not everywhere."""
    margins = []
    for c in range(len(posterior) if len(posterior) > 2 else 1):
        margin = posterior[c] - np.delete(posterior, c, axis=0).max(axis=0)
        if margin.min() < 0 < margin.max():
            margins.append(margin)
    return margins
