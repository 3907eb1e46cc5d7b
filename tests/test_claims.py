"""Sentences follow the numbers: made-up results that reverse a finding reverse the sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from kdlib import claims, results
from kdlib.gaussians import DISTANCES

METHODS = {"ffnn": "FFNN", "kd_original": "KD, as in the original", "kd_routed": "KD, routed", "bayes": "Bayes"}


def made_up(accuracy, dataset="data_d1.0", splits=("valid", "test", "fresh")):
    rows = [
        [dataset, method, seed, split, "all", "accuracy", value + (seed - 1) * 0.001 * (method != "bayes")]
        for method, value in accuracy.items()
        for split in splits
        for seed in range(1 if method == "bayes" else 3)
    ]
    return pd.DataFrame(rows, columns=results.COLUMNS)


def publish(folder, name, frame=None, distance=1.0, status="ok", reason=""):
    here = folder / name
    here.mkdir(parents=True)
    (here / "manifest.json").write_text(json.dumps({"status": status, "reason": reason, "seconds": 1.0}))
    if frame is not None:
        results.write(frame, here / "results.csv")
        pd.Series(METHODS, name="title").rename_axis("method").to_csv(here / "methods.csv")
        np.savez(here / "boundaries.npz", **({} if distance is None else {"distance": distance}))


def test_a_reversed_finding_turns_the_sentence():
    usual = claims.finding(made_up({"bayes": 1.0, "ffnn": 0.98, "kd_original": 0.84, "kd_routed": 0.981}))
    assert "0.8400, 0.1400 less" in usual
    assert "0.9810, 0.0010 more" in usual
    assert "fresh points" in usual
    assert "can exceed 1.0000" in usual
    turned = claims.finding(made_up({"ffnn": 0.9, "kd_original": 0.95, "kd_routed": 0.9}, splits=("valid",)))
    assert "0.9500, 0.0500 more" in turned
    assert "the same to four decimals" in turned
    assert "the valid points" in turned
    assert "exceed" not in turned


def test_the_overview_counts_datasets(tmp_path):
    publish(tmp_path, "a", made_up({"ffnn": 0.98, "kd_original": 0.84, "kd_routed": 0.97}))
    publish(tmp_path, "b", made_up({"ffnn": 0.80, "kd_original": 0.85, "kd_routed": 0.81}))
    publish(tmp_path, "c", status="failed", reason="cell 3: ValueError: no")
    text = claims.overview(results.Reports(tmp_path))
    assert "**1 of 2** datasets" in text
    assert "-0.1400 to +0.0500" in text
    assert "3 seeds" in text


def test_nothing_good_is_said_plainly(tmp_path):
    publish(tmp_path, "c", status="died", reason="the kernel died")
    runs = results.Reports(tmp_path)
    assert "No run has succeeded" in claims.overview(runs)
    assert claims.results_table(runs).loc["c", "run"] == "died: the kernel died"
    assert runs.results.empty


def test_the_original_stands_beside_ours_only_where_it_is_the_same_data(tmp_path):
    frame = made_up({"ffnn": 0.98, "kd_original": 0.84, "kd_routed": 0.97})
    publish(tmp_path, "data_d1.0", frame)
    publish(tmp_path, "other", frame, distance=None)
    table = claims.results_table(results.Reports(tmp_path))
    assert table.loc["data_d1.0", "FFNN, original"] == "0.9833 ± 0.0047"
    assert table.loc["data_d1.0", "KD, original"] == "0.8373 ± 0.0074"
    assert table.loc["data_d1.0", "KD, ours"] == "0.8400 ± 0.0010"
    assert table.loc["other", "KD, original"] == "–"
    assert "run" not in table, "with nothing broken there is nothing to say of it"


def test_the_published_numbers_are_there_for_every_distance():
    assert set(claims.PUBLISHED) == set(DISTANCES)
    assert claims.PUBLISHED[0.25]["KD"][0] == pytest.approx(0.7153)
