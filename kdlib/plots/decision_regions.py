"""Maps: what methods decide everywhere in the plane, and where their seeds disagree."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kdlib.data.dataset import Dataset
from kdlib.plots.scatter import draw_points, height_over_width
from kdlib.plots.theme import (
    LEGEND,
    WIDTH,
    Plot,
    all_titles,
    class_colour,
    columns_for,
    counted,
    finish,
    legend_keys,
    make_panels,
    percent,
    plus_minus,
    put_title,
    role_colour,
    styled,
    wrapped,
)

ON_MAPS = 250  #: points on a map of decision regions at most
NINE_IN_TEN = 0.899  #: of the seeds, as half precision has it


@styled
def boundaries(maps: Mapping, dataset: Dataset | str, titles: Mapping[str, str] | None = None, accuracy=None) -> Plot:
    """What each method decides in the plane, where its seeds disagree, and what Bayes would decide.

    maps: arrays by name, as in `boundaries.npz`: `axis0` (w,), `axis1` (h,), `<method>/mean` and `<method>/votes`
    (classes, h, w), `points` (n, 2), `points_y`, `points_d`, `plane`, and `bayes/mean` where known. dataset: it, or
    its name. titles: those of the methods to draw, in order; default: all, by name. accuracy: {method: (mean, sd)},
    for the panels' titles; `bayes` may be among them.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    titles = titles or all_titles({}, _mapped(maps))
    methods = [m for m in titles if m in _mapped(maps)] + ["bayes"] * ("bayes/mean" in maps)
    ratio = _map_ratio(maps)
    columns = columns_for(len(methods))
    width = (WIDTH - 0.5) / min(columns, len(methods)) - 0.15
    fig, axes = make_panels(len(methods), columns, width * ratio + 1, sharex=True, sharey=True, layout="compressed")
    for i, (ax, method) in enumerate(zip(axes, methods, strict=True)):
        _draw_map(ax, maps, method, size=9, most=ON_MAPS)
        put_title(ax, wrapped(_map_title(method, titles), width), _score(accuracy, method))
        words = (
            ("component 1", "component 2") if _projected(maps) else ("feature 1", "" if _flat(maps) else "feature 2")
        )
        ax.set(xlabel=words[0] if i >= len(methods) - columns else "", ylabel=words[1] if i % columns == 0 else "")
        ax.locator_params(nbins=4)
        if _flat(maps):
            ax.set_yticks([])
    finish(fig, *_map_keys([maps]))
    where = "in the plane of the two features"
    if _projected(maps):
        where = "in the plane of the first two principal components"
    elif _flat(maps):
        where = "along the one feature (height means nothing)"
    alt = f"Maps of the decision regions on {name}. {_agreement(maps, methods, titles)}"
    return Plot(fig, f"Decision regions {where}. {_how_to_read([maps])}", alt)


@styled
def boundary_grid(
    datasets: Mapping[str, Mapping], methods, titles: Mapping[str, str], accuracy: Mapping | None = None
) -> Plot:
    """Decision regions of several datasets (rows) and methods (columns), Bayes last where it is known.

    datasets: {name: maps}, maps as in `boundaries`. accuracy: {name: {method: (mean, sd)}}, for the panels' titles.
    """
    known = any("bayes/mean" in maps for maps in datasets.values())
    columns = [*methods, "bayes"] if known else list(methods)
    width = max(1.45, WIDTH / (len(columns) + 0.3))
    fig = Figure(figsize=(width * (len(columns) + 0.3), (width + 0.35) * len(datasets) + 1), layout="compressed")
    axes = fig.subplots(len(datasets), len(columns), squeeze=False)
    for row, (name, maps) in zip(axes, datasets.items(), strict=True):
        for ax, method in zip(row, columns, strict=True):
            first = ax in axes[0]
            title = wrapped(_map_title(method, titles), width - 0.1) if first else ""
            put_title(ax, title, _score((accuracy or {}).get(name), method, brief=width < 2))
            ax.set(xticks=[], yticks=[])
            if (f"{method}/mean" if method == "bayes" else f"{method}/votes") in maps:
                _draw_map(ax, maps, method, size=4, most=120)
            else:
                ax.set_box_aspect(1)
                ax.spines[:].set_visible(False)
                missing = "not known" if method == "bayes" else "not run"
                ax.text(0.5, 0.5, missing, transform=ax.transAxes, ha="center", color=role_colour("soft"))
        row[0].set_ylabel(wrapped(name, width))
    finish(fig, *_map_keys(list(datasets.values())))
    alt = " ".join(f"On {name}, {_agreement_range(maps, methods, titles)}." for name, maps in datasets.items())
    caption = (
        f"Decision regions of {counted(len(columns) - known, 'method')} (columns) on "
        f"{counted(len(datasets), 'dataset')} (rows). {_how_to_read(datasets.values())}"
    )
    return Plot(fig, caption, f"Grid of maps of decision regions. {alt}")


def _mapped(maps) -> list[str]:
    """Methods with a map, without Bayes, which is drawn apart."""
    return [key.removesuffix("/votes") for key in maps if key.endswith("/votes") and key != "bayes/votes"]


