"""Every known distribution keeps the protocol, and a dataset drawn from one is recognised by its contents."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdlib.data import distributions, from_arrays, gaussians, load, save, synthetic
from kdlib.data.gaussians import ThreeGaussians
from kdlib.data.published import published

KNOWN = [ThreeGaussians(0.5)] + [recipe.distribution for recipe in synthetic.RECIPES.values()]


@pytest.fixture(params=KNOWN, ids=lambda distribution: distribution.name)
def distribution(request):
    return request.param


def test_samples_and_posteriors_have_the_shapes_of_the_protocol(distribution):
    domains = np.arange(4 * 12).reshape(4, 12) % distribution.domains
    x, y = distribution.sample(domains, np.random.default_rng(0))
    assert x.shape == (4, 12, distribution.features) and y.shape == (4, 12) and y.dtype == np.int64
    for probabilities, values in (
        (distribution.posterior(x[0]), distribution.classes),
        (distribution.domain_posterior(x[0]), distribution.domains),
    ):
        assert probabilities.shape == (12, values)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert len(distribution.domain_weights) == distribution.domains
    assert sum(distribution.domain_weights) == pytest.approx(1)
    assert 0 < len(distribution.name) < 40 and distribution.description.endswith(".")


@pytest.mark.slow
def test_the_bayes_classifier_is_as_accurate_as_it_expects(distribution):
    split = distributions.fresh(distribution, 40_000, seed=3)
    for probabilities, found in (
        (distribution.posterior(split.x), split.y),
        (distribution.domain_posterior(split.x), split.d),
    ):
        accuracy = np.mean(probabilities.argmax(axis=1) == found)
        assert accuracy == pytest.approx(probabilities.max(axis=1).mean(), abs=0.008)


def test_fresh_points_follow_the_seed(distribution):
    first, again, other = (distributions.fresh(distribution, 300, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x, again.x) and np.array_equal(first.y, again.y)
    assert np.array_equal(first.d, other.d) and not np.isclose(first.x, other.x).any(axis=1).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 12))
def test_domains_of_equal_weight_have_equal_sizes(n, domains):
    equal = dataclasses.replace(
        synthetic.RECIPES["moons"].distribution,
        means=np.zeros((domains, 2, 1, 1)),
        covariances=np.ones((domains, 1, 1)),
        weights=np.full((domains, 2, 1), 1 / (2 * domains)),
    )
    assert np.array_equal(distributions.fresh(equal, n, seed=0).d, np.arange(n) * domains // n)


def test_domains_of_other_weights_have_their_shares():
    unequal = synthetic.RECIPES["noisy-labels"].distribution
    assert np.bincount(distributions.fresh(unequal, 1000, seed=0).d).tolist() == [600, 250, 150]


@pytest.mark.parametrize("name", synthetic.RECIPES)
def test_a_dataset_of_a_recipe_is_recognised(name, tmp_path):
    dataset, recipe = synthetic.generate(name), synthetic.RECIPES[name]
    assert (len(dataset.train), len(dataset.valid), len(dataset.test)) == (recipe.train, recipe.valid, recipe.test)
    assert (dataset.classes, dataset.domains) == (recipe.distribution.classes, recipe.distribution.domains)
    save(tmp_path / "renamed.pkl", dataset)
    assert distributions.recognise(load(tmp_path / "renamed.pkl")) is recipe.distribution
    single = {key: a.astype("f4") if key[0] == "x" else a for key, a in dataset.arrays().items() if "test" not in key}
    assert distributions.recognise(from_arrays("single", single)) is recipe.distribution
    for key, values in (("y_train", dataset.classes), ("d_valid", dataset.domains)):
        changed = dataset.arrays()[key].copy()
        changed[0] = (changed[0] + 1) % values
        assert distributions.recognise(from_arrays("other", dataset.arrays() | {key: changed})) is None
    moved = dataset.arrays() | {"x_valid": dataset.valid.x + 1e-3}
    assert distributions.recognise(from_arrays("moved", moved)) is None


def test_the_three_gaussians_are_recognised_and_other_data_are_not():
    dataset = gaussians.generate(0.75)
    assert distributions.recognise(dataset) == ThreeGaussians(0.75)
    moved = dataset.arrays() | {"x_valid": dataset.valid.x + 1}
    assert distributions.recognise(from_arrays("moved", moved)) is None


def test_the_original_published_its_four_datasets_only():
    assert published(ThreeGaussians(0.25))["KD"] == (0.7153, 0.0058)
    assert all(published(ThreeGaussians(d)) for d in gaussians.DISTANCES)
    assert published(ThreeGaussians(0.3)) is None and published(None) is None
    assert all(published(recipe.distribution) is None for recipe in synthetic.RECIPES.values())
