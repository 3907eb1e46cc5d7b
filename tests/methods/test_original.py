"""The original's student: each deviation changes its own part, and the ablation goes from all of them to none."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.data import gaussians
from kdlib.data.contract import REQUIRED
from kdlib.evaluation import metrics
from kdlib.methods import METHODS, Problem, original
from kdlib.methods.network_teachers import domain_teachers
from kdlib.methods.original import ALL, AS_PUBLISHED, Deviation, Variant
from kdlib.methods.targets import soften
from kdlib.settings import Settings
from kdlib.training import losses

SETTINGS = Settings(seeds=1, epochs=2, hidden=(4,), batch_size=16)
FIXED = frozenset({Deviation.CONSTANT_RATE})


@pytest.fixture
def problem():
    return Problem(small_dataset(REQUIRED), SETTINGS)


def variant(*deviations, temperature=SETTINGS.temperature, alpha=SETTINGS.alpha):
    return Variant(frozenset(deviations), temperature, alpha)


def planned(problem, *deviations):
    (soft,), _ = original.soft_targets(problem, [variant(*deviations)])
    return original.plan(problem, variant(*deviations), "test", soft)


@pytest.mark.slow
def test_each_deviation_changes_its_own_part_of_the_plan(problem):
    plain = planned(problem)
    assert plain.loss is losses.distillation and plain.batches.key == problem.shuffled().key
    small = planned(problem, Deviation.SMALL_WEIGHTS)
    assert np.abs(small.weights[0]).max() < 0.3 < np.abs(plain.weights[0]).max()
    constant = planned(problem, Deviation.CONSTANT_RATE)
    assert set(constant.rates.ravel()) == {np.float32(original.RATE)} and plain.rates[-1] < 0.1 * plain.rates[0]
    ordered = planned(problem, Deviation.ORDERED)
    domains = problem.train.d[np.stack(list(ordered.batches))[:, :, 0, 0]]  # (epoch, step), of each batch's first row
    assert (np.diff(domains, axis=1) >= 0).all() and set(domains.ravel()) == {0, 1}
    assert planned(problem, Deviation.SIGMOID).loss is losses.original
    unscaled = planned(problem, Deviation.UNSCALED)
    assert plain.settings["scale"] == SETTINGS.temperature**2 and unscaled.settings["scale"] == 1
    for other in (ordered, unscaled, constant):
        np.testing.assert_array_equal(other.weights[0], plain.weights[0])


def test_few_updates_are_a_twelfth_of_the_epochs_but_at_least_one(problem):
    for epochs, few in ((300, 25), (24, 2), (2, 1)):
        long = problem.with_settings(epochs=epochs)
        assert original.shortened(long, ALL).settings.epochs == few
        assert original.shortened(long, FIXED) is long


@pytest.mark.slow
def test_teachers_have_the_deviations_that_a_teacher_can_have(problem):
    """Order and T² are nothing to a teacher; softened at T = 1, a sigmoid's target stays within 1 / (1 + e^±1)."""
    kinds = [(), (Deviation.ORDERED,), (Deviation.UNSCALED,), (Deviation.SMALL_WEIGHTS,)]
    soft, _ = original.soft_targets(problem, [variant(*kind, temperature=1.0) for kind in kinds])
    np.testing.assert_array_equal(soft[0], soft[1])
    np.testing.assert_array_equal(soft[0], soft[2])
    assert not np.allclose(soft[0], soft[3])
    (squashed,), _ = original.soft_targets(problem, [variant(Deviation.SIGMOID, temperature=1.0)])
    assert 1 / (1 + np.e) < squashed.min() < squashed.max() < 1 / (1 + np.exp(-1))


@pytest.mark.slow
def test_each_variant_softens_by_its_own_temperature(problem):
    given = [variant(Deviation.SMALL_WEIGHTS, temperature=t) for t in (1.0, 5.0)]
    cool, warm = original.soft_targets(problem, given)[0]
    np.testing.assert_allclose(soften(np.log(cool), 5.0), warm, rtol=1e-6)


