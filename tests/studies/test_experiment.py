"""Methods on one dataset: what is scored, mapped, tabulated and written of them."""

import json
import os
import time

import numpy as np
import pandas as pd
import pytest
from small_datasets import small_dataset

from kdlib.data import gaussians, load
from kdlib.data.contract import REQUIRED
from kdlib.evaluation import results
from kdlib.methods import METHODS, problem
from kdlib.settings import Settings, SettingsError
from kdlib.studies import experiment_tables as tables
from kdlib.studies.experiment import Experiment, cores, data_path
from kdlib.training.networks import predict

SETTINGS = Settings(seeds=2, epochs=2, hidden=(8, 6))
NAMES = ["ffnn", "ffnn_two_heads", "teachers", "kd_original", "kd_routed"]


@pytest.fixture(scope="module", autouse=True)
def few_points():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem, "FRESH_POINTS", 3000)
        yield


@pytest.fixture(scope="module")
def experiment():
    experiment = Experiment(gaussians.generate(1.0), SETTINGS)
    experiment.run_all(*NAMES)
    return experiment


@pytest.mark.slow
def test_every_method_is_scored_on_every_split(experiment):
    counts = results.select(experiment.results).groupby(["method", "split"]).size().unstack()
    assert list(counts.columns) == ["fresh", "test", "valid"]
    assert (counts.loc[NAMES] == SETTINGS.seeds).all(axis=None)
    assert set(experiment.results.domain) == {"all", "0", "1", "2"}
    assert list(experiment.results.columns) == results.COLUMNS


@pytest.mark.slow
def test_accuracy_in_the_results_is_that_of_the_predictions(experiment):
    trained, test = experiment.trained["kd_routed"], experiment.dataset.test
    right = trained.log_probabilities(test.x, None).argmax(axis=2) == test.y
    stored = results.select(experiment.results, method="kd_routed", split="test")["value"]
    np.testing.assert_allclose(stored, right.mean(axis=1))


@pytest.mark.slow
def test_trainings_that_helpers_do_have_the_same_results(experiment):
    events = []
    other = Experiment(experiment.dataset, SETTINGS, lambda *event, **_: events.append(event), cores=2)
    problem = other.problem
    problem.offer(first := problem.plan("first", (problem.labels,)))
    end = time.monotonic() + 120
    while problem.helpers._offers:  # until there is one
        assert time.monotonic() < end
        time.sleep(0.05)
    problem.run(first)
    other.run_all(*NAMES)
    assert other.results.equals(experiment.results)
    of_helpers = {task for task, epoch, _ in events} - {task for task, epoch, _ in events if epoch == 1}
    assert "first" in of_helpers and len(of_helpers) > 1  # only what this process trains tells the first of two epochs


@pytest.mark.slow
def test_the_same_settings_give_the_same_results_and_another_seed_other_ones(experiment):
    again = Experiment(experiment.dataset, SETTINGS)
    again.run("ffnn")
    mine = experiment.results[experiment.results.method == "ffnn"].reset_index(drop=True)
    theirs = again.results[again.results.method == "ffnn"].reset_index(drop=True)
    assert mine.equals(theirs)
    nll = results.select(mine, metric="nll", split="fresh")["value"]
    assert nll.nunique() == SETTINGS.seeds


@pytest.mark.slow
def test_bayes_is_the_ceiling(experiment):
    accuracy = experiment.accuracy()
    assert accuracy["bayes"][0] == pytest.approx(1.0, abs=1e-3)
    assert all(accuracy["bayes"][0] >= mean for mean, _ in accuracy.values())
    assert experiment.ceiling == accuracy["bayes"][0]


