"""Every registered method at a tiny budget: what it needs, what it gives, what it costs, and twice the same bits."""

import numpy as np
import pytest
from small_datasets import small_dataset

from kdlib.data import gaussians
from kdlib.data.contract import REQUIRED
from kdlib.methods import METHODS, Problem, Role, candidates, kernel_teachers, problem, sites, students
from kdlib.settings import Settings
from kdlib.training.networks import predict

pytestmark = pytest.mark.slow

SETTINGS = Settings(seeds=2, epochs=2, hidden=(4,), batch_size=32)
QUERIES = 4800
DATASETS = {
    "known distribution": lambda: gaussians.generate(1.0),
    "unknown distribution": lambda: small_dataset(REQUIRED, features=3, classes=4),
    "one domain": lambda: small_dataset(samples=216, features=3, classes=4, domains=1),
}
KNOWN, UNKNOWN, ONE_DOMAIN = DATASETS
FEWER_EPOCHS = {"kd_original": 1}  # a twelfth of the others', but at least one


@pytest.fixture(scope="module", autouse=True)
def small_budgets():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem, "FRESH_POINTS", 300)
        patch.setattr(students, "MAX_QUERIES", QUERIES)
        patch.setattr(sites, "QUERIES", QUERIES)
        patch.setattr(kernel_teachers, "FOLDS", 2)
        patch.setattr(kernel_teachers, "CENTRES", 10)
        patch.setattr(candidates, "FOLDS", 2)
        patch.setattr(candidates, "MEMBERS", 1)
        yield


@pytest.fixture(scope="module", params=DATASETS)
def problems(request):
    """The same problem twice, whose methods share what is made once per problem."""
    return request.param, [Problem(DATASETS[request.param](), SETTINGS) for _ in range(2)]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_unfit_for_a_reason_or_gives_probabilities_at_its_price(problems, name):
    (kind, (first, second)), method = problems, METHODS[name]
    reason = method.unfit(first)
    lacks = [
        (method.needs_known_distribution or method.needs_original) and kind != KNOWN,
        method.needs_multiple_domains and kind == ONE_DOMAIN,
        method.needs_answers,  # which these datasets do not bring
    ]
    assert bool(reason) == any(lacks)
    if reason:
        return
    trained, again = method.train(first), method.train(second)
    for split in first.splits.values():
        if method.uses_domain and split.d is None:
            continue
        log_p = trained.log_probabilities(split.x, split.d)
        members = SETTINGS.seeds if trained.fits else 1
        assert log_p.shape == (members, len(split), first.classes)
        assert np.isfinite(log_p).all()
        np.testing.assert_allclose(np.exp(log_p).sum(axis=2), 1, rtol=1e-6)
        np.testing.assert_array_equal(log_p, again.log_probabilities(split.x, split.d))
        if not method.uses_domain:
            np.testing.assert_array_equal(log_p, trained.log_probabilities(split.x))
        if trained.target is not None:
            target = np.exp(trained.target(split.x, split.d))
            assert target.shape[1:] == log_p.shape[1:]
            np.testing.assert_allclose(target.sum(axis=2), 1, rtol=1e-6)
    if not trained.fits:
        assert trained.updates == 0 and method.role not in (Role.BASELINE, Role.STUDENT)
    elif name != "teachers":
        epochs, rest = divmod(trained.updates, first.steps)
        assert rest == 0
        if trained.choice:
            assert trained.choice.startswith(f"{epochs} epoch") and epochs <= SETTINGS.epochs
        else:
            assert epochs == FEWER_EPOCHS.get(name, SETTINGS.epochs)
        assert all(fit.updates == trained.updates for fit in trained.fits.values())
    assert (trained.updates, trained.teacher_updates) == (again.updates, again.teacher_updates)
    copies = QUERIES // len(first.train)
    assert trained.queries in (0, (copies - 1) * len(first.train), len(first.once(sites.queries)))


