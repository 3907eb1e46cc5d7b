"""Findings over many datasets follow planted effects: cuts are averaged first, and each dataset counts once."""

import numpy as np
import pandas as pd
import pytest
from made_up import accuracies, publish, reports, tidy

from kdlib.evaluation import comparison
from kdlib.evaluation.formatting import NO_BREAK
from kdlib.evaluation.results import Reports
from kdlib.findings import collection, collection_tables

EVERY = {"kd_original": 0.98, "kd_kernel_teachers": 0.98, "kernel_mixture": 0.98, "kernel_direct": 0.98,
         "kd_kernel_direct": 0.98, "portfolio": 0.98, "kd_portfolio": 0.98}  # fmt: skip
CUTS = 5


def results(nll=None, **changes):
    """Accuracy and cross-entropy of all methods: 0.98 and 0.2, but for changes."""
    every = accuracies(**EVERY | changes)
    return pd.concat([tidy(every), tidy(dict.fromkeys(every, 0.2) | (nll or {}), metric="nll")])


def planted(folder, effect=(), metric="accuracy", size=0.01, method="kd_portfolio", alike=6, vary=0.002):
    """Six datasets without an effect, and others with one: `size` of a method on the reported points.

    Datasets of the same effect vary around it by `vary`.
    """
    frames = {f"alike{i}": results() for i in range(alike)}
    for i, name in enumerate(effect):
        value = (0.98 if metric == "accuracy" else 0.2) + size + vary * (i - (len(effect) - 1) / 2)
        frames[name] = results(nll={method: value}) if metric == "nll" else results(**{method: value})
    return reports(folder, **frames)


def portfolio_line(runs):
    (line,) = [line for line in collection.overview(runs).split("\n") if line.startswith("- *KD, portfolio*. ")]
    return line


def test_without_an_effect_nothing_is_better_or_worse(tmp_path):
    runs = planted(tmp_path)
    text = collection.answer(runs)
    assert text.startswith("**No student is shown to beat direct training**: of 24 comparisons")
    assert "Means over 6 datasets" in collection.overview(runs)
    assert portfolio_line(runs).startswith(
        f"- *KD, portfolio*. Accuracy: +0.00 [+0.00,{NO_BREAK}+0.00] points on average; neither better nor worse on "
        "any of 6 datasets. Cross-entropy: +0.0000 ["
    )
    assert collection.losses(runs) == "No student is shown to be worse on any dataset, in accuracy or in cross-entropy."
    assert "**supported**" not in collection.controls(runs)
    assert "keeps" not in collection.credit(runs)


def test_an_effect_on_some_datasets_is_counted_there(tmp_path):
    runs = planted(tmp_path, ["moons", "boards"], alike=5)
    answer = collection.answer(runs)
    assert answer.startswith("**Distillation can beat direct training**: of 28 comparisons")
    assert "the best student, *KD, portfolio*, differs from direct training by +0.29 [" in answer
    assert answer.endswith("points; it is better on 2 of 7 datasets.")
    line = portfolio_line(runs)
    assert "; better on 2 of 7 datasets. Cross-entropy" in line
    assert "Accuracy: +0.29 [" in line  # datasets are the sample


def test_an_effect_on_all_datasets_is_one_on_average_and_a_lower_cross_entropy_is_better(tmp_path):
    line = portfolio_line(planted(tmp_path / "accuracy", [f"set{i}" for i in range(9)], alike=0))
    assert line.startswith("- *KD, portfolio*. Accuracy: **better**, +1.00 [")
    assert "points on average; better on all 9 datasets. Cross-entropy: +0.0000 [" in line
    line = portfolio_line(planted(tmp_path / "nll", [f"set{i}" for i in range(9)], "nll", -0.05, alike=0))
    assert "Cross-entropy: **better**, −0.0500 [" in line and "; better on all 9 datasets. KD, portfolio" in line


def test_cuts_are_averaged_first_and_decide_by_their_number(tmp_path):
    """An effect on one cut of five is none of the dataset's; seeds within a cut are no replications."""
    for cut in range(1, CUTS + 1):
        publish(tmp_path, f"crabs-cut{cut}", results(kd_portfolio=0.99 if cut == 1 else 0.98))
        publish(tmp_path, f"hawks-cut{cut}", results(kd_portfolio=0.99 + cut / 10_000))
    runs = Reports(tmp_path)
    rows = collection_tables.gains(runs).loc["kd_portfolio"]
    assert rows["seeds"].to_dict() == {"crabs": CUTS, "hawks": CUTS}
    assert rows["verdict"].to_dict() == {"crabs": comparison.NEITHER, "hawks": comparison.BETTER}
    low, high = comparison.interval([0.01, 0, 0, 0, 0])
    assert rows.loc["crabs", ["difference", "low", "high"]].tolist() == pytest.approx([0.002, low, high])
    assert collection_tables.means(collection_tables.gains(runs)).loc["kd_portfolio", "difference"] == pytest.approx(
        (0.002 + 0.0103) / 2
    )


def test_a_method_that_ran_on_some_datasets_is_compared_there_only(tmp_path):
    here = {**EVERY, "kd_gated": 0.985}
    runs = reports(tmp_path, a=tidy(accuracies(**here)), b=tidy(accuracies(**EVERY)), c=tidy(accuracies(**EVERY)))
    assert list(collection_tables.gains(runs).loc["kd_gated"].index) == ["a"]


def test_what_lost_is_named_the_largest_first(tmp_path):
    runs = reports(
        tmp_path,
        a=results(kd_routed=0.97),
        b=results(kd_routed=0.95),
        c=results(nll={"kd_portfolio": 0.3}),
        d=results(),
    )
    routed, portfolio = collection.losses(runs).split("\n")
    assert routed == "- *KD, routed* is worse in accuracy on b (−3.00 points), a (−1.00 points)."
    assert portfolio == "- *KD, portfolio* is worse in cross-entropy on c (+0.1000)."


