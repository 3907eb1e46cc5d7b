"""Sentences follow the numbers: where results are made up to reverse a finding, its sentence is reversed."""

import numpy as np
import pandas as pd
import pytest
from made_up import SEEDS, accuracies, methods, noise, tidy

from kdlib.findings import dataset as dataset_findings

METHODS = methods(*accuracies())


def finding(**changes):
    frame = tidy(accuracies(**changes))
    return dataset_findings.finding(frame, methods(*frame.method.unique()))


def test_a_reversed_finding_reverses_the_sentence():
    first, _, *lines = finding().split("\n")
    assert first == (
        f"Direct training (*FFNN*) reaches an accuracy of **98.00%**, over {SEEDS} seeds; no classifier that is not "
        "given the domain can exceed 100.00%. Students, compared with it:"
    )
    assert lines[0].startswith("- *KD, kernel teachers*: **better**, +1.00 [")
    assert lines[0].endswith("] points, 50% of the gap closed.")
    assert lines[-1].startswith("- *KD, as in the original*: **worse**, −14.00 [")
    reversed_finding = finding(kd_original=0.99, kd_kernel_teachers=0.97)
    assert "*KD, as in the original*: **better**, +1.00 [" in reversed_finding
    assert "*KD, kernel teachers*: **worse**, −1.00 [" in reversed_finding


def test_without_an_effect_nothing_is_better_or_worse():
    text = finding(kd_original=0.98, kd_kernel_teachers=0.98)
    assert text.count("**no significant difference**") == 3
    assert "better" not in text and "worse" not in text and "gap" not in text


def test_a_method_that_uses_the_domain_is_not_compared_and_bayes_is_no_method():
    table = dataset_findings.comparison(tidy(accuracies()), METHODS)
    assert set(table.index) == {"kd_original", "kd_routed", "kd_kernel_teachers"}
    assert table.loc["kd_kernel_teachers", "gap closed"] == pytest.approx(0.5, abs=0.1)
    assert table.loc["kd_routed", "verdict"] == "no significant difference"


def test_the_last_baseline_is_what_others_are_compared_with():
    tuned = METHODS.loc[["ffnn"]].assign(title="FFNN, tuned").rename(index={"ffnn": "ffnn_tuned"})
    registered = pd.concat([METHODS, tuned])
    frame = tidy(accuracies(ffnn_tuned=0.995))
    assert dataset_findings.comparison(frame, registered).loc["ffnn", "verdict"] == "worse"
    assert "(*FFNN, tuned*) reaches an accuracy of **99.50%**" in dataset_findings.finding(frame, registered)


def test_without_a_known_distribution_there_is_no_gap():
    known = accuracies()
    del known["bayes"]
    frame = tidy(known, splits=("valid",))
    registered = METHODS.drop(index="bayes")
    assert dataset_findings.comparison(frame, registered)["gap closed"].isna().all()
    assert "exceed" not in dataset_findings.finding(frame, registered)


def test_one_seed_has_no_interval():
    frame = tidy(accuracies()).query("seed == 0")
    texts = [
        dataset_findings.finding(frame, METHODS),
        dataset_findings.controls(frame, METHODS),
    ]
    assert "nan" not in "".join(texts) and "[" not in "".join(texts)


def control(name, **registered):
    return METHODS.loc[["ffnn"]].assign(title=name, role="control", in_summary=False, **registered).set_axis([name])


def test_a_reason_is_supported_only_if_its_control_is_worse():
    registered = pd.concat([
        METHODS.loc[["ffnn", "kd_kernel_teachers"]],
        control("worse", control_of="kd_kernel_teachers", isolates="answers matter"),
        control("as_good", control_of="kd_kernel_teachers", isolates="teachers matter"),
        control("of_another", control_of="kd_gated", isolates="weights matter"),
    ])  # fmt: skip
    frame = tidy({"ffnn": 0.9, "kd_kernel_teachers": 0.99, "worse": 0.96, "as_good": 0.995, "of_another": 0.9})
    worse, as_good = dataset_findings.controls(frame, registered).split("\n")
    assert worse.startswith("- **supported**: answers matter. *KD, kernel teachers* minus *worse*: +3.00 [")
    assert as_good.startswith("- **not supported**: teachers matter. *KD, kernel teachers* minus *as_good*: −0.50 [")
    table = dataset_findings.contrasts(frame, registered)
    assert table.loc["as_good", "verdict"] == "worse"
    assert (table["low"] < table["difference"]).all() and (table["difference"] < table["high"]).all()


