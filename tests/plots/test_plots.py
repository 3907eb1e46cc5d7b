"""Figures: what is drawn, and captions and alt texts whose numbers are those of the data."""

import base64
import io
import subprocess
import sys
from itertools import combinations, pairwise
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.markers import CARETLEFT
from PIL import Image

from kdlib import display, plots
from kdlib.data import from_arrays
from kdlib.plots import decision_regions, images, theme
from kdlib.plots.plane import Plane, density

TITLES = {"ffnn": "FFNN", "mean": "Student of the mean", "kernels": "Student of kernels"}
MEANS = {"ffnn": 0.97, "mean": 0.96, "kernels": 0.985}


def dataset(features=2, classes=2, domains=3, samples=400, name="made"):
    rng = np.random.default_rng(0)
    y, d = np.arange(samples) % classes, np.arange(samples) // 2 % domains
    d[:domains] = np.arange(domains)
    x = rng.normal(size=(samples, features)) + 3 * rng.normal(size=(domains, features))[d]
    return from_arrays(name, {"x_train": x, "y_train": y, "d_train": d, "x_valid": x, "y_valid": y})


def points(*args, shift=0.0, **sizes):
    """What a `boundaries.npz` holds of a dataset's training points."""
    train = dataset(*args, **sizes).train
    plane = Plane(train.x)
    points = plane.project(train.x) + shift
    return {"points": points, "points_y": train.y, "points_d": train.d, "plane": plane.is_projection,
            "variance": plane.variance}  # fmt: skip


def maps(classes=2, bayes=True, methods=("ffnn", "kernels"), plane=0):
    """All seeds decide class 1 right of zero; three of four do between -1 and 0; Bayes agrees with the vote."""
    x, y = np.linspace(-3, 3, 30), np.linspace(-2, 2, 20)
    votes = np.zeros((classes, 20, 30))
    votes[1] = np.where(x > 0, 1, np.where(x > -1, 0.25, 0))
    votes[0] = 1 - votes[1]
    arrays = {"axis0": x, "axis1": y, "plane": np.array(plane), "points": np.random.default_rng(0).normal(size=(50, 2))}
    arrays["variance"] = np.array([0.5, 0.25])
    arrays |= {"points_y": np.arange(50) % classes, "points_d": np.arange(50) % 3}
    arrays |= {f"{method}/{kind}": votes for method in methods for kind in ("votes", "mean")}
    return arrays | ({"bayes/mean": votes} if bayes else {})


def shifted(*args, **settings):
    """Maps on which the kernels' student decides the other class left of -2."""
    arrays = maps(*args, **settings)
    votes = arrays["kernels/votes"].copy()
    votes[:2, :, arrays["axis0"] < -2] = [[[0]], [[1]]]
    return arrays | {"kernels/votes": votes}


def results(names=("a",), means=MEANS, seeds=4, domains=3):
    rows = [
        (name, method, seed, "test", domain, "accuracy", mean + 0.002 * (seed - 1.5) - 0.01 * max(k - 1, 0))
        for name in names
        for method, mean in means.items()
        for seed in range(seeds)
        for k, domain in enumerate(["all", *map(str, range(domains))])
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "seed", "split", "domain", "metric", "value"])


def fits(epochs=5, members=3, watched=True):
    loss = np.linspace(1, 0.2, epochs)[:, None] * np.linspace(0.9, 1.1, members)
    scores = {"loss": loss, "accuracy": 1 - loss / 4} if watched else {}
    return SimpleNamespace(loss=loss, watched=scores, scored=np.arange(1, epochs + 1))


def titles_of(figure):
    return [ax.get_title("left") for ax in figure.axes]


def row_labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


