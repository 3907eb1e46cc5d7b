"""What a fraction of the training samples is, and the tables and sentences of a sweep's points."""

import json

import lxml.html
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kdlib import plots
from kdlib.data import gaussians
from kdlib.evaluation import results
from kdlib.findings import sweep as sweep_findings
from kdlib.methods.direct import plain_network
from kdlib.methods.network_teachers import teacher_steps
from kdlib.methods.problem import Problem
from kdlib.plots import theme
from kdlib.settings import Settings
from kdlib.studies import sweep


@pytest.fixture(scope="module")
def dataset():
    return gaussians.generate(0.5)


@pytest.mark.slow
def test_a_fraction_of_the_training_samples_takes_as_many_updates_and_nests(dataset):
    settings = Settings(seeds=2, epochs=1)
    tenth, half, whole = (Problem(dataset, settings, fraction=fraction) for fraction in (0.1, 0.5, 1.0))
    for part, share in ((tenth, 0.1), (half, 0.5)):
        counts = [np.bincount(3 * split.y + split.d) for split in (part.train, whole.train)]
        np.testing.assert_allclose(counts[0], share * counts[1], atol=0.5)
        assert part.steps == whole.steps
        assert [teacher_steps(part, k) for k in range(3)] == [teacher_steps(whole, k) for k in range(3)]
        assert part.distribution.name == whole.distribution.name
        assert len(part.splits["fresh"]) == len(whole.splits["fresh"])
        assert part.first(1).train.x.tolist() == part.train.x.tolist()
    rows = [{tuple(point) for point in problem.train.x} for problem in (tenth, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    assert plain_network(tenth).updates == 75
    assert set(np.unique(next(iter(tenth.shuffled())))) == set(range(len(tenth.train)))


SEEDS = 4
TITLES = {"ffnn": "FFNN", "kd": "KD"}


def accuracy(method, seed, temperature, hidden, split):
    """kd is best at temperature 2 on the split that selects, at 8 on the reported one; ffnn has no temperature."""
    noise = 0.001 * (-1) ** seed
    if method == "ffnn":
        return 0.90 + 0.02 * (hidden == [8, 4]) + noise
    peak = {"valid": 2, "test": 8}[split]
    return 0.95 - 0.004 * abs(temperature - peak) + 0.001 * (hidden == [8, 4]) + noise + 0.0006 * (seed > 1)


def point(folder, dataset, temperature, hidden, status="ok", reason=""):
    """Writes what a point leaves."""
    folder = folder / dataset / f"temperature={temperature},hidden={'-'.join(map(str, hidden))}"
    folder.mkdir(parents=True)
    parameters = {"temperature": temperature, "hidden": hidden, "alpha": 0.5}
    record = {"status": status, "reason": reason, "parameters": parameters}
    (folder / "manifest.json").write_text(json.dumps(record))
    if status == "ok":
        rows = [(dataset, m, seed, split, "all", "accuracy", accuracy(m, seed, temperature, hidden, split))
                for m in TITLES for split in ("valid", "test") for seed in range(SEEDS)]  # fmt: skip
        rows.append((dataset, "ffnn", 0, "test", "all", "nll", 0.3))
        results.write(pd.DataFrame(rows, columns=results.COLUMNS), folder / "results.csv")
        roles = {name: "baseline" if name == "ffnn" else "student" for name in TITLES}
        methods = pd.DataFrame({"title": TITLES, "role": roles, "uses_domain": False})
        methods.rename_axis("method").to_csv(folder / "methods.csv")


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    for temperature in (8, 2, 16):
        for hidden in ([8], [8, 4]):
            point(folder, "a_b*", temperature, hidden)
            point(folder, "gone", temperature, hidden, "invalid", "no pickle")
    point(folder, "a_b*", 32, [8], "failed", "boom")
    return sweep.Points(folder)


def test_results_have_a_column_for_each_swept_setting(points, tmp_path):
    frame = points.results
    assert list(frame.columns) == [*results.COLUMNS, "temperature", "hidden"]
    assert points.swept == {"temperature": [2, 8, 16, 32], "hidden": ["8", "8-4"]}
    assert len(frame) == 6 * (2 * 2 * SEEDS + 1)
    assert list(dict.fromkeys(frame.temperature)) == [2, 8, 16]
    for row in frame[frame.metric == "accuracy"].sample(20, random_state=0).itertuples():
        assert row.value == accuracy(
            row.method, row.seed, row.temperature, list(map(int, row.hidden.split("-"))), row.split
        )
    assert points.write(tmp_path) == "checksums of results.csv"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "results.csv"), frame, check_dtype=False)


