"""Small datasets that were drawn from no known distribution, of any number of features, classes and domains."""

import numpy as np

from kdlib.data import Dataset, from_arrays


def arrays(samples=240, features=2, classes=2, domains=2) -> dict[str, np.ndarray]:
    """The nine keys of the contract: one cluster per class and domain, `samples` points in each split, shuffled."""
    rng = np.random.default_rng(0)
    made, centres = {}, rng.normal(scale=3, size=(domains, classes, features))
    for part in ("train", "valid", "test"):
        d = rng.permutation(np.arange(samples) % domains)
        y = rng.permutation(np.arange(samples) // domains % classes)
        made |= {f"x_{part}": centres[d, y] + rng.normal(size=(samples, features)), f"y_{part}": y, f"d_{part}": d}
    return made


def small_dataset(keys=None, **sizes) -> Dataset:
    """A dataset of `arrays` with these sizes: of some keys only, such as `contract.REQUIRED`, if any are given."""
    made = arrays(**sizes)
    return from_arrays("small", {key: made[key] for key in keys or made})