DIFFERENCES = pd.DataFrame(
    [("A", 0.01, 0.005, 0.015, "better"), ("B", -0.001, -0.004, 0.002, "unclear")],
    columns=["label", "mean", "low", "high", "verdict"],
)
BINS = pd.DataFrame(
    {"method": "ffnn", "confidence": [0.6, 0.8, 0.95], "accuracy": [0.5, 0.8, 0.9], "count": [10, 30, 60]}
)
TABLE = pd.DataFrame(np.arange(6.0).reshape(2, 3) / 10, index=pd.Index([0, 1], name="alpha"), columns=[1, 2, 4])
SWEPT = pd.DataFrame(
    [(name, method, alpha, "8", mean, mean - 0.01, mean + 0.01)
     for name in ("a", "b $x$ _y") for method in ("ffnn", "kernels") for alpha, mean in ((0, 0.9), (1, 0.97))],
    columns=["dataset", "method", "alpha", "hidden", "mean", "low", "high"],
)  # fmt: skip
SPREAD = pd.DataFrame(
    [(label, f"d{i}", value + i / 100, verdict) for i in range(9) for label, value, verdict in
     (("KD, as in the original", -12.0, "worse"), ("KD, kernel teachers", 0.5, "better"),
      ("KD, $x$ _y", -0.04, "no significant difference"))],
    columns=["label", "dataset", "value", "verdict"],
)  # fmt: skip
ALPHA, HIDDEN = ("alpha", [0, 0.5, 1]), ("hidden", ["8", "64-32"])

EVERY = {
    "points": lambda: plots.training_points(dataset()),
    "points, one feature": lambda: plots.training_points(dataset(1, 3, 4)),
    "points, many": lambda: plots.training_points(dataset(5, 12, 12)),
    "points, more than there are colours": lambda: plots.training_points(dataset(3, 30, 14)),
    "points, constant features": lambda: plots.training_points(
        from_arrays("c", {"x_train": np.zeros((4, 3)), "y_train": [0, 1, 0, 1], "d_train": [0] * 4,
                          "x_valid": np.zeros((1, 3)), "y_valid": [0]})),
    "points grid": lambda: plots.training_points_grid({"a": points(), "b $x$ _y": points(1), "c": points(7, 3)}),
    "learning curves": lambda: plots.learning_curves({"ffnn": fits(), "kernels": fits(watched=False)}, TITLES),
    "learning curves, one epoch": lambda: plots.learning_curves({"ffnn": fits(1, 1)}),
    "boundaries": lambda: plots.boundaries(maps(), "made", TITLES),
    "boundaries, four classes": lambda: plots.boundaries(maps(4, bayes=False, plane=1), "made", TITLES),
    "disagreement": lambda: plots.disagreement({"made": shifted()}, TITLES, "ffnn"),
    "disagreement, four classes": lambda: plots.disagreement({"made": shifted(4, False, plane=1)}, TITLES, "ffnn"),
    "disagreement, none": lambda: plots.disagreement({"a": maps(), "b": maps(bayes=False)}, TITLES, "ffnn"),
    "accuracies": lambda: plots.accuracies(results(), TITLES, "test", 0.99),
    "accuracies, one seed": lambda: plots.accuracies(results(seeds=1), {}, "test"),
    "per domain": lambda: plots.per_domain(results(domains=12), TITLES, "test"),
    "forest": lambda: plots.forest(pd.concat([DIFFERENCES.assign(dataset=name) for name in "ab"])),
    "forest, many": lambda: plots.forest(
        pd.concat([DIFFERENCES.assign(dataset=name) for name in "abcd"]), ceilings={"a": 0.02}),
    "forest, one seed": lambda: plots.forest(DIFFERENCES.assign(low=np.nan, high=np.nan), clip=True),
    "spread": lambda: plots.spread(SPREAD),
    "spread, one dataset": lambda: plots.spread(SPREAD[:1]),
    "ablation": lambda: plots.cumulative_ablation(pd.concat([DIFFERENCES.assign(dataset=name) for name in "abc"])),
    "ablation, one step": lambda: plots.cumulative_ablation(DIFFERENCES[:1]),
    "heat map": lambda: plots.heat_map(TABLE, "accuracy", x="temperature", marks=TABLE == 0.5),
    "heat map, diverging": lambda: plots.heat_map(np.array([[-1.0, np.nan]]), "difference", centre=0),
    "reliability": lambda: plots.reliability(BINS, TITLES),
    "setting": lambda: plots.accuracy_by_setting(SWEPT, *ALPHA, TITLES, {"a": 0.99}),
    "setting, one seed": lambda: plots.accuracy_by_setting(SWEPT.assign(low=np.nan, high=np.nan), *ALPHA, TITLES),
    "two settings": lambda: plots.accuracy_by_two_settings(SWEPT, SWEPT[:1], ALPHA, HIDDEN, TITLES),
    "two settings, one dataset": lambda: plots.accuracy_by_two_settings(
        SWEPT[SWEPT.dataset == "a"], SWEPT[:1], ("hidden", ["8"]), ("alpha", range(30)), {"kernels": "Best"}),
}  # fmt: skip


