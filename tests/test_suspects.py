"""The factorial of the original's suspects: what each one does, what effects find, and sentences that turn."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kdlib import datasets, distillation, gaussians, replica, suspects
from kdlib.networks import predict
from kdlib.problem import Problem
from kdlib.replica import Fault
from kdlib.study import Study

STUDY = Study(seeds=1, epochs=2, hidden=(4,), batch_size=16)
ORDER, UNSELECTED = suspects.EXPLANATIONS


def other_data(domains=2):
    """Data of no known law, without a test split."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("train", 240), ("valid", 90)):
        y, d = np.arange(n) % 2, np.arange(n) // 2 % domains
        arrays |= {f"x_{part}": rng.normal(size=(n, 2)) + y[:, None] + 2 * d[:, None], f"y_{part}": y, f"d_{part}": d}
    arrays.pop("d_valid")
    return datasets.from_arrays("other", arrays)


def planted(seeds=6, noise=0.001, both=0.0, **costs):
    """A frame as of a factorial in which each suspect costs so much accuracy, and two together `both` more."""
    rng, rows = np.random.default_rng(0), []
    for levels in product([False, True], repeat=len(suspects.SUSPECTS)):
        on = dict(zip(suspects.SUSPECTS, levels, strict=True))
        cost = sum(costs.get(key, 0) for key in costs if on[suspects.SUSPECTS[int(key[1:])]])
        cost += both * (on[ORDER] and on[UNSELECTED])
        rows += [{**on, "seed": s, "accuracy": 0.95 - cost + rng.normal(0, noise)} for s in range(seeds)]
    return pd.DataFrame(rows)


def at(name):
    return f"_{suspects.SUSPECTS.index(name)}"


@pytest.fixture(scope="module")
def case():
    return suspects.Suspects(other_data(), STUDY)


@pytest.fixture(scope="module")
def frame(case):
    return case.factorial()


def cell(*faults):
    return suspects.Cell(suspects.MENDED | set(faults), STUDY.temperature, STUDY.alpha)


def test_effects_and_interactions_are_those_that_were_planted():
    table = suspects.effects(planted(**{at(ORDER): 0.1, at(Fault.SIGMOID): 0.02}, both=0.04)).set_index("label")
    assert len(table) == 6 + 15
    assert table.index[0] == ORDER
    expected = {ORDER: -0.12, UNSELECTED: -0.02, str(Fault.SIGMOID): -0.02, f"{ORDER} × {UNSELECTED}": -0.02}
    for label in table.index:
        assert table["mean"][label] == pytest.approx(expected.get(label, 0), abs=5e-4)
    assert (table.low <= table["mean"]).all()
    assert (table["mean"] <= table.high).all()


def test_corners_change_one_suspect_alone():
    table = suspects.corners(planted(noise=0, **{at(ORDER): 0.1}, both=0.04)).set_index("label")
    assert table.mended[ORDER] == pytest.approx(0.14)
    assert table.alone[ORDER] == pytest.approx(-0.1)
    assert table.mended[UNSELECTED] == pytest.approx(0.04)
    assert table.alone[UNSELECTED] == pytest.approx(0)
    assert table.mended["all 6"] == -table.alone["all 6"] == pytest.approx(0.14)


def test_an_interval_is_students():
    values = [0.1, 0.3, 0.2, 0.6]
    mean, low, high = suspects.interval(values)
    assert (mean, high - mean) == pytest.approx((0.3, 3.182446 * np.std(values, ddof=1) / 2))
    assert mean - low == pytest.approx(high - mean)
    assert np.isnan(suspects.interval([0.5])[1])


def test_a_verdict_turns_with_the_numbers():
    assert "**supported**" in suspects.verdict(planted(**{at(ORDER): 0.1}), ORDER)
    assert "by +0.10" in suspects.verdict(planted(**{at(ORDER): 0.1}), ORDER)
    costs = {at(ORDER): 0.02, at(Fault.SIGMOID): 0.1}
    assert "**supported in part**" in suspects.verdict(planted(**costs), ORDER)
    assert "**not supported**" in suspects.verdict(planted(**{at(ORDER): -0.05}), ORDER)
    assert "**not supported**" in suspects.verdict(planted(noise=0.02), UNSELECTED)
    assert "one seed" in suspects.verdict(planted(seeds=1, **{at(ORDER): 0.1}), ORDER)


def test_the_leading_suspect_is_named():
    text = suspects.leading(planted(**{at(Fault.SIGMOID): 0.1}))
    assert text.startswith("On average over all others, these cost accuracy: “softmax over sigmoids” −0.1")
    assert "these gain accuracy: “softmax over sigmoids” +0.1" in suspects.leading(planted(**{at(Fault.SIGMOID): -0.1}))
    assert "none is shown" in suspects.leading(planted(seeds=1))


