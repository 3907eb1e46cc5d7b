"""Figures: what is drawn, and captions and alt texts whose numbers are those of the data."""

import io
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import CARETLEFTBASE

from kdlib import display, plots
from kdlib.data import from_arrays, gaussians
from kdlib.plots import decision_regions as plot_maps
from kdlib.plots import theme

TITLES = {"ffnn": "FFNN", "kd_mean": "Student of the mean", "kd_best": "Student of kernels"}
MEANS = {"ffnn": 0.97, "kd_mean": 0.96, "kd_best": 0.985}


def made(features=2, classes=2, domains=3, samples=400, name="made"):
    rng = np.random.default_rng(0)
    y, d = np.arange(samples) % classes, np.arange(samples) // 2 % domains
    d[:domains] = np.arange(domains)
    x = rng.normal(size=(samples, features)) + 3 * rng.normal(size=(domains, features))[d]
    return from_arrays(name, {"x_train": x, "y_train": y, "d_train": d, "x_valid": x, "y_valid": y})


def results(names=("a",), means=MEANS, seeds=4, domains=3):
    rows = [
        (name, method, seed, "test", domain, "accuracy", mean + 0.002 * (seed - 1.5) - 0.01 * max(k - 1, 0))
        for name in names
        for method, mean in means.items()
        for seed in range(seeds)
        for k, domain in enumerate(["all", *map(str, range(domains))])
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "seed", "split", "domain", "metric", "value"])


def maps(classes=2, bayes=True, methods=("ffnn", "kd_best"), plane=0):
    """All seeds decide class 1 right of zero; three of four do between -1 and 0; Bayes agrees with the vote."""
    x, y = np.linspace(-3, 3, 30), np.linspace(-2, 2, 20)
    votes = np.zeros((classes, 20, 30))
    votes[1] = np.where(x > 0, 1, np.where(x > -1, 0.25, 0))
    votes[0] = 1 - votes[1]
    found = {"axis0": x, "axis1": y, "plane": np.array(plane), "points": np.random.default_rng(0).normal(size=(50, 2))}
    found |= {"points_y": np.arange(50) % classes, "points_d": np.arange(50) % 3}
    for method in methods:
        found |= {f"{method}/votes": votes, f"{method}/mean": votes}
    return found | ({"bayes/mean": votes} if bayes else {})


def fits(epochs=5, members=3, watched=True):
    loss = np.linspace(1, 0.2, epochs)[:, None] * np.linspace(0.9, 1.1, members)
    return SimpleNamespace(loss=loss, watched={"loss": loss, "accuracy": 1 - loss / 4} if watched else {})


FOREST = pd.DataFrame(
    [("A", 0.01, 0.005, 0.015, "better"), ("B", -0.001, -0.004, 0.002, "unclear")],
    columns=["label", "mean", "low", "high", "verdict"],
)
BINS = pd.DataFrame(
    {"method": "ffnn", "confidence": [0.6, 0.8, 0.95], "accuracy": [0.5, 0.8, 0.9], "count": [10, 30, 60]}
)
TABLE = pd.DataFrame(np.arange(6.0).reshape(2, 3) / 10, index=pd.Index([0, 1], name="alpha"), columns=[1, 2, 4])

SWEPT = pd.DataFrame(
    [(name, method, alpha, "8", mean, mean - 0.01, mean + 0.01)
     for name in ("a", "b $x$ _y") for method in ("ffnn", "kd_best") for alpha, mean in ((0, 0.9), (1, 0.97))],
    columns=["dataset", "method", "alpha", "hidden", "mean", "low", "high"],
)  # fmt: skip

SPREAD = pd.DataFrame(
    [(label, f"d{i}", value + i / 100, verdict) for i in range(9) for label, value, verdict in
     (("KD, as in the original", -12.0, "worse"), ("KD, kernel teachers", 0.5, "better"),
      ("KD, $x$ _y", -0.04, "no difference shown"))],
    columns=["label", "dataset", "value", "verdict"],
)  # fmt: skip