@pytest.fixture
def shown(monkeypatch):
    """What notebooks are given to display: (data, metadata) each."""
    given = []
    monkeypatch.setattr(display, "publish_display_data", lambda *each, **more: given.append(each))
    return given


@pytest.mark.parametrize("name", EVERY)
def test_each_draws_without_a_warning_and_leaves_the_session_as_it_was(name):
    before = dict(matplotlib.rcParams)
    plot = EVERY[name]()
    assert dict(matplotlib.rcParams) == before
    assert plot.caption.endswith(".") and plot.alt.endswith(".") and plot.caption != plot.alt
    assert len(plot.data) and plot.draw(theme.NARROW).get_figwidth() <= 3.75 < plot.figure.get_figwidth()
    assert not any(slip in plot.alt + plot.caption for slip in ("nan", "None", "..", "  ", "-0"))
    plot.figure.savefig(file := io.BytesIO(), format="png", dpi=50, bbox_inches="tight")
    assert file.tell() > 2000


def test_the_same_data_give_the_same_figure():
    def image():
        plots.accuracies(results(), TITLES, "test", 0.99).figure.savefig(file := io.BytesIO(), format="png", dpi=40)
        return file.getvalue()

    assert image() == image()


@pytest.mark.slow
def test_drawing_needs_neither_pyplot_nor_tensorflow():
    code = "import sys, kdlib.plots as p; sys.exit(any(m in sys.modules for m in ('matplotlib.pyplot', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_class_has_its_colour_and_a_domain_its_marker_everywhere():
    assert len(set(theme.MARKERS)) == 12 and theme.MARKERS[:3] == ("x", "s", "o")
    with matplotlib.rc_context(fname=theme.STYLE):
        colours = [to_hex(theme.class_colour(c)) for c in range(12)]
        methods = {theme.method_style(name)["color"] for name in theme.METHODS}
        assert theme.method_style("of mine") == theme.method_style("of mine")
    assert len(set(colours)) == 12 and colours[:2] == ["#0072b2", "#d55e00"]
    assert len(methods) == len(theme.METHODS) and not {to_hex(colour) for colour in methods} & set(colours[:2])
    figures = [plots.training_points(dataset(5, 12, 12)).figure, plots.boundaries(maps(12), "made", TITLES).figure]
    for figure in figures:
        labels = {
            text.get_text(): handle
            for legend in figure.legends
            for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        }
        assert [to_hex(labels[f"class {c}"].get_facecolor()) for c in range(12)] == colours
        assert [labels[f"domain {k}"].get_marker() for k in range(3)] == list(theme.MARKERS[:3])
    domains = figures[0].axes[0].collections
    assert len(domains) == 12 and {to_hex(c) for points in domains for c in points.get_facecolors()} == set(colours)


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith(("heat map", "two settings"))])
def test_colours_on_a_dark_page_are_those_of_drawing_in_its_style(name, shown, monkeypatch):
    monkeypatch.setattr(images, "DOTS_PER_INCH", 100)
    plot = EVERY[name]()
    plot.show()
    with Image.open(io.BytesIO(base64.b64decode(shown[0][0][display.IMAGES["dark"]]))) as image:
        recoloured = np.asarray(image.convert("RGB"), int)
    expected = np.asarray(images._drawn(plot.draw(theme.DARK)).convert("RGB"), int)
    difference = np.abs(recoloured - expected).max(axis=2)
    assert recoloured[0, 0].tolist() == expected[0, 0].tolist() == [0x15, 0x17, 0x1B]
    assert np.mean(difference > 32) < 0.02 and difference.mean() < 2


