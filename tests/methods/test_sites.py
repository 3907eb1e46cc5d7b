"""Sites that do not pool: by construction, and each of their answers against an independent one."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import integrate, special
from scipy.stats import multivariate_normal
from small_datasets import arrays, small_dataset

from kdlib.data import from_arrays, gaussians
from kdlib.methods import METHODS, Problem, kernel_teachers, sites, targets
from kdlib.settings import Settings
from kdlib.training.cache import Cache

SETTINGS = Settings(seeds=2, epochs=1, hidden=(4,), batch_size=32)
NAMES = [name for name, method in METHODS.items() if method.section == "unpooled sites"]
POOLED_GATE = "sites_pooled_gate"


@pytest.fixture(autouse=True)
def small_budgets(monkeypatch):
    monkeypatch.setattr(sites, "QUERIES", 600)
    monkeypatch.setattr(kernel_teachers, "FOLDS", 2)
    monkeypatch.setattr(kernel_teachers, "CENTRES", 10)


class Pooled:
    """In the place of pooled samples: fails whenever it is touched."""

    def touched(self, *_):
        raise AssertionError("pooled samples were touched")

    __getattr__ = __len__ = __iter__ = __getitem__ = __array__ = touched


class Remote:
    """A site of which nothing is known but its number, its size and its answers."""

    def __init__(self, site):
        self.number, self.size = site.number, site.size
        self.log_probabilities, self.log_density, self.draw = site.log_probabilities, site.log_density, site.draw


def unpooled(data) -> Problem:
    """A problem whose samples are at its sites; what else it had of them cannot be touched."""
    problem = Problem(data, SETTINGS, cache=Cache(None))
    problem.keep(sites.sites, [Remote(site) for site in problem.once(sites.sites)])
    for name, value in vars(problem).items():
        if not isinstance(value, int | float | range | dict | Settings | Cache) and value is not None:
            if name not in ("progress", "helpers", "_fits"):
                setattr(problem, name, Pooled())
    problem.dataset = SimpleNamespace(more=data.more)
    return problem


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nothing_pooled_is_touched_and_the_results_are_the_same(name):
    data = small_dataset(samples=160, features=3, domains=3)
    problem, x = unpooled(data), data.test.x
    if name == POOLED_GATE:
        with pytest.raises(AssertionError, match="pooled samples were touched"):
            METHODS[name].train(problem)
        return
    found = METHODS[name].train(problem).log_probabilities(x, None)
    expected = METHODS[name].train(Problem(data, SETTINGS, cache=Cache(None))).log_probabilities(x, None)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(AssertionError, match="pooled samples were touched"):
        METHODS["ffnn"].train(problem)


@pytest.fixture
def three():
    """Three sites of unlike sizes and scales."""
    given = arrays(samples=300, features=2, classes=2, domains=3)
    keep = (given["d_train"] > 0) | (np.arange(300) % 4 == 0)
    for key in ("x_train", "y_train", "d_train"):
        given[key] = given[key][keep]
    given["x_train"] = given["x_train"] * [10.0, 0.01] * (1 + given["d_train"][:, None])
    return Problem(from_arrays("three", given), SETTINGS, cache=Cache(None))


def test_the_gate_is_bayes_rule(three, monkeypatch):
    monkeypatch.setattr(sites, "COMPONENTS", (1,))
    monkeypatch.setattr(sites, "COVARIANCES", ("full",))
    monkeypatch.setattr(sites, "MIN_VARIANCE", 1e-9)
    every, x = three.once(sites.sites), three.select.x
    joint = []
    for k, site in enumerate(every):
        mine = three.train.x[three.train.d == k]
        assert site.size == len(mine)
        density = multivariate_normal(mine.mean(axis=0), np.cov(mine.T, bias=True))
        np.testing.assert_allclose(site.log_density(x), density.logpdf(x), rtol=1e-5, atol=1e-5)
        joint.append(np.log(len(mine)) + density.logpdf(x))
    expected = special.softmax(np.array(joint).T, axis=1)
    found = np.exp(sites.DensityGate(every).log_probabilities(x))
    np.testing.assert_allclose(found, expected[None], atol=1e-5)


def test_a_density_integrates_to_one_in_the_units_of_the_features():
    x = np.concatenate([np.random.default_rng(0).normal(centre, 30, 200) for centre in (-500, 700)])[:, None]
    site = sites.Site(0, x, np.arange(400) % 2, 2)
    assert site.components > 1
    total, _ = integrate.quad(lambda value: np.exp(site.log_density(np.array([[value]])))[0], -900, 1100, limit=200)
    assert total == pytest.approx(1, abs=1e-3)


def test_where_the_distribution_is_known_the_gate_comes_near_it():
    problem = Problem(gaussians.generate(0.5), SETTINGS, cache=Cache(None))
    x = problem.select.x
    gate = np.exp(sites.DensityGate(problem.once(sites.sites)).log_probabilities(x))[0]
    np.testing.assert_allclose(gate, problem.distribution.domain_posterior(x), atol=0.06)
    turned = problem.distribution.domain_posterior(x[::-1])
    assert np.abs(gate - turned).mean() > 0.3  # such a tolerance tells them apart


def test_drawn_points_are_like_each_site_in_the_share_of_its_samples(three, monkeypatch):
    monkeypatch.setattr(sites, "QUERIES", 6000)
    x, sizes = three.once(sites.queries), np.bincount(three.train.d)
    ends = np.cumsum(np.round(6000 * sizes / sizes.sum()).astype(int))
    assert len(x) == ends[-1]
    for k, drawn in enumerate(np.split(x, ends[:-1])):
        mine = three.train.x[three.train.d == k]
        np.testing.assert_allclose(drawn.mean(axis=0), mine.mean(axis=0), atol=0.1 * mine.std(axis=0).max())
        unit = np.outer(mine.std(axis=0), mine.std(axis=0))
        np.testing.assert_allclose(np.cov(drawn.T) / unit, np.cov(mine.T) / unit, atol=0.25)


def test_public_points_take_the_place_of_drawn_ones():
    given = arrays()
    problem = Problem(from_arrays("public", given | {"x_more": given["x_valid"][:50]}), SETTINGS)
    student = METHODS["sites_gated"].define(problem)
    assert student.queries == len(student.plan.x) == 50
    np.testing.assert_allclose(student.plan.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(student.plan.x.std(axis=0), 1)


def test_other_weights_by_hand(three):
    every, x = three.once(sites.sites), three.select.x
    p = np.stack([np.exp(site.log_probabilities(x)[0]) for site in every])  # (site, n, classes)
    logits = np.maximum(np.log(np.maximum(p, 1e-300)), np.log(1e-30))
    found = sites.WeightedSites(every, None).log_probabilities(x)
    np.testing.assert_allclose(np.exp(found[0]), special.softmax(logits.mean(axis=0), axis=1), rtol=1e-6)
    for weigh, weights in (
        (sites.by_confidence, p.max(axis=2)),
        (targets.entropy_weights, np.exp(-special.entr(p).sum(axis=2))),
    ):
        expected = np.einsum("kn,knc->nc", weights / weights.sum(axis=0), p)
        found = np.exp(sites.WeightedSites(every, weigh).log_probabilities(x))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
def test_small_and_degenerate_sites_have_a_density(samples):
    x = np.zeros((samples, 3))
    x[:, 0] = np.arange(samples) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        site = sites.Site(0, x, np.zeros(samples, int), 2)
        assert np.isfinite(site.log_density(x + 100)).all() and site.draw(5).shape == (5, 3)
        np.testing.assert_array_equal(np.exp(site.log_probabilities(x))[0, :, 0], 1)