EVERY = {
    "scatter": lambda: plots.scatter(made()),
    "scatter, one feature": lambda: plots.scatter(made(1, 3, 4)),
    "scatter, many": lambda: plots.scatter(made(5, 12, 12)),
    "scatter, more than there are looks": lambda: plots.scatter(made(3, 30, 14)),
    "scatter, constant feature": lambda: plots.scatter(
        from_arrays("c", {"x_train": np.zeros((4, 3)), "y_train": [0, 1, 0, 1], "d_train": [0] * 4,
                                   "x_valid": np.zeros((1, 3)), "y_valid": [0]})),
    "scatters": lambda: plots.scatters({"a": made(), "b $x$ _y": made(1), "c": made(7, 3)}),
    "learning curves": lambda: plots.learning_curves({"ffnn": fits(), "kd_best": fits(watched=False)}, TITLES),
    "learning curves, one epoch": lambda: plots.learning_curves({"ffnn": fits(1, 1)}),
    "boundaries": lambda: plots.boundaries(maps(), made(), TITLES, {"ffnn": (0.9876, 0.0012)}),
    "boundaries, four classes": lambda: plots.boundaries(maps(4, bayes=False, plane=1), "made"),
    "grid": lambda: plots.boundary_grid({"a": maps(), "b": maps(bayes=False)}, ["ffnn", "kd_best", "kd_mean"], TITLES),
    "accuracies": lambda: plots.accuracies(results(), TITLES, "test", 0.99),
    "accuracies, one seed": lambda: plots.accuracies(results(["a", "b"], seeds=1), {}, "test"),
    "gap": lambda: plots.gap_to_ceiling(results(), TITLES, "test", 0.99, "ffnn"),
    "gap, above the ceiling": lambda: plots.gap_to_ceiling(results(["a", "b"]), TITLES, "test", {"a": 0.96}, "ffnn"),
    "per domain": lambda: plots.per_domain(results(["a", "b", "c"], domains=12), TITLES, "test"),
    "forest": lambda: plots.forest(FOREST),
    "spread": lambda: plots.spread(SPREAD),
    "spread, one dataset": lambda: plots.spread(SPREAD[:1]),
    "ladder": lambda: plots.ladder(pd.concat([FOREST.assign(dataset=name) for name in "abc"])),
    "ladder, one step": lambda: plots.ladder(FOREST[:1]),
    "heat map": lambda: plots.heat_map(TABLE, "accuracy", x="temperature", marks=TABLE == 0.5),
    "heat map, parted": lambda: plots.heat_map(np.array([[-1.0, np.nan]]), "difference", centre=0),
    "reliability": lambda: plots.reliability(BINS, TITLES),
    "response": lambda: plots.response(SWEPT, "alpha", [0, 0.5, 1], TITLES, {"a": 0.99}),
    "response, one seed": lambda: plots.response(SWEPT.assign(low=np.nan, high=np.nan), "alpha", [0, 0.5, 1], TITLES),
    "responses": lambda: plots.responses(SWEPT, SWEPT[:1], ("alpha", [0, 0.5, 1]), ("hidden", ["8", "64-32"]), TITLES),
    "responses, one dataset": lambda: plots.responses(
        SWEPT[SWEPT.dataset == "a"], SWEPT[:1], ("hidden", ["8"]), ("alpha", range(30)), {"kd_best": "Best"}),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_each_draws_without_a_warning_and_leaves_the_session_as_it_was(name):
    before = dict(matplotlib.rcParams)
    plot = EVERY[name]()
    assert dict(matplotlib.rcParams) == before
    assert plot.caption.endswith(".") and plot.alt.endswith(".") and plot.caption != plot.alt
    assert "nan" not in plot.alt and "None" not in plot.alt + plot.caption and ".." not in plot.alt + plot.caption
    plot.figure.savefig(file := io.BytesIO(), format="png", dpi=50, bbox_inches="tight")
    assert file.tell() > 2000


def test_the_same_data_give_the_same_figure():
    def drawn():
        plots.accuracies(results(), TITLES, "test", 0.99).figure.savefig(file := io.BytesIO(), format="png", dpi=40)
        return file.getvalue()

    assert drawn() == drawn()


def test_needs_neither_pyplot_nor_tensorflow():
    code = "import sys, kdlib.plots as p; sys.exit(any(m in sys.modules for m in ('matplotlib.pyplot', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_class_has_its_colour_and_a_domain_its_marker_everywhere():
    assert len(set(theme.MARKERS)) == 12 and theme.MARKERS[:3] == ("x", "s", "o")
    with matplotlib.rc_context(fname=theme.STYLE):
        colours = [to_hex(theme.class_colour(c)) for c in range(12)]
    assert len(set(colours)) == 12 and colours[:2] == ["#0072b2", "#d55e00"]
    dataset = made(5, 12, 12)
    drawn = [plots.scatter(dataset).figure, plots.boundaries(maps(12), dataset).figure]
    for figure in drawn:
        labels = {
            text.get_text(): handle
            for legend in figure.legends
            for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        }
        for c in range(12):
            assert to_hex(labels[f"class {c}"].get_facecolor()) == colours[c]
        for k in range(3):
            assert labels[f"domain {k}"].get_marker() == theme.MARKERS[k]
    points = drawn[0].axes[0].collections
    assert len(points) == 12 and {to_hex(c) for p in points for c in p.get_facecolors()} == set(colours)


def test_no_method_takes_the_colours_of_classes_0_and_1():
    with matplotlib.rc_context(fname=theme.STYLE):
        drawn = [theme.method_look(str(m), dict.fromkeys(map(str, range(10)))) for m in range(10)]
        assert len({colour for colour, _ in drawn}) == 10
        assert not {colour for colour, _ in drawn} & {theme.class_colour(0), theme.class_colour(1)}


def test_scatter_says_what_it_shows():
    plot = plots.scatter(gaussians.generate(1.0))
    assert "2400 training points in 3 domains and 2 classes" in plot.caption and "data_d1.0" in plot.alt
    assert "6.9" in plot.alt or "7.0" in plot.alt  # centres 4 sqrt(3) = 6.93 apart, the spread about 1
    assert sum(len(points.get_offsets()) for points in plot.figure.axes[0].collections) == 2400


def test_scatter_projects_on_the_principal_components():
    from sklearn.decomposition import PCA

    dataset = made(6, 2, 1)
    plot, pca = plots.scatter(dataset), PCA(2).fit(dataset.train.x)
    assert f"{pca.explained_variance_ratio_.sum():.0%}".replace("%", " %") in plot.caption
    ours = np.sort(np.abs(plot.figure.axes[0].collections[0].get_offsets()), axis=0)
    np.testing.assert_allclose(ours, np.sort(np.abs(pca.transform(dataset.train.x)), axis=0), atol=1e-9)


def test_scatters_share_a_scale_so_that_distances_compare():
    plot = plots.scatters({f"d = {d}": gaussians.generate(d) for d in (0.25, 1.0)})
    first, second = plot.figure.axes
    assert first.get_xlim() == second.get_xlim() and "one scale" in plot.caption
    assert [ax.get_title("left") for ax in (first, second)] == ["d = 0.25", "d = 1.0"]


def test_learning_curves_tell_the_last_medians():
    plot = plots.learning_curves({"ffnn": fits()}, TITLES)
    assert "FFNN: loss 0.2, validation accuracy 0.950" in plot.alt and "5 epochs" in plot.alt
    assert "3 seeds" in plot.caption and len(plot.figure.axes) == 2
    line = plot.figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), fits().loss[:, 1])