def test_a_heat_map_keeps_its_colours_on_a_dark_page(shown):
    EVERY["heat map"]().show()
    light, dark = (shown[0][0][display.IMAGES[style]] for style in ("light", "dark"))
    colours = [Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB").getcolors() for each in (light, dark)]
    cividis = matplotlib.colormaps["cividis"]([0.0, 0.5, 1.0], bytes=True)[:, :3]
    for page in colours:
        page = np.array([colour for _, colour in page])
        assert max(np.abs(page - each).max(axis=1).min() for each in cividis.astype(int)) < 24


def test_show_hands_over_images_caption_alt_and_numbers(shown):
    plot = plots.forest(DIFFERENCES)
    plot.show(name="differences")
    (images, meta), (caption, _) = shown
    assert {*display.IMAGES.values(), "image/png"} < images.keys() and caption["text/plain"] == plot.caption
    meaning = meta["kdlib"]
    assert (meaning["caption"], meaning["alt"], meaning["name"]) == (plot.caption, plot.alt, "differences")
    assert meaning["data"]["columns"] == list(plot.data.columns) and len(meaning["data"]["rows"]) == len(plot.data)


def test_what_was_shown_is_not_drawn_again_until_its_arguments_change(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("KDLIB_CACHE", str(tmp_path / "cache"))
    plots.forest(DIFFERENCES).show()
    first, shown[:] = list(shown), []
    monkeypatch.setattr(images, "_drawn", lambda figure: pytest.fail("drawn again"))
    again = plots.forest(DIFFERENCES.copy())
    again.show()
    assert shown == first
    assert again.figure.axes and len(again.data) == len(DIFFERENCES)  # whoever asks for more, gets it drawn
    with pytest.raises(pytest.fail.Exception):
        plots.forest(DIFFERENCES.assign(mean=DIFFERENCES["mean"] + 1e-9)).show()
    with pytest.raises(pytest.fail.Exception):
        plots.forest(DIFFERENCES, corrected=True).show()


def test_training_points_are_counted_and_their_domains_measured():
    train = dataset().train
    plot = plots.training_points(dataset())
    assert "400 training points in 3 domains and 2 classes" in plot.caption and "Scatter plot of made" in plot.alt
    groups = [train.x[train.d == k] for k in range(3)]
    within = np.sqrt(np.mean([group.var(axis=0).mean() for group in groups]))
    gaps = [np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)) / within for a, b in combinations(groups, 2)]
    assert f"means are {min(gaps):.1f} to {max(gaps):.1f} standard deviations apart" in plot.alt
    assert sum(len(domain.get_offsets()) for domain in plot.figure.axes[0].collections) == 400


def test_more_than_two_features_are_projected_and_the_share_of_variance_told():
    plot, x = plots.training_points(dataset(6, 2, 1)), dataset(6, 2, 1).train.x
    plane, (ax,) = Plane(x), plot.figure.axes
    assert f"of the 6 standardised features; together they hold {plane.variance.sum():.0%} of the" in plot.caption
    assert ax.get_xlabel() == f"component 1 ({plane.variance[0]:.0%} of variance)"
    drawn = np.sort(ax.collections[0].get_offsets(), axis=0)
    np.testing.assert_allclose(drawn, np.sort(plane.project(x), axis=0))


def test_a_grid_of_points_has_one_scale_where_it_shows_all_and_names_components():
    same = plots.training_points_grid({f"shift {shift}": points(shift=shift) for shift in (0, 1)})
    first, second = same.figure.axes
    assert first.get_xlim() == second.get_xlim() and "one scale" in same.caption
    assert titles_of(same.figure) == ["shift 0", "shift 1"]
    other = plots.training_points_grid({"far": points(shift=1000), "projected": points(7), "line": points(1)})
    assert "one scale" not in other.caption
    labels = [" ".join(ax.get_xlabel().split()) for ax in other.figure.axes]
    assert labels[0] == labels[2] == "feature 1" and labels[1].startswith("component 1 (")
    assert [tick.get_text() for tick in other.figure.axes[2].get_yticklabels()] == ["0", "1", "2"]


def test_learning_curves_tell_the_last_medians_and_leave_out_what_diverged():
    plot = plots.learning_curves({"ffnn": fits()}, TITLES)
    assert "FFNN: loss 0.2, validation accuracy 0.950" in plot.alt and "5 epochs" in plot.alt
    assert "3 seeds" in plot.caption and len(plot.figure.axes) == 2
    np.testing.assert_allclose(plot.figure.axes[0].lines[0].get_ydata(), fits().loss[:, 1])
    fit = fits(members=4)
    fit.loss[2:, 0] = np.nan
    plot = plots.learning_curves({"ffnn": fit})
    assert "1 run diverged and is left out" in plot.caption
    np.testing.assert_allclose(plot.figure.axes[0].lines[0].get_ydata(), np.median(fit.loss[:, 1:], axis=1))


