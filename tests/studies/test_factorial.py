"""The factorial of the original's suspects: what each one does, what effects find, and sentences that turn."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kdlib.data import from_arrays, gaussians
from kdlib.evaluation import metrics
from kdlib.methods import original, targets
from kdlib.methods.original import Fault, Variant
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS
from kdlib.settings import Settings
from kdlib.studies import factorial, factorial_findings
from kdlib.training import losses

pytestmark = pytest.mark.slow

STUDY = Settings(seeds=1, epochs=2, hidden=(4,), batch_size=16)
ORDER, UNSELECTED = factorial.EXPLANATIONS


def other_data(domains=2):
    """Data of no known law, without a test split."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("train", 240), ("valid", 90)):
        y, d = np.arange(n) % 2, np.arange(n) // 2 % domains
        arrays |= {f"x_{part}": rng.normal(size=(n, 2)) + y[:, None] + 2 * d[:, None], f"y_{part}": y, f"d_{part}": d}
    arrays.pop("d_valid")
    return from_arrays("other", arrays)


def planted(seeds=6, noise=0.001, both=0.0, **costs):
    """A frame as of a factorial in which each suspect costs so much accuracy, and two together `both` more."""
    rng, rows = np.random.default_rng(0), []
    for levels in product([False, True], repeat=len(factorial.SUSPECTS)):
        on = dict(zip(factorial.SUSPECTS, levels, strict=True))
        cost = sum(costs.get(key, 0) for key in costs if on[factorial.SUSPECTS[int(key[1:])]])
        cost += both * (on[ORDER] and on[UNSELECTED])
        rows += [{**on, "seed": s, "accuracy": 0.95 - cost + rng.normal(0, noise)} for s in range(seeds)]
    return pd.DataFrame(rows)


def at(name):
    return f"_{factorial.SUSPECTS.index(name)}"


@pytest.fixture(scope="module")
def frame():
    return factorial.Suspects(other_data(), STUDY).factorial()


def variant(*faults):
    return Variant(factorial.MENDED | set(faults), STUDY.temperature, STUDY.alpha)


def test_effects_and_interactions_are_those_that_were_planted():
    table = factorial_findings.effects(planted(**{at(ORDER): 0.1, at(Fault.SIGMOID): 0.02}, both=0.04)).set_index(
        "label"
    )
    assert len(table) == 6 + 15
    assert table.index[0] == ORDER
    expected = {ORDER: -0.12, UNSELECTED: -0.02, str(Fault.SIGMOID): -0.02, f"{ORDER} × {UNSELECTED}": -0.02}
    for label in table.index:
        assert table["mean"][label] == pytest.approx(expected.get(label, 0), abs=5e-4)
    assert (table.low <= table["mean"]).all()
    assert (table["mean"] <= table.high).all()


def test_corners_change_one_suspect_alone():
    table = factorial_findings.corners(planted(noise=0, **{at(ORDER): 0.1}, both=0.04)).set_index("label")
    assert table.mended[ORDER] == pytest.approx(0.14)
    assert table.alone[ORDER] == pytest.approx(-0.1)
    assert table.mended[UNSELECTED] == pytest.approx(0.04)
    assert table.alone[UNSELECTED] == pytest.approx(0)
    assert table.mended["all 6"] == -table.alone["all 6"] == pytest.approx(0.14)


def test_an_interval_is_students():
    values = [0.1, 0.3, 0.2, 0.6]
    mean, low, high = factorial_findings.interval(values)
    assert (mean, high - mean) == pytest.approx((0.3, 3.182446 * np.std(values, ddof=1) / 2))
    assert mean - low == pytest.approx(high - mean)
    assert np.isnan(factorial_findings.interval([0.5])[1])


def test_a_verdict_turns_with_the_numbers():
    assert "**supported**" in factorial_findings.verdict(planted(**{at(ORDER): 0.1}), ORDER)
    assert "by +0.10" in factorial_findings.verdict(planted(**{at(ORDER): 0.1}), ORDER)
    costs = {at(ORDER): 0.02, at(Fault.SIGMOID): 0.1}
    assert "**supported in part**" in factorial_findings.verdict(planted(**costs), ORDER)
    assert "**not supported**" in factorial_findings.verdict(planted(**{at(ORDER): -0.05}), ORDER)
    assert "**not supported**" in factorial_findings.verdict(planted(noise=0.02), UNSELECTED)
    assert "one seed" in factorial_findings.verdict(planted(seeds=1, **{at(ORDER): 0.1}), ORDER)


