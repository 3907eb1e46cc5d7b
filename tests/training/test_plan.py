"""Plans are values: stacked or repeated, they train as they do alone."""

from dataclasses import replace

import numpy as np
import pytest

from kdlib.training import losses
from kdlib.training.batches import InOrder, Shuffled
from kdlib.training.loop import cosine, run
from kdlib.training.networks import Architecture, initial_weights
from kdlib.training.plan import TrainingPlan, repeat, stack

ROWS = np.arange(60)
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(60, 3)), np.eye(2)[RNG.integers(0, 2, 60)]
SOFT = RNG.dirichlet(np.ones(2), 60)
WATCH = X[:20], LABELS[:20]


def planned(seeds=(0, 1), temperature=2.0, **changes):
    batches = Shuffled(ROWS, 10, 6, 3, tuple(seeds))
    weights = initial_weights(Architecture(3, (5,), (2,)), seeds)
    numbers = {"alpha": 0.5, "temperature": temperature, "scale": temperature**2}
    plan = TrainingPlan(
        "test", weights, X, (LABELS, SOFT), losses.distillation, batches, cosine(0.01, batches.updates), numbers,
        watch=WATCH,
    )  # fmt: skip
    return replace(plan, **changes)


def assert_trains_as(plan, alone, members):
    """Some members of the plan, trained, are those of another plan, to rounding."""
    ours, theirs = run(plan), run(alone)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(a[members], b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.loss[:, members], theirs.loss, rtol=1e-4)
    np.testing.assert_allclose(ours.watched["loss"][:, members], theirs.watched["loss"], rtol=1e-4)


@pytest.mark.slow
def test_stacked_plans_train_as_each_does_alone():
    """They differ in all that may differ: data, targets, batches, rates, settings, decay, and number of members."""
    other_soft = RNG.dirichlet(np.ones(2), (3, 60))  # a target for each member
    plans = [
        planned(),
        planned((5, 6), temperature=5.0, x=X + 1, rates=np.full(18, 0.02, np.float32)),
        planned((0, 1, 2), targets=(LABELS, other_soft), weight_decay=np.array([0.0, 0.1, 0.2])),
        planned((7, 8), batches=InOrder((ROWS[:20], ROWS[20:]), 10, 6, 3, (7, 8)), weight_decay=0.3),
        planned((3, 4), rates=np.stack([cosine(0.03, 18), cosine(0.001, 18)], axis=1)),
    ]
    together, start = stack(plans), 0
    assert together.members == together.batches.members == 11
    for plan in plans:
        assert_trains_as(together, plan, slice(start, start + plan.members))
        start += plan.members


def test_what_all_stacked_plans_share_stays_shared():
    plans = [planned(), planned((4,), x=X, rates=planned().rates.copy(), weight_decay=0.0)]
    together = stack(plans)
    assert together.x is X and together.targets[1] is SOFT
    assert together.rates.shape == (18,)
    assert together.settings["temperature"] == 2.0 and together.weight_decay == 0.0


def test_a_lone_plan_is_its_own_stack():
    plan = planned()
    assert stack([plan]) is plan


@pytest.mark.parametrize(
    "change",
    [
        {"loss": losses.original},
        {"batches": Shuffled(ROWS, 10, 6, 4, (0, 1))},
        {"keep_best": True},
        {"checkpoints": (1,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_plans_that_differ_in_what_a_population_shares_are_refused(change):
    with pytest.raises(ValueError, match="must agree in loss, updates and what is kept"):
        stack([planned(), planned(**change)])


@pytest.mark.slow
def test_a_repeated_plan_has_its_members_so_many_times():
    soft, decay = RNG.dirichlet(np.ones(2), (3, 60)), np.array([0.0, 0.1, 0.2])
    temperatures = {name: np.float32([1, 2, 4]) for name in ("temperature", "scale", "alpha")}
    rates = np.stack([cosine(rate, 18) for rate in (0.01, 0.02, 0.03)], axis=1)
    plan = planned((5, 6, 7), targets=(LABELS, soft), weight_decay=decay, settings=temperatures, rates=rates)
    copies = repeat(plan, copies=2, members=2)
    np.testing.assert_array_equal(copies.weights[0], plan.weights[0][[0, 1, 0, 1]])
    np.testing.assert_array_equal(copies.targets[1], soft[[0, 1, 0, 1]])
    np.testing.assert_array_equal(copies.settings["temperature"], [1, 2, 1, 2])
    np.testing.assert_array_equal(copies.weight_decay, decay[[0, 1, 0, 1]])
    np.testing.assert_array_equal(copies.rates, rates[:, [0, 1, 0, 1]])
    assert_trains_as(copies, repeat(plan, copies=1, members=2), slice(2, 4))
    assert repeat(plan, copies=3).members == 9