def test_boundaries_draw_the_votes_of_the_methods_that_have_titles(tmp_path):
    arrays = {key: value.astype(np.float16) if "/" in key else value for key, value in maps().items()}
    np.savez(tmp_path / "boundaries.npz", **arrays)  # in half precision, as a report has them
    with np.load(tmp_path / "boundaries.npz") as file:
        plot = plots.boundaries(file, "made", {"kernels": "Best", "other": "Not run"})
    assert titles_of(plot.figure) == ["Best"]
    votes = maps()["kernels/votes"]
    assert f"Best: class 0 {100 * np.mean(votes.argmax(axis=0) == 0):.1f}%" in plot.alt
    assert f"nine in ten seeds agree on {100 * np.mean(votes.max(axis=0) < 0.9):.1f}%" in plot.alt
    image = plot.figure.axes[0].images[0].get_array()  # (h, w, rgb)
    blue, orange = image[0, 0], image[0, -1]
    assert blue[2] > blue[0] and orange[0] > orange[2]
    assert image[0, 12].sum() < blue.sum()  # where one seed in four disagrees it is darker


def test_disagreement_weights_by_density_what_is_decided_otherwise():
    arrays = shifted()
    plot = plots.disagreement({"made": arrays}, TITLES, "ffnn")
    assert plot.data["reference"].unique().tolist() == ["Bayes"] and "than Bayes" in plot.caption
    otherwise = {m: 1 - np.where(arrays["bayes/mean"].argmax(axis=0) == 1, *arrays[f"{m}/votes"][::-1])
                 for m in ("ffnn", "kernels")}  # fmt: skip
    weights = density(arrays)
    assert weights.sum() == pytest.approx(1) and weights.shape == (20, 30)
    expected = [100 * (weights * each).sum() for each in otherwise.values()]
    assert plot.data["decided otherwise, %"].tolist() == pytest.approx(expected)
    assert expected[1] < 100 * np.mean(otherwise["kernels"])  # there are fewer points at the edge
    unknown = plots.disagreement({"made": shifted(bayes=False)}, TITLES, "ffnn")
    assert unknown.data[["method", "reference"]].to_numpy().tolist() == [["Student of kernels", "FFNN"]]


def test_disagreement_on_several_datasets_is_a_grid_of_datasets_and_methods():
    known, unknown = shifted(), shifted(bayes=False)
    plot = plots.disagreement({"a": known, "b": unknown}, TITLES, "ffnn")
    axes = np.array(plot.figure.axes).reshape(2, -1)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["a", "b"]
    heads, below = [[ax.get_title(loc="left") for ax in row] for row in axes]
    assert [head.partition("\n")[0] for head in heads[:2]] == ["FFNN", "Student of kernels"]
    assert not axes[1, 0].get_frame_on() and below[0] == ""  # FFNN is the reference there
    assert all(number.endswith("%") and "\n" not in number for number in below[1:])
    narrow = titles_of(plot.draw(theme.NARROW))
    assert narrow[0].startswith("a · FFNN\n") and len(narrow) == plot.data.shape[0]


def test_boundaries_of_one_feature_are_a_strip():
    known = maps()
    known["points"] = known["points"] * [1, 0]
    plot = plots.boundaries(known, "made", TITLES)
    assert plot.figure.axes[0].get_box_aspect() < 0.5
    assert not known["points"][:, 1].any()  # what was passed in stays as it was


def test_the_bayes_boundary_is_where_the_posterior_is():
    (margin,) = decision_regions._margins(maps()["bayes/mean"])
    assert margin.max() == 1 and margin.min() == -1
    posterior = np.eye(4)[np.arange(20).reshape(4, 5) % 3].transpose(2, 0, 1)
    assert len(decision_regions._margins(posterior)) == 3  # one class is nowhere


def test_accuracies_tell_mean_and_deviation_over_seeds():
    plot = plots.accuracies(results(), TITLES, "test", 0.99)
    sd = np.std([0, 0.2, 0.4, 0.6], ddof=1)
    assert f"FFNN 97.00 ± {sd:.2f}" in plot.alt and "Bayes reaches 99.00" in plot.alt and "4 seeds" in plot.caption
    (ax,) = plot.figure.axes
    assert row_labels(ax) == list(TITLES.values())
    assert any(np.allclose(line.get_xdata(), 99) for line in ax.lines)
    assert [len(dots.get_offsets()) for dots in ax.collections] == [4, 4, 4]


