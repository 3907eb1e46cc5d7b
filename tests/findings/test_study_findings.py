"""What the summary says of slow studies, from made-up numbers: pooled, turned, missing."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

from kdlib.evaluation import results
from kdlib.evaluation.results import COLUMNS, Reports
from kdlib.findings import studies as study_findings
from kdlib.studies import factorial, sequential_domains

NAMES = ("data_d0.5", "data_d1.0")
SEEDS = 8


def noise(size=SEEDS, scale=0.0005):
    values = np.random.default_rng(size).normal(0, scale, size)
    return values - values.mean()


def put(folder, name, study="", status="ok", **files):
    here = folder / name / study
    here.mkdir(parents=True, exist_ok=True)
    (here / "manifest.json").write_text(json.dumps({"status": status, "reason": "", "seconds": 1.0}))
    for stem, frame in files.items():
        frame.to_csv(here / f"{stem}.csv", index=False)


def tidy(accuracy, dataset="data_d1.0"):
    """Results on fresh points: mean accuracy by method, noise over seeds; Bayes has one member."""
    rows = [
        [dataset, method, seed, "fresh", "all", "accuracy", value + shift]
        for method, value in accuracy.items()
        for seed, shift in enumerate(noise(1 if method == "bayes" else SEEDS, 0.0005 * (1 + len(method) % 3)))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def factorial_results(cost):
    """Every combination of suspects; the fixed order costs so much."""
    levels = product([False, True], repeat=len(factorial.SUSPECTS))
    rows = [
        {**(on := dict(zip(factorial.SUSPECTS, level, strict=True))), "seed": seed,
         "accuracy": 0.95 - cost * on[factorial.EXPLANATIONS[0]] + shift}
        for level in levels for seed, shift in enumerate(noise())
    ]  # fmt: skip
    return pd.DataFrame(rows)


def swept(published, **means):
    rows = [[float(t[1:]), 0.5, 25, mean, 0.01, published, abs(mean - published)] for t, mean in means.items()]
    columns = ["temperature", "alpha", "epochs", "mean", "sd", "published", "distance"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        put(tmp_path, name)
        results.write(tidy({"ffnn": 0.98, "bayes": 1.0}, name), tmp_path / name / "results.csv")
    return tmp_path


def test_without_studies_the_summary_says_how_to_get_them(folder):
    runs = Reports(folder)
    assert "`make study`" in study_findings.there(runs)
    assert study_findings.reasons(runs) == study_findings.reproduced(runs) == ""
    for table in (
        study_findings.one_setting,
        study_findings.controls,
        study_findings.draws,
        study_findings.searched,
        study_findings.helped,
        study_findings.passed,
    ):
        assert table(runs).empty


def test_a_draft_in_the_folder_is_no_dataset(folder):
    put(folder, "draft")
    (folder / "draft" / "summary.ipynb").write_text("{}")
    assert Reports(folder).good == list(NAMES)


def test_a_failed_study_counts_as_none(folder):
    put(folder, NAMES[0], "why", factorial=factorial_results(0.1))
    put(folder, NAMES[1], "why", status="failed", factorial=factorial_results(0.1))
    assert "1 of 2 datasets" in study_findings.there(Reports(folder))


def test_the_verdict_on_an_explanation_is_that_of_the_mean_over_datasets(folder):
    put(folder, NAMES[0], "why", factorial=factorial_results(0.3))
    put(folder, NAMES[1], "why", factorial=factorial_results(-0.1))
    text = study_findings.reasons(Reports(folder))
    assert "Means over 2 datasets" in text
    assert "**supported**" in text and "+0.10" in text  # (0.3 - 0.1) / 2
    put(folder, NAMES[0], "why", factorial=factorial_results(-0.3))
    assert "**supported**" not in study_findings.reasons(Reports(folder))


def test_one_setting_is_near_all_published_accuracies_at_once(folder):
    """T = 1 hits the first and misses the second, T = 2 the other way round, T = 3 is near both."""
    put(folder, NAMES[0], "why", factorial=factorial_results(0), map=swept(0.84, t1=0.84, t2=0.70, t3=0.83))
    put(folder, NAMES[1], "why", factorial=factorial_results(0), map=swept(0.80, t1=0.90, t2=0.80, t3=0.815))
    runs = Reports(folder)
    table = study_findings.one_setting(runs)
    assert table.temperature.eq(3).all()
    assert table.reproduced.to_dict() == {NAMES[0]: 0.83, NAMES[1]: 0.815}
    assert "**reproduces**" in study_findings.reproduced(
        runs
    ) and "data_d1.0, 0.0150 away" in study_findings.reproduced(runs)
    put(folder, NAMES[1], "why", factorial=factorial_results(0), map=swept(0.80, t1=0.90, t2=0.80, t3=0.86))
    assert "**does not reproduce**" in study_findings.reproduced(Reports(folder))


def test_a_control_that_does_as_well_takes_its_cause_away(folder):
    for name, noisy in zip(NAMES, (0.98, 0.995), strict=True):
        frame = tidy({"ffnn": 0.98, "kd_best": 0.995, "ffnn_noisy": noisy, "bayes": 1.0}, name)
        methods = pd.DataFrame({"method": ["ffnn", "kd_best", "ffnn_noisy"], "told the domain": False})
        put(folder, name, "controls", results=frame, methods=methods.assign(title=methods["method"].str.upper()))
    (row,) = study_findings.controls(Reports(folder)).itertuples()
    assert "more points" in row.Index and "FFNN_NOISY" in row.Index
    assert row[1] == "+0.0150 supported"
    assert row[2].endswith("not\N{NO-BREAK SPACE}supported")


def test_draws_are_judged_over_draws(folder):
    def frame(best):
        given = tidy({"bayes": 1.0, "ffnn": 0.98, "kd_best": 0.99, "kd_gated": 0.98}).assign(training="given")
        drawn = tidy({"ffnn": 0.98, "kd_best": best, "kd_gated": 0.97}).assign(training="draws")
        return pd.concat([given, drawn])

    put(folder, NAMES[0], "draws", draws=frame(0.99))
    put(folder, NAMES[1], "draws", draws=frame(0.97))
    table = study_findings.draws(Reports(folder))
    title = "KD, kernel teachers"
    assert table.loc[(NAMES[0], title), "verdict"] == "better"
    assert table.loc[(NAMES[0], title), "difference"] == pytest.approx(0.01)
    assert table.loc[(NAMES[0], title), "gap closed"] == pytest.approx(0.5)
    assert table.loc[(NAMES[1], title), "verdict"] == "worse"
    put(folder, NAMES[1], "draws", draws=frame(0.97).head(0))  # of a law that is not known
    assert set(study_findings.draws(Reports(folder)).index.get_level_values("dataset")) == {NAMES[0]}


def test_the_search_the_labels_and_the_orders_have_their_tables(folder):
    which = {"study's own": {"ffnn": 0.98, "kd_best": 0.99}, "chosen": {"ffnn": 0.985, "kd_best": 0.99}}
    rows = [
        [method, settings, seed, value + shift]
        for settings, accuracy in which.items()
        for method, value in accuracy.items()
        for seed, shift in enumerate(noise())
    ]
    put(
        folder,
        NAMES[0],
        "search",
        search_reported=pd.DataFrame(rows, columns=["method", "settings", "seed", "accuracy"]),
    )
    table = study_findings.searched(Reports(folder))[NAMES[0]]
    assert table["FFNN: chosen less study's own"].startswith("+0.50 [")
    assert table["KD, kernel teachers less FFNN, both chosen"].startswith("+0.50 [")

    cells = product((0.02, 1.0), (2, 64), ("ffnn", "kd_best"), range(SEEDS))
    rows = [[f, w, m, s, 0.9 + 0.05 * (m == "kd_best") * (f < 1) + 0.001 * s * (m == "ffnn")] for f, w, m, s in cells]
    put(folder, NAMES[0], "when", when=pd.DataFrame(rows, columns=["fraction", "width", "method", "seed", "accuracy"]))
    helped = study_findings.helped(Reports(folder)).loc[NAMES[0]]
    assert helped["clearly ahead"] == "2 of 4" and helped["clearly behind"] == "2 of 4"
    assert helped["gain with 2% of the labels"] == "+0.0465"

    cells = product(sequential_domains.TITLES, ("0-1", "1-0"), range(SEEDS), (0, 1), ("all", "0", "1"))
    rows = [[m, o, s, p, k, 0.5 + 0.1 * p + 0.1 * (m == "lwf")] for m, o, s, p, k in cells]
    frame = pd.DataFrame(rows, columns=["method", "order", "seed", "phase", "domain", "value"])
    put(folder, NAMES[0], "orders", orders=frame)
    passed = study_findings.passed(Reports(folder)).loc[NAMES[0]]
    assert passed[sequential_domains.TITLES["plain"]] == pytest.approx(0.6)
    assert passed[sequential_domains.TITLES["lwf"]] == pytest.approx(0.7)
    assert passed["all domains mixed (FFNN)"] == pytest.approx(0.98)