def test_methods_pay_for_their_teachers(problems):
    _, (first, _) = problems
    of_domains = sum(max(1, int(n) // SETTINGS.batch_size) for n in np.bincount(first.train.d)) * SETTINGS.epochs
    direct = first.steps * SETTINGS.epochs
    expected = {
        "ffnn": 0, "kd_routed": of_domains, "kd_mean": of_domains,
        "kd_gated": of_domains + direct, "kd_self": direct, "kd_ensemble": direct * SETTINGS.seeds,
        "kd_original": of_domains // SETTINGS.epochs, "kd_gated_queries": of_domains * SETTINGS.seeds,
    }  # fmt: skip
    expected = {name: updates for name, updates in expected.items() if not METHODS[name].unfit(first)}
    assert {name: METHODS[name].train(first).teacher_updates for name in expected} == expected
    assert METHODS["teachers"].train(first).updates == of_domains


def test_students_have_the_same_initial_weights_and_see_the_same_batches_of_the_same_rows(problems):
    _, (first, _) = problems
    plans = {
        name: method.define(first).plan
        for name, method in METHODS.items()
        if method.role in (Role.BASELINE, Role.STUDENT) and not method.unfit(first) and name != "kd_original"
    }
    for plan in plans.values():
        for ours, initial in zip(plan.weights, first.initial_weights(), strict=True):
            np.testing.assert_array_equal(ours, initial)
    on_training_points = [name for name, plan in plans.items() if plan.batches.rows is first.rows]
    assert {"ffnn", "kd_routed"} <= set(on_training_points)
    for name in on_training_points:
        for ours, theirs in zip(plans[name].batches, plans["ffnn"].batches, strict=False):  # one may be shorter
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def known():
    return Problem(DATASETS[KNOWN](), SETTINGS)


def test_a_method_without_its_needs_says_which(known):
    assert METHODS["bayes"].unfit(known) == METHODS["kd_gated"].unfit(known) == ""
    unknown = Problem(DATASETS[UNKNOWN](), SETTINGS)
    assert METHODS["bayes"].unfit(unknown) == "the data-generating distribution is not known"
    assert METHODS["kd_original"].unfit(unknown) == "the dataset is not one of the original's"
    assert METHODS["kd_gated"].unfit(Problem(DATASETS[ONE_DOMAIN](), SETTINGS)) == "there is one domain"


def test_bayes_is_the_exact_posterior(known):
    x = known.splits["fresh"].x
    log_p = METHODS["bayes"].train(known).log_probabilities(x)
    np.testing.assert_allclose(np.exp(log_p[0]), known.distribution.posterior(x), rtol=1e-12, atol=1e-29)


def test_the_network_that_is_told_the_domain_uses_it(known):
    trained, split = METHODS["ffnn_told"].train(known), known.splits["fresh"]
    other = trained.log_probabilities(split.x, (split.d + 1) % known.domains)
    assert not np.allclose(trained.log_probabilities(split.x, split.d), other)


def test_teachers_answer_for_their_own_domain(known):
    trained, split = METHODS["teachers"].train(known), known.splits["fresh"]
    log_p = trained.log_probabilities(split.x, split.d)
    for k, fit in enumerate(trained.fits.values()):
        logits = predict(fit.weights, known.scaled(split.x[split.d == k])).astype(float)
        log_of_k = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
        np.testing.assert_allclose(log_p[:, split.d == k], log_of_k, rtol=1e-5, atol=1e-6)


def test_teachers_do_not_change_when_a_student_learns(known):
    before = {title: [w.copy() for w in fit.weights] for title, fit in METHODS["teachers"].train(known).fits.items()}
    METHODS["kd_routed"].train(known)
    for title, fit in METHODS["teachers"].train(known).fits.items():
        for ours, old in zip(fit.weights, before[title], strict=True):
            np.testing.assert_array_equal(ours, old)
