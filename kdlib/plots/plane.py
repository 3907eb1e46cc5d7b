"""The plane in which a dataset's figures are drawn.

Out of scope: drawing.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

GRID = 121  #: grid points along the longer axis
MIN_GRID = 21  #: grid points along the shorter one
MARGIN = 0.06  #: around the points, in spans of the longer axis


class Plane:
    """The features themselves if there are one or two, else the first two principal components, standardised first.

    x: the points (n, features) that it is fitted to. `axis0` and `axis1` are the coordinates of a grid around them,
    `variance` is the share of the standardised features' variance that the plane holds.
    """

    def __init__(self, x: np.ndarray):
        self.features = x.shape[1]
        self.is_projection = self.features > 2
        self.variance = 1.0
        if self.is_projection:
            self._projection = make_pipeline(StandardScaler(), PCA(2, svd_solver="full"))  # its signs are deterministic
            with np.errstate(invalid="ignore"):  # where all features are constant, 0 / 0
                self._projection.fit(x)
            self.variance = float(np.nan_to_num(self._projection[-1].explained_variance_ratio_.sum()))
        low, high = (points := self.project(x)).min(axis=0), points.max(axis=0)
        margin = MARGIN * (high - low).max() or 1.0
        sides = high - low + 2 * margin
        counts = np.maximum(np.round(GRID * sides / sides.max()).astype(int), MIN_GRID)
        self.axis0, self.axis1 = (np.linspace(low[i] - margin, high[i] + margin, counts[i]) for i in (0, 1))

    def project(self, x: np.ndarray) -> np.ndarray:
        """Points (n, features) in the plane (n, 2); of one feature, the second coordinate is 0."""
        return self._projection.transform(x) if self.is_projection else np.pad(x, ((0, 0), (0, 2 - self.features)))

    @property
    def grid(self) -> np.ndarray:
        """The grid's points, row by row along `axis0`, as points of the data (h * w, features)."""
        points = np.stack(np.meshgrid(self.axis0, self.axis1), axis=-1).reshape(-1, 2)
        return self._projection.inverse_transform(points) if self.is_projection else points[:, : self.features]