def test_without_controls_there_is_nothing_to_say():
    assert dataset_findings.controls(tidy(accuracies()), METHODS.assign(control_of="")) == ""


def test_the_sampling_error_of_300_points_is_wilsons():
    text = dataset_findings.sampling_error(0.98, 300)
    assert (
        "from 95.7% to 99.1% (Wilson)" in text and "a difference between two of them can be much more precise" in text
    )


def with_losses(splits=("valid", "test"), **losses):
    frame = tidy(accuracies(), splits=splits)
    return pd.concat([frame, tidy(dict.fromkeys(accuracies(), 0.2) | losses, splits=splits, metric="nll")])


def test_advice_is_the_network_of_the_lowest_cross_entropy_on_points_that_train_nothing():
    text = dataset_findings.advice(with_losses(kd_kernel_teachers=0.1), METHODS)
    assert text.startswith(
        "**Use *KD, kernel teachers***: of the networks compared it has the lowest cross-entropy on "
    )
    assert "0.100. Compared with *FFNN* on the reported points: accuracy **better**, +1.0 [" in text
    assert "; cross-entropy **better**, −0.1000 [" in text
    assert "No student improves on direct" in dataset_findings.advice(with_losses(ffnn=0.1), METHODS)
    same = dataset_findings.advice(with_losses(splits=("valid",), kd_routed=0.1), METHODS)
    assert "on the same points (which favours what was chosen on them): accuracy **no sig" in same


def test_credit_goes_to_the_teachers_and_to_what_the_student_keeps():
    reached = {"kernel_mixture": 0.99, "kd_kernel_teachers": 0.985, "kernel_direct": 0.98, "kd_kernel_direct": 0.97}
    frame = tidy(accuracies(**reached))
    first, _, single, pooled = dataset_findings.credit(frame, methods(*frame.method.unique())).split("\n")
    assert first == "Undistilled teachers and their students, compared with *FFNN*:"
    assert single.startswith("- *Kernel teachers*: +1.00 [") and single.endswith("] points: it keeps 50% of the gain.")
    assert "; its student, *KD, pooled machine*: −1.00 [" in pooled and "keeps" not in pooled
    assert dataset_findings.credit(tidy(accuracies()), METHODS) == ""


def test_noise_has_mean_zero():
    assert np.abs(noise("any").mean()) < 1e-15


def test_what_ran_is_described_with_its_accuracy_and_what_did_not_is_left_out():
    table = pd.DataFrame({"description": ["What it is.", "why not"], "accuracy": [0.5, np.nan]}, index=["A", "B"])
    assert dataset_findings.ran(table) == "- *A*: What it is. Accuracy 50.0%."
    assert dataset_findings.ran(table[1:]) == ""


def test_a_comparison_is_shown_in_points_with_as_many_digits_as_the_points_deserve():
    known, table = tidy(accuracies()), dataset_findings.comparison(tidy(accuracies()), METHODS)
    row = dataset_findings.comparison_table(table, dataset_findings.digits(known)).loc["kd_kernel_teachers"]
    assert row["accuracy"] == "99.00%" and row["gap closed"] == "50%" and row["verdict"] == "better"
    assert row["difference and interval"].startswith("+1.00 [+0.")
    few = tidy(accuracies(), splits=("valid", "test"))
    assert dataset_findings.digits(few) == 1
    assert "gap closed" not in dataset_findings.comparison_table(table.assign(**{"gap closed": np.nan}), 1)
