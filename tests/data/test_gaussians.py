"""The recipe gives the original's arrays, and its distribution has the accuracies that theory gives."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kdlib.data import from_arrays, gaussians, load, save
from kdlib.data.contract import LARGEST, REQUIRED
from kdlib.data.distributions import fresh
from kdlib.data.gaussians import DISTANCES, ThreeGaussians, generate

DATA = Path(__file__).parents[2] / "data"
LABELS = {
    "y_train": "941a8e72e641a63a", "d_train": "2c03f09d84357f51", "y_valid": "db6db6859571a047",
    "d_valid": "6ad97c8a07e47b30", "y_test": "974d4e05f35c62cd", "d_test": "6ad97c8a07e47b30",
}  # fmt: skip
POINTS = {  # the first two of each were taken from the original's own files
    0.25: {"x_train": "37a0948a40714190", "x_valid": "68bf3898dbdf757d", "x_test": "63671bf0da9dc35d"},
    0.5: {"x_train": "6f1a840a7f4a8d92", "x_valid": "3559fe437f17466b", "x_test": "2fbb6e9236e09737"},
    0.75: {"x_train": "bdc72b2a36679056", "x_valid": "b6ecbfaf0e284087", "x_test": "86c19231bbc5fe5e"},
    1.0: {"x_train": "b3f9a661966c255a", "x_valid": "5e3de53ef74a3527", "x_test": "07d1fed088e43b36"},
}


def fingerprint(array: np.ndarray) -> str:
    rounded = np.round(array, 9) + 0.0 if array.dtype.kind == "f" else array
    return hashlib.sha256(np.ascontiguousarray(rounded).tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module", params=DISTANCES)
def dataset(request):
    return load(DATA / f"data_d{request.param}.pkl")


def distance(dataset) -> float:
    return float(dataset.name.removeprefix("data_d"))


def test_fingerprints_of_the_recipe_and_of_the_files(dataset):
    d = distance(dataset)
    expected = LABELS | POINTS[d]
    for arrays in (generate(d).arrays(), dataset.arrays()):
        assert {key: fingerprint(array) for key, array in arrays.items()} == expected
        assert all(array.dtype == (np.float64 if key[0] == "x" else np.int64) for key, array in arrays.items())


def test_the_files_are_what_the_recipe_gives(dataset):
    for key, array in generate(distance(dataset)).arrays().items():
        assert np.allclose(array, dataset.arrays()[key], rtol=0, atol=1e-12), key  # equal on the same NumPy and libm
    assert dataset.reported == "test" and (dataset.features, dataset.classes, dataset.domains) == (2, 2, 3)


@pytest.mark.slow
def test_the_command_writes_the_same_files_each_time(tmp_path):
    command = [sys.executable, "-m", "kdlib.data.gaussians", str(tmp_path / "new folder")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == len(DISTANCES) and all(
        f"data_d{d}.pkl" in line for d, line in zip(DISTANCES, said, strict=True)
    )
    for d in DISTANCES:
        save(tmp_path / "again.pkl", generate(d))
        assert (tmp_path / "again.pkl").read_bytes() == (tmp_path / "new folder" / f"data_d{d}.pkl").read_bytes()


def accuracy(d: float, split) -> float:
    """Accuracy of the Bayes classifier."""
    return np.mean(ThreeGaussians(d).posterior(split.x).argmax(axis=1) == split.y)


def test_labels_follow_the_median_radius_of_their_domain(dataset):
    assert np.allclose(gaussians.radii(), [1.1584, 1.1083, 1.1890], atol=5e-5)
    for split in (dataset.train, dataset.valid, dataset.test):
        radius = np.linalg.norm(split.x - gaussians.centres(distance(dataset))[split.d], axis=1)
        assert np.array_equal(split.y, radius > gaussians.radii()[split.d])


def test_bayes_ceilings_of_the_given_points(dataset):
    d = distance(dataset)
    valid, test = {0.25: (0.780, 0.833), 0.5: (0.987, 0.987), 0.75: (1, 1), 1.0: (1, 1)}[d]
    assert (round(accuracy(d, dataset.valid), 3), round(accuracy(d, dataset.test), 3)) == (valid, test)


@pytest.mark.parametrize(
    ("d", "ceiling", "tolerance"), [(0.25, 0.817, 2e-3), (0.5, 0.9895, 6e-4), (0.75, 0.99998, 3e-5), (1.0, 1.0, 2e-5)]
)
def test_bayes_ceilings_of_fresh_points(d, ceiling, tolerance):
    assert accuracy(d, fresh(ThreeGaussians(d), 400_000, seed=5)) == pytest.approx(ceiling, abs=tolerance)


def test_fresh_points_have_the_distribution_of_the_recipe():
    split = fresh(ThreeGaussians(0.5), 30_000, seed=1)
    assert split.x.shape == (30_000, 2) and split.y.dtype == split.d.dtype == np.int64
    assert np.array_equal(split.d, np.repeat(np.arange(3), 10_000))
    noise = split.x - gaussians.centres(0.5)[split.d]
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.001
    radius = np.linalg.norm(noise, axis=1)
    assert np.array_equal(split.y, radius > gaussians.radii()[split.d])
    for k in range(3):  # a squared radius has the chi-squared distribution of 2 degrees: P(r > R) = exp(-R^2 / 2)
        assert split.y[split.d == k].mean() == pytest.approx(np.exp(-(gaussians.radii()[k] ** 2) / 2), abs=0.02)


def test_noise_is_the_same_at_every_distance():
    near, far = (fresh(ThreeGaussians(d), 900, seed=1) for d in (0.5, 1.0))
    assert np.allclose(far.x - gaussians.centres(1.0)[far.d], near.x - gaussians.centres(0.5)[near.d])


def test_many_training_sets_are_drawn_at_once():
    domains = np.tile(generate(0.25).train.d, (4, 1))
    x, y = ThreeGaussians(0.25).sample(domains, np.random.default_rng(3))
    assert x.shape == (4, 2400, 2) and y.shape == (4, 2400) and y.dtype == np.int64
    inside = np.linalg.norm(x - gaussians.centres(0.25)[domains], axis=-1) <= gaussians.radii()[domains]
    assert np.array_equal(y, 1 - inside)
    assert not np.isclose(x[0], x[1]).all(axis=1).any()  # every draw has points of its own
    fewer = ThreeGaussians(0.25).sample(domains[:2], np.random.default_rng(3))
    assert np.array_equal(fewer[0], x[:2]) and np.array_equal(fewer[1], y[:2])


def test_posteriors_agree_with_densities_and_with_counting():
    distribution = ThreeGaussians(0.25)
    split = fresh(distribution, 300_000, seed=9)
    x = split.x[::1000]
    density = np.stack([stats.multivariate_normal(mean).pdf(x) for mean in gaussians.centres(0.25)], axis=1)
    assert np.allclose(distribution.domain_posterior(x), density / density.sum(axis=1, keepdims=True))
    probability = distribution.posterior(split.x)
    assert np.allclose(probability.sum(axis=1), 1) and probability.min() >= 0
    for group in np.array_split(np.argsort(probability[:, 1]), 10):  # of points alike in P(y = 1)
        assert split.y[group].mean() == pytest.approx(probability[group, 1].mean(), abs=0.012)


def test_posteriors_far_from_all_domains_stay_finite():
    far = np.array([[1e6, 0.0], [-1e150, 1e150]])
    assert np.allclose(ThreeGaussians(0.5).posterior(far), [[0, 1], [0, 1]])


def test_a_dataset_of_the_recipe_is_recognised(dataset):
    d = distance(dataset)
    arrays = dataset.arrays()
    assert gaussians.recognise(dataset) == ThreeGaussians(d)
    for keys in (REQUIRED, (*REQUIRED, "d_valid")):  # as in the original's README, and its files
        assert gaussians.recognise(from_arrays("original", {key: arrays[key] for key in keys})) == ThreeGaussians(d)
    single = {key: array.astype("f4") if key[0] == "x" else array for key, array in arrays.items()}
    assert gaussians.recognise(from_arrays("single", single)) == ThreeGaussians(d)


@pytest.mark.parametrize("d", [0.01, 0.3, 0.123457, 2.5, 40.0])
def test_any_distance_is_recognised(d):
    assert gaussians.recognise(generate(d)) == ThreeGaussians(d)


def test_other_datasets_are_not_recognised(dataset):
    arrays = dataset.arrays()
    moved = arrays["x_train"].copy()
    moved[7, 1] += 1e-3
    changes = {
        "one point": {"x_train": moved},
        "one label": {"y_valid": np.append(1 - arrays["y_valid"][:1], arrays["y_valid"][1:])},
        "scaled": {"x_train": arrays["x_train"] * 2, "x_valid": arrays["x_valid"] * 2},
        "shuffled": {"x_train": arrays["x_train"][::-1]},
        "shorter": {key: arrays[key][1:] for key in ("x_train", "y_train", "d_train")},
        "more features": {key: np.tile(arrays[key], 2) for key in ("x_train", "x_valid", "x_test")},
        "huge": {key: np.full_like(arrays[key], LARGEST) for key in ("x_train", "x_valid", "x_test")},
        "one domain": {key: arrays[key] * 0 for key in ("d_train", "d_valid", "d_test")},
    }
    for what, change in changes.items():
        assert gaussians.recognise(from_arrays(what, arrays | change)) is None, what


def test_a_file_with_the_original_names_and_protocol_is_recognised(tmp_path):
    arrays = generate(0.75).arrays()
    written = pickle.dumps({key: arrays[key] for key in (*REQUIRED, "d_valid")}, protocol=3)
    (tmp_path / "theirs.pkl").write_bytes(written.replace(b"cnumpy._core.", b"cnumpy.core."))
    loaded = load(tmp_path / "theirs.pkl")
    assert gaussians.recognise(loaded) == ThreeGaussians(0.75)
    assert all(np.array_equal(value, arrays[key]) for key, value in loaded.arrays().items())