def test_the_leading_suspect_is_named():
    text = factorial_findings.leading(planted(**{at(Fault.SIGMOID): 0.1}))
    assert text.startswith("On average over all others, these cost accuracy: “softmax over sigmoids” −0.1")
    assert "these gain accuracy: “softmax over sigmoids” +0.1" in factorial_findings.leading(
        planted(**{at(Fault.SIGMOID): -0.1})
    )
    assert "none is shown" in factorial_findings.leading(planted(seeds=1))


def test_the_nearest_setting_is_found_and_judged():
    frame = pd.DataFrame({"temperature": [1.0, 5.0], "alpha": 0.5, "epochs": 25, "mean": [0.7, 0.83], "sd": 0.01})
    known = frame.assign(published=0.84, distance=(frame["mean"] - 0.84).abs())
    assert factorial_findings.nearest(known).temperature == 5
    assert "**reproduced** within 0.02 (1 of 2" in factorial_findings.reproduced(known)
    far = frame.assign(published=0.5, distance=(frame["mean"] - 0.5).abs())
    assert "T = 1," in factorial_findings.reproduced(far)
    assert "**not reproduced**" in factorial_findings.reproduced(far)
    assert "No accuracy is published" in factorial_findings.reproduced(frame.assign(published=np.nan, distance=np.nan))


def test_the_factorial_has_every_combination_once(frame):
    assert len(frame) == 64 == len(frame[list(factorial.SUSPECTS)].drop_duplicates())
    assert frame.accuracy.between(0, 1).all()


@pytest.mark.parametrize("faults", [factorial.MENDED, original.ALL], ids=["mended", "original"])
def test_a_variant_is_the_same_whatever_trains_beside_it(frame, faults):
    """As one of four in a population, alone, and as the factorial scores it."""
    problem = Problem(other_data(), STUDY)
    around = [faults ^ {Fault.SMALL_START, Fault.ORDERED}, faults ^ {Fault.UNSCALED}, faults]
    variants = [Variant(each, STUDY.temperature, STUDY.alpha) for each in [faults, *around]]
    together = original.train(problem, variants, "four").weights
    alone = original.train(problem, variants[:1], "one").weights
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours[[0, 3]], np.concatenate([theirs, theirs]), atol=1e-5)
    assert not np.allclose(together[0][1], together[0][0])
    assert not np.allclose(together[0][2], together[0][0])
    on = [name in faults or name == UNSELECTED for name in factorial.SUSPECTS]
    found = frame[(frame[list(factorial.SUSPECTS)] == on).all(axis=1)].accuracy.item()
    expected = original.accuracy(problem, alone, problem.report).item()
    assert found == pytest.approx(expected, abs=1.01 / len(problem.report))


def test_the_replica_of_the_table_is_the_variant_with_all_faults():
    problem = Problem(other_data(), STUDY)
    fit = original.train(problem, [Variant(original.ALL, STUDY.temperature, STUDY.alpha)], "alone")
    trained = METHODS["kd_original"].run(problem)
    for ours, theirs in zip(trained.fits["student"].weights, fit.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    log_p = trained.log_probabilities(problem.report.x)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=2), 1)
    assert metrics.accuracy(log_p, problem.report.y) == original.accuracy(problem, fit.weights, problem.report)


def test_variants_of_different_losses_or_lengths_are_no_population():
    problem = Problem(other_data(), STUDY)
    for other in (variant(Fault.SIGMOID), variant(Fault.FEW_UPDATES)):
        with pytest.raises(ValueError, match="share loss and number of epochs"):
            original.train(problem, [variant(), other], "mixed")


def test_each_fault_changes_its_own_part():
    problem = Problem(other_data(), STUDY)
    plain, small, unscaled = variant(), variant(Fault.SMALL_START), variant(Fault.UNSCALED)
    starts = original.start(problem, [plain, small, unscaled])[0]
    assert np.abs(starts[1]).max() < 0.3 < np.abs(starts[0]).max()
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(
        original.settings(problem, [plain, unscaled])["scale"], np.float32([STUDY.temperature**2, 1])
    )
    few = Variant(plain.faults | {Fault.FEW_UPDATES}, STUDY.temperature, STUDY.alpha)
    assert original.train(problem, [plain], "plain").updates == 2 * original.train(problem, [few], "few").updates