def test_learning_curves_leave_out_what_diverged_and_say_so():
    fit = fits(members=4)
    fit.loss[2:, 0] = np.nan
    plot = plots.learning_curves({"ffnn": fit})
    assert "1 run ceased to be finite and is left out" in plot.caption
    np.testing.assert_allclose(plot.figure.axes[0].lines[0].get_ydata(), np.median(fit.loss[:, 1:], axis=1))


def test_boundaries_draw_the_votes_and_compare_them_with_bayes():
    wrong = maps()
    wrong["kd_best/votes"] = wrong["ffnn/votes"][::-1].copy()
    plot = plots.boundaries(wrong, "made", TITLES, {"ffnn": (0.9876, 0.0012)})
    assert [ax.get_title("left") for ax in plot.figure.axes] == [
        "FFNN\n0.9876 ± 0.0012", "Student of kernels", "Bayes, the best there is",
    ]  # fmt: skip
    assert "FFNN decides as Bayes on 100 % of the area" in plot.alt
    assert "Student of kernels decides as Bayes on 0 %" in plot.alt
    share = np.mean(wrong["ffnn/votes"].max(axis=0) < 0.9)
    assert f"fewer than nine in ten seeds agree on {share:.1%}".replace("%", " %") in plot.alt
    image = plot.figure.axes[0].images[0].get_array()  # (h, w, rgb)
    blue, orange = image[0, 0], image[0, -1]
    assert blue[2] > blue[0] and orange[0] > orange[2]
    assert image[0, 12].sum() < blue.sum()  # where one seed in four disagrees it is darker


