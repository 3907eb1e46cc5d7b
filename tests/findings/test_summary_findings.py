"""The summary's sentences and tables follow the numbers, and list methods by what is registered of them."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up import SEEDS, accuracies, methods, publish, reports, tidy
from scipy import stats
from small_datasets import small_dataset

from kdlib.data.published import PUBLISHED
from kdlib.evaluation import results
from kdlib.evaluation.comparison import BETTER, NEITHER, WORSE
from kdlib.evaluation.results import Reports
from kdlib.findings import explorer, summary, summary_tables
from kdlib.findings import original as original_findings

TITLES = methods()["title"].to_dict()
REVERSED = accuracies(kd_original=0.99, kd_kernel_teachers=0.97)


def test_the_overview_counts_datasets(tmp_path):
    publish(tmp_path, "c", status="failed", reason="cell 3: ValueError: no")
    runs = reports(tmp_path, a=tidy(accuracies()), b=tidy(REVERSED))
    assert summary.answer(runs) == (
        "**Distillation can beat direct training**: of 6 comparisons of a student with direct training on a dataset, "
        "the student is better in 2 and worse in 2, corrected for their number (Holm)."
    )
    first, _, *students = summary.overview(runs).split("\n")
    assert first == f"Compared with direct training at its best (*FFNN*), paired over {SEEDS} seeds:"
    routed, kernels, original = students  # the best first
    assert routed.startswith("- **KD, routed**: no significant difference on either dataset (")
    assert routed.endswith(" points).")
    assert kernels.startswith(
        "- **KD, kernel teachers**: better on 1 of 2 datasets, worse on 1 (−1.00 to +1.00 points)"
    )
    assert "; where it is better, closes 50% of the gap to the best possible." in kernels
    assert original.startswith("- **KD, as in the original**: better on 1 of 2 datasets, worse on 1 (")


@pytest.mark.parametrize(("count", "all_of", "none_of"), [
    (1, "better (", "difference ("),
    (2, "better on both datasets (", "difference on either dataset ("),
    (3, "better on all 3 datasets (", "difference on any of the 3 datasets ("),
])  # fmt: skip
def test_of_datasets_that_agree_all_or_none_are_named(tmp_path, count, all_of, none_of):
    runs = reports(tmp_path, **{f"set{i}": tidy(accuracies()) for i in range(count)})
    text = summary.overview(runs)
    assert f"**KD, kernel teachers**: {all_of}+1.00 points); closes 50% of the gap to the best possible." in text
    assert f"**KD, routed**: no significant {none_of}" in text


def test_where_no_student_is_better_the_answer_says_so(tmp_path):
    runs = reports(tmp_path, a=tidy({"ffnn": 0.98, "kd_original": 0.84, "kd_routed": 0.98}))
    text = summary.answer(runs)
    assert text.startswith("**No student is shown to beat direct training**: of 2 comparisons of a student with ")
    assert "the student is better in none and worse in 1, corrected" in text
    assert "**KD, as in the original**: worse (−14.00 points)." in summary.overview(runs)
    assert summary_tables.room(runs) == {}


def test_the_key_figure_shows_students_and_their_ceiling(tmp_path):
    runs = reports(tmp_path, a=tidy(accuracies()), b=tidy(REVERSED))
    frame = summary_tables.key_frame(runs)
    assert list(frame.dataset.unique()) == ["a", "b"]
    assert set(frame.label) == {"KD, as in the original", "KD, routed", "KD, kernel teachers"}
    assert summary_tables.room(runs) == pytest.approx({"a": 0.02, "b": 0.02}, abs=1e-3)
    assert summary_tables.definitions(runs).loc["KD, routed"].tolist() == ["KD, routed, described.", "labels"]


def test_of_many_datasets_there_are_counts_and_the_first_have_panels(tmp_path):
    def table(runs):
        shown = summary_tables.accuracy_table(runs)
        return shown, summary_tables.best_students(runs, shown)

    names = [f"set{i}" for i in range(results.MAX_DATASETS)]
    few = reports(tmp_path, **{name: tidy(accuracies(), name) for name in names})
    assert few.first().good == names and not summary_tables.exceeds_panel_limit(few) and summary.left_out(few) == ""
    runs = reports(tmp_path, zz=tidy(REVERSED, "zz"))
    assert runs.first().good == names and runs.first().titles == runs.titles and len(runs.good) == len(names) + 1
    assert f"show the first {len(names)} of {len(names) + 1} datasets, by name" in summary.left_out(runs)

    (before, best_before), (now, best_now) = table(few), table(runs)
    shown = [TITLES[name] for name in ("ffnn", "kd_original", "kd_routed", "kd_kernel_teachers", "bayes")]
    assert list(now.columns) == shown and now.index.name == "dataset" and list(now.index) == [*names, "zz"]
    pd.testing.assert_frame_equal(now[:-1].T, before.loc[shown], check_names=False)
    pd.testing.assert_frame_equal(best_now[:-1].T, best_before.loc[shown], check_names=False)


def test_of_many_datasets_with_cuts_the_first_cut_of_each_has_a_panel_and_a_row_is_their_mean(tmp_path):
    frames = {f"crabs-cut{cut}": tidy(accuracies(ffnn=0.90 + cut / 100)) for cut in range(1, 6)}
    frames |= {f"moons{i}": tidy(accuracies()) for i in range(4)}
    runs = reports(tmp_path, **frames)
    assert runs.first().good == ["crabs-cut1", "moons0", "moons1", "moons2", "moons3"]
    assert "show 5 datasets, of each its first cut; sentences" in summary.left_out(runs)
    assert summary_tables.accuracy_table(runs).loc["crabs", "FFNN"] == pytest.approx(93, abs=1e-7)


def test_a_planted_effect_on_one_of_four_datasets_is_found(tmp_path):
    alike = accuracies(kd_original=0.98, kd_kernel_teachers=0.98)
    runs = reports(tmp_path, **{name: tidy(alike) for name in "abc"}, d=tidy(alike | {"kd_routed": 0.985}))
    assert "training**: of 12 comparisons" in summary.answer(runs)
    assert "the student is better in 1 and worse in none" in summary.answer(runs)


def test_a_collection_without_any_effect_has_a_false_headline_at_most_as_often_as_it_says():
    """100 datasets, 5 students and 10 seeds, a hundred times; the seeds of one dataset share direct training."""
    rng, false = np.random.default_rng(0), 0
    for _ in range(100):
        direct, students = rng.standard_t(5, (100, 1, 10)), rng.standard_t(5, (100, 5, 10))
        differences = students - direct
        p, mean = stats.ttest_1samp(differences, 0, axis=2).pvalue.ravel(), differences.mean(axis=2).ravel()
        verdicts = np.select([p > 0.05, mean > 0], [NEITHER, BETTER], WORSE)
        gains = pd.DataFrame({"difference": mean, "raw p": p, "verdict": verdicts})
        false += summary.headline(gains).startswith("**Distillation can beat direct training")
        planted = gains.copy()
        planted.loc[gains["difference"].idxmax(), ["raw p", "verdict"]] = 1e-6, BETTER
        assert summary.headline(planted).startswith("**Distillation can beat direct training")
    assert false <= 5


def test_the_headline_says_that_students_lose_more_often():
    gains = pd.DataFrame({"verdict": [BETTER, WORSE, WORSE], "raw p": 1e-6})
    assert summary.headline(gains).startswith("**Distillation can beat direct training, but loses to it more often**")
    assert summary.headline(gains[:2]).startswith("**Distillation can beat direct training**: of 2 comparisons")


def test_the_headline_counts_nothing_that_the_verdicts_below_it_do_not_show(tmp_path):
    """A gain of one of two students that holds corrected for two, and not for all methods of its dataset."""
    others = "kernel_mixture", "kernel_direct", "kd_kernel_direct", "portfolio", "sites_gated", "sites_mean"
    alike = {"ffnn": 0.98, "kd_gated": 0.98, "kd_routed": 0.9806}
    few, many = (
        reports(tmp_path / "few", a=tidy(alike)),
        reports(tmp_path / "many", a=tidy(alike | dict.fromkeys(others, 0.98))),
    )
    p = summary_tables.comparisons(many)["a"].loc["kd_routed", "raw p"]
    assert 0.05 / 8 < p < 0.05 / 2
    assert "the student is better in 1 and worse in none" in summary.answer(few)
    assert "the student is better in none and worse in none" in summary.answer(many)


def with_losses(accuracies, **losses):
    """Results with a cross-entropy, 0.2 of every method but some."""
    return pd.concat([tidy(accuracies), tidy(dict.fromkeys(accuracies, 0.2) | losses, metric="nll")])


def test_credit_says_what_teachers_reach_and_what_the_student_keeps(tmp_path):
    reached = {"kernel_mixture": 0.99, "kd_kernel_teachers": 0.985, "kernel_direct": 0.98, "kd_kernel_direct": 0.98}
    runs = reports(tmp_path, a=tidy(accuracies(**reached)), b=tidy(accuracies(**reached | {"kernel_mixture": 0.98})))
    first, _, single, pooled = summary.credit(runs).split("\n")
    assert first == "Undistilled teachers and their students, compared with *FFNN*:"
    assert single == (
        "- *Kernel teachers*: +0.00 to +1.00 points; its student, *KD, kernel teachers*: +0.50 points: it keeps 50% of "
        "the gain where the teacher is better."
    )
    assert pooled == "- *Pooled machine*: +0.00 points; its student, *KD, pooled machine*: +0.00 points."
    assert summary.credit(reports(tmp_path / "none", a=tidy(accuracies()))) == ""


def test_the_advised_method_has_the_lowest_cross_entropy_on_the_validation_split(tmp_path):
    runs = reports(
        tmp_path,
        a=with_losses(accuracies(), kd_kernel_teachers=0.1),
        b=with_losses(accuracies(), ffnn=0.1),
        c=with_losses(accuracies(), kd_original=0.1),
    )
    table = summary.advice(runs)
    assert table["use"].to_dict() == {"a": "KD, kernel teachers", "b": "FFNN", "c": "KD, as in the original"}
    assert table.loc["a", "accuracy, points"].startswith("+1.00 [") and table.loc["a"].str.endswith(" better")[1:].all()
    assert table.loc["a", "cross-entropy"].startswith("−0.1000 [")
    assert table.loc["b"].tolist() == ["FFNN", "–", "–"]
    assert table.loc["c", "accuracy, points"].endswith(" worse")  # said, though it is advised


def test_how_far_the_rebuilt_student_is_from_the_published_one_is_said(tmp_path):
    frame = tidy(accuracies())
    publish(tmp_path, "other", frame)
    assert (
        original_findings.replica_limits(Reports(tmp_path)) == ""
        and original_findings.reproduction(Reports(tmp_path)).empty
    )
    publish(tmp_path, "data_d1.0", frame, published=PUBLISHED[1.0])
    text = original_findings.replica_limits(Reports(tmp_path))
    assert text.startswith("The rebuilt student differs from the published one by +0.3 points. Its number of epochs")
    publish(tmp_path, "data_d0.25", frame, published=PUBLISHED[0.25])
    text = original_findings.replica_limits(Reports(tmp_path))
    assert "by +0.3 to +12.5 points: it does not reproduce the published accuracies at every" in text


def test_without_a_good_run_the_summary_says_so(tmp_path):
    publish(tmp_path, "c", status="died", reason="the kernel died")
    runs = Reports(tmp_path)
    assert "No run has succeeded" in summary.answer(runs) and summary.overview(runs) == ""
    assert summary_tables.results_table(runs).loc["c", "run"] == "died: the kernel died"
    assert runs.results.empty
    assert summary_tables.ceilings(runs) == summary_tables.titles(runs) == {}
    assert explorer.scenes(runs)["datasets"] == []


def test_published_accuracies_stand_beside_ours_only_where_the_data_are_the_originals(tmp_path):
    frame = tidy(accuracies())
    publish(tmp_path, "data_d1.0", frame, published=PUBLISHED[1.0])
    publish(tmp_path, "other", frame)
    runs = Reports(tmp_path)
    table = summary_tables.results_table(runs)
    assert table.loc["data_d1.0", "FFNN, original"] == "98.3 ± 0.5"
    assert table.loc["data_d1.0", "KD, original"] == "83.7 ± 0.7"
    ours = frame.query("method == 'kd_original' and split == 'valid'")["value"].mean()
    assert table.loc["data_d1.0", "KD, ours"].startswith(f"{100 * ours:.1f} ± ")
    assert float(table.loc["data_d1.0", "KD, difference"]) == pytest.approx(100 * (ours - 0.8373), abs=0.06)
    assert table.loc["other", ["KD, original", "KD, difference"]].isna().all()
    assert table.loc["other", "KD, as in the original"] == pytest.approx(0.84)
    assert list(original_findings.reproduction(runs).index) == ["data_d1.0"]
    assert "run" not in table, "there is no failure to explain"
    assert original_findings.originals(runs) == ["data_d1.0"]


def test_failures_have_a_column_only_where_there_is_one(tmp_path):
    publish(tmp_path, "a", tidy(accuracies()))
    assert list(Reports(tmp_path).status) == ["status", "seconds"]
    publish(tmp_path, "b", status="failed", reason="boom")
    assert Reports(tmp_path).status["reason"].tolist() == ["", "boom"]


def test_verdicts_are_in_percentage_points(tmp_path):
    cell = summary_tables.verdicts(reports(tmp_path, a=tidy(accuracies()))).loc["KD, routed", "a"]
    assert cell.startswith("+0.00 [") and cell.endswith("]")
    some = accuracies()
    del some["kd_original"]
    table = summary_tables.verdicts(reports(tmp_path, b=tidy(some)))
    assert list(table.index) == ["KD, as in the original", "KD, routed", "KD, kernel teachers"]  # as registered
    assert table.loc["KD, as in the original", "b"] == "–"


def test_what_a_control_isolates_is_supported_on_so_many_datasets(tmp_path):
    better, alike = tidy(accuracies(kd_gated=0.985)), tidy(accuracies(kd_gated=0.98))
    assert summary.controls(reports(tmp_path, a=better)) == (
        "- **supported**: all teachers matter. *KD, gated* minus *KD, routed*: +0.50 points."
    )
    assert "- **supported on 1 of 2 datasets**: all" in summary.controls(reports(tmp_path, b=alike))
    assert "- **not supported**: all" in summary.controls(reports(tmp_path / "alike", a=alike, b=alike))


def test_the_best_of_those_that_see_only_the_point_is_marked(tmp_path):
    runs = reports(tmp_path, a=tidy(accuracies(teachers=0.995)))
    best = summary_tables.best_students(runs, summary_tables.accuracy_table(runs))
    assert best["a"].sum() == 1
    ties = summary_tables.best_students(runs, summary_tables.accuracy_table(runs) * 0)
    assert not ties.any(axis=None)
    assert best.loc["KD, kernel teachers", "a"]
    assert summary_tables.ceilings(runs) == {"a": 1.0}


def test_maps_show_the_baseline_the_least_accurate_student_and_the_two_most_accurate(tmp_path):
    frame = tidy(accuracies(kd_routed=0.95, kd_gated=0.97))
    shown = summary_tables.shown_on_maps(reports(tmp_path, a=frame))
    assert list(shown) == ["ffnn", "kd_original", "kd_kernel_teachers", "kd_gated"]


def test_a_method_with_another_number_of_updates_is_named(tmp_path):
    frame = tidy(accuracies())
    publish(tmp_path, "a", frame)
    assert summary.budgets(Reports(tmp_path)) == ""
    updates = [1_875 if name == "kd_original" else 22_500 for name in frame.method.unique()]
    publish(tmp_path, "b", frame, updates=updates)
    text = summary.budgets(Reports(tmp_path)).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert text == (
        "Updates per seed, where they are not those of *FFNN*, 22 500: *KD, as in the original*, 1875 to 22 500."
    )


def test_one_seed_has_no_interval_and_no_deviation(tmp_path):
    runs = reports(tmp_path, a=tidy(accuracies(kd_gated=0.985)).query("seed == 0"))
    tables = [table(runs).to_string() for table in (summary_tables.verdicts, original_findings.reproduction)]
    text = "".join([summary.overview(runs), summary.controls(runs), *tables])
    assert "nan" not in text and "±" not in text


@pytest.mark.slow
def test_a_registered_method_is_in_every_sentence_and_table(tmp_path, monkeypatch):
    """Registered here, and nowhere else: a student, and a control of it."""
    from kdlib.methods import METHODS, Student, method
    from kdlib.settings import Settings
    from kdlib.studies.experiment import Experiment

    for name in ("smoothed", "unsmoothed"):
        monkeypatch.setitem(METHODS, name, None)  # forgotten when the test ends

    @method("A new student", in_summary=True)
    def smoothed(problem):
        """Trained on smoothed labels."""
        return Student(problem.plan("smoothed", (0.9 * problem.labels + 0.05,)))

    @method("A new control", role="control", control_of="smoothed", isolates="smoothing matters")
    def unsmoothed(problem):
        """Trained on labels."""
        return Student(problem.plan("unsmoothed", (problem.labels,)))

    experiment = Experiment(small_dataset(), Settings(seeds=3, epochs=2, hidden=(8,)))
    experiment.run("ffnn")
    described = experiment.run_section("more methods")
    assert described.loc["A new student", "description"] == "Trained on smoothed labels."
    experiment.write(tmp_path / "small")
    (tmp_path / "small" / "manifest.json").write_text(json.dumps({"status": "ok", "reason": "", "seconds": 1.0}))

    runs = Reports(tmp_path)
    assert "- **A new student**: " in summary.overview(runs)
    assert summary_tables.definitions(runs).loc["A new student"].tolist() == ["Trained on smoothed labels.", "labels"]
    assert "supported**: smoothing matters. *A new student* minus *A new control*: " in summary.controls(runs)
    for table in (summary_tables.accuracy_table(runs), summary_tables.verdicts(runs)):
        assert {"A new student", "A new control"} <= set(table.index)
    assert "A new student" in set(summary_tables.key_frame(runs).label) and "smoothed" in summary_tables.shown_on_maps(
        runs
    )
    scenes = explorer.scenes(runs)
    assert scenes["titles"] == {"ffnn": "FFNN", "smoothed": "A new student"}
    assert list(scenes["datasets"][0]["methods"]) == ["ffnn", "smoothed"]
    assert np.isfinite(scenes["datasets"][0]["methods"]["smoothed"]["accuracy"]).all()
