"""The four datasets: three Gaussian domains in the plane, at four distances from each other, and their distribution.

Domain k is a standard normal distribution around `centres(d)[k]`; a point is of class 1 if it lies outside its own
domain's median radius. The recipe is `sklearn.datasets.make_gaussian_quantiles` with three fixed seeds, which gives the
arrays of the public project whose design this one follows (SLAM-CROC/KnowledgeDisstillationMiniProject) exactly, and a
test split that it left unused. Noise, labels and domains are the same at all distances: d is a repeated measure, and
these are not four independent datasets.

`python -m kdlib.data.gaussians data` writes the pickles. Out of scope: other distributions, for which see
`distributions`.
"""

import argparse
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from kdlib.data.dataset import Dataset, from_arrays, save_in

DISTANCES = (0.25, 0.5, 0.75, 1.0)
SEEDS = (0, 1234, 99)  #: of the three domains, as in the original


def centres(d: float) -> np.ndarray:
    """Means of the domains (3, 2): on a circle of radius 4 d."""
    angles = 2 * np.pi * np.arange(3) / 3
    return np.stack([4 * d * np.cos(angles), 4 * d * np.sin(angles)], axis=1)


def _points(mean: tuple[float, float], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The 1000 points (1000, 2) and labels (1000,) of domain k, sorted by radius."""
    from sklearn.datasets import make_gaussian_quantiles  # slow to import, and only the recipe needs it

    return make_gaussian_quantiles(mean=mean, n_samples=1000, n_features=2, n_classes=2, random_state=SEEDS[k])


@lru_cache
def radii() -> np.ndarray:
    """Median radius of each domain (3,): the midpoint of the 500th and the 501st of its 1000 points."""
    radii = [np.sort(np.linalg.norm(_points((0.0, 0.0), k)[0], axis=1))[499:501].mean() for k in range(3)]
    radii = np.array(radii)
    radii.setflags(write=False)  # cached, hence shared
    return radii


def generate(d: float) -> Dataset:
    """The dataset at distance d: train 3 x 800, valid 3 x 100 and test 3 x 100 points, domains in order."""
    from sklearn.model_selection import train_test_split

    parts = {"train": [], "valid": [], "test": []}
    for k in range(3):
        angle = 2 * np.pi * k / 3
        x, y = _points((4 * d * np.cos(angle), 4 * d * np.sin(angle)), k)
        x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.2, random_state=42)
        x_valid, x_test, y_valid, y_test = train_test_split(x_rest, y_rest, test_size=0.5, random_state=42)
        for part, *xy in (("train", x_train, y_train), ("valid", x_valid, y_valid), ("test", x_test, y_test)):
            parts[part].append((*xy, np.full(len(xy[1]), k)))
    arrays = {
        f"{letter}_{part}": np.concatenate(pieces)
        for part, domains in parts.items()
        for letter, pieces in zip("xyd", zip(*domains, strict=True), strict=True)
    }
    return from_arrays(f"data_d{d}", arrays)


@dataclass(frozen=True)
class ThreeGaussians:
    """The data-generating distribution of `generate(distance)`; a `distributions.KnownDistribution`.

    The classes follow the fixed `radii`, not the medians of each sample, so they are equally frequent only on average.
    """

    distance: float
    domains: ClassVar[int] = 3
    classes: ClassVar[int] = 2
    features: ClassVar[int] = 2
    domain_weights: ClassVar[np.ndarray] = np.full(3, 1 / 3)

    @property
    def name(self) -> str:
        return f"three Gaussians, d = {self.distance:g}"

    @property
    def description(self) -> str:
        return (
            f"Three standard normal domains in the plane, their centres on a circle of radius {4 * self.distance:g}; "
            "class 0 is the disc within each domain's median radius, class 1 all that is outside it."
        )

    def sample(self, domains: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 2) and classes (...) of the given domains (...); the same noise at every distance."""
        noise = rng.standard_normal((*domains.shape, 2))
        x = centres(self.distance)[domains] + noise
        outside = np.take_along_axis(self._outside(x), domains[..., None], axis=-1)
        return x, outside[..., 0].astype(np.int64)

    def domain_posterior(self, x: np.ndarray) -> np.ndarray:
        """P(k | x) of points (n, 2): (n, 3), exact."""
        logs = -0.5 * np.square(x[:, None, :] - centres(self.distance)).sum(-1)  # (n, domain)
        likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
        return likelihood / likelihood.sum(axis=1, keepdims=True)

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """P(y | x) of points (n, 2) of unknown domain: (n, 2), exact: sum over k of P(k | x) [class in domain k]."""
        weights, outside = self.domain_posterior(x), self._outside(x)  # (n, domain)
        return np.stack([(weights * ~outside).sum(axis=1), (weights * outside).sum(axis=1)], axis=1)

    def _outside(self, x: np.ndarray) -> np.ndarray:
        """Whether points (..., 2) would be of class 1, for each domain that they may come from: bools (..., 3)."""
        return np.linalg.norm(x[..., None, :] - centres(self.distance), axis=-1) > radii()


def recognise(dataset: Dataset) -> ThreeGaussians | None:
    """The distribution if `generate` gives a dataset's train and valid splits at some d, to rounding; else None.

    d is found to six decimals.
    """
    train = dataset.train
    if train.x.shape != (2400, 2) or dataset.valid.x.shape != (300, 2) or dataset.domains != 3:
        return None
    # At another d the points are the same, moved by the difference of the centres: (4 (d - 1), 0) in domain 0.
    unit = generate(1.0)
    with np.errstate(all="ignore"):  # features of another dataset may be too large to subtract
        d = round(1 + float((train.x - unit.train.x)[train.d == 0, 0].mean()) / 4, 6)
    if not 0 < d < 1e6:
        return None
    rebuilt = generate(d)
    same = train.matches(rebuilt.train) and dataset.valid.matches(rebuilt.valid)
    return ThreeGaussians(d) if same else None


def main():
    parser = argparse.ArgumentParser(prog="python -m kdlib.data.gaussians", description="Writes the four datasets.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data"), help="where to (%(default)s)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for d in DISTANCES:
        print(save_in(folder, generate(d)))


if __name__ == "__main__":
    main()
