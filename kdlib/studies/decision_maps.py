"""What methods decide around a dataset's training points: on a grid over the plane in which figures show them.

Out of scope: drawing (`plots`).
"""

import numpy as np

from kdlib.data import Split
from kdlib.methods import Problem
from kdlib.plots.plane import Plane
from kdlib.training.loop import Fit
from kdlib.training.networks import predict


class DecisionMaps:
    """Maps as `arrays`, by method and kind, as `boundaries.npz` holds them: `NAME/mean` and others.

    train: the points. h and w are the grid's sides.
    """

    def __init__(self, train: Split):
        self.plane = plane = Plane(train.x)
        self.arrays = {
            "axis0": plane.axis0, "axis1": plane.axis1, "plane": np.array(int(plane.is_projection)),
            "variance": plane.variance, "points": plane.project(train.x), "points_y": train.y, "points_d": train.d,
        }  # fmt: skip

    def add(self, name: str, log_p: np.ndarray) -> None:
        """A method's log-probabilities at the grid's points (member, h * w, classes).

        `mean` is their mean probability and `votes` the share of members that decide for a class, both (classes, h, w);
        `seeds` is what each member decides (member, h, w).
        """
        votes = np.stack([(log_p.argmax(axis=2) == c).mean(axis=0) for c in range(log_p.shape[2])])
        self.arrays[f"{name}/mean"] = self._on_grid(np.exp(log_p).mean(axis=0).T).astype(np.float16)
        self.arrays[f"{name}/votes"] = self._on_grid(votes).astype(np.float16)
        self.arrays[f"{name}/seeds"] = self._on_grid(log_p.argmax(axis=2)).astype(np.uint8)

    def add_early(self, name: str, fit: Fit, problem: Problem) -> None:
        """What the first seed's network decides as its training goes on (epoch, h, w), and the epochs, the last too."""
        if fit.early:  # a training of one epoch has none
            weights = [np.concatenate(layer) for layer in zip(*fit.early.values(), strict=True)]
            outputs = predict(weights, problem.scaled(self.plane.grid))[..., : problem.classes]
            self.arrays[f"{name}/early"] = self._on_grid(outputs.argmax(axis=2)).astype(np.uint8)
            self.arrays[f"{name}/epochs"] = np.array([*fit.early, len(fit.loss)])

    def _on_grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, len(self.plane.axis1), len(self.plane.axis0))