def test_single_domain_teachers_matter_on_the_datasets_where_their_student_is_better(tmp_path):
    runs = planted(tmp_path, ["moons", "crabs*"], method="kd_kernel_teachers")
    (line,) = [line for line in collection.controls(runs).split("\n") if "domains matter" in line]
    assert line.startswith("- **not supported**: domains matter. *KD, kernel teachers* minus *KD, pooled ")
    assert line.endswith("; better on 2 of 8 datasets (crabs\\*, moons).")  # though not on average
    runs = planted(tmp_path / "all", ["a", "b", "c", "d"], method="kd_kernel_teachers", alike=0)
    (line,) = [line for line in collection.controls(runs).split("\n") if "domains matter" in line]
    assert line.startswith("- **supported**: ") and line.endswith("; better on all 4 datasets (a, b, c, d).")
    runs = planted(tmp_path / "pooled", ["moons"], method="kd_kernel_direct")
    (line,) = [line for line in collection.controls(runs).split("\n") if "domains matter" in line]
    assert line.startswith("- **not supported**") and "worse on 1 of 7 datasets (moons)" in line


def test_credit_is_a_mean_over_datasets(tmp_path):
    frames = {f"set{i}": results(portfolio=0.99 + i / 1000, kd_portfolio=0.985 + i / 2000) for i in range(5)}
    text = collection.credit(reports(tmp_path, **frames))
    assert "- *Portfolio*: +1.20 [" in text and "its student, *KD, portfolio*: +0.60 [" in text
    assert "points: it keeps 50% of the gain." in text and "- *Pooled machine*: +0.00 [" in text


def test_the_advised_method_has_the_lowest_cross_entropy_over_cuts(tmp_path):
    for cut, loss in enumerate([0.10, 0.10, 0.60], 1):  # ahead on two cuts, not on average
        publish(tmp_path, f"crabs-cut{cut}", results(nll={"kd_routed": loss}))
    for name in ("moons", "boards"):
        publish(tmp_path, name, results(nll={"kd_portfolio": 0.1}, kd_portfolio=0.99))
    runs = Reports(tmp_path)
    table = collection.advice(runs)
    assert table.loc["moons", "use"] == "KD, portfolio" and table.loc["crabs", "use"] != "KD, routed"
    assert table.loc["moons", "accuracy, points"].startswith("+1.00 [")
    assert table.loc["moons", "cross-entropy"].endswith(" better")
    first, _, accuracy, _ = collection.advice_gain(runs).split("\n")
    assert first == "The advised methods, compared with *FFNN*:"
    assert accuracy.startswith("- accuracy: +0.67 [")
    assert accuracy.endswith(" points on average; better on 2 of 3 datasets.")


def test_where_direct_training_is_advised_nothing_is_gained(tmp_path):
    runs = reports(tmp_path, a=results(nll={"ffnn": 0.1}), b=results(nll={"ffnn": 0.1}))
    assert collection.advice(runs).loc["a"].tolist() == ["FFNN", "–", "–"]
    assert f": +0.00 [+0.00,{NO_BREAK}+0.00] points on average" in collection.advice_gain(runs)


def test_the_kind_that_carries_the_portfolio_is_named(tmp_path):
    def portfolio(*weights):
        kinds, tells = ["trees", "networks", "networks"], [False, False, True]
        return pd.DataFrame({"kind": kinds, "tells_domains": tells, "weight": weights})

    publish(tmp_path, "a-cut1", results(portfolio=0.99), portfolio=portfolio(0.6, 0.4, 0.0))
    publish(tmp_path, "a-cut2", results(portfolio=0.99), portfolio=portfolio(0.2, 0.4, 0.4))
    publish(tmp_path, "b", results())
    table = collection_tables.portfolios(Reports(tmp_path))
    assert list(table.index) == ["a"]  # b has none
    assert table.loc["a", "largest weight"] == "networks"
    assert table.loc["a"].tolist()[1:] == pytest.approx([0.6, 0.2, 1.0, 0.0], abs=1e-9)


def test_tables_and_the_spread_count_datasets(tmp_path):
    runs = planted(tmp_path, ["moons", "boards"])
    table = collection_tables.verdicts(runs)
    assert set(table.index) == {"KD, as in the original", "KD, routed", "KD, kernel teachers", "KD, portfolio"}
    assert list(table) == ["accuracy, points", "better", "worse", "cross-entropy", "better", "worse"]
    assert table.loc["KD, portfolio"].tolist()[1:3] == [2, 0]
    assert table.loc["KD, portfolio", "accuracy, points"].startswith("+0.25 [")
    spread = collection_tables.spread(runs)
    assert len(spread) == 4 * 8 and list(spread) == ["label", "dataset", "value", "verdict"]
    assert spread.query("label == 'KD, portfolio' and dataset == 'moons'")["value"].item() == pytest.approx(0.9)


def test_one_seed_has_no_interval_of_its_own(tmp_path):
    frames = {f"set{i}": results().query("seed == 0") for i in range(3)}
    runs = reports(tmp_path, **frames)
    tables = [table(runs).to_string() for table in (collection_tables.verdicts, collection.advice)]
    said = collection.answer, collection.overview, collection.losses, collection.controls, collection.credit
    sentences = *said, collection.advice_gain
    assert "nan" not in "".join([*tables, *(sentence(runs) for sentence in sentences)])
    assert np.isnan(collection_tables.gains(runs)["low"]).all()
