"""The accuracies that the original published, to compare with."""

from kdlib.data.distributions import KnownDistribution
from kdlib.data.gaussians import ThreeGaussians

#: The original's accuracies on the 300 validation points: mean and sd of three runs, from its README, by distance
PUBLISHED = {
    1.0: {"FFNN": (0.9833, 0.0047), "KD": (0.8373, 0.0074)},
    0.75: {"FFNN": (0.9887, 0.0034), "KD": (0.8467, 0.0056)},
    0.5: {"FFNN": (0.9680, 0.0034), "KD": (0.8380, 0.0016)},
    0.25: {"FFNN": (0.7680, 0.0176), "KD": (0.7153, 0.0058)},
}


def published(distribution: KnownDistribution | None) -> dict[str, tuple[float, float]] | None:
    """The original's {"FFNN": (mean, sd), "KD": (mean, sd)} on its dataset of this distribution; None on all others."""
    return PUBLISHED.get(distribution.distance) if isinstance(distribution, ThreeGaussians) else None