def test_boundaries_draw_the_methods_that_have_titles_and_bayes_once():
    known = maps()
    known["bayes/votes"] = known["bayes/mean"]
    plot = plots.boundaries(known, "made", {"kd_best": "Best", "other": "Not run"}, {"bayes": (0.99, 0.0)})
    assert "nan" not in plots.boundaries(known, "made", None, {"ffnn": (0.9, np.nan)}).figure.axes[0].get_title("left")
    assert [ax.get_title("left") for ax in plot.figure.axes] == ["Best", "Bayes, the best there is\n0.9900"]
    assert len(plots.boundaries(known, "made").figure.axes) == 3


def test_nine_in_ten_seeds_are_nine_in_ten_in_half_precision():
    known = maps(bayes=False, methods=["ffnn"])
    known["ffnn/votes"] = np.stack([np.full((20, 30), 0.9), np.full((20, 30), 0.1)]).astype(np.float16)
    assert "fewer than nine in ten seeds agree on 0 %" in plots.boundaries(known, "made").alt


def test_boundaries_of_one_feature_are_a_strip():
    known = maps()
    known["points"] = known["points"] * [1, 0]
    plot = plots.boundaries(known, "made")
    assert "along the one feature" in plot.caption and plot.figure.axes[0].get_box_aspect() < 0.5
    assert not known["points"][:, 1].any()  # what was passed in stays as it was


def test_boundaries_read_an_npz_file(tmp_path):
    half = {key: array.astype(np.float16) if "/" in key else array for key, array in maps(plane=1).items()}
    np.savez(tmp_path / "boundaries.npz", **half)
    with np.load(tmp_path / "boundaries.npz") as file:
        plot = plots.boundaries(file, "made", TITLES)
    assert "principal components" in plot.caption and len(plot.figure.axes) == 3


def test_the_bayes_boundary_is_where_the_posterior_is():
    (margin,) = plot_maps._margins(maps()["bayes/mean"])
    assert margin.max() == 1 and margin.min() == -1
    assert len(plot_maps._margins(np.eye(4)[np.arange(20).reshape(4, 5) % 3].transpose(2, 0, 1))) == 3  # one is nowhere


def test_boundary_grid_has_a_row_per_dataset_and_bayes_last():
    plot = plots.boundary_grid(
        {"a": maps(), "b": maps(bayes=False)}, ["ffnn", "kd_best"], TITLES, {"b": {"ffnn": (0.5,)}}
    )
    axes = plot.figure.axes
    assert len(axes) == 6 and axes[2].get_title("left").startswith("Bayes") and axes[3].get_title("left") == "0.5000"
    assert [axes[0].get_ylabel(), axes[3].get_ylabel()] == ["a", "b"]
    assert [text.get_text() for text in axes[5].texts] == ["not known"]


