"""Tidy results: what is scored, written and read back, and what reports are found in a folder."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score
from small_datasets import small_dataset

from kdlib.data.contract import REQUIRED
from kdlib.evaluation import metrics, results

CLASSES, MEMBERS = 2, 3


def log_probabilities(x, d=None):
    """A population of linear classifiers: (member, n, classes)."""
    kernel = np.random.default_rng(0).normal(size=(MEMBERS, x.shape[1], CLASSES))
    return log_softmax(x @ kernel, axis=2)


@pytest.fixture(scope="module")
def split():
    return small_dataset(classes=CLASSES).test


def scored(split, **more):
    return results.frame("small", "ffnn", "test", results.score(split, log_probabilities, **more).values())


@pytest.fixture
def table(split):
    return scored(split)


def test_scores_are_one_row_per_seed_domain_and_metric(split, table):
    assert list(table.columns) == results.COLUMNS
    assert set(table.domain) == {"all", "0", "1"} and set(table[table.domain != "all"].metric) == {"accuracy"}
    assert (table.groupby(["domain", "metric"]).size() == MEMBERS).all()
    accuracy = results.select(table)["value"]
    np.testing.assert_allclose(accuracy, metrics.accuracy(log_probabilities(split.x), split.y))


def test_scores_do_not_depend_on_the_size_of_blocks(split, table, monkeypatch):
    monkeypatch.setattr(results, "BLOCK", 17)
    again = scored(split)
    pd.testing.assert_frame_equal(again, table)


def test_what_is_entered_in_metrics_is_in_the_results(split, monkeypatch):
    def area_under_curve(log_p, y):
        return [roc_auc_score(y, np.exp(each[:, 1])) for each in log_p]

    monkeypatch.setitem(metrics.METRICS, "auroc", metrics.Pooled(area_under_curve))
    monkeypatch.setattr(results, "BLOCK", 50)
    found = results.select(scored(split), metric="auroc")["value"]
    np.testing.assert_allclose(found, area_under_curve(log_probabilities(split.x), split.y))


def test_agreement_is_scored_where_there_is_a_target(split, table):
    assert "agreement" not in set(table.metric)
    agreement = results.select(scored(split, target=log_probabilities), metric="agreement")["value"]
    assert agreement.tolist() == [1.0] * MEMBERS


def test_of_a_split_without_domains_there_are_only_totals():
    split = small_dataset(REQUIRED).valid
    assert set(scored(split).domain) == {"all"}


def test_means_are_over_seeds_in_order_of_appearance(table):
    other = table.assign(method="kd", value=table["value"] / 2)
    found = results.means(pd.concat([other, table]))
    assert list(found) == ["kd", "ffnn"]
    accuracy = results.select(table)["value"]
    assert found["ffnn"] == pytest.approx((accuracy.mean(), accuracy.std()))
    assert found["kd"][0] == pytest.approx(accuracy.mean() / 2)


@pytest.mark.parametrize(
    "splits, expected", [("valid", "valid"), ("valid test", "test"), ("test fresh valid", "fresh")]
)
def test_fresh_points_are_reported_before_test_and_valid(table, splits, expected):
    assert results.reported(pd.concat([table.assign(split=split) for split in splits.split()])) == expected


# --- Files --------------------------------------------------------------------------------------------------------


def test_results_come_back_to_the_last_bit(table, tmp_path):
    table = table.assign(dataset="NA")  # may be read as a missing value
    table.loc[3, "value"] = np.nan
    table.loc[4, "value"] = 0.1 + 0.2
    results.write(table, tmp_path / "results.csv")
    pd.testing.assert_frame_equal(results.read(tmp_path / "results.csv"), table, check_exact=True)
    first = (tmp_path / "results.csv").read_bytes()
    results.write(results.read(tmp_path / "results.csv"), tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_bytes() == first


def test_methods_of_older_results_are_read_by_todays_names(table, tmp_path):
    results.write(table.assign(method="kd_best"), tmp_path / "results.csv")
    assert set(results.read(tmp_path / "results.csv").method) == {"kd_kernel_teachers"}


def test_a_table_of_other_columns_is_refused(table, tmp_path):
    results.write(table.drop(columns="split"), tmp_path / "results.csv")
    with pytest.raises(ValueError, match=r"results.csv: expected the columns dataset, .*, got dataset, method, seed, "):
        results.read(tmp_path / "results.csv")


def test_checksums_are_of_all_files_but_their_own(table, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "plane.npz").write_bytes(b"plane")
    assert results.write_tables({"one": table}, tmp_path) == "checksums of maps/plane.npz, one.csv"
    found = json.loads((tmp_path / results.CHECKSUMS).read_text())["files"]
    contents = {"maps/plane.npz": b"plane", "one.csv": (tmp_path / "one.csv").read_bytes()}
    assert found == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    before = (tmp_path / results.CHECKSUMS).read_bytes()
    results.write_checksums(tmp_path)
    assert (tmp_path / results.CHECKSUMS).read_bytes() == before


# --- Reports in a folder ------------------------------------------------------------------------------------------


def leave_report(folder, table, status="ok", reason=""):
    """Writes what a run of one dataset leaves, as far as `Reports` reads it."""
    folder.mkdir(parents=True)
    manifest = {"status": status, "reason": reason, "seconds": 1.5}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    results.write(table.assign(dataset=folder.name), folder / "results.csv")
    methods = pd.DataFrame({"title": "FFNN", "role": "baseline", "control_of": ""}, index=["ffnn"])
    methods.rename_axis("method").to_csv(folder / "methods.csv")
    (folder / "facts.json").write_text(json.dumps({"distribution": None, "published": None}))
    np.savez(folder / "boundaries.npz", points=np.ones((4, 2)), points_y=np.arange(4) % 2, points_d=np.zeros(4, int))


@pytest.fixture
def reports(tmp_path, table):
    leave_report(tmp_path / "one", table)
    leave_report(tmp_path / "two", table)
    leave_report(tmp_path / "broken", table, status="failed", reason="boom")
    leave_report(tmp_path / "draft", table)
    (tmp_path / "draft" / "summary.ipynb").touch()  # a report of its own
    return results.Reports(tmp_path)


def test_good_runs_are_read_and_others_are_told_of(reports):
    assert reports.good == ["one", "two"]
    assert reports.results.dataset.unique().tolist() == ["one", "two"]
    assert reports.status.loc["broken"].tolist() == ["failed", "boom", 1.5]
    assert set(reports.status.index) == {"one", "two", "broken"}
    assert reports.titles == {"ffnn": "FFNN"}
    assert reports.methods("one").control_of["ffnn"] == "", "not a missing value"


def test_reasons_are_shown_where_there_are_any(tmp_path, table):
    leave_report(tmp_path / "one", table)
    assert list(results.Reports(tmp_path).status.columns) == ["status", "seconds"]


def test_only_the_first_of_many_are_shown(reports):
    assert reports.first(1).good == ["one"]
    assert reports.good == ["one", "two"]


def test_an_empty_folder_has_no_results(tmp_path):
    none = results.Reports(tmp_path)
    assert none.results.empty and list(none.results.columns) == results.COLUMNS
    assert none.status.empty


def test_a_datasets_maps_facts_and_studies_are_read(reports, tmp_path):
    assert reports.maps("one")["points_y"].tolist() == [0, 1, 0, 1]
    assert reports.facts("one") == {"distribution": None, "published": None}
    assert reports.study("one", "factorial", "effects.csv") is None
    for status in ("failed", "ok"):
        folder = tmp_path / "one" / "factorial"
        folder.mkdir(exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps({"status": status}))
        (folder / "effects.csv").write_text("label\nx\n")
        assert (reports.study("one", "factorial", "effects.csv") is None) == (status == "failed")


def test_a_summary_is_written_with_its_checksums(reports, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    said = reports.write(out, pd.DataFrame({"FFNN": [0.5]}, index=["one"]))
    assert said == "checksums of results.csv, table.csv"
    pd.testing.assert_frame_equal(results.read(out / "results.csv"), reports.results)
