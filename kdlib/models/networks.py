"""Trained networks in one file of arrays, `student.npz`, of which NumPy alone makes predictions.

For each method the file holds `<method>/kernel_<layer>` (member, in, out) and `<method>/bias_<layer>` (member, out),
float32, and for all of them `mean` and `deviation` (features,), which standardise the features. `about` is JSON: names
of features, classes and domains, the dataset and the hash of its file, settings, and which network was chosen.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


class ModelError(ValueError):
    """A file holds no networks, or not the one that was asked for; one line says what was expected, and what came."""


@dataclass(frozen=True, eq=False)
class Networks:
    """All members of some methods on one dataset, and the one that was chosen of them."""

    about: dict  #: features, classes, domains, dataset, sha256, settings, layers, method, seed, activations, titles
    arrays: Mapping[str, np.ndarray]  #: as in the file

    @classmethod
    def of(cls, weights: Mapping[str, Sequence[np.ndarray]], mean: np.ndarray, deviation: np.ndarray, **about):
        """Networks from the weights of each method, [kernel (member, in, out), bias (member, 1, out), ...]."""
        arrays, layers = {"mean": mean, "deviation": deviation}, {}
        for method, flat in weights.items():
            layers[method] = len(flat) // 2
            for layer in range(layers[method]):
                arrays[f"{method}/kernel_{layer}"] = flat[2 * layer]
                arrays[f"{method}/bias_{layer}"] = flat[2 * layer + 1][:, 0]
        return cls(about | {"layers": layers}, arrays)

    @classmethod
    def read(cls, path) -> "Networks":
        """Networks as written by `write`; raises `ModelError` or OSError."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                found = dict(arrays)
            about = json.loads(str(found.pop("about")))
            networks = cls(about, found)
            networks.layers(about["method"], about["seed"])
        except (ValueError, TypeError, KeyError, EOFError, AttributeError, zipfile.BadZipFile):
            raise ModelError(f"{path}: expected networks as a report writes them, student.npz") from None
        return networks

    def write(self, path) -> None:
        """The same networks give the same bytes."""
        np.savez_compressed(path, about=json.dumps(self.about), **self.arrays)

    @property
    def methods(self) -> list[str]:
        return list(self.about["activations"])

    def layers(self, method: str, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel (in, out) and bias (out,) of each layer of one network; raises `ModelError` if it is not there."""
        if method not in self.methods:
            raise ModelError(f"method: expected one of {', '.join(self.methods)}, got {method!r}")
        names = [(f"{method}/kernel_{i}", f"{method}/bias_{i}") for i in range(self.about["layers"][method])]
        layers = [(self.arrays[kernel], self.arrays[bias]) for kernel, bias in names]
        seeds = len(layers[0][0])
        if not isinstance(seed, int) or not 0 <= seed < seeds:
            raise ModelError(f"seed: expected a whole number from 0 to {seeds - 1}, got {seed!r}")
        return [(kernel[seed], bias[seed]) for kernel, bias in layers]

    def probabilities(self, x: np.ndarray, method: str | None = None, seed: int | None = None) -> np.ndarray:
        """P(class | x) (n, classes) of points (n, features) in the features' own units; default: the chosen network."""
        method, seed = self.about["method"] if method is None else method, self.about["seed"] if seed is None else seed
        z = (np.asarray(x, np.float64) - self.arrays["mean"]) / self.arrays["deviation"]
        for layer, (kernel, bias) in enumerate(self.layers(method, seed)):
            z = (np.maximum(z, 0) if layer else z) @ kernel + bias
        if self.about["activations"][method] == "sigmoid":
            z = -np.logaddexp(0, -z)  # the logarithm of the sigmoid
        p = np.exp(z - z.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)
