"""Sentences follow the numbers: made-up results that reverse a finding reverse the sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from kdlib.data import published
from kdlib.data.gaussians import DISTANCES
from kdlib.evaluation import results
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary

TITLES = {
    "ffnn": "FFNN", "teachers": "Teachers", "kd_original": "KD, as in the original", "kd_routed": "KD, routed",
    "kd_gated": "KD, gated", "kd_best": "KD, kernel teachers", "bayes": "Bayes",
}  # fmt: skip
METHODS = pd.DataFrame(
    {"title": TITLES, "updates": 1, "told the domain": {name: name == "teachers" for name in TITLES}}
).rename_axis("method")
USUAL = {"bayes": 1.0, "ffnn": 0.98, "teachers": 0.99, "kd_original": 0.84, "kd_routed": 0.98, "kd_best": 0.99}
SEEDS = 12


def chance(key, size=SEEDS, scale=0.0005):
    """Noise of mean zero, always the same for one key."""
    noise = np.random.default_rng(list(key.encode())).normal(0, scale, size)
    return noise - noise.mean()


def made_up(accuracy, dataset="data_d1.0", splits=("valid", "test", "fresh")):
    common = chance("start", scale=0.002)  # what a start is worth, to all methods alike
    rows = [
        [dataset, method, seed, split, "all", "accuracy", value + (method != "bayes") * (common[seed] + noise)]
        for method, value in accuracy.items()
        for split in splits
        for seed, noise in enumerate(chance(method + split, 1 if method == "bayes" else SEEDS))
    ]
    return pd.DataFrame(rows, columns=results.COLUMNS)


def climbed(original=0.84, mixed=0.0, selected=0.0, few=0.1):
    steps = {
        "as in the original": original,
        "more updates": original + few,
        "soft term times T²": original + few + 0.01,
    }
    tried = {"as in the original": 0, "domains mixed": mixed, "best epoch selected": selected, "both": mixed + selected}
    values = [("ladder", label, value) for label, value in steps.items()]
    values += [("explanation", label, original + gain) for label, gain in tried.items()]
    rows = [[what, label, s, v + noise] for what, label, v in values for s, noise in enumerate(chance(what + label))]
    return pd.DataFrame(rows, columns=["what", "label", "seed", "accuracy"])


def publish(folder, name, frame=None, distance=1.0, status="ok", reason=""):
    here = folder / name
    here.mkdir(parents=True)
    (here / "manifest.json").write_text(json.dumps({"status": status, "reason": reason, "seconds": 1.0}))
    if frame is not None:
        results.write(frame, here / "results.csv")
        METHODS.loc[frame.method.unique()].to_csv(here / "methods.csv")
        climbed().to_csv(here / "ladder.csv", index=False)
        np.savez(here / "boundaries.npz", **({} if distance is None else {"distance": distance}))


def sentence(accuracy):
    frame = made_up(accuracy)
    table = dataset_findings.comparison(frame, METHODS.loc[frame.method.unique()])
    return dataset_findings.finding(table, TITLES, accuracy["ffnn"], accuracy.get("bayes"))


def test_a_reversed_finding_turns_the_sentence():
    usual = sentence(USUAL)
    assert "*KD, as in the original*: **worse**, −0.1400 [" in usual
    assert "*KD, kernel teachers*: **better**, +0.0100 [" in usual
    assert "], 50% of the gap closed" in usual
    assert "can exceed 1.0000" in usual
    turned = sentence(USUAL | {"kd_original": 0.99, "kd_best": 0.97, "bayes": 0.995})
    assert "*KD, as in the original*: **better**, +0.01" in turned
    assert "*KD, kernel teachers*: **worse**, −0.01" in turned


def test_a_method_that_is_told_the_domain_is_no_competitor_and_bayes_no_method():
    frame = made_up(USUAL)
    table = dataset_findings.comparison(frame, METHODS)
    assert set(table.index) == {"kd_original", "kd_routed", "kd_best"}
    assert table.loc["kd_best", "gap closed"] == pytest.approx(0.5, abs=0.1)
    assert table.loc["kd_routed", "verdict"] == "no difference shown"


def test_without_a_known_law_there_is_no_gap():
    frame = made_up({k: v for k, v in USUAL.items() if k != "bayes"}, splits=("valid",))
    table = dataset_findings.comparison(frame, METHODS)
    assert table["gap closed"].isna().all()
    assert "exceed" not in dataset_findings.finding(table, TITLES, 0.98, None)


def test_an_explanation_is_supported_only_if_mending_it_alone_gains():
    text = dataset_findings.explanations(climbed(mixed=0.08, selected=0.0))
    everything, _, order, selection, both = text.split("\n")
    assert f"everything changes the accuracy by +0.1100, over {SEEDS} seeds. Each" in everything
    assert "order" in order and "**supported**" in order and "+0.08" in order
    assert "selection" in selection and "**not supported**" in selection
    assert "**supported**" in both
    *_, order, selection, _ = dataset_findings.explanations(climbed(mixed=-0.05, selected=0.02)).split("\n")
    assert "**not supported**" in order and "−0.05" in order
    assert "**supported in part**" in selection


def test_one_seed_has_no_interval_and_no_deviation(tmp_path):
    lone = climbed(mixed=0.08).query("seed == 0")
    frame = made_up(USUAL).query("seed == 0")
    publish(tmp_path, "a", frame)
    runs = results.Reports(tmp_path)
    table = dataset_findings.comparison(frame, METHODS)
    told = [
        dataset_findings.explanations(lone),
        summary.overview(runs),
        *map(dataset_findings.against, table.to_dict("records")),
    ]
    told += [summary.verdicts(runs).to_string(), summary.results_table(runs).to_string()]
    assert not [text for text in told if "nan" in text]


def test_the_biggest_step_is_named():
    assert "*more updates*: +0.1" in dataset_findings.biggest_step(climbed())
    assert "*soft term times T²*: +0.01" in dataset_findings.biggest_step(climbed(few=0.0))


def test_what_is_a_mean_over_datasets_says_so():
    one, two = climbed(), pd.concat([climbed().assign(dataset=name) for name in "ab"])
    for said in (dataset_findings.explanations, dataset_findings.biggest_step):
        assert "datasets" not in said(one) and "(mean of 2 datasets)" in said(two)
    assert dataset_findings.ladder(two)[["dataset", "seeds"]].drop_duplicates().to_numpy().tolist() == [
        ["a", 12],
        ["b", 12],
    ]


def test_the_overview_counts_datasets(tmp_path):
    publish(tmp_path, "a", made_up(USUAL))
    publish(tmp_path, "b", made_up(USUAL | {"kd_original": 0.99, "kd_best": 0.97}))
    publish(tmp_path, "c", status="failed", reason="cell 3: ValueError: no")
    text = summary.overview(results.Reports(tmp_path))
    assert text.startswith("**Distillation can win.**")
    assert "built **as in the original** is better on 1 of 2 datasets, worse on 1 (" in text
    assert "**kernel machines**, one per domain, is better on 1 of 2 datasets, worse on 1 (" in text
    assert "**faults mended**" in text and "network, is not shown to differ on both datasets (" in text
    first, _, *students, _, last = text.split("\n")
    assert first.endswith(f"in pairs over {SEEDS} seeds, a student") and last.startswith("[The chart](#figure-gaps)")
    assert len(students) == 3 and all(line.startswith("- ") for line in students)


def test_of_many_datasets_there_are_counts_and_the_first_are_drawn(tmp_path):
    def table(runs):
        found = summary.accuracy_table(runs)
        return found, summary.best_students(runs, found)

    names = [f"set{i}" for i in range(results.MOST)]
    for name in names:
        publish(tmp_path, name, made_up(USUAL, name))
    few = results.Reports(tmp_path)
    assert few.first().good == names and not summary.many(few) and summary.left_out(few) == ""
    publish(tmp_path, "zz", made_up(USUAL | {"kd_original": 0.99, "kd_best": 0.97}, "zz"))
    runs = results.Reports(tmp_path)
    assert runs.first().good == names and runs.first().titles == runs.titles and len(runs.good) == len(names) + 1
    assert f"drawn for the first {len(names)} of {len(names) + 1}, by name" in summary.left_out(runs)

    (before, best_before), (now, best_now) = table(few), table(runs)
    story = [TITLES[name] for name in ("ffnn", "kd_original", "kd_routed", "kd_best", "bayes")]
    assert list(now.columns) == story and now.index.name == "dataset" and list(now.index) == [*names, "zz"]
    pd.testing.assert_frame_equal(now[:-1].T, before.loc[story], check_names=False)
    pd.testing.assert_frame_equal(best_now[:-1].T, best_before.loc[story], check_names=False)

    counts = summary.counts(runs)
    assert counts.loc[TITLES["kd_original"], ["better on", "no difference shown on", "worse on"]].tolist() == [1, 0, 8]
    assert counts.loc[TITLES["kd_best"], "greatest"] == pytest.approx(1, abs=0.1)
    spread = summary.spread(runs)
    assert len(spread) == 3 * 9 and set(spread.label) == {TITLES[n] for n in ("kd_original", "kd_routed", "kd_best")}


def test_where_no_student_is_better_distillation_does_not_win_and_without_ceilings_there_is_no_chart(tmp_path):
    publish(tmp_path, "a", made_up({"ffnn": 0.98, "kd_original": 0.84, "kd_routed": 0.98}))
    text = summary.overview(results.Reports(tmp_path))
    assert text.startswith("**Distillation is not shown to win.**")
    assert "**as in the original** is worse on the dataset (" in text and "#figure" not in text


def test_nothing_good_is_said_plainly(tmp_path):
    publish(tmp_path, "c", status="died", reason="the kernel died")
    runs = results.Reports(tmp_path)
    assert "No run has succeeded" in summary.overview(runs)
    assert summary.results_table(runs).loc["c", "run"] == "died: the kernel died"
    assert runs.results.empty
    assert summary.ceilings(runs) == {}


def test_the_original_stands_beside_ours_only_where_it_is_the_same_data(tmp_path):
    frame = made_up(USUAL)
    publish(tmp_path, "data_d1.0", frame)
    publish(tmp_path, "other", frame, distance=None)
    table = summary.results_table(results.Reports(tmp_path))
    assert table.loc["data_d1.0", "FFNN, original"] == "0.9833 ± 0.0047"
    assert table.loc["data_d1.0", "KD, original"] == "0.8373 ± 0.0074"
    assert table.loc["data_d1.0", "KD, ours"].startswith("0.8")
    ours = frame.query("method == 'kd_original' and split == 'valid'")["value"].mean()
    assert float(table.loc["data_d1.0", "KD, difference"]) == pytest.approx(ours - 0.8373, abs=1e-4)
    assert table.loc["other", "KD, original"] == table.loc["other", "KD, difference"] == "–"
    assert "run" not in table, "with nothing broken there is nothing to say of it"
    assert summary.originals(results.Reports(tmp_path)) == ["data_d1.0"]


def test_reasons_are_listed_only_where_a_run_has_one(tmp_path):
    publish(tmp_path, "a", made_up(USUAL))
    assert list(results.Reports(tmp_path).status) == ["status", "seconds"]
    publish(tmp_path, "b", status="failed", reason="boom")
    assert results.Reports(tmp_path).status["reason"].tolist() == ["", "boom"]


def test_the_gate_and_the_verdicts_are_in_percentage_points(tmp_path):
    publish(tmp_path, "a", made_up(USUAL | {"kd_gated": 0.985}))
    runs = results.Reports(tmp_path)
    said, _, each = summary.gate(runs).split("\n")
    assert "is better on the dataset (+0.50 points)" in said and each.startswith("- a: **better**, +0.50 [+0.4")
    cell = summary.verdicts(runs).loc["KD, routed", "a"]
    assert cell.startswith("+0.00 [") and cell.endswith(" no\N{NO-BREAK SPACE}difference\N{NO-BREAK SPACE}shown")


def test_the_best_is_marked_among_students_only(tmp_path):
    publish(tmp_path, "a", made_up(USUAL))
    runs = results.Reports(tmp_path)
    table = summary.accuracy_table(runs)
    best = summary.best_students(runs, table)
    assert best["a"].sum() == 1
    assert best.loc["KD, kernel teachers", "a"]
    assert summary.ceilings(runs) == {"a": 1.0}


def test_a_cause_is_supported_only_if_its_control_is_worse():
    methods = pd.DataFrame({"title": {"kd_best": "best", "ffnn_noisy": "noisy", "kd_ensemble": "ensemble"}})
    methods["told the domain"] = False
    text = dataset_findings.controls(made_up({"kd_best": 0.99, "ffnn_noisy": 0.96, "kd_ensemble": 0.995}), methods)
    noisy, ensemble = text.split("\n")
    assert noisy.startswith("- **supported**: the teachers' answers matter") and "+0.0300 [" in noisy
    assert ensemble.startswith("- **not supported**: it is more") and "−0.0050 [" in ensemble


def test_what_300_points_cannot_show_is_said():
    assert "between 0.957 and 0.991" in dataset_findings.what_points_show(0.98, 300)


def test_the_published_numbers_are_there_for_every_distance():
    assert set(published.PUBLISHED) == set(DISTANCES)
    assert published.PUBLISHED[0.25]["KD"][0] == pytest.approx(0.7153)
