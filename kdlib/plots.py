"""Every figure of the report, with its caption and its alt text.

A function takes plain arrays or frames and returns a `Plot`; nothing is trained, read or written. Captions and
alt texts are computed from what is drawn. The same thing looks the same everywhere: a class is a colour (0
blue, 1 orange), a domain a marker (0 cross, 1 square, 2 circle, as in the original), a method a row or a panel
with its title. Colours are Okabe & Ito's ("Color universal design", 2008); all looks are in `style.mplstyle`.

`results` is always the tidy frame: columns dataset, method, seed, split, domain, metric, value; `titles` is a dict
{method: title} of the methods to draw, in their order (if empty: all, by name). Leaves out animation and interaction.
"""

import functools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFTBASE
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from kdlib.datasets import Dataset

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 7.4  #: inches, 710 pixels on the page
NARROW = 5.6  #: of a figure of one panel, so that a phone shrinks its letters less
MARKERS = ("x", "s", "o", "^", "D", "v", "P", "*", "<", ">", "p", "h")  #: of domains 0, 1, 2, ...
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))  #: of methods, beside their colours
DRAWN = 6000  #: points of a scatter plot at most; more would only hide each other
ON_MAPS = 250  #: points on a map of decision regions at most
NINE_IN_TEN = 0.899  #: of the seeds, as half precision has it
CUT = " An arrow at the left edge stands for what lies below the scale."
LEGEND = 12  #: classes or domains in a legend at most
ROLES = {"ink": "text.color", "soft": "xtick.labelcolor", "line": "grid.color", "paper": "axes.facecolor"}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, the caption below it (Markdown), and the alt text for those who cannot see it."""

    figure: Figure
    caption: str
    alt: str

    def show(self) -> None:
        """Shows the figure in the notebook and on the page."""
        from kdlib import show  # it imports IPython, which drawing does without

        show.figure(self.figure, self.caption, self.alt)


def _styled(draw):
    """Draws under the report's own style, whatever the session's is."""

    @functools.wraps(draw)
    def styled(*args, **settings) -> Plot:
        with matplotlib.rc_context(fname=STYLE):
            return draw(*args, **settings)

    return styled


# --- Points -------------------------------------------------------------------------------------------------------


@_styled
def scatter(dataset: Dataset) -> Plot:
    """The training points in the plane: markers are domains, colours classes.

    More than two features are projected on the first two principal components; a single one is drawn as a
    strip per domain.
    """
    fig, (ax,) = _panels(1, 1, 5.2, layout="compressed")
    x, labels, note = _plane(dataset)
    drawn = _draw_points(ax, x, dataset.train.y, dataset.train.d, 15, DRAWN)
    _axes_of_points(ax, x, labels, dataset)
    _finish(fig, *_keys(dataset.domains, dataset.classes), columns=4)
    caption = f"The {_sizes(dataset)}. The marker tells the domain, the colour the class.{note}{_thinned(drawn, x)}"
    alt = f"Scatter plot of {dataset.name}: {_sizes(dataset)}.{note} {_spread(x, dataset)}"
    return Plot(fig, caption, alt)


@_styled
def scatters(datasets: Mapping[str, Dataset]) -> Plot:
    """The training points of several datasets {title: dataset}, side by side, on one scale where that is fair."""
    planes = [_plane(dataset) for dataset in datasets.values()]
    one_scale = all(dataset.features == 2 for dataset in datasets.values()) and _similar([p[0] for p in planes])
    fig, axes = _panels(len(datasets), 2, 4.0, sharex=one_scale, sharey=one_scale, layout="compressed")
    everything = np.concatenate([x for x, _, _ in planes])
    drawn = 0
    for ax, (title, dataset), (x, labels, _) in zip(axes, datasets.items(), planes, strict=True):
        drawn += _draw_points(ax, x, dataset.train.y, dataset.train.d, 9, DRAWN // 2)
        _axes_of_points(ax, everything if one_scale else x, labels, dataset)
        ax.set_title(_wrap(title, 3.4))
        ax.label_outer() if one_scale else None
    domains = max(dataset.domains for dataset in datasets.values())
    classes = max(dataset.classes for dataset in datasets.values())
    _finish(fig, *_keys(domains, classes))
    notes = {note for _, _, note in planes if note}
    caption = (
        f"The training points of {_count(len(datasets), 'dataset')}{', all on one scale' if one_scale else ''}. "
        f"The marker tells the domain, the colour the class.{notes.pop() if len(notes) == 1 else ''}"
        f"{_thinned(drawn, everything)}"
    )
    each = [
        f"{title}: {_sizes(dataset)}. {_spread(plane[0], dataset)}"
        for (title, dataset), plane in zip(datasets.items(), planes, strict=True)
    ]
    return Plot(fig, caption, f"{_count(len(datasets), 'scatter plot')}. {' '.join(each)}")


def _plane(dataset: Dataset) -> tuple[np.ndarray, tuple[str, str], str]:
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
        f"which hold {_percent(round(share, 2))} of the variance."
    )
    return centred @ directions.T, ("principal component 1", "principal component 2"), note


def _draw_points(ax, x, y, d, size, most, alpha=0.75) -> int:
    """Draws at most so many points, in random order so that no class hides another; returns their number."""
    rows = np.random.default_rng(0).permutation(len(x))[:most]
    colours = np.array([_class_colour(c) for c in range(int(y.max()) + 1)])
    for k in np.unique(d):
        mine = rows[d[rows] == k]
        marker = MARKERS[k % len(MARKERS)]
        width = 0.06 * size**0.5 + 0.7 if marker == "x" else 0
        ax.scatter(*x[mine].T, s=size, c=colours[y[mine]], marker=marker, alpha=alpha, linewidths=width)
    return len(rows)


def _axes_of_points(ax, x, labels, dataset):
    ax.set(xlabel=labels[0], ylabel=labels[1])
    low, high = x.min(axis=0), x.max(axis=0)
    pad = 0.04 * np.where(high > low, high - low, 1)
    ax.set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
    if dataset.features == 1:
        ax.set_yticks(range(dataset.domains))
        ax.set_box_aspect(min(1.0, 0.12 + 0.14 * dataset.domains))
        return
    ax.set_box_aspect(_ratio(*(high - low)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))


def _ratio(width, height) -> float:
    """Height over width of a panel: that of its axes, unless their units plainly differ."""
    ratio = height / width if width > 0 and height > 0 else 1.0
    return float(ratio) if 0.4 <= ratio <= 2.5 else 1.0


def _similar(clouds) -> bool:
    """Whether clouds of points (n, 2) are of a size that one scale shows all of."""
    spans = np.array([np.ptp(x, axis=0).max() for x in clouds])
    return bool(np.ptp(np.concatenate(clouds), axis=0).max() < 4 * spans.min())


def _sizes(dataset) -> str:
    counts = [_count(dataset.domains, "domain"), _count(dataset.classes, "class", "classes")]
    return f"{len(dataset.train)} training points in {' and '.join(counts)}"


def _spread(x, dataset) -> str:
    """How far apart the domains lie, in words: the least distance of their means, in their own spreads."""
    if dataset.domains == 1:
        return f"{_percent(np.bincount(dataset.train.y).max() / len(x))} of them are of the largest class."
    if dataset.features == 1:
        x = x[:, :1]
    groups = [x[dataset.train.d == k] for k in range(dataset.domains)]
    means = np.array([group.mean(axis=0) for group in groups])
    gaps = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(len(means), 1)]
    own = np.sqrt(np.mean([group.var(axis=0).mean() for group in groups])) or 1.0
    low, high = f"{gaps.min() / own:.1f}", f"{gaps.max() / own:.1f}"
    return f"The domains' means are {low if low == high else f'{low} to {high}'} standard deviations apart."


def _thinned(drawn, x) -> str:
    return "" if drawn == len(x) else f" A random {drawn} of the {len(x)} points are drawn."


# --- Learning -----------------------------------------------------------------------------------------------------


@_styled
def learning_curves(curves: Mapping, titles: Mapping[str, str] | None = None, watched: str = "validation") -> Plot:
    """Training loss, and accuracy on the points watched during training, by epoch: median and 10-90 % over seeds.

    curves: {method: fit}, each with `loss` (epochs, member) and `watched`, a dict that may hold `accuracy`
    (epochs, member). watched: what the watched points are called.
    """
    titles = _titles(titles, curves)
    scores = {m: np.asarray(fit.watched["accuracy"]) for m, fit in curves.items() if "accuracy" in (fit.watched or {})}
    panels = [("Training loss", {m: np.asarray(fit.loss) for m, fit in curves.items()})]
    panels += [(f"{watched.capitalize()} accuracy", scores)] if scores else []
    fig, axes = _panels(len(panels), 2, 3.5)
    for ax, (label, values) in zip(axes, panels, strict=True):
        for method, runs in values.items():
            low, median, high = _quantiles(runs)
            epochs = np.arange(1, len(median) + 1)
            colour, dashes = _method_look(method, titles)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(epochs, median, color=colour, linestyle=dashes, marker="o" if len(median) == 1 else None)
        if ax is axes[0] and all(np.nanmin(_finite(runs), initial=np.inf) > 0 for runs in values.values()):
            _log(ax.yaxis)
        ax.set(xlabel="epoch", title=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if ax.get_yscale() == "linear":
            ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    looks = {m: _method_look(m, titles) for m in curves}
    lines = [Line2D([], [], color=c, linestyle=d, label=_wrap(titles[m], 3)) for m, (c, d) in looks.items()]
    _finish(fig, lines, columns=2)
    members = {np.asarray(fit.loss).shape[1] for fit in curves.values()}
    lost = sum(int((~np.isfinite(np.asarray(fit.loss)).all(axis=0)).sum()) for fit in curves.values())
    caption = (
        f"Training, epoch by epoch: median over {_range(members, 'seed')}, and the band that holds the middle 80 % of "
        "them. Methods train on different losses, so that only the shapes of these compare."
        + (f" {_count(lost, 'run')} ceased to be finite and {'is' if lost == 1 else 'are'} left out." if lost else "")
    )
    ends = [
        f"{titles[m]}: loss {_quantiles(fit.loss)[1][-1]:.3g}"
        + (f", {watched} accuracy {_quantiles(scores[m])[1][-1]:.3f}" if m in scores else "")
        for m, fit in curves.items()
    ]
    epochs = {len(fit.loss) for fit in curves.values()}
    alt = f"Learning curves over {_range(epochs, 'epoch')}. Medians of the last epoch: {'; '.join(ends)}."
    return Plot(fig, caption, alt)


def _finite(runs) -> np.ndarray:
    """Runs (epochs, member) without those that ceased to be finite."""
    runs = np.asarray(runs, float)
    return runs[:, np.isfinite(runs).all(axis=0)]


def _quantiles(runs) -> np.ndarray:
    """10 %, 50 % and 90 % over members of (epochs, member): (3, epochs)."""
    runs = _finite(runs)
    return np.quantile(runs, (0.1, 0.5, 0.9), axis=1) if runs.shape[1] else np.full((3, len(runs)), np.nan)


# --- Decision regions ---------------------------------------------------------------------------------------------


@_styled
def boundaries(maps: Mapping, dataset: Dataset | str, titles: Mapping[str, str] | None = None, accuracy=None) -> Plot:
    """What each method decides in the plane, where its seeds disagree, and what Bayes would decide.

    maps: arrays by name, as in `boundaries.npz`: `axis0` (w,), `axis1` (h,), `<method>/mean` and `<method>/votes`
    (classes, h, w), `points` (n, 2), `points_y`, `points_d`, `plane`, and `bayes/mean` where known. dataset: it, or
    its name. titles: those of the methods to draw, in order; default: all, by name. accuracy: {method: (mean, sd)},
    for the panels' titles; `bayes` may be among them.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    titles = titles or _titles({}, _mapped(maps))
    methods = [m for m in titles if m in _mapped(maps)] + ["bayes"] * ("bayes/mean" in maps)
    ratio = _map_ratio(maps)
    columns = _columns(len(methods))
    width = (WIDTH - 0.5) / min(columns, len(methods)) - 0.15
    fig, axes = _panels(len(methods), columns, width * ratio + 1, sharex=True, sharey=True, layout="compressed")
    for i, (ax, method) in enumerate(zip(axes, methods, strict=True)):
        _draw_map(ax, maps, method, size=9, most=ON_MAPS)
        _title(ax, _wrap(_map_title(method, titles), width), _score(accuracy, method))
        words = (
            ("component 1", "component 2") if _projected(maps) else ("feature 1", "" if _flat(maps) else "feature 2")
        )
        ax.set(xlabel=words[0] if i >= len(methods) - columns else "", ylabel=words[1] if i % columns == 0 else "")
        ax.locator_params(nbins=4)
        if _flat(maps):
            ax.set_yticks([])
    _finish(fig, *_map_keys([maps]))
    where = "in the plane of the two features"
    if _projected(maps):
        where = "in the plane of the first two principal components"
    elif _flat(maps):
        where = "along the one feature (height means nothing)"
    alt = f"Maps of the decision regions on {name}. {_agreement(maps, methods, titles)}"
    return Plot(fig, f"Decision regions {where}. {_how_to_read([maps])}", alt)