def _array(maps, key) -> np.ndarray:
    return np.asarray(maps[key], np.float64)  # kept in half precision, in which 0.9 is a little less


def _projected(maps) -> bool:
    return bool(np.asarray(maps["plane"]))


def _flat(maps) -> bool:
    """Whether the data have one feature, so that the second axis means nothing."""
    return not np.ptp(np.asarray(maps["points"])[:, 1])


def _map_ratio(maps) -> float:
    return 0.3 if _flat(maps) else height_over_width(np.ptp(maps["axis0"]), np.ptp(maps["axis1"]))


def _score(accuracy, method, brief=False) -> str:
    """“0.9876 ± 0.0012” of {method: (mean, sd)}, or the mean alone: of Bayes, which has no seeds, and if brief."""
    pair = (accuracy or {}).get(method)
    return plus_minus(pair[:1] if pair is not None and (brief or method == "bayes") else pair, 4)


def _map_title(method, titles) -> str:
    return "Bayes, the best there is" if method == "bayes" else titles.get(method, method)


def _draw_map(ax, maps, method, size, most):
    x, y = np.asarray(maps["axis0"]), np.asarray(maps["axis1"])
    half = [0.5 * np.ptp(axis) / max(len(axis) - 1, 1) for axis in (x, y)]
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    votes = _array(maps, f"{method}/mean" if method == "bayes" else f"{method}/votes")  # (classes, h, w)
    paper, ink = np.array(role_colour("paper")), np.array(role_colour("ink"))
    tints = np.array([0.62 * paper + 0.38 * np.array(class_colour(c)) for c in range(len(votes))])
    image = tints[votes.argmax(axis=0)]
    if method != "bayes":
        doubt = (1 - votes.max(axis=0))[..., None] / (1 - 1 / len(votes))  # 0: all agree, 1: evenly split
        image = image + 0.62 * np.clip(doubt, 0, 1) * (ink - image)
    ax.imshow(np.clip(image, 0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    points = np.array(maps["points"])
    if _flat(maps):
        points[:, 1] = np.random.default_rng(0).uniform(0.8 * y[0] + 0.2 * y[-1], 0.2 * y[0] + 0.8 * y[-1], len(points))
    draw_points(ax, points, np.asarray(maps["points_y"]), np.asarray(maps["points_d"]), size, most, alpha=1)
    if "bayes/mean" in maps:
        for margin in _margins(_array(maps, "bayes/mean")):
            ax.contour(x, y, margin, levels=[0], colors=[role_colour("ink")], linewidths=1.3)
    ax.set(xlim=extent[:2], ylim=extent[2:])
    ax.set_box_aspect(_map_ratio(maps))
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
    domains = max(int(np.max(maps["points_d"])) + 1 for maps in all_maps)
    classes = max(int(np.max(maps["points_y"])) + 1 for maps in all_maps)
    others = [Patch(facecolor=(*role_colour("ink"), 0.6), label="seeds disagree")]
    if any("bayes/mean" in maps for maps in all_maps):
        others.append(Line2D([], [], color=role_colour("ink"), linewidth=1.3, label="Bayes boundary"))
    return *legend_keys(domains, classes), others


def _how_to_read(all_maps) -> str:
    text = "The tint is the class that most seeds decide for; grey is where they disagree. "
    if any("bayes/mean" in maps for maps in all_maps):
        text += "The line is the boundary of the best possible decision (Bayes). "
    return text + "Markers are a sample of the training points."


def _same(maps, method) -> float:
    """Share of the area in which most seeds decide as Bayes, or agree with each other where Bayes is not known."""
    votes = _array(maps, f"{method}/votes")
    if "bayes/mean" in maps:
        return float(np.mean(votes.argmax(axis=0) == _array(maps, "bayes/mean").argmax(axis=0)))
    return float(np.mean(votes.max(axis=0) >= NINE_IN_TEN))


def _agreement(maps, methods, titles) -> str:
    """How much of the plane each method decides as Bayes does, and in how much its seeds are split."""
    sentences = []
    for method in (m for m in methods if m != "bayes"):
        votes = _array(maps, f"{method}/votes")
        shares = np.bincount(votes.argmax(axis=0).ravel(), minlength=len(votes)) / votes[0].size
        text = "divides the area into " + ", ".join(f"class {c} {percent(v)}" for c, v in enumerate(shares[:LEGEND]))
        if "bayes/mean" in maps:
            text = f"decides as Bayes on {percent(_same(maps, method))} of the area"
        split = f"fewer than nine in ten seeds agree on {percent(np.mean(votes.max(axis=0) < NINE_IN_TEN))}"
        sentences.append(f"{titles.get(method, method)} {text}; {split}.")
    return " ".join(sentences)


def _agreement_range(maps, methods, titles) -> str:
    shares = {method: _same(maps, method) for method in methods if method in _mapped(maps)}
    if not shares:
        return "no method was run"
    low, high = min(shares, key=shares.get), max(shares, key=shares.get)
    what = "the area decided as Bayes does" if "bayes/mean" in maps else "the area on which nine in ten seeds agree"
    best = f"{percent(shares[high])} ({titles.get(high, high)})"
    return f"{what} is {best if low == high else f'{percent(shares[low])} ({titles.get(low, low)}) to {best}'}"