def test_accuracies_tell_mean_and_deviation_over_seeds():
    plot = plots.accuracies(results(), TITLES, "test", {"a": 0.99})
    sd = np.std([0, 0.002, 0.004, 0.006], ddof=1)
    assert f"FFNN 0.9700 ± {sd:.4f}" in plot.alt and "ceiling is 0.9900" in plot.alt and "4 seeds" in plot.caption
    (ax,) = plot.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["FFNN", "Student of the mean", "Student of kernels"]
    assert any(np.allclose(line.get_xdata(), 0.99) for line in ax.lines)
    assert len(ax.collections) == 3 and all(len(dots.get_offsets()) == 4 for dots in ax.collections)


def test_a_method_far_below_becomes_an_arrow_and_keeps_its_number():
    plot = plots.accuracies(results(means={**MEANS, "ffnn_two_heads": 0.975, "kd_original": 0.5}), {}, "test", 1.0)
    (ax,) = plot.figure.axes
    assert ax.get_xlim()[0] > 0.9 and ax.get_xlim()[1] > 1.0 and "arrow" in plot.caption
    assert "0.5000 ± 0.0026" in [text.get_text() for text in ax.texts]
    assert "arrow" not in plots.accuracies(results(), TITLES, "test", 0.99).caption


def test_the_methods_that_have_titles_are_drawn_and_bayes_is_a_line():
    frame = results(means={**MEANS, "bayes": 0.99})
    titles = {"ffnn": "FFNN", "kd_best": "Best", "bayes": "Bayes"}
    for plot in (
        plots.accuracies(frame, titles, "test", 0.99),
        plots.gap_to_ceiling(frame, titles, "test", 0.999),
    ):
        assert [label.get_text() for label in plot.figure.axes[0].get_yticklabels()] == ["FFNN", "Best"]
    assert len(plots.accuracies(frame, titles, "test").figure.axes[0].get_yticks()) == 3


def test_results_without_the_split_asked_for_are_refused():
    with pytest.raises(ValueError, match=r"split 'fresh'.*splits: test"):
        plots.accuracies(results(), TITLES, "fresh")


def test_runs_that_are_not_finite_are_left_out():
    frame = results()
    frame.loc[(frame.method == "ffnn") & (frame.seed == 0), "value"] = np.nan
    plot = plots.accuracies(frame, TITLES, "test")
    assert "FFNN 0.9710" in plot.alt and "3 to 4 seeds" in plot.caption


def test_gap_tells_what_is_closed():
    plot = plots.gap_to_ceiling(results(), TITLES, "test", 0.99, "ffnn")
    texts = [text.get_text() for text in plot.figure.axes[0].texts]
    assert {"75 % closed", "wider"} <= set(texts) and "Student of kernels closes most, 75 %" in plot.alt
    assert "FFNN 2.00 ± 0.26" in plot.alt
    assert plot.figure.axes[0].get_xscale() == "log"


def test_per_domain_tells_the_weakest_domain():
    plot = plots.per_domain(results(), TITLES, "test")
    assert "FFNN 0.950 (domain 2) to 0.970 (domain 0)" in plot.alt
    markers = [line.get_marker() for line in plot.figure.axes[0].lines if line.get_marker() in theme.MARKERS]
    assert markers == ["x", "s", "o"] * 3
    bayes = results(means={"bayes": 0.99}, seeds=1)
    plot = plots.per_domain(pd.concat([results(), bayes]), TITLES | {"bayes": "Bayes"}, "test")
    assert "of 4 seeds, and" in plot.caption


def test_forest_fills_what_leaves_out_zero():
    plot = plots.forest(FOREST)
    assert "A: +0.0100 (+0.0050 to +0.0150), better; B: −0.0010 (−0.0040 to +0.0020), unclear" in plot.alt
    assert "95 % intervals" in plot.caption and "1 of 2" in plot.caption
    dots = [line for line in plot.figure.axes[0].lines if line.get_marker() == "o"]
    paper = plot.figure.axes[0].get_facecolor()[:3]
    assert [to_rgb(dot.get_markerfacecolor()) == paper for dot in dots] == [False, True]