@_styled
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
            title = _wrap(_map_title(method, titles), width - 0.1) if first else ""
            _title(ax, title, _score((accuracy or {}).get(name), method, brief=width < 2))
            ax.set(xticks=[], yticks=[])
            if (f"{method}/mean" if method == "bayes" else f"{method}/votes") in maps:
                _draw_map(ax, maps, method, size=4, most=120)
            else:
                ax.set_box_aspect(1)
                ax.spines[:].set_visible(False)
                missing = "not known" if method == "bayes" else "not run"
                ax.text(0.5, 0.5, missing, transform=ax.transAxes, ha="center", color=_colour("soft"))
        row[0].set_ylabel(_wrap(name, width))
    _finish(fig, *_map_keys(list(datasets.values())))
    alt = " ".join(f"On {name}, {_agreement_range(maps, methods, titles)}." for name, maps in datasets.items())
    caption = (
        f"Decision regions of {_count(len(columns) - known, 'method')} (columns) on "
        f"{_count(len(datasets), 'dataset')} (rows). {_how_to_read(datasets.values())}"
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
    return 0.3 if _flat(maps) else _ratio(np.ptp(maps["axis0"]), np.ptp(maps["axis1"]))


def _score(accuracy, method, brief=False) -> str:
    """“0.9876 ± 0.0012” of {method: (mean, sd)}, or the mean alone: of Bayes, which has no seeds, and if brief."""
    pair = (accuracy or {}).get(method)
    return _plus_minus(pair[:1] if pair is not None and (brief or method == "bayes") else pair, 4)


def _map_title(method, titles) -> str:
    return "Bayes, the best there is" if method == "bayes" else titles.get(method, method)


def _draw_map(ax, maps, method, size, most):
    x, y = np.asarray(maps["axis0"]), np.asarray(maps["axis1"])
    half = [0.5 * np.ptp(axis) / max(len(axis) - 1, 1) for axis in (x, y)]
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    votes = _array(maps, f"{method}/mean" if method == "bayes" else f"{method}/votes")  # (classes, h, w)
    paper, ink = np.array(_colour("paper")), np.array(_colour("ink"))
    tints = np.array([0.62 * paper + 0.38 * np.array(_class_colour(c)) for c in range(len(votes))])
    image = tints[votes.argmax(axis=0)]
    if method != "bayes":
        doubt = (1 - votes.max(axis=0))[..., None] / (1 - 1 / len(votes))  # 0: all agree, 1: evenly split
        image = image + 0.62 * np.clip(doubt, 0, 1) * (ink - image)
    ax.imshow(np.clip(image, 0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    points = np.array(maps["points"])
    if _flat(maps):
        points[:, 1] = np.random.default_rng(0).uniform(0.8 * y[0] + 0.2 * y[-1], 0.2 * y[0] + 0.8 * y[-1], len(points))
    _draw_points(ax, points, np.asarray(maps["points_y"]), np.asarray(maps["points_d"]), size, most, alpha=1)
    if "bayes/mean" in maps:
        for margin in _margins(_array(maps, "bayes/mean")):
            ax.contour(x, y, margin, levels=[0], colors=[_colour("ink")], linewidths=1.3)
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
    others = [Patch(facecolor=(*_colour("ink"), 0.6), label="seeds disagree")]
    if any("bayes/mean" in maps for maps in all_maps):
        others.append(Line2D([], [], color=_colour("ink"), linewidth=1.3, label="Bayes boundary"))
    return *_keys(domains, classes), others


def _how_to_read(all_maps) -> str:
    text = "The tint is the class that most seeds decide for; it darkens where they disagree. "
    if any("bayes/mean" in maps for maps in all_maps):
        text += "The dark line is the boundary of the best possible decision (Bayes). "
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
        text = "divides the area into " + ", ".join(f"class {c} {_percent(v)}" for c, v in enumerate(shares[:LEGEND]))
        if "bayes/mean" in maps:
            text = f"decides as Bayes on {_percent(_same(maps, method))} of the area"
        split = f"fewer than nine in ten seeds agree on {_percent(np.mean(votes.max(axis=0) < NINE_IN_TEN))}"
        sentences.append(f"{titles.get(method, method)} {text}; {split}.")
    return " ".join(sentences)


def _agreement_range(maps, methods, titles) -> str:
    shares = {method: _same(maps, method) for method in methods if method in _mapped(maps)}
    if not shares:
        return "no method was run"
    low, high = min(shares, key=shares.get), max(shares, key=shares.get)
    what = "the area decided as Bayes does" if "bayes/mean" in maps else "the area on which nine in ten seeds agree"
    best = f"{_percent(shares[high])} ({titles.get(high, high)})"
    return f"{what} is {best if low == high else f'{_percent(shares[low])} ({titles.get(low, low)}) to {best}'}"


# --- Results by method --------------------------------------------------------------------------------------------


@_styled
def accuracies(results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling=None) -> Plot:
    """Accuracy of each method: a dot per seed, mean and standard deviation; one panel per dataset.

    ceiling: the best that can be reached (Bayes), a number, or {dataset: number}, where known. A method far below
    the others becomes an arrow at the edge, so that these can be told apart; its number stands beside it.
    """
    scores = _scores(results, split, titles)
    if ceiling is not None and (scores.method != "bayes").any():
        scores = scores[scores.method != "bayes"]  # it is the line
    fig, panels, methods, titles = _rows(scores, titles)
    ceilings = {name: c for name in panels if (c := _of(ceiling, name)) is not None}
    cut = False
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        floor = _floor(mine, ceilings.get(name))
        _strips(ax, mine, methods, digits=4 if len(panels) == 1 else 3, floor=floor)
        cut |= floor is not None
        if name in ceilings:
            ax.axvline(ceilings[name], color=_colour("ink"), linewidth=1.1, linestyle=DASHES[1])
        ax.set_xlim(left=floor)  # last: it ends the automatic scale
    _label(fig, panels, f"accuracy on {_split(split)}")
    line = Line2D([], [], color=_colour("ink"), linewidth=1.1, linestyle=DASHES[1], label="Bayes ceiling")
    _finish(fig, [line] if ceilings else [])
    caption = (
        f"Accuracy on {_split(split)}: a dot for each of {_seeds(scores)}, the mean, and a bar of one standard "
        f"deviation to each side.{' The dashed line is the best that can be reached (Bayes).' if ceilings else ''}"
        f"{CUT if cut else ''}"
    )
    ends = [f"{c:.4f}" + (f" on {name}" if len(panels) > 1 else "") for name, c in ceilings.items()]
    told = f" The Bayes ceiling is {', '.join(ends)}." if ends else ""
    return Plot(fig, caption, f"Accuracy by method. {_means(scores, titles)}{told}")


@_styled
def gap_to_ceiling(
    results: pd.DataFrame, titles: Mapping[str, str], split: str, ceiling, baseline: str | None = None
) -> Plot:
    """What each method leaves below the best that can be reached, in percentage points, seed by seed.

    ceiling: a number, or {dataset: number}; datasets without one are left out. baseline: the method whose gap
    the others close by so many percent.
    """
    scores = _scores(results, split, titles)
    scores = scores[scores.method != "bayes"]
    tops = scores.dataset.map(lambda name: _of(ceiling, name)).astype(float)
    scores = scores.assign(value=100 * (tops - scores.value))[tops.notna()]
    if scores.empty:
        raise ValueError("ceiling: expected that of at least one dataset of the results, got none")
    fig, panels, methods, titles = _rows(scores, titles)
    said = []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        means = mine.groupby("method").value.mean()
        closed = {}
        if baseline in means and means[baseline] > 0:
            closed = {m: 1 - means[m] / means[baseline] for m in methods if m in means and m != baseline}
        notes = {m: f"{share:.0%} closed".replace("%", " %") if share > 0 else "wider" for m, share in closed.items()}
        if closed:
            best = max(closed, key=closed.get)
            place = f" on {name}" if len(panels) > 1 else ""
            most = f"{titles[best]} closes most, {_percent(closed[best])}"
            said.append((most if closed[best] > 0 else "no method closes any") + place)
        _strips(ax, mine, methods, digits=2, notes=notes)
        if mine.value.min() > 0:
            _log(ax.xaxis)
        else:
            ax.axvline(0, color=_colour("ink"), linewidth=1.1)
    _label(fig, panels, "below the Bayes ceiling, percentage points")
    _finish(fig)
    caption = (
        f"What each method leaves below the best that can be reached (Bayes), on {_split(split)}: "
        f"{_seeds(scores)}, mean and standard deviation."
    )
    caption += f" “Closed” is the part of the gap of “{titles[baseline]}” that is gone." if said else ""
    alt = f"Gap to the Bayes ceiling by method, in percentage points. {_means(scores, titles, 2)}"
    return Plot(fig, caption, alt + (f" Of the gap of {titles[baseline]}, {'; '.join(said)}." if said else ""))


@_styled
def per_domain(results: pd.DataFrame, titles: Mapping[str, str], split: str) -> Plot:
    """Accuracy of each method in each domain: mean over seeds and standard deviation; one panel per dataset.

    What is far below the rest is an arrow at the edge, as in `accuracies`; the range over domains stands beside.
    """
    scores = _scores(results, split, titles, domains=True)
    domains = sorted(scores.domain.unique(), key=int)
    fig, panels, methods, titles = _rows(scores, titles, row=max(0.46, 0.13 * len(domains) + 0.08))
    offsets = np.linspace(-0.3, 0.3, len(domains)) if len(domains) > 1 else [0.0]
    cut, alts = False, []
    for name, ax in panels.items():
        mine = scores[scores.dataset == name]
        floor = _floor(mine)
        cut |= floor is not None
        table = mine.groupby(["method", "domain"]).value.agg(["mean", "std"]).fillna(0)
        listed = []
        for row, method in enumerate(methods):
            means = {k: table.loc[(method, k)] for k in domains if (method, k) in table.index}
            for domain, offset in zip(domains, offsets, strict=True):
                if domain in means:
                    _dot(ax, *means[domain], row + offset, floor, marker=MARKERS[int(domain) % len(MARKERS)])
            if means:
                values = sorted((mean, domain) for domain, (mean, _) in means.items())
                (low, lowest), (high, highest) = values[0], values[-1]
                _beside(ax, row, f"{low:.3f} to {high:.3f}" if len(values) > 1 else f"{low:.3f}")
                listed.append(f"{titles[method]} {low:.3f} (domain {lowest}) to {high:.3f} (domain {highest})")
        ax.set_xlim(left=floor)  # last: it ends the automatic scale
        if len(panels) > 1:
            (low, where), (high, there) = [(table["mean"].agg(f), table["mean"].agg(f"idx{f}")) for f in ("min", "max")]
            ends = [f"{v:.3f} ({titles[m]}, domain {k})" for v, (m, k) in ((low, where), (high, there))]
            alts.append(f"On {name}: from {ends[0]} to {ends[1]}.")
        else:
            alts.append(f"{'; '.join(listed)}.")
    _label(fig, panels, f"accuracy on {_split(split)}")
    _finish(fig, *_keys(max(map(int, domains)) + 1, 0))
    caption = (
        f"Accuracy on {_split(split)} in each domain: mean and standard deviation of {_seeds(scores)}, and the range "
        f"of the means. The marker tells the domain.{CUT if cut else ''}"
    )
    return Plot(fig, caption, f"Accuracy by method and domain. {' '.join(alts)}")


def _scores(results, split, titles, domains=False, metric="accuracy") -> pd.DataFrame:
    """The finite rows of one split and metric, of the methods that have titles: overall, or those of each domain."""
    overall = results.domain.astype(str) == "all"
    chosen = results[(results.split == split) & (results.metric == metric) & (overall != domains)]
    chosen = chosen[chosen.method.isin(list(titles))] if titles else chosen
    chosen = chosen[np.isfinite(chosen.value.astype(float))].assign(domain=lambda rows: rows.domain.astype(str))
    if chosen.empty:
        there = ", ".join(sorted(results.split.astype(str).unique())) or "none"
        which = "of single domains" if domains else "of domain 'all'"
        raise ValueError(
            f"results: expected finite rows {which} with split {split!r} and metric {metric!r}; splits: {there}"
        )
    return chosen


def _rows(scores, titles, row=0.46):
    """A panel per dataset, a row per method: the figure, {dataset: panel}, methods in order, titles of all."""
    names = list(dict.fromkeys(scores.dataset))
    titles = _titles(titles, scores.method.unique())
    present = set(scores.method)
    methods = [method for method in titles if method in present]
    fig, axes = _panels(len(names), 2, row * len(methods) + 0.55, width=WIDTH, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        _label_rows(ax, [_wrap(titles[m], 1.75) for m in methods])
        ax.xaxis.set_major_locator(MaxNLocator(4 if len(names) > 1 else 6))
        for between in range(1, len(methods)):
            ax.axhline(between - 0.5, color=_colour("line"), linewidth=0.8)
        if len(names) > 1:
            ax.set_title(_wrap(name, 2.6))
    return fig, dict(zip(names, axes, strict=True)), methods, titles


def _label_rows(ax, labels):
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0, labelsize=11, labelcolor=_colour("ink"))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def _label(fig, panels, text):
    if len(panels) == 1:
        next(iter(panels.values())).set_xlabel(text)
    else:
        fig.supxlabel(text, size=11)


def _floor(scores, ceiling=None) -> float | None:
    """Where to cut the scale, if some means (of a method, or one in a domain) lie far below the others; else None."""
    groups = scores.groupby(["method", "domain"]).value
    means = groups.mean()
    top = max(means.max(), ceiling or 0)
    lowest = top - 3 * max(top - means.median(), 0.01)
    if means.min() >= lowest:
        return None
    shown = min(groups.min()[means >= lowest].min(), top if ceiling is None else ceiling)
    return float(shown - 0.06 * (top - shown))


def _dot(ax, mean, sd, row, floor, marker="o", width=1.1):
    """A mean with its deviation; below the floor an arrow at the edge."""
    if floor is not None and mean < floor:
        at = ax.get_yaxis_transform()
        ax.plot(0.03, row, marker=CARETLEFTBASE, color=_colour("ink"), markersize=6, transform=at, clip_on=False)
        return
    edge = 1.4 if marker == "x" else 0
    ax.plot([mean - sd, mean + sd], [row, row], color=_colour("soft"), linewidth=width)
    ax.plot(mean, row, marker=marker, color=_colour("ink"), markersize=5.5, markeredgewidth=edge)


def _strips(ax, scores, methods, digits, notes=None, floor=None):
    """A row per method: seeds as dots, mean with standard deviation, and these as numbers at the right."""
    rng = np.random.default_rng(0)
    for row, method in enumerate(methods):
        values = scores.value[scores.method == method].to_numpy(float)
        if not len(values):
            continue
        heights = row + rng.permutation(np.linspace(-0.26, 0.26, len(values))) if len(values) > 1 else [row]
        mean, sd = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        if floor is None or mean >= floor:
            ax.scatter(values, heights, s=14, color=_class_colour(4), alpha=0.65)
        _dot(ax, mean, sd, row, floor, width=2)
        _beside(ax, row, _plus_minus((mean, sd) if len(values) > 1 else mean, digits), (notes or {}).get(method))


def _means(scores, titles, digits=4) -> str:
    """Mean and deviation of each method as a sentence; of several datasets, the lowest and the highest of each."""
    sentences = []
    names = list(dict.fromkeys(scores.dataset))
    for name in names:
        groups = scores[scores.dataset == name].groupby("method").value
        means, deviations, runs = groups.mean(), groups.std(), groups.size()
        pairs = {m: (means[m], deviations[m]) if runs[m] > 1 else means[m] for m in titles if m in means}
        told = {m: f"{titles[m]} {_plus_minus(pair, digits)}" for m, pair in pairs.items()}
        if len(names) == 1:
            sentences.append(f"{', '.join(told.values())}.")
        else:
            sentences.append(f"On {name}: from {told[means.idxmin()]} to {told[means.idxmax()]}.")
    return " ".join(sentences)


def _seeds(scores) -> str:
    return _range({len(runs) for _, runs in scores.groupby(["dataset", "method", "domain"])}, "seed")


def _split(split) -> str:
    return {"valid": "the validation points", "test": "the test points", "fresh": "fresh points"}.get(split, split)


def _of(value, name):
    return value.get(name) if isinstance(value, Mapping) else value


# --- Comparisons --------------------------------------------------------------------------------------------------


@_styled
def forest(frame: pd.DataFrame, quantity: str = "difference in accuracy", level: float = 0.95) -> Plot:
    """Paired differences with their intervals, a row each; a filled marker where the interval leaves out zero.

    frame: columns label, mean, low, high, and optionally verdict (a word or two), dataset (a panel for each).
    """
    fig, axes, groups = _steps(frame, row=0.58)
    for ax, (_, rows) in zip(axes, groups, strict=True):
        ax.axvline(0, color=_colour("ink"), linewidth=1.1)
        for r, line in enumerate(rows.to_dict("records")):
            sure = line["low"] > 0 or line["high"] < 0
            ax.plot([line["low"], line["high"]], [r, r], color=_colour("ink"), linewidth=2, zorder=2)
            ax.plot(line["mean"], r, "o", color=_colour("ink"), markersize=7, zorder=3,
                    markerfacecolor=_colour("ink" if sure else "paper"), markeredgewidth=1.5)  # fmt: skip
            text = f"{_signed(line['mean'])} [{_signed(line['low'])}, {_signed(line['high'])}]"
            _beside(ax, r, text, line.get("verdict"))
    _label(fig, dict(enumerate(axes)), quantity)
    _finish(fig)
    sure = int(((frame.low > 0) | (frame.high < 0)).sum())
    caption = (
        f"{quantity[:1].upper()}{quantity[1:]}, with {_percent(level)} intervals. A filled marker stands for "
        f"an interval that leaves out zero: {sure} of {len(frame)}."
    )
    verdicts = "verdict" in frame
    each = [
        f"{_place(line)}: {_signed(line['mean'])} ({_signed(line['low'])} to {_signed(line['high'])})"
        + (f", {line['verdict']}" if verdicts else "")
        for line in frame.to_dict("records")
    ]
    return Plot(fig, caption, f"Forest plot of the {quantity}. {'; '.join(each)}.")


@_styled
def ladder(frame: pd.DataFrame, quantity: str = "accuracy", level: float = 0.95) -> Plot:
    """Steps from one design to another, each building on the one before: value, interval, and gain.

    frame: columns label, mean, low, high, in the order of the steps, and optionally dataset (a panel for each).
    """
    fig, axes, groups = _steps(frame, row=0.56, columns=2)
    alts = []
    for ax, (name, rows) in zip(axes, groups, strict=True):
        means, places = rows["mean"].to_numpy(float), np.arange(len(rows))
        treads = np.concatenate([[0], np.repeat(places[1:] - 0.5, 2), [len(rows) - 1]])  # halfway between two rows
        ax.plot(np.repeat(means, 2), treads, color=_class_colour(4), linewidth=1.4, zorder=1)
        ax.hlines(places, rows.low, rows.high, color=_colour("ink"), linewidth=2, zorder=2)
        ax.plot(means, places, "o", color=_colour("ink"), markersize=6, zorder=3)
        gains = ["", *(_signed(gain) for gain in np.diff(means))]
        for r, mean, gain in zip(places, means, gains, strict=True):
            _beside(ax, r, f"{mean:.4f}", gain)
        steps = [
            f"{label} {mean:.4f}{f' ({gain})' if gain else ''}"
            for label, mean, gain in zip(rows.label, means, gains, strict=True)
        ]
        alts.append((f"{name}: " if name else "") + ", then ".join(steps) + ".")
    _label(fig, dict(enumerate(axes)), quantity)
    _finish(fig)
    caption = (
        f"Step by step: each row changes one thing in the row above it. {quantity[:1].upper()}{quantity[1:]} with its "
        f"{_percent(level)} interval, and the gain over the row above."
    )
    return Plot(fig, caption, f"Steps in {quantity}. {' '.join(alts)}")


def _steps(frame, row, columns=1):
    """A panel per dataset of a frame with labels: the figure, its panels, and [(dataset, rows)]."""
    if frame.empty:
        raise ValueError("frame: expected at least one row, got none")
    groups = list(frame.groupby("dataset", sort=False)) if "dataset" in frame else [("", frame)]
    rows = max(len(group) for _, group in groups)
    same = len({tuple(group.label) for _, group in groups}) == 1
    columns = columns if same else 1  # side by side if one column of labels serves both
    fig, axes = _panels(len(groups), columns, row * rows + 0.55, width=WIDTH, sharey=same, sharex=columns == 1)
    for ax, (name, group) in zip(axes, groups, strict=True):
        _label_rows(ax, [_wrap(label, 2.3 if columns == 1 else 1.75) for label in group.label])
        ax.xaxis.set_major_locator(MaxNLocator(5 if columns == 1 else 4))
        if name:
            ax.set_title(_wrap(name, 3))
    return fig, axes, groups


def _beside(ax, row, text, below=None):
    """Numbers at the right of a row, and a word in soft ink under them."""
    at = ax.get_yaxis_transform()
    ax.text(1.02, row, text, transform=at, va="bottom" if below else "center", size=10)
    if below:
        ax.text(1.02, row + 0.06, below, transform=at, va="top", size=10, color=_colour("soft"))


def _place(line) -> str:
    return f"{line['label']} on {line['dataset']}" if line.get("dataset") else str(line["label"])


@_styled
def heat_map(
    values: pd.DataFrame | np.ndarray,
    value: str,
    *,
    x: str = "",
    y: str = "",
    x_labels=None,
    y_labels=None,
    marks=None,
    marked: str = "the best",
    centre: float | None = None,
    digits: int = 3,
) -> Plot:
    """A table (rows, columns) as colours, with its numbers; those in `marks` (bools of the same shape) get a star.

    value: what the numbers are. x, y: names of the axes; labels default to the frame's. marked: what a star says.
    centre: a value such as 0 at which colours part into blue (above) and orange (below).
    """
    frame = pd.DataFrame(values)
    table = frame.to_numpy(float)
    columns = [str(label) for label in (frame.columns if x_labels is None else x_labels)]
    lines = [str(label) for label in (frame.index if y_labels is None else y_labels)]
    x, y = x or str(frame.columns.name or ""), y or str(frame.index.name or "")
    stars = np.zeros(table.shape, bool) if marks is None else np.asarray(marks, bool)
    if stars.shape != table.shape:
        raise ValueError(f"marks: expected booleans of shape {table.shape}, got {stars.shape}")
    if not np.isfinite(table).any():
        raise ValueError("values: expected at least one finite number, got none")
    low, high = np.nanmin(table), np.nanmax(table)
    looks = {"vmin": low, "vmax": high if high > low else low + 1}
    if centre is not None:
        reach = max(abs(low - centre), abs(high - centre)) or 1.0
        colours = [_class_colour(1), _colour("paper"), _class_colour(0)]
        parted = LinearSegmentedColormap.from_list("parted", colours)
        looks = {"vmin": centre - reach, "vmax": centre + reach, "cmap": parted}
    numbers = table.size <= 150 and len(columns) <= 9
    width = min(WIDTH, 2.6 + 0.75 * len(columns))
    fig = Figure(figsize=(width, min(10.0, 1.2 + 0.42 * len(lines))), layout="constrained")
    ax = fig.subplots()
    image = ax.imshow(np.ma.masked_invalid(table), aspect="auto", **looks)
    wide = max(map(len, columns)) * 0.09 > (width - 2.2) / len(columns)
    ax.set_xticks(range(len(columns)), columns, **({"rotation": 45, "ha": "right"} if wide else {}))
    ax.set_yticks(range(len(lines)), [_wrap(line, 1.9) for line in lines])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=x, ylabel=y)
    for r, c in np.argwhere(np.isfinite(table)):
        text = f"{table[r, c]:.{digits}f}".replace("-", "−") if numbers else ""
        text = f"{text} ★".strip() if stars[r, c] else text
        ground = np.dot(image.cmap(image.norm(table[r, c]))[:3], (0.299, 0.587, 0.114))
        ink, paper = sorted([_colour("ink"), _colour("paper")], key=sum)
        ax.text(c, r, text, ha="center", va="center", size=10, color=ink if ground > 0.5 else paper,
                weight="bold" if stars[r, c] else "normal")  # fmt: skip
    bar = fig.colorbar(image, ax=ax, label=value, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    _finish(fig)

    def cell(at):
        return (
            f"{table[at]:.{digits}f}".replace("-", "−")
            + f" at {y or 'row'} {lines[at[0]]}, {x or 'column'} {columns[at[1]]}"
        )

    extremes = [np.unravel_index(find(table), table.shape) for find in (np.nanargmin, np.nanargmax)]
    told = (
        f" Starred ({marked}): {'; '.join(cell(tuple(at)) for at in np.argwhere(stars)[:LEGEND])}."
        if stars.any()
        else ""
    )
    alt = f"Heat map of {value}, {len(lines)} by {len(columns)}: from {cell(extremes[0])} to {cell(extremes[1])}.{told}"
    axes = f" by {y} (rows) and {x} (columns)" if x and y else ""
    caption = f"{value[:1].upper()}{value[1:]}{axes}.{f' A star marks {marked}.' if stars.any() else ''}"
    return Plot(fig, caption, alt)


@_styled
def reliability(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Plot:
    """Confidence against accuracy, a panel per method: on the diagonal a network means what it says.

    frame: a row per method and bin, columns method, confidence (mean of the bin), accuracy, count. The
    expected calibration error (ECE) is the mean distance from the diagonal, weighted by count.
    """
    frame = frame[frame["count"] > 0]
    titles = _titles(titles, frame.method.unique())
    groups = {m: group for m in titles if len(group := frame[frame.method == m])}
    columns = _columns(len(groups))
    fig, axes = _panels(len(groups), columns, 3.4, sharex=True, sharey=True, layout="compressed")
    low = min(frame.confidence.min(), frame.accuracy.min(), 0.5)
    low = max(0.0, np.floor(low * 10) / 10)
    width = (WIDTH - 0.5) / min(columns, len(groups)) - 0.15
    said = []
    for i, (ax, (method, bins)) in enumerate(zip(axes, groups.items(), strict=True)):
        bins = bins.sort_values("confidence")
        share = bins["count"] / bins["count"].sum()
        ece = float((share * (bins.accuracy - bins.confidence).abs()).sum())
        ax.plot([low, 1], [low, 1], color=_colour("soft"), linewidth=1, linestyle=DASHES[1])
        ax.vlines(bins.confidence, bins.confidence, bins.accuracy, color=_class_colour(4), linewidth=1.6)
        ax.scatter(bins.confidence, bins.accuracy, s=12 + 260 * share, color=_colour("ink"), alpha=0.85, zorder=3)
        pad = 0.05 * (1 - low)
        ax.set(xlim=(low - pad, 1 + pad), ylim=(low - pad, 1 + pad))
        ax.set_box_aspect(1)
        ax.locator_params(nbins=4)
        ax.set(xlabel="confidence" if i >= len(groups) - columns else "", ylabel="accuracy" if i % columns == 0 else "")
        _title(ax, _wrap(titles[method], width), f"ECE {ece:.3f}")
        above = float((share * (bins.confidence - bins.accuracy)).sum())
        lean = "over-confident" if above > 0 else "under-confident"
        said.append(f"{titles[method]}: ECE {ece:.3f}, {lean} by {abs(above):.3f} on average")
    _finish(fig)
    caption = (
        "Accuracy of the predictions of each confidence; the area of a dot is their share, the dashed line perfect "
        "calibration. Below the line a network is over-confident. ECE is the mean distance from the line."
    )
    return Plot(fig, caption, f"Reliability diagrams. {'; '.join(said)}.")


# --- Looks and words ----------------------------------------------------------------------------------------------


def _columns(count) -> int:
    """Panels to a row: three, or two where that leaves no gap."""
    return 2 if count in (1, 2, 4) else 3


def _panels(count, columns, height, *, width=None, layout="constrained", **shared):
    """A figure of `count` panels, so many to a row, each of a height in inches: (figure, panels)."""
    if not count:
        raise ValueError("expected something to draw, got nothing")
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (width or (NARROW if count == 1 else WIDTH), rows * height + 0.35)
    fig = Figure(figsize=size, layout=layout)
    axes = fig.subplots(rows, columns, squeeze=False, **shared).ravel()
    for ax in axes[count:]:
        ax.remove()
    for ax in axes[max(0, count - columns) : count]:  # the lowest of each column, also where the last row is short
        ax.tick_params(labelbottom=True)
    return fig, list(axes[:count])


def _colour(role) -> tuple[float, float, float]:
    return to_rgb(matplotlib.rcParams[ROLES[role]])


def _class_colour(c) -> tuple[float, float, float]:
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return to_rgb(colours[c % len(colours)])


def _method_look(method, titles):
    """Colour and dashes of a method's line; blue and orange stay with classes 0 and 1."""
    i = list(titles).index(method)
    return _class_colour(2 + i % 10), DASHES[i % len(DASHES)]


def _keys(domains, classes) -> tuple[list, list]:
    """Entries of the legend: a marker for each domain, a colour for each class."""
    markers, colours = [], []
    for k in range(min(domains, LEGEND)):
        more = f" to {domains - 1}" if k == LEGEND - 1 and domains > LEGEND else ""
        looks = {"marker": MARKERS[k], "markersize": 6, "markeredgewidth": 1.6 if MARKERS[k] == "x" else 0}
        markers.append(Line2D([], [], linestyle="none", color=_colour("ink"), label=f"domain {k}{more}", **looks))
    for c in range(min(classes, LEGEND)):
        more = f" to {classes - 1}" if c == LEGEND - 1 and classes > LEGEND else ""
        colours.append(Patch(facecolor=_class_colour(c), label=f"class {c}{more}"))
    return markers, colours


def _finish(fig, *groups, columns=6) -> None:
    """Lays the panels out for good, and puts a legend right above them: groups of entries, so many to a line."""
    fig.get_layout_engine().execute(fig)
    fig.set_layout_engine("none")  # the legend's place depends on the panels', not they on it
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
        wide = -(-len(keys) // lines)
        blank = Line2D([], [], linestyle="none", label=" ")
        grid = np.array(keys + [blank] * (lines * wide - len(keys)), object).reshape(lines, wide)
        handles = list(grid.T.ravel())  # Matplotlib fills a legend column by column
        legend = fig.legend(handles=handles, loc="lower center", ncols=wide, bbox_to_anchor=(x, y))
        y = legend.get_window_extent().transformed(fig.transFigure.inverted()).y1


def _log(axis):
    """A logarithmic axis with plain numbers."""
    axis._set_axes_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _title(ax, title, below=""):
    """A panel's title, and a number under it."""
    ax.set_title(title + ("\n" if title and below else "") + below, linespacing=1.3)


def _titles(titles, methods) -> dict[str, str]:
    """Titles of all methods: those given, in their order, then those without one, by name."""
    return {**(titles or {}), **{m: str(m) for m in methods if m not in (titles or {})}}


def _wrap(text, inches) -> str:
    return textwrap.fill(str(text), max(10, int(inches * 72 / 6.4)), break_long_words=True)


def _plus_minus(pair, digits=3) -> str:
    """“0.983 ± 0.005” of (mean, sd), “0.983” of (mean,), a number, or where sd is not known; nothing of None."""
    known = [] if pair is None else [value for value in np.atleast_1d(pair) if np.isfinite(value)]
    return " ± ".join(f"{value:.{digits}f}" for value in known).replace("-", "−")


def _signed(value) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _percent(share) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def _count(n, one, many=None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _range(counts, one) -> str:
    low, high = min(counts), max(counts)
    return _count(high, one) if low == high else f"{low} to {high} {one}s"
