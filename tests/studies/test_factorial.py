"""The factorial of the original's deviations: what each factor does, what effects find, and sentences that turn."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_datasets import small_dataset

from kdlib.data import gaussians
from kdlib.data.contract import REQUIRED
from kdlib.methods import Problem, original
from kdlib.methods.original import Deviation, Variant
from kdlib.methods.targets import soften
from kdlib.settings import Settings
from kdlib.studies import factorial, factorial_findings
from kdlib.training import losses

SETTINGS = Settings(seeds=1, epochs=2, hidden=(4,), batch_size=16)
ORDER, UNSELECTED = factorial.EXPLANATIONS
SIGMOID = str(Deviation.SIGMOID)


def planted(costs, both=0.0, seeds=6, noise=0.001):
    """As of a factorial in which each factor costs so much accuracy, and the two explanations together `both` more."""
    rng, rows = np.random.default_rng(0), []
    for levels in product([False, True], repeat=len(factorial.FACTORS)):
        present = dict(zip(factorial.FACTORS, levels, strict=True))
        cost = sum(each for name, each in costs.items() if present[name])
        cost += both * (present[ORDER] and present[UNSELECTED])
        rows += [{**present, "seed": s, "accuracy": 0.95 - cost + rng.normal(0, noise)} for s in range(seeds)]
    return pd.DataFrame(rows)


# --- Tables and sentences -----------------------------------------------------------------------------------------


def test_effects_and_interactions_are_those_that_were_planted():
    table = factorial_findings.effects(planted({ORDER: 0.1, SIGMOID: 0.02}, both=0.04)).set_index("label")
    assert len(table) == 6 + 15
    assert table.index[0] == ORDER
    expected = {ORDER: -0.12, UNSELECTED: -0.02, SIGMOID: -0.02, f"{ORDER} × {UNSELECTED}": -0.02}
    for label in table.index:
        assert table["mean"][label] == pytest.approx(expected.get(label, 0), abs=5e-4)
    assert (table.low <= table["mean"]).all()
    assert (table["mean"] <= table.high).all()


def test_corners_change_one_factor_alone():
    table = factorial_findings.corners(planted({ORDER: 0.1}, both=0.04, noise=0)).set_index("label")
    assert table.fixed[ORDER] == pytest.approx(0.14)
    assert table.alone[ORDER] == pytest.approx(-0.1)
    assert table.fixed[UNSELECTED] == pytest.approx(0.04)
    assert table.alone[UNSELECTED] == pytest.approx(0)
    assert table.fixed["all 6"] == -table.alone["all 6"] == pytest.approx(0.14)
    words = factorial_findings.corners_table(table.reset_index())
    assert words.loc[ORDER].tolist()[0].startswith("+14.0") and words.loc[ORDER].tolist()[1].startswith("−10.0")


def test_an_interval_is_students():
    values = [0.1, 0.3, 0.2, 0.6]
    mean, low, high = factorial_findings.interval(values)
    assert (mean, high - mean) == pytest.approx((0.3, 3.182446 * np.std(values, ddof=1) / 2))
    assert mean - low == pytest.approx(high - mean)
    assert np.isnan(factorial_findings.interval([0.5])[1])


def test_a_verdict_turns_with_the_numbers():
    def verdict(costs, factor=ORDER, **more):
        return factorial_findings.verdict(planted(costs, **more), factor)

    assert "**supported**" in verdict({ORDER: 0.1}) and "by +10.0" in verdict({ORDER: 0.1})
    assert "**supported in part**" in verdict({ORDER: 0.02, SIGMOID: 0.1})
    assert "**not supported**" in verdict({ORDER: 0.007, SIGMOID: 0.1}), "clear, but less than a tenth of the gain"
    assert "**not supported**" in verdict({ORDER: -0.05})
    assert "**not supported**" in verdict({}, UNSELECTED, noise=0.02)
    assert "one seed" in verdict({ORDER: 0.1}, seeds=1)


def test_the_leading_factors_are_named():
    costly = factorial_findings.leading_factors(planted({SIGMOID: 0.1}))
    assert costly.startswith("On average over all others, these cost accuracy: “softmax over sigmoids” −10.")
    gainful = factorial_findings.leading_factors(planted({SIGMOID: -0.1}))
    assert "these gain accuracy: “softmax over sigmoids” +10." in gainful
    assert "none is shown" in factorial_findings.leading_factors(planted({}, seeds=1))


def test_the_nearest_setting_is_found_and_judged():
    frame = pd.DataFrame({"temperature": [1.0, 5.0], "alpha": 0.5, "epochs": 25, "mean": [0.7, 0.83], "sd": 0.01})
    known = frame.assign(published=0.84, distance=(frame["mean"] - 0.84).abs())
    assert factorial_findings.nearest_setting(known).temperature == 5
    assert "83.0 ± 1.0%, 1.0 points away; **reproduced** within 2 points (1 of" in factorial_findings.reproduced(known)
    far = frame.assign(published=0.5, distance=(frame["mean"] - 0.5).abs())
    assert "T = 1," in factorial_findings.reproduced(far)
    assert "**not reproduced**" in factorial_findings.reproduced(far)
    unknown = frame.assign(published=np.nan, distance=np.nan)
    assert factorial_findings.nearest_setting(unknown).temperature == 5
    assert "No accuracy is published" in factorial_findings.reproduced(unknown)


# --- The study ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    return factorial.FactorialStudy(small_dataset(REQUIRED), SETTINGS).factorial()


@pytest.mark.slow
def test_the_factorial_has_every_combination_once(frame):
    assert len(frame) == 64 == len(frame[list(factorial.FACTORS)].drop_duplicates())
    assert frame.accuracy.between(0, 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("deviations", [factorial.FIXED, original.ALL], ids=["fixed", "as in the original"])
def test_a_cell_of_the_factorial_is_the_variant_trained_alone(frame, deviations):
    problem = Problem(small_dataset(REQUIRED), SETTINGS)
    variant = Variant(deviations, SETTINGS.temperature, SETTINGS.alpha)
    fit = problem.run(replace(original.population(problem, [variant], "alone"), keep_best=True))
    for unselected, weights in ((True, fit.weights), (False, fit.best)):
        present = [unselected if name == UNSELECTED else name in deviations for name in factorial.FACTORS]
        found = frame[(frame[list(factorial.FACTORS)] == present).all(axis=1)].accuracy.item()
        expected = original.accuracy(problem, weights, problem.report).item()
        assert found == pytest.approx(expected, abs=1.01 / len(problem.report))


def test_the_soft_share_is_that_of_the_closed_form():
    """Gradient with respect to logits: alpha (p - y) of the labels, (1 - alpha) T (p_T - soft) of the soft targets."""
    rng = np.random.default_rng(0)
    z, t, y = rng.normal(size=(1, 9, 3)), rng.normal(size=(1, 9, 3)), np.eye(3)[rng.integers(0, 3, (1, 9))]
    soft = soften(t, 5.0)
    settings = {"alpha": [0.3], "temperature": [5.0], "scale": [25.0]}
    settings = {name: np.float32(value) for name, value in settings.items()}
    wanted = [tf.constant(a, tf.float32) for a in (y, soft)]
    share = factorial.soft_share(losses.distillation, np.float32(z), wanted, settings)
    h = np.linalg.norm(0.3 * (soften(z, 1.0) - y))
    g = np.linalg.norm(0.7 * 5 * (soften(z, 5.0) - soft))
    assert share[0] == pytest.approx(g / (g + h), rel=1e-4)


@pytest.fixture
def one_setting(monkeypatch):
    monkeypatch.setattr(factorial, "TEMPERATURES", (3.0,))
    monkeypatch.setattr(factorial, "ALPHAS", (0.5,))


@pytest.mark.slow
def test_sweep_and_gradient_run_where_nothing_is_published_and_there_is_one_domain(one_setting):
    study = factorial.FactorialStudy(small_dataset(REQUIRED, domains=1), SETTINGS)
    sweep, gradient = study.sweep(), study.gradient()
    assert list(sweep.epochs) == [1, 2]
    assert sweep.distance.isna().all()
    assert gradient.share.between(0, 1).all()
    assert "share" in factorial_findings.gradient_share(gradient)


@pytest.mark.slow
def test_each_length_of_the_sweep_is_a_training_of_that_length_and_is_compared_with_what_is_published(one_setting):
    settings = replace(SETTINGS, epochs=3, seeds=2)
    study = factorial.FactorialStudy(gaussians.generate(1.0), settings)
    sweep = study.sweep()
    assert list(sweep.epochs) == [1, 2, 3]
    np.testing.assert_allclose(sweep.distance, abs(sweep["mean"] - 0.8373))
    variant = Variant(factorial.REPLICA, 3.0, 0.5)
    plan = original.population(study.few, [variant], "alone")
    short = replace(plan, batches=replace(plan.batches, epochs=2))
    accuracy = original.accuracy(study.few, study.few.run(short).weights, study.problem.dataset.valid)
    assert sweep["mean"][1] == pytest.approx(accuracy.mean()) and sweep.sd[1] == pytest.approx(accuracy.std())


def test_no_more_seeds_than_a_study_of_this_size_takes():
    study = factorial.FactorialStudy(small_dataset(), Settings(seeds=30))
    assert study.settings.seeds == len(study.problem.seeds) == factorial.MAX_SEEDS
    assert len(study.few.seeds) == factorial.RUNS
    assert f"64 combinations, {factorial.MAX_SEEDS} seeds each" in factorial_findings.describe_design(study)
