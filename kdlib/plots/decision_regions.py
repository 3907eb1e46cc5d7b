"""Decision regions: what methods decide everywhere in the plane, and where their seeds disagree."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kdlib.evaluation.formatting import counted, percent, plus_minus
from kdlib.plots.scatter import TrainingPoints, draw_points, height_over_width
from kdlib.plots.theme import (
    MAX_LEGEND,
    WIDTH,
    Plot,
    all_titles,
    class_colour,
    columns_for,
    finish,
    label_outer,
    make_panels,
    point_keys,
    role_colour,
    set_title,
    styled,
    wrapped,
)

MAX_POINTS, MAX_GRID_POINTS = 250, 120  #: on each map of `boundaries`, of `boundary_grid`
NINE_IN_TEN = 0.899  #: of the seeds; half precision rounds 0.9 down


@styled
def boundaries(maps: Mapping, dataset: str, titles: Mapping[str, str] | None = None, accuracy=None) -> Plot:
    """What each method decides in the plane, where its seeds disagree, and what Bayes would decide.

    maps: arrays by name, as in `boundaries.npz`: `axis0` (w,), `axis1` (h,), `<method>/mean` and `<method>/votes`
    (classes, h, w), `points` (n, 2), `points_y`, `points_d`, `plane`, and `bayes/mean` where known. dataset: its name.
    titles: those of the methods to draw, in order; default: all, by name. accuracy: {method: (mean, sd)}, for the
    panels' titles; `bayes` may be among them.
    """
    points = TrainingPoints.from_maps(maps)
    titles = titles or all_titles({}, _mapped_methods(maps))
    methods = [m for m in titles if m in _mapped_methods(maps)] + ["bayes"] * ("bayes/mean" in maps)
    columns = columns_for(len(methods))
    width = (WIDTH - 0.5) / min(columns, len(methods)) - 0.15
    height = width * _height_over_width(maps, points) + 1
    fig, axes = make_panels(len(methods), columns, height, sharex=True, sharey=True, layout="compressed")
    for ax, method in zip(axes, methods, strict=True):
        _draw_map(ax, maps, method, 9, MAX_POINTS)
        set_title(ax, wrapped(_map_title(method, titles), width), _accuracy_text(accuracy, method))
        ax.locator_params(nbins=4)
        if points.has_one_feature:
            ax.set_yticks([])
    axis = "component" if points.is_projection else "feature"
    label_outer(axes, columns, f"{axis} 1", "" if points.has_one_feature else f"{axis} 2")
    finish(fig, *_map_keys([maps]))
    where = "in the plane of the two features"
    if points.is_projection:
        where = "in the plane of the first two principal components of the standardised features"
    elif points.has_one_feature:
        where = "along the one feature (the height means nothing)"
    alt = f"Maps of the decision regions on {dataset}. {_describe_maps(maps, methods, titles)}"
    return Plot(fig, f"Decision regions {where}. {_how_to_read([maps])}", alt)


@styled
def boundary_grid(
    datasets: Mapping[str, Mapping], methods, titles: Mapping[str, str], accuracy: Mapping | None = None
) -> Plot:
    """Decision regions of several datasets (rows) and methods (columns), Bayes last where it is known.

    datasets: {name: maps}, maps as in `boundaries`. accuracy: {name: {method: (mean, sd)}}, for the panels' titles.
    """
    has_bayes = any("bayes/mean" in maps for maps in datasets.values())
    columns = [*methods, "bayes"] if has_bayes else list(methods)
    width = max(1.45, WIDTH / (len(columns) + 0.3))
    fig = Figure(figsize=(width * (len(columns) + 0.3), (width + 0.35) * len(datasets) + 1), layout="compressed")
    axes = fig.subplots(len(datasets), len(columns), squeeze=False)
    for row, (name, maps) in zip(axes, datasets.items(), strict=True):
        for ax, method in zip(row, columns, strict=True):
            title = wrapped(_map_title(method, titles), width - 0.1) if ax in axes[0] else ""
            set_title(ax, title, _accuracy_text((accuracy or {}).get(name), method, brief=width < 2))
            ax.set(xticks=[], yticks=[])
            if _map_key(method) in maps:
                _draw_map(ax, maps, method, 4, MAX_GRID_POINTS)
                continue
            ax.set_box_aspect(1)
            ax.spines[:].set_visible(False)
            missing = "not known" if method == "bayes" else "not run"
            ax.text(0.5, 0.5, missing, transform=ax.transAxes, ha="center", color=role_colour("soft"))
        row[0].set_ylabel(wrapped(name, width))
    finish(fig, *_map_keys(list(datasets.values())))
    alt = " ".join(f"On {name}, {_describe_range(maps, methods, titles)}." for name, maps in datasets.items())
    caption = (
        f"Decision regions of {counted(len(methods), 'method')} (columns) on "
        f"{counted(len(datasets), 'dataset')} (rows). {_how_to_read(datasets.values())}"
    )
    return Plot(fig, caption, f"Grid of maps of decision regions. {alt}")


def _map_key(method) -> str:
    """The array whose largest class is drawn: of Bayes, which has no seeds, the mean."""
    return "bayes/mean" if method == "bayes" else f"{method}/votes"


def _mapped_methods(maps) -> list[str]:
    """Methods with a map, without Bayes, which is drawn last."""
    return [key.removesuffix("/votes") for key in maps if key.endswith("/votes") and key != "bayes/votes"]


def _array(maps, key) -> np.ndarray:
    return np.asarray(maps[key], np.float64)  # kept in half precision, which rounds 0.9 down


def _height_over_width(maps, points) -> float:
    return 0.3 if points.has_one_feature else height_over_width(np.ptp(maps["axis0"]), np.ptp(maps["axis1"]))


def _accuracy_text(accuracy, method, brief=False) -> str:
    """“0.9876 ± 0.0012” of {method: (mean, sd)}; the mean alone of Bayes, which has no seeds, and if brief."""
    pair = (accuracy or {}).get(method)
    if pair is None:
        return ""
    return plus_minus(*(pair[:1] if brief or method == "bayes" else pair))


def _map_title(method, titles) -> str:
    return "Bayes-optimal decision" if method == "bayes" else titles.get(method, method)


def _draw_map(ax, maps, method, size, max_points) -> None:
    x, y = np.asarray(maps["axis0"]), np.asarray(maps["axis1"])
    half = [0.5 * np.ptp(axis) / max(len(axis) - 1, 1) for axis in (x, y)]
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    votes = _array(maps, _map_key(method))  # (classes, h, w)
    paper, ink = np.array(role_colour("paper")), np.array(role_colour("ink"))
    tints = np.array([0.62 * paper + 0.38 * np.array(class_colour(c)) for c in range(len(votes))])
    image = tints[votes.argmax(axis=0)]
    if method != "bayes":
        doubt = (1 - votes.max(axis=0))[..., None] / (1 - 1 / len(votes))  # 0: all agree, 1: evenly split
        image = image + 0.62 * np.clip(doubt, 0, 1) * (ink - image)
    ax.imshow(np.clip(image, 0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    points = TrainingPoints.from_maps(maps)
    shown = points.x
    if points.has_one_feature:
        bottom, top = 0.8 * y[0] + 0.2 * y[-1], 0.2 * y[0] + 0.8 * y[-1]
        shown = np.stack([shown[:, 0], np.random.default_rng(0).uniform(bottom, top, len(shown))], axis=1)
    draw_points(ax, shown, points.y, points.d, size, max_points, alpha=1)
    if "bayes/mean" in maps:
        for margin in _margins(_array(maps, "bayes/mean")):
            ax.contour(x, y, margin, levels=[0], colors=[role_colour("ink")], linewidths=1.3)
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


def _map_keys(all_maps) -> tuple[list, list, list]:
    points = list(map(TrainingPoints.from_maps, all_maps))
    others = [Patch(facecolor=(*role_colour("ink"), 0.6), label="seeds disagree")]
    if any("bayes/mean" in maps for maps in all_maps):
        others.append(Line2D([], [], color=role_colour("ink"), linewidth=1.3, label="Bayes boundary"))
    return *point_keys(max(each.domains for each in points), max(each.classes for each in points)), others


def _how_to_read(all_maps) -> str:
    text = "The tint is the class that most seeds choose; grey marks where they disagree. "
    if any("bayes/mean" in maps for maps in all_maps):
        text += "The line is the boundary of the best possible decision (Bayes). "
    return text + "Markers are a sample of the training points."


def _agreement(maps, method) -> float:
    """Share of the area in which most seeds decide as Bayes, or agree with each other where Bayes is not known."""
    votes = _array(maps, f"{method}/votes")
    if "bayes/mean" in maps:
        return float(np.mean(votes.argmax(axis=0) == _array(maps, "bayes/mean").argmax(axis=0)))
    return float(np.mean(votes.max(axis=0) >= NINE_IN_TEN))


def _describe_maps(maps, methods, titles) -> str:
    """How much of the plane each method decides as Bayes does, and in how much its seeds are split."""
    sentences = []
    for method in (m for m in methods if m != "bayes"):
        votes = _array(maps, f"{method}/votes")
        if "bayes/mean" in maps:
            text = f"decides as Bayes on {percent(_agreement(maps, method), 1)} of the area"
        else:
            shares = np.bincount(votes.argmax(axis=0).ravel(), minlength=len(votes)) / votes[0].size
            areas = [f"class {c} {percent(share, 1)}" for c, share in enumerate(shares[:MAX_LEGEND])]
            text = f"divides the area into {', '.join(areas)}"
        split = percent(np.mean(votes.max(axis=0) < NINE_IN_TEN), 1)
        sentences.append(f"{titles.get(method, method)} {text}; fewer than nine in ten seeds agree on {split}.")
    return " ".join(sentences)


def _describe_range(maps, methods, titles) -> str:
    shares = {method: _agreement(maps, method) for method in methods if method in _mapped_methods(maps)}
    if not shares:
        return "no method was run"
    ends = dict.fromkeys((min(shares, key=shares.get), max(shares, key=shares.get)))
    texts = [f"{percent(shares[method], 1)} ({titles.get(method, method)})" for method in ends]
    area = "the area decided as Bayes does" if "bayes/mean" in maps else "the area on which nine in ten seeds agree"
    return f"{area} is {' to '.join(texts)}"
