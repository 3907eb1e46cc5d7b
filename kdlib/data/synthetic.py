"""Datasets drawn from known mixtures of Gaussians: moons, spirals, checkerboards, and clouds in more dimensions.

Everything about a dataset follows from its name: the distribution has fixed parameters, and its points a fixed seed.
So a dataset is recognised by its contents, and a report on it has fresh points and the Bayes classifier as ceiling.
"""

from dataclasses import dataclass

import numpy as np

from kdlib.data.dataset import Dataset, from_arrays
from kdlib.data.distributions import fresh
from kdlib.data.gaussian_mixtures import GaussianMixtures

SEED = 20_250  #: of the points of all datasets


@dataclass(frozen=True)
class Recipe:
    """How a dataset is drawn: from which distribution, and how many points."""

    distribution: GaussianMixtures
    train: int
    valid: int
    test: int


def moons(domains: int) -> GaussianMixtures:
    """Two interleaved half circles, of 20 Gaussians each, in every domain."""
    angle = np.linspace(0, np.pi, 20)
    upper = polar(1, angle) - [0.5, 0.25]
    name = "moons" if domains == 3 else f"moons-{domains}-domains"
    description = f"Two interleaved half circles, one of each class; the {domains} domains are turned and moved copies."
    return copies(name, description, np.stack([upper, -upper]), sd=0.12, domains=domains, distance=0.6)


def spirals() -> GaussianMixtures:
    """Three spiral arms, of 40 Gaussians each, in every domain."""
    angle = np.linspace(0.5, 2 * np.pi, 40)
    arms = [polar(angle / np.pi, angle + turn) for turn in 2 * np.pi * np.arange(3) / 3]
    description = "Three spiral arms, one of each class; the three domains are turned and moved copies."
    return copies("spirals", description, np.stack(arms), sd=0.08, domains=3, distance=0.5)


def checkerboard() -> GaussianMixtures:
    """A board of 4 x 4 squares, of one Gaussian each, in every domain."""
    row, column = np.divmod(np.arange(16), 4)
    squares = np.stack([column, row], axis=1) - 1.5
    colours = np.stack([squares[(row + column) % 2 == colour] for colour in range(2)])
    description = "A board of 4 x 4 Gaussians whose classes alternate; the three domains are turned and moved copies."
    return copies("checkerboard", description, colours, sd=0.25, domains=3, distance=0.5)


def covariances() -> GaussianMixtures:
    """Five classes in 20 dimensions; each of four domains has its own covariance and place."""
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((4, 20, 20)) / np.sqrt(20)
    means = 0.4 * rng.standard_normal((1, 5, 1, 20)) + 0.5 * rng.standard_normal((4, 5, 1, 20))
    description = "Five Gaussian classes in 20 dimensions; each of four domains has its own means and covariance."
    covariances = factors @ factors.swapaxes(1, 2) + 0.3 * np.eye(20)
    return GaussianMixtures("covariances", description, means, covariances, np.full((4, 5, 1), 1 / 20))


def noisy_labels() -> GaussianMixtures:
    """Three classes of two Gaussians in 10 dimensions; domains of unequal sizes, and a fifth of the labels random."""
    rng = np.random.default_rng(2)
    means = rng.standard_normal((1, 3, 2, 10)) + 0.7 * rng.standard_normal((3, 3, 2, 10))
    description = (
        "Three classes of two Gaussians each in 10 dimensions; the three domains hold 60, 25 and 15 % of the points, "
        "and a fifth of the labels is drawn at random."
    )
    weights = np.array([0.6, 0.25, 0.15])[:, None, None] * np.full((3, 3, 2), 1 / 6)
    return GaussianMixtures(
        "noisy-labels", description, means, np.tile(np.eye(10), (3, 1, 1)), weights, label_noise=0.2
    )


def copies(name: str, description: str, classes: np.ndarray, sd: float, domains: int, distance: float):
    """Domains that are copies of one figure in the plane, of equally many points.

    classes: centres of round Gaussians (classes, components, 2) of standard deviation sd. Domain k is turned by k
    full turns / domains, and moved to a circle of radius `distance`.
    """
    turn = 2 * np.pi * np.arange(domains) / domains
    rotation = np.stack([polar(1, turn), polar(1, turn + np.pi / 2)], axis=1)  # (domain, 2, 2)
    means = np.einsum("cmi,dij->dcmj", classes, rotation) + distance * polar(1, turn)[:, None, None]
    weights = np.full(means.shape[:3], 1 / np.prod(means.shape[:3]))
    return GaussianMixtures(name, description, means, np.tile(sd**2 * np.eye(2), (domains, 1, 1)), weights)


def polar(radius, angle: np.ndarray) -> np.ndarray:
    """Points of the plane (n, 2) by their distance from the origin and their angles (n,)."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


RECIPES = {
    recipe.distribution.name: recipe
    for recipe in (
        Recipe(moons(3), train=900, valid=270, test=6000),
        Recipe(moons(12), train=1200, valid=360, test=6000),
        Recipe(spirals(), train=1200, valid=360, test=6000),
        Recipe(checkerboard(), train=1200, valid=360, test=6000),
        Recipe(covariances(), train=1000, valid=300, test=6000),
        Recipe(noisy_labels(), train=1000, valid=300, test=6000),
    )
}


def generate(name: str) -> Dataset:
    """The dataset of a recipe; the same one each time."""
    recipe, arrays = RECIPES[name], {}
    for number, part in enumerate(("train", "valid", "test")):
        split = fresh(recipe.distribution, getattr(recipe, part), seed=[SEED, number])
        arrays |= {f"x_{part}": split.x, f"y_{part}": split.y, f"d_{part}": split.d}
    return from_arrays(name, arrays)


def recognise(dataset: Dataset) -> GaussianMixtures | None:
    """The distribution of the recipe that gives a dataset's train and valid splits, to rounding; else None."""
    for name, recipe in RECIPES.items():
        if (len(dataset.train), len(dataset.valid)) == (recipe.train, recipe.valid):
            rebuilt = generate(name)
            if dataset.train.matches(rebuilt.train) and dataset.valid.matches(rebuilt.valid):
                return recipe.distribution
    return None