def test_teachers_share_the_faults_that_a_teacher_can_have():
    """Softened at T = 1, a sigmoid's target stays within 1 / (1 + e^±1); order and T² are nothing to a teacher."""
    problem = Problem(other_data(), STUDY)
    kinds = [set(), {Fault.ORDERED}, {Fault.UNSCALED}, {Fault.SMALL_START}]
    soft, _ = original.soft_targets(problem, [replace(variant(*kind), temperature=1.0) for kind in kinds])
    np.testing.assert_array_equal(soft[0], soft[1])
    np.testing.assert_array_equal(soft[0], soft[2])
    assert not np.allclose(soft[0], soft[3])
    squashed, _ = original.soft_targets(problem, [replace(variant(Fault.SIGMOID), temperature=1.0)])
    assert 1 / (1 + np.e) < squashed.min() < squashed.max() < 1 / (1 + np.exp(-1))


def test_the_soft_share_is_that_of_the_closed_form():
    """Gradient with respect to logits: alpha (p - y) of the labels, (1 - alpha) T (p_T - soft) of the soft targets."""
    rng = np.random.default_rng(0)
    z, t, y = rng.normal(size=(1, 9, 3)), rng.normal(size=(1, 9, 3)), np.eye(3)[rng.integers(0, 3, (1, 9))]
    soft = targets.soften(t, 5.0)
    settings = {"alpha": [0.3], "temperature": [5.0], "scale": [25.0]}
    settings = {name: np.float32(value) for name, value in settings.items()}
    wanted = [tf.constant(a, tf.float32) for a in (y, soft)]
    share = factorial.soft_share(losses.distillation, np.float32(z), wanted, settings)
    h = np.linalg.norm(0.3 * (targets.soften(z, 1.0) - y))
    g = np.linalg.norm(0.7 * 5 * (targets.soften(z, 5.0) - soft))
    assert share[0] == pytest.approx(g / (g + h), rel=1e-4)


def test_it_runs_where_nothing_is_published_and_there_is_one_domain(tmp_path, monkeypatch):
    monkeypatch.setattr(factorial, "TEMPERATURES", (3.0,))
    monkeypatch.setattr(factorial, "ALPHAS", (0.5,))
    case = factorial.Suspects(other_data(domains=1), STUDY)
    sweep, gradient = case.sweep(), case.gradient()
    assert list(sweep.epochs) == [1, 2]
    assert sweep.distance.isna().all()
    assert gradient.share.between(0, 1).all()
    assert "share" in factorial_findings.taught(gradient)
    assert "checksums of" in factorial_findings.write({"map": sweep}, tmp_path)
    assert (tmp_path / "map.csv").is_file()
    assert factorial.Suspects(gaussians.generate(1.0), STUDY).problem.distance in factorial.PUBLISHED


def test_mended_teachers_are_those_of_all_other_students_also_of_fewer_seeds():
    problem = Problem(other_data(), replace(STUDY, seeds=3))
    fresh, _ = original.soft_targets(Problem(other_data(), replace(STUDY, seeds=2)), [Variant(frozenset(), 2.0, 0.5)])
    assert len(problem.teachers) == problem.domains
    few = problem.first(2)
    assert few.teachers[0].weights[0].shape[0] == few.study.seeds == 2
    reused, _ = original.soft_targets(few, [Variant(frozenset(), 2.0, 0.5)])
    np.testing.assert_allclose(reused, fresh, atol=1e-5)


def test_the_ladder_begins_at_the_replica_and_ends_at_the_mended_student():
    problem = Problem(gaussians.generate(1.0), replace(STUDY, seeds=2))
    rungs = original.climb(problem)
    ladder = rungs[rungs.what == "ladder"].pivot(index="seed", columns="label", values="accuracy")
    assert list(rungs[rungs.what == "ladder"]["label"].unique()) == list(original.ladder())
    split = problem.splits[problem.reported]
    for label, name in (("as in the original", "kd_original"), ("soft term times T²", "kd_routed")):
        log_p = METHODS[name].run(problem).log_probabilities(split.x)
        np.testing.assert_allclose(ladder[label], metrics.accuracy(log_p, split.y), atol=5e-4)
