"""What the summary says of slow studies, from made-up numbers: averaged, reversed, missing."""

import json
from itertools import product

import pandas as pd
import pytest
from made_up import SEEDS, methods, noise, tidy

from kdlib.evaluation import results
from kdlib.evaluation.results import Reports
from kdlib.findings import studies as study_findings
from kdlib.studies import factorial, sequential_domains

NAMES = ("data_d0.5", "data_d1.0")


def put(folder, name, study="", status="ok", **files):
    here = folder / name / study
    here.mkdir(parents=True, exist_ok=True)
    (here / "manifest.json").write_text(json.dumps({"status": status, "reason": "", "seconds": 1.0}))
    for stem, frame in files.items():
        frame.to_csv(here / f"{stem}.csv", index=False)


def factorial_results(cost):
    """Every combination of factors; the fixed order costs so much."""
    levels = product([False, True], repeat=len(factorial.FACTORS))
    rows = [
        {**(on := dict(zip(factorial.FACTORS, level, strict=True))), "seed": seed,
         "accuracy": 0.95 - cost * on[factorial.EXPLANATIONS[0]] + error}
        for level in levels for seed, error in enumerate(noise("factorial"))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def sweep(published, **means):
    rows = [[float(t[1:]), 0.5, 25, mean, 0.01, published, abs(mean - published)] for t, mean in means.items()]
    columns = ["temperature", "alpha", "epochs", "mean", "sd", "published", "distance"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        put(tmp_path, name)
        results.write(tidy({"ffnn": 0.98, "bayes": 1.0}, name), tmp_path / name / "results.csv")
        methods("ffnn", "bayes").to_csv(tmp_path / name / "methods.csv")
    return tmp_path


def test_without_studies_the_summary_says_nothing_of_them(folder):
    runs = Reports(folder)
    assert study_findings.available(runs) == ""
    assert study_findings.explanations(runs) == study_findings.reproduction(runs) == ""
    for table in (
        study_findings.common_setting,
        study_findings.controls_table,
        study_findings.resampling_table,
        study_findings.search_table,
        study_findings.label_budget_table,
        study_findings.sequential_table,
    ):
        assert table(runs).empty


def test_a_draft_in_the_folder_is_no_dataset(folder):
    put(folder, "draft")
    (folder / "draft" / "summary.ipynb").write_text("{}")
    assert Reports(folder).good == list(NAMES)


def test_a_failed_study_counts_as_none(folder):
    put(folder, NAMES[0], "factorial", factorial=factorial_results(0.1))
    put(folder, NAMES[1], "factorial", status="failed", factorial=factorial_results(0.1))
    assert "1 of 2 datasets" in study_findings.available(Reports(folder))


def test_the_verdict_on_an_explanation_is_that_of_the_mean_over_datasets(folder):
    put(folder, NAMES[0], "factorial", factorial=factorial_results(0.3))
    put(folder, NAMES[1], "factorial", factorial=factorial_results(-0.1))
    text = study_findings.explanations(Reports(folder))
    assert "Means over 2 datasets" in text
    assert "**supported**" in text and "+10.0" in text  # (0.3 - 0.1) / 2
    put(folder, NAMES[0], "factorial", factorial=factorial_results(-0.3))
    assert "**supported**" not in study_findings.explanations(Reports(folder))


def test_one_setting_is_near_all_published_accuracies_at_once(folder):
    """T = 1 hits the first and misses the second, T = 2 the other way round, T = 3 is near both."""
    put(folder, NAMES[0], "factorial", factorial=factorial_results(0), map=sweep(0.84, t1=0.84, t2=0.70, t3=0.83))
    put(folder, NAMES[1], "factorial", factorial=factorial_results(0), map=sweep(0.80, t1=0.90, t2=0.80, t3=0.815))
    runs = Reports(folder)
    table = study_findings.common_setting(runs)
    assert table.temperature.eq(3).all()
    assert table.reproduced.to_dict() == pytest.approx({NAMES[0]: 83, NAMES[1]: 81.5})
    text = study_findings.reproduction(runs)
    assert "**reproduces**" in text and "data_d1.0, 1.5 points away" in text
    put(folder, NAMES[1], "factorial", factorial=factorial_results(0), map=sweep(0.80, t1=0.90, t2=0.80, t3=0.86))
    assert "**does not reproduce**" in study_findings.reproduction(Reports(folder))


def test_a_control_that_does_as_well_leaves_its_reason_unsupported(folder):
    names = "ffnn", "kd_gated", "kd_routed", "bayes"
    for name, routed in zip(NAMES, (0.98, 0.995), strict=True):
        frame = tidy(dict(zip(names, (0.98, 0.995, routed, 1.0), strict=True)), name)
        put(folder, name, "controls", results=frame, methods=methods(*names).reset_index())
    (row,) = study_findings.controls_table(Reports(folder)).itertuples()
    assert row.Index == "all teachers matter (KD, gated minus KD, routed)"
    assert row[1] == "+1.50 supported"
    assert row[2].endswith("not\N{NO-BREAK SPACE}supported")


def test_draws_are_judged_over_draws(folder):
    def frame(kernels):
        given = {"bayes": 1.0, "ffnn": 0.98, "kd_kernel_teachers": 0.99, "kd_gated": 0.98}
        drawn = {"ffnn": 0.98, "kd_kernel_teachers": kernels, "kd_gated": 0.97}
        frames = {"given": tidy(given, splits=["fresh"]), "draws": tidy(drawn, splits=["fresh"])}
        return pd.concat([frame.assign(training=training) for training, frame in frames.items()])

    put(folder, NAMES[0], "resampled_data", draws=frame(0.99))
    put(folder, NAMES[1], "resampled_data", draws=frame(0.97))
    table = study_findings.resampling_table(Reports(folder))
    title = "KD, kernel teachers"
    assert table.loc[(NAMES[0], title), "verdict"] == "better"
    assert table.loc[(NAMES[0], title), "difference"] == pytest.approx(1)
    assert table.loc[(NAMES[0], title), "gap closed"] == pytest.approx(0.5)
    assert table.loc[(NAMES[1], title), "verdict"] == "worse"
    put(folder, NAMES[1], "resampled_data", draws=frame(0.97).head(0))  # its distribution is not known
    assert set(study_findings.resampling_table(Reports(folder)).index.get_level_values("dataset")) == {NAMES[0]}


def test_the_search_has_a_table(folder):
    means = {
        "default": {"ffnn": 0.98, "kd_kernel_teachers": 0.99},
        "chosen": {"ffnn": 0.985, "kd_kernel_teachers": 0.99},
    }
    rows = [
        [method, settings, seed, value + error]
        for settings, accuracy in means.items()
        for method, value in accuracy.items()
        for seed, error in enumerate(noise("search"))
    ]
    frame = pd.DataFrame(rows, columns=["method", "settings", "seed", "accuracy"])
    put(folder, NAMES[0], "hyperparameter_search", search_reported=frame)
    table = study_findings.search_table(Reports(folder))[NAMES[0]]
    assert table["FFNN: chosen minus default"].startswith("+0.50")
    assert table["KD, kernel teachers minus direct training, both chosen"].startswith("+0.50")


def test_shares_of_labels_have_a_table(folder):
    """The student gains 0.05 where labels are few; elsewhere direct training is ahead by a little more each seed."""
    cells = product((0.02, 1.0), (2, 64), ("ffnn", "kd_kernel_teachers"), range(SEEDS))
    rows = [[f, w, m, s, 0.9 + 0.05 * (m != "ffnn") * (f < 1) + 0.001 * s * (m == "ffnn")] for f, w, m, s in cells]
    frame = pd.DataFrame(rows, columns=["fraction", "width", "method", "seed", "accuracy"])
    put(folder, NAMES[0], "label_budget", label_budget=frame)
    row = study_findings.label_budget_table(Reports(folder)).loc[NAMES[0]]
    assert row["clearly ahead"] == "2 of 4" and row["clearly behind"] == "2 of 4"
    assert row["gain with 2% of the labels"] == "+4.45"


def test_passes_over_the_domains_have_a_table(folder):
    cells = product(sequential_domains.TITLES, ("0-1", "1-0"), range(SEEDS), (0, 1), ("all", "0", "1"))
    rows = [[m, o, s, p, k, 0.5 + 0.1 * p + 0.1 * (m == "lwf")] for m, o, s, p, k in cells]
    frame = pd.DataFrame(rows, columns=["method", "order", "seed", "phase", "domain", "value"])
    put(folder, NAMES[0], "sequential_domains", sequential_domains=frame)
    row = study_findings.sequential_table(Reports(folder)).loc[NAMES[0]]
    assert row[sequential_domains.TITLES["plain"]] == pytest.approx(60)
    assert row[sequential_domains.TITLES["lwf"]] == pytest.approx(70)
    assert row["All domains mixed (FFNN)"] == pytest.approx(98)


def test_the_share_of_the_pooled_gain_over_datasets(folder):
    assert study_findings.unpooled_summary(Reports(folder)) == ""
    for name, kept in zip(NAMES, (0.99, 0.985), strict=True):
        frame = tidy({"ffnn": 0.98, "kd_kernel_teachers": 0.99, "sites_gated": kept, "sites_mean": 0.97}, name)
        put(folder, name, "unpooled_sites", results=frame, methods=methods(*frame.method.unique()).reset_index())
    text = study_findings.unpooled_summary(Reports(folder))
    assert "on 2 of 2 datasets" in text and "keeps 50% to 100%" in text
    assert "FedDF) keeps \N{MINUS SIGN}100%" in text
    worse = tidy({"ffnn": 0.98, "kd_kernel_teachers": 0.97, "sites_gated": 0.99, "sites_mean": 0.97}, NAMES[0])
    put(folder, NAMES[0], "unpooled_sites", results=worse, methods=methods(*worse.method.unique()).reset_index())
    assert "on 1 of 2 datasets" in study_findings.unpooled_summary(Reports(folder))
