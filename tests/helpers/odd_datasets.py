"""Datasets as researchers have them: of other sizes and types than those in data/, under names that mislead."""

import pickle

import numpy as np


def arrays(samples, features, classes, domains) -> dict[str, np.ndarray]:
    """A blob for each class in each domain, shuffled: the nine keys of the contract."""
    rng = np.random.default_rng(0)
    made, centres = {}, rng.normal(scale=3, size=(domains, classes, features))
    for part in ("train", "valid", "test"):
        d = rng.permutation(np.arange(samples) % domains)
        y = rng.permutation(np.arange(samples) // domains % classes)
        made |= {f"x_{part}": centres[d, y] + rng.normal(size=(samples, features)), f"y_{part}": y, f"d_{part}": d}
    return made


def write(folder) -> None:
    """One pickle of each kind."""
    dozen = arrays(samples=432, features=20, classes=12, domains=12)
    dozen = {key: np.asfortranarray((8 * value).round() if key[0] == "x" else value) for key, value in dozen.items()}
    lacking = arrays(samples=120, features=1, classes=2, domains=3)
    lacking["y_train"][lacking["d_train"] == 1] = 0  # a domain without one of the classes
    alone = arrays(samples=120, features=3, classes=7, domains=1)
    five = ("x_train", "y_train", "d_train", "x_valid", "y_valid")
    for name, protocol, values in (
        ("20 features, 12 x 12", 0, {key: value.astype(">i4") for key, value in dozen.items()}),
        ("NA", 4, {key: lacking[key].astype(np.float16) for key in five}),  # may be read as a missing value
        ("1e5", 5, alone),  # and this as a number
    ):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(values, protocol))