def test_the_nearest_setting_is_found_and_judged():
    frame = pd.DataFrame({"temperature": [1.0, 5.0], "alpha": 0.5, "epochs": 25, "mean": [0.7, 0.83], "sd": 0.01})
    known = frame.assign(published=0.84, distance=(frame["mean"] - 0.84).abs())
    assert suspects.nearest(known).temperature == 5
    assert "**reproduced** within 0.02 (1 of 2" in suspects.reproduced(known)
    far = frame.assign(published=0.5, distance=(frame["mean"] - 0.5).abs())
    assert "T = 1," in suspects.reproduced(far)
    assert "**not reproduced**" in suspects.reproduced(far)
    assert "No accuracy is published" in suspects.reproduced(frame.assign(published=np.nan, distance=np.nan))


def test_the_factorial_has_every_combination_once(frame):
    assert len(frame) == 64 == len(frame[list(suspects.SUSPECTS)].drop_duplicates())
    assert frame.accuracy.between(0, 1).all()


@pytest.mark.parametrize("faults", [suspects.MENDED, replica.ALL], ids=["mended", "original"])
def test_without_and_with_all_faults_it_is_the_replica(case, frame, faults):
    """As one of four in a population, and as the factorial scores it."""
    around = [faults ^ {Fault.SMALL_START, Fault.UNSCALED}, faults ^ {Fault.UNSCALED}, faults]
    cells = [suspects.Cell(each, STUDY.temperature, STUDY.alpha) for each in [faults, *around]]
    trained, _ = case.train(cells, seeds=1)
    alone = replica.rebuilt(Problem(other_data(), STUDY), faults).fits["student"]
    for ours, theirs in zip(trained.weights, alone.weights, strict=True):
        np.testing.assert_allclose(ours[[0, 3]], np.concatenate([theirs, theirs]), atol=1e-5)
    assert not np.allclose(trained.weights[0][1], trained.weights[0][0])
    report = case.problem.report
    right = (predict(alone.weights, case.problem.scaled(report.x)).argmax(axis=2) == report.y).mean()
    on = [name in faults or name == UNSELECTED for name in suspects.SUSPECTS]
    found = frame[(frame[list(suspects.SUSPECTS)] == on).all(axis=1)].accuracy.item()
    assert found == pytest.approx(right, abs=1.01 / len(report))


def test_each_fault_changes_its_own_part(case):
    plain, small, unscaled = cell(), cell(Fault.SMALL_START), cell(Fault.UNSCALED)
    starts = case.start([plain, small, unscaled], 1)[0]
    assert np.abs(starts[1]).max() < 0.3 < np.abs(starts[0]).max()
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(case.settings([plain, unscaled], 1)["scale"], [STUDY.temperature**2, 1])
    sigmoids = case.teachers(cell(Fault.SIGMOID).faults)
    assert 0 < sigmoids.min() < sigmoids.max() < 1
    assert case.teachers(plain.faults).min() < 0
    assert case.train([plain], 1)[0].updates == 2 * case.train([cell(Fault.FEW_UPDATES)], 1)[0].updates
    assert not np.allclose(case.teachers(cell(Fault.FEW_UPDATES).faults), case.teachers(plain.faults))


def test_selection_keeps_the_first_of_the_most_accurate_epochs():
    seen = suspects.Snapshots([2])
    for epoch, accuracy in enumerate(([0.5, 0.9], [0.7, 0.8], [0.7, 0.9]), start=1):
        seen(epoch, [np.full((2, 1, 1), epoch)], np.array(accuracy))
    np.testing.assert_array_equal(seen.best[0].ravel(), [2, 1])
    np.testing.assert_array_equal(seen.kept[2][0].ravel(), [2, 2])


def test_the_soft_share_is_that_of_the_closed_form():
    """Gradient with respect to logits: alpha (p - y) of the labels, (1 - alpha) T (p_T - soft) of the soft targets."""
    rng = np.random.default_rng(0)
    z, t, y = rng.normal(size=(1, 9, 3)), rng.normal(size=(1, 9, 3)), np.eye(3)[rng.integers(0, 3, (1, 9))]
    soft = distillation.soften(t, 5.0)
    settings = {"alpha": [0.3], "temperature": [5.0], "scale": [25.0]}
    settings = {name: np.float32(value) for name, value in settings.items()}
    targets = [tf.constant(a, tf.float32) for a in (y, soft)]
    share = suspects.soft_share(distillation.distillation, np.float32(z), targets, settings)
    h = np.linalg.norm(0.3 * (distillation.soften(z, 1.0) - y))
    g = np.linalg.norm(0.7 * 5 * (distillation.soften(z, 5.0) - soft))
    assert share[0] == pytest.approx(g / (g + h), rel=1e-4)


def test_it_runs_where_nothing_is_published_and_there_is_one_domain(tmp_path, monkeypatch):
    monkeypatch.setattr(suspects, "TEMPERATURES", (3.0,))
    monkeypatch.setattr(suspects, "ALPHAS", (0.5,))
    case = suspects.Suspects(other_data(domains=1), STUDY)
    sweep, gradient = case.sweep(), case.gradient()
    assert list(sweep.epochs) == [1, 2]
    assert sweep.distance.isna().all()
    assert gradient.share.between(0, 1).all()
    assert "share" in suspects.taught(gradient)
    assert "sealed" in suspects.write({"map": sweep}, tmp_path)
    assert (tmp_path / "map.csv").is_file()
    assert suspects.Suspects(gaussians.generate(1.0), STUDY).problem.distance in suspects.PUBLISHED
