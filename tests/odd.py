"""Datasets as researchers have them: of many sizes and types, and none like the four in data/."""

import pickle

import numpy as np


def arrays(samples=240, features=2, classes=2, domains=2, keys=9, seed=0) -> dict[str, np.ndarray]:
    """Blobs, one for each domain and class, shuffled: the nine keys of the contract, or the first five."""
    rng = np.random.default_rng(seed)
    made, centres = {}, rng.normal(scale=3, size=(domains, classes, features))
    for part in ("train", "valid", "test"):
        d = rng.permutation(np.arange(samples) % domains)
        y = rng.permutation(np.arange(samples) // domains % classes)
        made |= {f"x_{part}": centres[d, y] + rng.normal(size=(samples, features)), f"y_{part}": y, f"d_{part}": d}
    five = ("x_train", "y_train", "d_train", "x_valid", "y_valid")
    return {key: made[key] for key in (made if keys == 9 else five)}


def folder(path) -> None:
    """Writes one pickle of each kind."""
    wide = arrays(samples=420, features=20, classes=7, domains=5)
    dozen = arrays(samples=720, classes=12, domains=12)
    half = arrays(features=1, domains=3, keys=5)
    half["y_train"] = np.where(half["d_train"] == 1, 0, half["y_train"])  # a domain that lacks a class
    half = {key: value.astype("f2") for key, value in half.items()}
    alone = arrays(features=3, classes=3, domains=1)
    whole = {key: np.asfortranarray((8 * value).round() if key[0] == "x" else value) for key, value in dozen.items()}
    kinds = {
        "20 features, 7 classes, 5 domains": (wide, 5),
        "NA": (half, 4),  # a name that tables may take for a missing value
        "1e5": (alone, 2),  # and for a number
        "dozen": ({key: value.astype(">i4") for key, value in whole.items()}, 0),
    }
    for name, (values, protocol) in kinds.items():
        (path / f"{name}.pkl").write_bytes(pickle.dumps(values, protocol))
