"""Networks that nobody trained, of two methods and three seeds, for tests of files and tables."""

from itertools import pairwise

import numpy as np

from kdlib.models.networks import Networks


def weights() -> dict[str, list[np.ndarray]]:
    """Of three features, and of 5 and 6 hidden units and 4 classes."""
    rng, sizes = np.random.default_rng(0), (3, 5, 6, 4)
    return {
        method: [
            rng.normal(size=(3, *shape)).astype(np.float32)
            for ins, outs in pairwise(sizes)
            for shape in ((ins, outs), (1, outs))
        ]
        for method in ("kd_a", "kd_b")
    }


def networks() -> Networks:
    """The second method has sigmoids, and its second seed is chosen."""
    return Networks.of(
        weights(), np.array([0, 1e5, 7]), np.array([1, 1e3, 1e-3]), dataset="made_up", sha256="0" * 64, settings={},
        method="kd_b", seed=1, activations={"kd_a": "softmax", "kd_b": "sigmoid"}, titles={"kd_a": "A", "kd_b": "B"},
        features=["age", "height", "1 x"], classes=["no", "yes", "may be", "3"], domains=["0"],
    )  # fmt: skip