def test_a_method_far_below_becomes_an_arrow_and_keeps_its_number():
    plot = plots.accuracies(results(means={**MEANS, "two_heads": 0.975, "original": 0.5}), {}, "test", 1.0)
    (ax,) = plot.figure.axes
    assert ax.get_xlim()[0] > 90 and ax.get_xlim()[1] > 100 and "arrow" in plot.caption
    assert "50.00 ± 0.26" in texts(ax)
    assert "arrow" not in plots.accuracies(results(), TITLES, "test", 0.99).caption


def test_the_methods_that_have_titles_are_drawn_and_bayes_is_a_line():
    frame = results(means={**MEANS, "bayes": 0.99})
    titles = {"ffnn": "FFNN", "kernels": "Best", "bayes": "Bayes"}
    assert row_labels(plots.accuracies(frame, titles, "test", 0.99).figure.axes[0]) == ["FFNN", "Best"]
    assert row_labels(plots.accuracies(frame, titles, "test").figure.axes[0]) == ["FFNN", "Best", "Bayes"]


def test_results_without_the_split_asked_for_are_refused():
    with pytest.raises(ValueError, match=r"split 'fresh'.*splits: test"):
        plots.accuracies(results(), TITLES, "fresh")


def test_runs_that_are_not_finite_are_left_out():
    frame = results()
    frame.loc[(frame.method == "ffnn") & (frame.seed == 0), "value"] = np.nan
    plot = plots.accuracies(frame, TITLES, "test")
    assert "FFNN 97.10" in plot.alt and "3 to 4 seeds" in plot.caption


def test_accuracies_per_domain_tell_the_weakest_domain():
    frame = pd.concat([results(), results(means={"bayes": 0.99}, seeds=1)])
    plot = plots.per_domain(frame, TITLES | {"bayes": "Bayes"}, "test")
    assert "FFNN 95.0 (domain 2) to 97.0 (domain 0)" in plot.alt and "of 4 seeds, and" in plot.caption
    markers = [line.get_marker() for line in plot.figure.axes[0].lines if line.get_marker() in theme.MARKERS]
    assert markers == ["x", "s", "o"] * 4


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_the_scale_that_panels_share_holds_all_of_them(names):
    """Also what lies outside the range of the first panel."""
    grown = [DIFFERENCES.assign(dataset=name) for name in names]
    for times, frame in enumerate(grown):
        frame[["mean", "low", "high"]] *= 8.0**times
    axes = plots.forest(pd.concat(grown)).figure.axes
    assert len(axes) == len(names)
    for ax, frame in zip(axes, grown, strict=True):
        left, right = ax.get_xlim()
        assert left < 100 * frame.low.min() and 100 * frame.high.max() < right


def test_a_forest_fills_what_excludes_zero():
    plot = plots.forest(DIFFERENCES)
    interval = "+1.00 [+0.50,\u00a0+1.50]"
    assert f"A: {interval}, better; B: −0.10 [−0.40,\u00a0+0.20], unclear" in plot.alt
    assert "95% intervals" in plot.caption and "1 of 2" in plot.caption and interval in texts(plot.figure.axes[0])
    dots = [line for line in plot.figure.axes[0].lines if line.get_marker() == "o"]
    paper = plot.figure.axes[0].get_facecolor()[:3]
    assert [to_rgb(dot.get_markerfacecolor()) == paper for dot in dots] == [False, True]
    assert "95% intervals, corrected" in plots.forest(DIFFERENCES, corrected=True).caption


@pytest.mark.parametrize(("clip", "lowest"), [(False, -31), (True, -0.4)])
def test_a_clipped_forest_tells_the_near_ones_apart(clip, lowest):
    far = pd.DataFrame({"label": ["far"], "mean": [-0.3], "low": [-0.31], "high": [-0.29], "verdict": ["worse"]})
    plot = plots.forest(pd.concat([DIFFERENCES, far], ignore_index=True), clip=clip)
    left, _ = plot.figure.axes[0].get_xlim()
    assert lowest - 3 < left < lowest and ("arrow" in plot.caption) == clip
    arrows = [line for line in plot.figure.axes[0].lines if line.get_marker() == CARETLEFT]
    assert len(arrows) == clip and "far: −30.00" in plot.alt
    assert "arrow" not in plots.forest(DIFFERENCES, clip=clip).caption