@pytest.mark.slow
def test_maps_are_probabilities_on_the_plane(experiment):
    maps = experiment.maps
    for name in experiment.students:
        assert maps[f"{name}/mean"].shape == (2, len(maps["axis1"]), len(maps["axis0"]))
        np.testing.assert_allclose(maps[f"{name}/mean"].astype(float).sum(axis=0), 1, atol=2e-3)
        np.testing.assert_allclose(maps[f"{name}/votes"].astype(float).sum(axis=0), 1, atol=2e-3)
        assert maps[f"{name}/seeds"].max() <= 1
    at = np.array([[maps["axis0"][3], maps["axis1"][7]]])
    direct = np.exp(experiment.trained["ffnn"].log_probabilities(at, None))
    np.testing.assert_allclose(maps["ffnn/mean"][:, 7, 3], direct.mean(axis=0)[0], atol=1e-3)
    np.testing.assert_array_equal(maps["ffnn/seeds"][:, 7, 3], direct[:, 0].argmax(axis=1))
    fit = experiment.trained["ffnn"].fits["student"]
    assert maps["ffnn/epochs"].tolist() == [*fit.early, len(fit.loss)]
    then = predict(next(iter(fit.early.values())), experiment.problem.scaled(at))
    assert maps["ffnn/early"][0, 7, 3] == then[0, 0].argmax()
    assert "teachers/mean" not in maps, "what uses the domain has no map without it"


@pytest.mark.slow
def test_each_teacher_has_a_map_of_its_own(experiment):
    titles = experiment.map_teachers()
    assert titles == {f"teacher_{k}": f"Teacher of domain {k}" for k in range(3)}
    means = [experiment.maps[f"{name}/mean"].astype(float) for name in titles]
    assert not np.allclose(means[0], means[1])


@pytest.mark.slow
def test_tables_are_of_the_methods_that_ran(experiment):
    names = ["bayes", *NAMES]
    titles = [METHODS[name].title for name in names]
    assert tables.accuracies(experiment).index.tolist() == titles
    assert list(tables.accuracies(experiment).columns) == ["mean", "sd", "domain 0", "domain 1", "domain 2"]
    assert list(experiment.methods.index) == names
    assert experiment.methods.title.tolist() == titles
    assert experiment.methods.updates["ffnn"] == SETTINGS.epochs * 75
    assert "Bayes" not in tables.definitions(experiment).index, "it is not trained"
    assert tables.definitions(experiment)["learns from"]["KD, routed"].startswith("labels and teachers, α = 0.5, T = 4")
    assert list(experiment.curves()) == ["ffnn", "kd_original", "kd_routed"]
    calibration = tables.calibration(experiment)
    assert list(calibration.columns)[:2] == ["nll", "ece"] and len(calibration) == len(names)
    assert set(tables.reliability(experiment).method) == {"ffnn", "kd_original", "kd_routed"}
    assert tables.samples(experiment)["samples"].tolist() == [2400, 300, 300, 3000]
    assert experiment.describe("test") == "the 300 test points"
    assert experiment.describe("fresh") == "3000 fresh points"


@pytest.mark.slow
def test_reliability_is_of_all_seeds_answers_together(experiment):
    table = tables.reliability(experiment).query("method == 'ffnn'")
    scores = experiment.results.query("method == 'ffnn' and split == 'fresh' and domain == 'all'")
    mean = scores.groupby("metric")["value"].mean()
    assert (table["count"] * table["accuracy"]).sum() == pytest.approx(mean["accuracy"])
    assert (table["count"] * (table["accuracy"] - table["confidence"]).abs()).sum() <= mean["ece"] + 1e-12


@pytest.mark.slow
def test_a_section_runs_what_is_registered_for_it(experiment):
    table = experiment.run_section("routed")
    assert table.index.tolist() == ["KD, routed"]
    assert table.description.tolist() == [METHODS["kd_routed"].description]
    assert table.accuracy.iloc[0] == experiment.accuracy()["kd_routed"][0]


@pytest.mark.slow
def test_what_is_written_can_be_read_and_has_checksums(experiment, tmp_path):
    experiment.write(tmp_path)
    assert results.read(tmp_path / "results.csv").equals(experiment.results)
    checksums = json.loads((tmp_path / "checksums.json").read_text())["files"]
    assert set(checksums) == {"results.csv", "methods.csv", "facts.json", "boundaries.npz"}
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["distribution"] == "three Gaussians, d = 1"
    assert facts["published"]["KD"] == [0.8373, 0.0074]
    methods = pd.read_csv(tmp_path / "methods.csv", index_col="method", keep_default_na=False)
    assert methods.role.to_dict() == {name: str(METHODS[name].role) for name in ["bayes", *NAMES]}
    with np.load(tmp_path / "boundaries.npz") as maps:
        np.testing.assert_array_equal(maps["ffnn/mean"], experiment.maps["ffnn/mean"])


