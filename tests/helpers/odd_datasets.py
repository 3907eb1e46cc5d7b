"""Datasets that differ from those in data/ in sizes and number types, under names that are easily misread."""

import pickle

import numpy as np
from small_datasets import arrays

from kdlib.data.contract import REQUIRED


def write(folder) -> None:
    """One pickle of each kind."""
    dozen = arrays(samples=432, features=20, classes=12, domains=12)
    dozen = {key: np.asfortranarray((8 * value).round() if key[0] == "x" else value) for key, value in dozen.items()}
    lacking = arrays(samples=120, features=1, classes=2, domains=3)
    lacking["y_train"][lacking["d_train"] == 1] = 0  # a domain without one of the classes
    lacking["t_train"] = np.random.default_rng(0).dirichlet([1, 1], (3, 120))  # a teacher of each domain
    alone = arrays(samples=120, features=3, classes=7, domains=1)
    logits = np.random.default_rng(0).normal(size=(2, 170, 7))  # two teachers of one domain
    alone |= {"t_train": logits[:, :120], "x_more": alone["x_train"][:50] + 0.1, "t_more": logits[:, 120:]}
    for name, protocol, values in (
        ("20 features, 12 x 12", 0, {key: value.astype(">i4") for key, value in dozen.items()}),
        (
            "NA",
            4,
            {key: lacking[key].astype(np.float16) for key in (*REQUIRED, "t_train")},
        ),  # may be read as a missing value
        ("1e5", 5, alone),  # and this as a number
    ):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(values, protocol))