def test_intervals_of_few_seeds_are_cut_where_no_difference_can_be():
    wide = DIFFERENCES.assign(low=DIFFERENCES["mean"] - 4, high=DIFFERENCES["mean"] + 4)
    plot = plots.forest(pd.concat([wide.assign(dataset=name) for name in "abcd"], ignore_index=True), clip=True)
    plot.figure.draw_without_rendering()
    for ax in plot.figure.axes:
        assert ax.get_xlim() == pytest.approx((-110, 110), abs=2)
        numbers = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        assert len(numbers) > 2 and all(one.x1 + 4 < other.x0 for one, other in pairwise(numbers))
    assert "cut at ±100 points" in plot.caption and "A on a: +1.00 [−399.00,\u00a0+401.00]" in plot.alt
    assert "cut at" not in plots.forest(DIFFERENCES).caption


@pytest.mark.parametrize("styles", [(), (theme.NARROW,)], ids=["wide", "narrow"])
def test_numbers_and_arrows_of_small_panels_keep_clear_of_others(styles):
    far = pd.DataFrame({"label": ["a method of a long name"], "mean": [-0.14], "low": [-0.142], "high": [-0.138]})
    rows = pd.concat([DIFFERENCES, far], ignore_index=True)
    every = pd.concat([rows.assign(dataset=name) for name in "abcd"], ignore_index=True)
    figure = plots.forest(every, clip=True).draw(*styles)
    figure.draw_without_rendering()
    for ax in figure.axes:
        numbers = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        assert all(one.x1 + 4 < other.x0 for one, other in pairwise(numbers))
        (arrow,) = [line for line in ax.lines if line.get_marker() == CARETLEFT]
        extent = arrow.get_window_extent()
        labels = [label.get_window_extent() for label in ax.get_yticklabels() if label.get_visible()]
        assert not any(label.overlaps(extent) for label in labels)


def test_a_spread_counts_verdicts_and_fills_what_is_shown():
    plot = plots.spread(SPREAD)
    assert "a dot per dataset (9)" in plot.caption
    assert (
        "KD, as in the original: median −11.96, worse on 9; KD, kernel teachers: median +0.54, better on 9" in plot.alt
    )
    assert "_y: median +0.00, no significant difference on 9." in plot.alt
    dots = [dots for dots in plot.figure.axes[0].collections if len(dots.get_offsets())]
    assert [(len(d.get_offsets()), len(d.get_facecolor())) for d in dots] == [(9, 1), (9, 1), (9, 0)]
    with pytest.raises(ValueError, match="at least one difference"):
        plots.spread(SPREAD[:0])


def test_a_cumulative_ablation_tells_each_gain():
    plot = plots.cumulative_ablation(DIFFERENCES.assign(seeds=10))
    assert "A 1.0, then B −0.1 (−1.1)" in plot.alt and "−1.1" in texts(plot.figure.axes[0])
    assert "95% interval over 10 seeds, and" in plot.caption


def test_a_heat_map_tells_the_extremes_and_the_marked():
    plot = plots.heat_map(TABLE, "accuracy", x="temperature", marks=TABLE == 0.5)
    assert "from 0.000 at temperature 1, alpha 0 to 0.500 at temperature 4, alpha 1" in plot.alt
    assert "0.500 ★" in texts(plot.figure.axes[0])
    with pytest.raises(ValueError, match="marks: expected booleans of shape"):
        plots.heat_map(TABLE, "accuracy", marks=[[True]])


def test_reliability_computes_the_calibration_error():
    plot = plots.reliability(BINS, TITLES)
    ece = 0.1 * 0.1 + 0.3 * 0 + 0.6 * 0.05
    assert f"ECE {ece:.3f}, over-confident by {ece:.3f}" in plot.alt
    assert titles_of(plot.figure) == [f"FFNN\nECE {ece:.3f}"]


def test_accuracy_by_settings_tells_the_ends_and_what_was_selected():
    lines = plots.accuracy_by_setting(SWEPT, *ALPHA, TITLES, {"a": 0.99})
    assert "FFNN on a: 90.00 at 0 to 97.00 at 1" in lines.alt and "Bayes ceiling 99.00" in titles_of(lines.figure)[0]
    tables = plots.accuracy_by_two_settings(SWEPT, SWEPT[:1], ALPHA, HIDDEN, TITLES)
    text = "from 90.00 at alpha 0, hidden 8 to 97.00 at alpha 1, hidden 8"
    assert f"FFNN on a: {text}, selected 90.00 at alpha 0, hidden 8." in tables.alt
    assert sum("★" in text for ax in tables.figure.axes for text in texts(ax)) == 1