def test_settings_are_selected_on_one_split_and_reported_on_another(points):
    best = points.best.set_index("method")
    assert best.loc["kd", ["temperature", "hidden"]].tolist() == [2, "8-4"]
    assert best.loc["ffnn", ["temperature", "hidden"]].tolist() == [2, "8-4"]  # of equals the first
    values = [accuracy("kd", seed, 2, [8, 4], "test") for seed in range(SEEDS)]
    low, high = stats.t.interval(0.95, SEEDS - 1, np.mean(values), stats.sem(values))
    np.testing.assert_allclose(best.loc["kd", ["mean", "sd", "low", "high"]].astype(float),
                               [np.mean(values), np.std(values, ddof=1), low, high])  # fmt: skip
    selection = [accuracy("kd", seed, 2, [8, 4], "valid") for seed in range(SEEDS)]
    assert best.loc["kd", "selection"] == pytest.approx(np.mean(selection))
    assert points.verdicts.loc["a_b*", "kd"]["mean"] == pytest.approx(np.mean(values) - 0.92)
    table = points.best_table()
    assert table["setting"].tolist() == ["hidden 8-4", "temperature 2, hidden 8-4"], "no effect, not listed"
    assert table["minus FFNN"].iloc[1].startswith("+0.7") and table["verdict"].tolist() == ["–", "better"]


def test_a_slice_has_the_other_settings_at_their_selected_values(points):
    rows = points.slices("temperature")
    assert set(rows.hidden) == {"8-4"} and rows.groupby("method").temperature.apply(list)["kd"] == [2, 8, 16]
    rows = points.slices("hidden").query("method == 'kd'")
    assert set(rows.temperature) == {2} and list(rows.hidden) == ["8", "8-4"]
    shown, selected = points.table()
    assert shown.shape == (6, 2) and selected.to_numpy().sum() == 2
    assert shown.loc[("a_b*", "16", "8"), "KD"] == pytest.approx(95 - 3.2 + 0.03)


def test_failures_are_rows_and_a_whole_dataset_is_one(points):
    assert points.failures().reset_index().to_numpy().tolist() == [
        ["a_b*", "temperature=32,hidden=8", "failed", "boom"],
        ["gone", "all 6", "invalid", "no pickle"],
    ]


def test_sentences_follow_the_numbers(points, tmp_path, monkeypatch):
    text = sweep_findings.describe_grid(points)
    assert text.startswith("13 points on 2 datasets: *temperature* 2, 8, 16, 32; *hidden* 8, 8-4. ")
    assert "2 methods from 4 seeds. Fixed: alpha 0.5. " in text and "**7 failed**" in text
    text = sweep_findings.finding(points)
    assert "against FFNN**: *KD*: better.\n" in text
    assert (
        r"a\_b\*: *KD* with temperature 2, hidden 8-4 has the highest accuracy on the selection split (95.1%)" in text
    )
    assert "its reported accuracy is **92.7 ± 0.1%**, +0.7 [" in text
    text = sweep_findings.effect(points, "temperature")
    assert (
        "has the largest effect on *KD*" in text
        and "from 91.9% at 16 to 95.1% at 8, a difference of 3.2 points" in text
    )
    assert "at an open end of the list in 1 of the 1 case with" in text and "It has no effect on *FFNN*." in text
    monkeypatch.setitem(sweep_findings.LIMITS, "temperature", (2,))
    assert "open end" not in sweep_findings.effect(points, "temperature")
    text = sweep_findings.effect(points, "hidden")
    assert text.startswith("**hidden** ([figure](#figure-hidden)) has the largest effect on *FFNN*")
    assert sweep_findings.describe_grid(sweep.Points(tmp_path)).startswith("There are no points")


def test_many_datasets_are_counted_and_the_first_have_a_line_each(tmp_path):
    names = [f"d{i:02}" for i in range(sweep_findings.MAX_DATASETS + 2)]
    for name in names:
        for temperature in (2, 8):
            point(tmp_path, name, temperature, [8])
    head, _, *lines = sweep_findings.finding(sweep.Points(tmp_path)).split("\n")
    assert head.endswith(f"*KD*: better on {len(names)} of {len(names)} datasets.")
    assert len(lines) == sweep_findings.MAX_DATASETS + 1 and lines[0].startswith("- d00: *KD*")
    assert lines[-1] == "- and 2 more, in [the table](#table-best)"


def test_methods_that_use_the_domain_and_bounds_are_not_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.TITLES", TITLES | {"told": "Told", "bound": "Bound", "bayes": "Bayes"})
    for temperature in (2, 8):
        point(tmp_path, "a", temperature, [8])
        path = next(tmp_path.glob(f"a/temperature={temperature},*/methods.csv"))
        methods = pd.read_csv(path, index_col="method")
        methods.loc["told", "uses_domain"], methods.loc[["bound", "bayes"], "role"] = True, "bound"
        methods.to_csv(path)
    points = sweep.Points(tmp_path)
    assert list(points.titles) == ["ffnn", "kd", "told", "bound"] and points.compared == ["ffnn", "kd"]
    assert points.baseline == "ffnn" and set(points.verdicts.index.get_level_values("method")) == {"kd"}
    assert "*KD*" in sweep_findings.finding(points) and "Told" not in sweep_findings.finding(points)