def test_spread_counts_verdicts_and_fills_what_is_shown():
    plot = plots.spread(SPREAD)
    assert "each of 9 datasets" in plot.caption
    assert (
        "KD, as in the original: median −11.96, worse on 9; KD, kernel teachers: median +0.54, better on 9" in plot.alt
    )
    assert "_y: median +0.00, no difference shown on 9." in plot.alt
    dots = [dots for dots in plot.figure.axes[0].collections if len(dots.get_offsets())]
    assert [len(d.get_offsets()) for d in dots] == [9, 9, 9]
    assert [len(d.get_facecolor()) for d in dots] == [1, 1, 0]
    with pytest.raises(ValueError, match="at least one difference"):
        plots.spread(SPREAD[:0])


def test_forest_tells_the_near_ones_apart_where_it_is_asked_to():
    far = pd.DataFrame({"label": ["far"], "mean": [-0.3], "low": [-0.31], "high": [-0.29], "verdict": ["worse"]})
    frame = pd.concat([FOREST, far], ignore_index=True)
    for cut, lowest in ((False, -0.31), (True, -0.004)):
        plot = plots.forest(frame, cut=cut)
        left, _ = plot.figure.axes[0].get_xlim()
        assert lowest - 0.03 < left < lowest and ("arrow" in plot.caption) == cut
        arrows = [line for line in plot.figure.axes[0].lines if line.get_marker() == CARETLEFTBASE]
        assert len(arrows) == cut and "far: −0.3000" in plot.alt
    assert "arrow" not in plots.forest(FOREST, cut=True).caption


def test_ladder_tells_each_gain():
    plot = plots.ladder(FOREST, "accuracy")
    assert "A 0.0100, then B −0.0010 (−0.0110)" in plot.alt.replace("-", "−")
    assert "−0.0110" in [text.get_text() for text in plot.figure.axes[0].texts]
    assert "interval over 10 seeds, and" in plots.ladder(FOREST.assign(seeds=10)).caption


def test_heat_map_tells_the_extremes_and_the_marked():
    plot = plots.heat_map(TABLE, "accuracy", x="temperature", marks=TABLE == 0.5)
    assert "from 0.000 at alpha 0, temperature 1 to 0.500 at alpha 1, temperature 4" in plot.alt
    assert "0.500 ★" in [text.get_text() for text in plot.figure.axes[0].texts]
    with pytest.raises(ValueError, match="marks: expected booleans of shape"):
        plots.heat_map(TABLE, "accuracy", marks=[[True]])


def test_reliability_computes_the_calibration_error():
    plot = plots.reliability(BINS, TITLES)
    ece = 0.1 * 0.1 + 0.3 * 0 + 0.6 * 0.05
    assert f"ECE {ece:.3f}, over-confident by {ece:.3f}" in plot.alt
    assert plot.figure.axes[0].get_title("left") == f"FFNN\nECE {ece:.3f}"


def test_show_hands_over_figure_caption_and_alt(monkeypatch):

    seen = []
    monkeypatch.setattr(display, "figure", lambda *given, **more: seen.append((given, more)))
    plot = plots.forest(FOREST)
    plot.show("results.csv")
    ((given, more),) = seen
    assert given == (plot.figure, plot.caption, plot.alt) and isinstance(plot.figure, Figure)
    assert more["data"] == "results.csv"


def test_on_dark_the_same_is_drawn_in_the_dark_pages_colours():
    plot = plots.scatter(gaussians.generate(1.0))
    dark = plot.on_dark()
    assert sum(dark.get_facecolor()[:3]) < 0.5 < 2.5 < sum(plot.figure.get_facecolor()[:3])
    for light_axes, dark_axes in zip(plot.figure.axes, dark.axes, strict=True):
        assert light_axes.get_title() == dark_axes.get_title()
        assert light_axes.spines["top"].get_visible() == dark_axes.spines["top"].get_visible() is False
        assert len(light_axes.collections) == len(dark_axes.collections) > 0
        assert sum(to_rgb(dark_axes.title.get_color())) > 2
