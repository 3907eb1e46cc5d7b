"""The plane in which a dataset's figures are drawn.

Out of scope: drawing.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

GRID = 121  #: grid points along the longer axis
MIN_GRID = 21  #: grid points along the shorter one
SMOOTHING = 2.5  #: cells of the grid, of the density of points
MARGIN = 0.06  #: around the points, in spans of the longer axis


class Plane:
    """The features themselves if there are one or two, else the first two principal components, standardised first.

    x: the points (n, features) that it is fitted to. `axis0` and `axis1` are the coordinates of a grid around them,
    `variance` the share of the standardised features' variance that each of its two axes holds.
    """

    def __init__(self, x: np.ndarray):
        self.features = x.shape[1]
        self.is_projection = self.features > 2
        self.variance = np.ones(2)
        if self.is_projection:
            self._fit(x)
        low, high = (points := self.project(x)).min(axis=0), points.max(axis=0)
        margin = MARGIN * (high - low).max() or 1.0
        sides = high - low + 2 * margin
        counts = np.maximum(np.round(GRID * sides / sides.max()).astype(int), MIN_GRID)
        self.axis0, self.axis1 = (np.linspace(low[i] - margin, high[i] + margin, counts[i]) for i in (0, 1))

    def _fit(self, x: np.ndarray) -> None:
        """Principal components by the features' covariances, which are few where points are many."""
        self._mean, covariance = x.mean(axis=0), np.cov(x, rowvar=False, ddof=0)
        self._deviation = np.sqrt(np.diag(covariance))
        self._deviation[self._deviation <= 1e-12 * np.abs(self._mean)] = 1  # constant, but for rounding
        variances, vectors = np.linalg.eigh(covariance / np.outer(self._deviation, self._deviation))
        components = vectors[:, :-3:-1].T
        signs = np.sign(components[[0, 1], np.abs(components).argmax(axis=1)])  # else they are arbitrary
        self._components = components * signs[:, None]  # (2, features)
        self.variance = variances[:-3:-1] / (variances.sum() or 1)

    def project(self, x: np.ndarray) -> np.ndarray:
        """Points (n, features) in the plane (n, 2); of one feature, the second coordinate is 0."""
        if not self.is_projection:
            return np.pad(x, ((0, 0), (0, 2 - self.features)))
        directions = (self._components / self._deviation).T
        return x @ directions - self._mean @ directions

    @property
    def grid(self) -> np.ndarray:
        """The grid's points, row by row along `axis0`, as points of the data (h * w, features)."""
        points = np.stack(np.meshgrid(self.axis0, self.axis1), axis=-1).reshape(-1, 2)
        if not self.is_projection:
            return points[:, : self.features]
        return points @ (self._components * self._deviation) + self._mean


def density(maps) -> np.ndarray:
    """The share of the points in each cell of the grid (h, w), smoothed; maps: as in `boundaries.npz`."""
    axes = maps["axis1"], maps["axis0"]
    edges = [np.append(axis, 2 * axis[-1] - axis[-2]) - 0.5 * (axis[1] - axis[0]) for axis in axes]
    counts, *_ = np.histogram2d(*np.asarray(maps["points"]).T[::-1], bins=edges)
    smooth = gaussian_filter(counts, SMOOTHING)
    return smooth / smooth.sum()