def test_a_sweep_without_a_good_point_says_so(tmp_path):
    point(tmp_path, "a", 2, [8], "failed", "boom")
    point(tmp_path, "a", 4, [8], "failed", "bang")
    (tmp_path / "b.pkl").mkdir()
    (tmp_path / "b.pkl" / "manifest.json").write_text('{"status": "invalid", "reason": "its name"}')
    points = sweep.Points(tmp_path)
    text = sweep_findings.describe_grid(points)
    assert text.startswith("2 points on 1 dataset: ") and text.endswith(
        "**2 failed**; they are listed below, with reasons."
    )
    assert sweep_findings.finding(points) == ""
    assert points.failures().reset_index().to_numpy().tolist() == [
        ["a", "temperature=2,hidden=8", "failed", "boom"],
        ["a", "temperature=4,hidden=8", "failed", "bang"],
        ["b.pkl", "all", "invalid", "its name"],
    ]
    (tmp_path / "out").mkdir()
    assert points.write(tmp_path / "out") == "checksums of results.csv"


def test_one_seed_and_a_lone_method_make_no_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.SEEDS", 1)
    monkeypatch.setattr(f"{__name__}.TITLES", {"kd": "KD"})
    for temperature in (2, 8):
        point(tmp_path, "a", temperature, [8])
    points = sweep.Points(tmp_path)
    assert points.baseline == "kd", "without a baseline it is the first"
    assert "*KD* with temperature 2 has the highest" in sweep_findings.finding(points)
    assert "nan" not in sweep_findings.finding(points) + sweep_findings.effect(points, "temperature")
    assert points.best_table()["reported"].tolist() == ["92.7"]


def test_figures_draw_what_the_slices_hold(points):
    ceilings = {"a_b*": 0.96}
    slices = points.slices("temperature")
    line = plots.accuracy_by_setting(slices, "temperature", [2, 8, 16, 32], points.titles, ceilings)
    (ax,) = line.figure.axes
    drawn = {round(y, 2) for artist in ax.lines for y in artist.get_ydata()}
    assert {92.73, 95.13, 91.93, 92, 96} == drawn
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "8", "16", "32"]
    assert "KD: 91.93 at 16 to 95.13 at 8" in line.alt
    far = plots.accuracy_by_setting(slices, "temperature", [2, 8, 16], points.titles, {"a_b*": 9.0})
    assert far.figure.axes[0].get_ylim()[1] < 100 and "900.00" in far.figure.axes[0].get_title(loc="left")
    both = points.slices("temperature", "hidden")
    x, y = (("temperature", points.swept["temperature"]), ("hidden", points.swept["hidden"]))
    maps = plots.accuracy_by_two_settings(both, points.best, x, y, points.titles)
    assert "KD on a_b*: from 91.83 at temperature 16, hidden 8 to 95.13" in maps.alt
    assert sum("★" in text.get_text() for ax in maps.figure.axes for text in ax.texts) == 2
    many = pd.concat([both.assign(dataset=f"d{i}") for i in range(10)])
    caption = plots.accuracy_by_setting(many, "hidden", ["8", "8-4"], TITLES).caption
    assert "The first 8 of 10 datasets are drawn." in caption
    for plot in (line, maps):
        assert plot.caption.endswith(".") and plot.alt.endswith(".") and "nan" not in plot.alt
        assert plot.draw(theme.DARK) is not plot.figure


@pytest.mark.slow
def test_the_notebooks_of_a_sweep(swept_report):
    frame = pd.read_csv(swept_report / "results.csv")
    assert set(frame.split) == {"valid", "select"} and set(frame.fraction) == {0.5, 1}
    page = lxml.html.fromstring((swept_report / "index.html").read_text(encoding="utf-8"))
    assert len(page.xpath("//figure//img")) == 1 and len(page.xpath("//figure//table")) == 3
    assert all(len(image.get("alt")) > 40 for image in page.xpath("//img"))
    text = page.xpath("//main")[0].text_content()
    assert "2 points on 1 dataset: fraction 0.5, 1." in text and "five <keys>" in text
    headings = page.xpath("//main//h2/@id")  # of sections that have something to show
    assert "one-setting-at-a-time" in headings
    assert not {"two-settings-at-a-time", "points-without-a-result"} & set(headings)
    assert "Error" not in text and "nan" not in text and not page.xpath("//main//pre[@class]")
