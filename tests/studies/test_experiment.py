"""Methods on small data: what each must and must not do, and what is written of it."""

import json

import numpy as np
import pytest

from kdlib.data import from_arrays, gaussians, load
from kdlib.evaluation import results
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS
from kdlib.settings import Settings, SettingsError
from kdlib.studies.experiment import Experiment, data_path
from kdlib.training.loop import TrainingError
from kdlib.training.networks import predict

pytestmark = pytest.mark.slow

STUDY = Settings(seeds=2, epochs=2, hidden=(8, 6))
TABLE = ["ffnn", "ffnn_two_heads", "teachers", "kd_original", "kd_routed"]


def other_data(test=False, domains=2, classes=4, features=3, told=False):
    """Data of no known law, with the five keys of the contract, or more."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("train", 240), ("valid", 60), ("test", 60)):
        y, d = np.arange(n) % classes, np.arange(n) // classes % domains
        x = rng.normal(size=(n, features)) + y[:, None] + 3 * d[:, None]
        arrays |= {f"x_{part}": x, f"y_{part}": y, f"d_{part}": d}
    keys = ["x_train", "y_train", "d_train", "x_valid", "y_valid"]
    keys += ["d_valid"] * told + ["x_test", "y_test", "d_test"] * test
    return from_arrays("other", {key: arrays[key] for key in keys})


@pytest.fixture(scope="module")
def experiment():
    experiment = Experiment(gaussians.generate(1.0), STUDY)
    for name in TABLE:
        experiment.run(name)
    return experiment


def test_every_method_is_scored_on_every_split(experiment):
    rows = experiment.results[(experiment.results.metric == "accuracy") & (experiment.results.domain == "all")]
    counts = rows.groupby(["method", "split"]).size().unstack()
    assert list(counts.columns) == ["fresh", "test", "valid"]
    assert (counts.loc[TABLE] == STUDY.seeds).all(axis=None)
    assert set(experiment.results.domain) == {"all", "0", "1", "2"}
    assert list(experiment.results.columns) == results.COLUMNS


def test_students_have_the_same_start_and_the_same_number_of_updates(experiment):
    updates = experiment.methods["updates"]
    assert set(updates[["ffnn", "ffnn_two_heads", "kd_routed"]]) == {STUDY.epochs * 75}
    start = Problem(experiment.dataset, STUDY).start()
    again = Problem(experiment.dataset, STUDY).start()
    for a, b in zip(start, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_accuracy_in_the_results_is_that_of_the_predictions(experiment):
    trained, test = experiment.trained["kd_routed"], experiment.dataset.test
    right = trained.log_probabilities(test.x, None).argmax(axis=2) == test.y
    stored = results.select(experiment.results, method="kd_routed", split="test")["value"]
    np.testing.assert_allclose(stored, right.mean(axis=1))
    np.testing.assert_allclose(np.exp(trained.log_probabilities(test.x, None)).sum(axis=2), 1)


def test_teachers_know_their_own_domain_best(experiment):
    """Trained longer: each teacher on each domain, the diagonal is far above the rest."""
    problem = Problem(gaussians.generate(1.0), Settings(seeds=2, epochs=120))
    test = problem.dataset.test
    right = problem.teacher_logits(test.x).argmax(axis=3) == test.y  # (teacher, member, n)
    table = np.array([right[:, :, test.d == k].mean(axis=(1, 2)) for k in range(3)]).T  # (teacher, domain)
    assert np.diag(table).min() > 0.9
    assert table[~np.eye(3, dtype=bool)].max() < 0.75


def test_teachers_do_not_change_when_a_student_learns():
    problem = Problem(gaussians.generate(1.0), STUDY)
    before = [w.copy() for fit in problem.teachers for w in fit.weights]
    METHODS["kd_routed"].run(problem)
    for a, b in zip(before, [w for fit in problem.teachers for w in fit.weights], strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_replica_keeps_the_original_faults():
    """Small initial weights, a fixed order of domains, a twelfth of the updates: seen in what it trained."""
    study = Settings(seeds=2, epochs=24, hidden=(8, 6))
    trained = METHODS["kd_original"].run(Problem(gaussians.generate(1.0), study))
    assert trained.updates == 2 * 75
    (fit,) = trained.fits.values()
    assert np.abs(fit.weights[2]).max() < 1  # drawn from N(0, 0.05), and little trained


def test_the_same_settings_give_the_same_results_and_another_seed_other_ones(experiment):
    again = Experiment(experiment.dataset, STUDY)
    again.run("ffnn")
    mine = experiment.results[experiment.results.method == "ffnn"].reset_index(drop=True)
    theirs = again.results[again.results.method == "ffnn"].reset_index(drop=True)
    assert mine.equals(theirs)
    nll = results.select(mine, metric="nll", split="fresh")["value"]
    assert nll.nunique() == STUDY.seeds


def test_bayes_is_the_ceiling(experiment):
    accuracy = experiment.accuracy()
    assert accuracy["bayes"][0] == pytest.approx(1.0, abs=1e-4)
    assert all(accuracy["bayes"][0] >= mean for mean, _ in accuracy.values())
    assert experiment.ceiling == accuracy["bayes"][0]


def test_maps_are_probabilities_on_the_plane(experiment):
    maps = experiment.maps
    for name in experiment.students:
        assert maps[f"{name}/mean"].shape == (2, len(maps["axis1"]), len(maps["axis0"]))
        np.testing.assert_allclose(maps[f"{name}/mean"].astype(float).sum(axis=0), 1, atol=2e-3)
        np.testing.assert_allclose(maps[f"{name}/votes"].astype(float).sum(axis=0), 1, atol=2e-3)
    at = np.array([[maps["axis0"][3], maps["axis1"][7]]])
    direct = np.exp(experiment.trained["ffnn"].log_probabilities(at, None)).mean(axis=0)[0]
    np.testing.assert_allclose(maps["ffnn/mean"][:, 7, 3], direct, atol=1e-3)
    assert "teachers/mean" not in maps, "who is told the domain has no map without it"


def test_what_is_written_can_be_read_and_has_checksums(experiment, tmp_path):
    experiment.write(tmp_path)
    written = results.read(tmp_path / "results.csv")
    assert written.equals(experiment.results)
    checksums = json.loads((tmp_path / "checksums.json").read_text())["files"]
    assert set(checksums) == {"results.csv", "methods.csv", "boundaries.npz"}
    with np.load(tmp_path / "boundaries.npz") as maps:
        np.testing.assert_array_equal(maps["ffnn/mean"], experiment.maps["ffnn/mean"])


def test_data_of_an_unknown_law_have_no_ceiling_and_no_fresh_points():
    experiment = Experiment(other_data(), Settings(seeds=2, epochs=1))
    for name in TABLE:
        experiment.run(name)
    assert experiment.ceiling is None
    assert set(experiment.results.split) == {"valid"}
    assert experiment.problem.reported == "valid"
    assert "does not tell the domain" in experiment.left_out["teachers"]
    assert experiment.run("bayes") is None
    assert "law" in experiment.left_out["bayes"]
    assert experiment.maps["plane"] == 1
    assert experiment.table().index.tolist() == [METHODS[name].title for name in TABLE if name != "teachers"]


def test_a_test_split_is_reported_and_valid_selects():
    experiment = Experiment(other_data(test=True, told=True), Settings(seeds=1, epochs=1))
    assert experiment.problem.reported == "test"
    np.testing.assert_array_equal(experiment.problem.select.x, experiment.dataset.valid.x)


def test_standardised_from_train_only():
    problem = Problem(other_data(test=True), STUDY)
    np.testing.assert_allclose(problem.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(problem.x.std(axis=0), 1)
    np.testing.assert_allclose(
        problem.scaled(problem.report.x),
        (problem.report.x - problem.train.x.mean(axis=0)) / problem.train.x.std(axis=0),
    )


def test_a_bare_name_is_found_in_data_whatever_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(data_path("data_d0.5.pkl")).name == "data_d0.5"
    assert data_path("nowhere.pkl").name == "nowhere.pkl"


def test_settings_are_refused_before_any_training():
    for wrong in ({"seeds": 0}, {"seeds": 1.5}, {"epochs": True}, {"hidden": []}, {"alpha": 1.1}, {"temperature": 0}):
        (name,) = wrong
        with pytest.raises(SettingsError, match=f"{name}: expected"):
            Settings(**wrong)
    with pytest.raises(SettingsError, match="unknown setting temprature"):
        Settings.named(temprature=3)
    with pytest.raises(TrainingError, match="batch_size: expected at most the 2400"):
        Problem(gaussians.generate(1.0), Settings(batch_size=2401))


def test_predictions_do_not_depend_on_the_scale_of_a_call(experiment):
    weights = experiment.trained["ffnn"].fits["student"].weights
    x = experiment.problem.x
    np.testing.assert_allclose(predict(weights, x)[:, :7], predict(weights, x[:7]), rtol=1e-5, atol=1e-6)


def test_of_one_domain_what_makes_no_sense_is_left_out_with_a_reason():
    experiment = Experiment(other_data(domains=1), STUDY)
    for name in ("ffnn", "ffnn_two_heads", "kd_routed", "kd_gated"):
        experiment.run(name)
    assert set(experiment.trained) == {"ffnn", "kd_routed"}
    assert set(experiment.curves("ffnn", "ffnn_two_heads", "kd_gated")) == {"ffnn"}
    reasons = experiment.reasons()["reason"]
    assert reasons["KD, gated"] == reasons["FFNN, two heads"] == "there is one domain"
    assert set(experiment.results.method) == {"ffnn", "kd_routed"}