@pytest.mark.slow
def test_teachers_without_deviations_are_those_of_all_other_students_also_of_fewer_seeds():
    several = Problem(small_dataset(REQUIRED), replace(SETTINGS, seeds=3))
    few = several.first(2)
    few.keep(domain_teachers, [teacher.first(2) for teacher in several.once(domain_teachers)])
    (kept,), updates = original.soft_targets(few, [variant()])
    (anew,), same = original.soft_targets(Problem(small_dataset(REQUIRED), replace(SETTINGS, seeds=2)), [variant()])
    np.testing.assert_allclose(kept, anew, atol=1e-5)
    assert updates == same > 0


@pytest.mark.slow
@pytest.mark.parametrize("deviations", [FIXED, ALL], ids=["fixed", "as in the original"])
def test_a_variant_is_the_same_whatever_trains_beside_it(problem, deviations):
    around = [deviations ^ {Deviation.SMALL_WEIGHTS, Deviation.ORDERED}, deviations ^ {Deviation.UNSCALED}, deviations]
    variants = [variant(*each) for each in [deviations, *around]]
    together = problem.run(original.population(problem, variants, "four")).weights
    alone = problem.run(original.population(problem, variants[:1], "one")).weights
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours[[0, 3]], np.concatenate([theirs, theirs]), atol=1e-5)
    assert not np.allclose(together[0][1], together[0][0])
    assert not np.allclose(together[0][2], together[0][0])


def test_variants_of_different_losses_or_lengths_are_no_population(problem):
    for other in (Deviation.SIGMOID, Deviation.FEW_UPDATES):
        with pytest.raises(ValueError, match="share loss and number of epochs"):
            original.population(problem, [variant(), variant(other)], "mixed")


@pytest.mark.slow
def test_the_method_is_the_variant_with_all_deviations(problem):
    fit = problem.run(original.population(problem, [variant(*ALL)], "alone"))
    trained = METHODS["kd_original"].train(problem)
    for ours, theirs in zip(trained.fits["student"].weights, fit.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    split = problem.report
    log_p = trained.log_probabilities(split.x)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=2), 1)
    assert metrics.accuracy(log_p, split.y) == original.accuracy(problem, fit.weights, split)


@pytest.mark.slow
def test_accuracies_are_by_variant_and_seed(problem):
    two = Problem(small_dataset(REQUIRED), replace(SETTINGS, seeds=2))
    weights = two.run(original.population(two, [variant(), variant(Deviation.ORDERED)], "two")).weights
    assert original.accuracy(two, weights, two.report).shape == (2, 2)


def test_the_ablation_fixes_one_deviation_after_the_other():
    steps = list(original.ablation_steps().values())
    assert steps[0] == ALL and steps[-1] == frozenset()
    assert [before - after for before, after in pairwise(steps)] == [{each} for each in Deviation]
    assert list(original.ablation_steps()) == [AS_PUBLISHED, *(original.FIXES[each] for each in Deviation)]


@pytest.mark.slow
def test_the_ablation_begins_at_the_original_and_ends_at_the_routed_student(monkeypatch):
    monkeypatch.setattr("kdlib.methods.problem.FRESH_POINTS", 3000)
    problem = Problem(gaussians.generate(1.0), replace(SETTINGS, seeds=2))
    frame = original.cumulative_ablation(problem)
    steps = frame[frame.kind == "step"].pivot(index="seed", columns="label", values="accuracy")
    assert list(frame[frame.kind == "step"]["label"].unique()) == list(original.ablation_steps())
    split = problem.splits[problem.reported]
    for label, name in ((AS_PUBLISHED, "kd_original"), ("soft term times T²", "kd_routed")):
        log_p = METHODS[name].train(problem).log_probabilities(split.x)
        np.testing.assert_allclose(steps[label], metrics.accuracy(log_p, split.y), atol=1.01 / 3000)
    explanations = frame[frame.kind == "explanation"]
    assert list(explanations["label"].unique()) == [AS_PUBLISHED, "domains mixed", "best epoch selected", "both"]
    assert (frame.groupby(["kind", "label"]).size() == 2).all()
    np.testing.assert_array_equal(explanations[explanations["label"] == AS_PUBLISHED]["accuracy"], steps[AS_PUBLISHED])
