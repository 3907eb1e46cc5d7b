"""Posteriors agree with SciPy's densities, scikit-learn's mixtures and counted labels, and keep their symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.mixture import GaussianMixture

from kdlib.data import distributions
from kdlib.data.gaussian_mixtures import GaussianMixtures


def mixtures(seed=0, domains=3, classes=2, components=2, features=2, label_noise=0.0) -> GaussianMixtures:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((domains, features, features))
    covariances = factors @ factors.swapaxes(1, 2) + 0.2 * np.eye(features)
    weights = rng.uniform(0.2, 1, (domains, classes, components))
    means = 2 * rng.standard_normal((domains, classes, components, features))
    return GaussianMixtures("any", "Any.", means, covariances, weights / weights.sum(), label_noise)


def densities(mixture: GaussianMixtures, x: np.ndarray) -> np.ndarray:
    """P(k, y, x) of SciPy's densities, before label noise: (n, domains, classes)."""
    joint = np.zeros((len(x), mixture.domains, mixture.classes))
    for (k, y, i), weight in np.ndenumerate(mixture.weights):
        joint[:, k, y] += weight * stats.multivariate_normal(mixture.means[k, y, i], mixture.covariances[k]).pdf(x)
    return joint


shapes = st.fixed_dictionaries({
    "seed": st.integers(0, 99), "domains": st.integers(1, 4), "classes": st.integers(2, 4),
    "components": st.integers(1, 3), "features": st.integers(1, 4), "label_noise": st.sampled_from([0.0, 0.2, 1.0]),
})  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_posteriors_are_those_of_scipy_densities(shape):
    mixture = mixtures(**shape)
    x = distributions.fresh(mixture, 30, seed=1).x
    joint = densities(mixture, x)
    share = joint / joint.sum(axis=(1, 2), keepdims=True)
    clean = share.sum(axis=1)
    expected = (1 - mixture.label_noise) * clean + mixture.label_noise / mixture.classes
    np.testing.assert_allclose(mixture.posterior(x), expected, atol=1e-9)
    np.testing.assert_allclose(mixture.domain_posterior(x), share.sum(axis=2), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(shapes, st.floats(-1e6, 1e6))
def test_posteriors_sum_to_one_everywhere(shape, far):
    mixture = mixtures(**shape)
    x = np.concatenate([distributions.fresh(mixture, 20, seed=1).x, np.full((1, mixture.features), far)])
    for probabilities in (mixture.posterior(x), mixture.domain_posterior(x)):
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_an_affine_map_of_everything_changes_no_posterior(shape):
    mixture = mixtures(**shape)
    x = distributions.fresh(mixture, 30, seed=1).x
    rng = np.random.default_rng(2)
    factor = np.linalg.qr(rng.standard_normal((mixture.features, mixture.features)))[0] * 1.5
    shift = rng.standard_normal(mixture.features)
    covariances = factor @ mixture.covariances @ factor.T
    mapped = GaussianMixtures(
        "mapped", "", mixture.means @ factor.T + shift, covariances, mixture.weights, mixture.label_noise
    )
    np.testing.assert_allclose(mapped.posterior(x @ factor.T + shift), mixture.posterior(x), atol=1e-6)
    np.testing.assert_allclose(mapped.domain_posterior(x @ factor.T + shift), mixture.domain_posterior(x), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(shapes, st.randoms(use_true_random=False))
def test_domains_and_classes_in_another_order_give_posteriors_in_that_order(shape, random):
    mixture = mixtures(**shape)
    x = distributions.fresh(mixture, 30, seed=1).x
    d = random.sample(range(mixture.domains), mixture.domains)
    y = random.sample(range(mixture.classes), mixture.classes)
    other = GaussianMixtures(
        "other", "", mixture.means[d][:, y], mixture.covariances[d], mixture.weights[d][:, y], mixture.label_noise
    )
    np.testing.assert_allclose(other.posterior(x), mixture.posterior(x)[:, y], atol=1e-9)
    np.testing.assert_allclose(other.domain_posterior(x), mixture.domain_posterior(x)[:, d], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(shapes)
def test_a_gaussian_split_into_two_halves_changes_nothing(shape):
    mixture = mixtures(**shape)
    x = distributions.fresh(mixture, 30, seed=1).x
    halves = GaussianMixtures(
        "halves", "", np.repeat(mixture.means, 2, axis=2), mixture.covariances,
        np.repeat(mixture.weights, 2, axis=2) / 2, mixture.label_noise,
    )  # fmt: skip
    np.testing.assert_allclose(halves.posterior(x), mixture.posterior(x), atol=1e-9)
    np.testing.assert_allclose(halves.domain_posterior(x), mixture.domain_posterior(x), atol=1e-9)


def test_one_domain_of_single_gaussians_is_a_mixture_of_scikit_learn():
    mixture = mixtures(domains=1, classes=3, components=1, features=4)
    x = distributions.fresh(mixture, 200, seed=1).x
    theirs = GaussianMixture(3, covariance_type="tied")
    theirs.weights_, theirs.means_ = mixture.weights[0, :, 0], mixture.means[0, :, 0]
    theirs.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(mixture.covariances[0]))
    np.testing.assert_allclose(mixture.posterior(x), theirs.predict_proba(x), atol=1e-9)
    assert (mixture.domain_posterior(x) == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("label_noise", [0.0, 0.3])
def test_points_have_the_labels_and_domains_that_the_posteriors_tell(label_noise):
    mixture = mixtures(classes=3, label_noise=label_noise)
    split = distributions.fresh(mixture, 300_000, seed=9)
    for probabilities, found in ((mixture.posterior(split.x), split.y), (mixture.domain_posterior(split.x), split.d)):
        for value, probability in enumerate(probabilities.T):
            for group in np.array_split(np.argsort(probability), 10):  # of points alike in their probability
                assert np.mean(found[group] == value) == pytest.approx(probability[group].mean(), abs=0.015)


def test_points_of_a_class_have_the_moments_of_its_gaussians():
    mixture = mixtures(components=3, features=4)
    x, y = mixture.sample(np.full(400_000, 1), np.random.default_rng(3))
    for c in range(mixture.classes):
        weights = mixture.weights[1, c] / mixture.weights[1, c].sum()
        mean = weights @ mixture.means[1, c]
        spread = np.einsum("m,mi,mj->ij", weights, mixture.means[1, c] - mean, mixture.means[1, c] - mean)
        np.testing.assert_allclose(x[y == c].mean(axis=0), mean, atol=0.05)
        np.testing.assert_allclose(np.cov(x[y == c].T), mixture.covariances[1] + spread, atol=0.2)
        assert np.mean(y == c) == pytest.approx(mixture.weights[1, c].sum() / mixture.domain_weights[1], abs=0.005)


def test_samples_follow_the_seed_and_begin_with_shorter_ones():
    mixture = mixtures(label_noise=0.2)
    domains = np.tile(np.arange(3), (5, 40))
    x, y = mixture.sample(domains, np.random.default_rng(1))
    assert x.shape == (5, 120, 2) and y.shape == (5, 120) and y.dtype == np.int64
    fewer_x, fewer_y = mixture.sample(domains[:2], np.random.default_rng(1))
    np.testing.assert_allclose(fewer_x, x[:2])
    assert np.array_equal(fewer_y, y[:2])
    assert not np.isclose(mixture.sample(domains, np.random.default_rng(2))[0], x).any(axis=-1).all()


@pytest.mark.parametrize(
    "change, says",
    [
        ({"weights": np.full((3, 2), 1 / 6)}, "expected means"),
        ({"means": np.zeros((3, 2, 2))}, "expected means"),
        ({"covariances": np.eye(2)}, r"expected covariances \(3, 2, 2\), got \(2, 2\)"),
        ({"weights": np.full((3, 2, 2), 1.0)}, "that sum to 1"),
        ({"weights": np.array([1, 0] * 6).reshape(3, 2, 2) / 6}, "expected positive weights"),
        ({"label_noise": 1.5}, "from 0 to 1, got 1.5"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, says):
    fitting = mixtures()
    parts = {key: getattr(fitting, key) for key in ("name", "description", "means", "covariances", "weights")}
    with pytest.raises(ValueError, match=says):
        GaussianMixtures(**(parts | change))