@pytest.mark.slow
def test_predictions_do_not_depend_on_how_many_points_are_asked_about(experiment):
    weights = experiment.trained["ffnn"].fits["student"].weights
    x = experiment.problem.x
    np.testing.assert_allclose(predict(weights, x)[:, :7], predict(weights, x[:7]), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_data_of_an_unknown_distribution_have_no_ceiling_and_no_fresh_points(tmp_path):
    experiment = Experiment(small_dataset(REQUIRED, features=3, classes=4), Settings(seeds=2, epochs=1))
    experiment.run_all(*NAMES)
    assert experiment.ceiling is None
    assert set(experiment.results.split) == {"valid"}
    assert "does not tell the domain" in experiment.left_out["teachers"]
    assert experiment.run("bayes") is None
    assert experiment.left_out["bayes"] == "the data-generating distribution is not known"
    assert "kd_original" not in {*experiment.trained, *experiment.left_out}, "of other data there is nothing to say"
    assert experiment.maps["plane"] == 1
    titles = [METHODS[name].title for name in ("ffnn", "ffnn_two_heads", "kd_routed")]
    assert tables.accuracies(experiment).index.tolist() == titles
    assert list(tables.accuracies(experiment).columns) == ["mean", "sd"]
    assert tables.samples(experiment).index.tolist() == ["train", "part of train", "valid"]
    experiment.write(tmp_path)
    assert json.loads((tmp_path / "facts.json").read_text()) == {"distribution": None, "published": None}


def test_the_samples_say_that_only_a_part_trains_some_teachers(monkeypatch):
    assert tables.samples(Experiment(small_dataset(), SETTINGS)).purpose["train"] == "trains networks and teachers"
    monkeypatch.setattr(problem, "MAX_FEATURES", 2 * 100)
    purpose = tables.samples(Experiment(small_dataset(), SETTINGS)).purpose["train"]
    assert purpose == "trains networks; 100 of them train the kernel machines and the portfolio"


@pytest.mark.slow
def test_of_one_domain_what_makes_no_sense_is_left_out_with_a_reason():
    experiment = Experiment(small_dataset(domains=1), SETTINGS)
    table = experiment.run_all("ffnn", "ffnn_two_heads", "kd_routed", "kd_gated")
    assert set(experiment.trained) == set(experiment.results.method) == {"ffnn", "kd_routed"}
    assert list(experiment.curves()) == ["ffnn", "kd_routed"]
    assert table.loc["KD, gated"].description == "there is one domain" and np.isnan(table.accuracy["KD, gated"])
    reasons = tables.reasons(experiment)["reason"]
    assert reasons["KD, gated"] == reasons["FFNN, two heads"] == "there is one domain"


def test_an_unknown_method_is_told_which_there_are():
    with pytest.raises(KeyError, match=r"no method 'fnn'; there are ffnn, "):
        Experiment(small_dataset(), SETTINGS).run("fnn")


def test_a_bare_name_is_found_in_data_whatever_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(data_path("data_d0.5.pkl")).name == "data_d0.5"
    assert data_path("nowhere.pkl").name == "nowhere.pkl"


@pytest.mark.parametrize(
    "wrong",
    [{"seeds": 0}, {"seeds": 1.5}, {"epochs": True}, {"hidden": []}, {"alpha": 1.1}, {"temperature": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_setting_out_of_range_is_named(wrong):
    (name,) = wrong
    with pytest.raises(SettingsError, match=f"{name}: expected"):
        Settings(**wrong)


def test_an_unknown_setting_is_named():
    with pytest.raises(SettingsError, match="unknown setting temprature"):
        Settings.named(temprature=3)


@pytest.mark.slow
def test_a_score_is_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KDLIB_CACHE", str(tmp_path / "cache"))
    data = small_dataset()

    def run(settings=SETTINGS):
        experiment = Experiment(data, settings)
        experiment.run_all("ffnn", "kd_routed")
        return experiment.results.to_csv(), tables.reliability(experiment).to_csv()

    first = run()
    with monkeypatch.context() as patch:
        patch.setattr(results.Accumulator, "add", pytest.fail)
        assert run() == first
    assert run(Settings(seeds=2, epochs=1, hidden=(8, 6))) != first


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("", os.cpu_count()), ("0", os.cpu_count())])
def test_the_environment_says_how_many_cores_there_are(given, expected, monkeypatch):
    monkeypatch.setenv("KDLIB_CORES", given)
    assert cores() == expected
