"""What a reader can look through on the summary's page: every seed's decision regions, and their accuracies.

Packs maps as bytes, one class a byte, deflated and in base64, for the page's own script (`templates/page.js`). Out of
scope: drawing, which the script does, and the static grid of all methods (`plots.boundary_grid`).
"""

import base64
import zlib

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from kdlib.evaluation.results import BAYES, Reports, reported, select
from kdlib.findings import summary
from kdlib.plots import theme

MAX_POINTS = 400  #: training points drawn


def scenes(runs: Reports) -> dict:
    """What the explorer shows, ready for JSON: `datasets`, `titles` of the summary's methods, `colours` of classes.

    A dataset has `wide` x `high` cells; of each method `maps` (seed, row, column) from the lowest row up and
    `accuracy` per seed; of Bayes one map or None; and `points`: bytes x, y (0 to 255 over the plane), class, domain.
    """
    titles = summary.titles(runs)
    return {
        "datasets": [_dataset(runs, name, titles) for name in runs.good],
        "titles": titles,
        "colours": {"light": _colours(theme.STYLE), "dark": _colours(theme.DARK)},
    }


def _dataset(runs, name, methods) -> dict:
    maps, results = runs.maps(name), runs.of(name)
    split = reported(results)
    accuracy = select(results, split=split).set_index("method")["value"]
    bayes = maps.get(f"{BAYES}/seeds")
    return {
        "name": name, "wide": len(maps["axis0"]), "high": len(maps["axis1"]), "split": split,
        "ratio": float(np.ptp(maps["axis1"]) / np.ptp(maps["axis0"])),
        "bayes": None if bayes is None else _packed(bayes),
        "points": _packed(_points(maps)),
        "methods": {
            method: {"maps": _packed(maps[f"{method}/seeds"]), "accuracy": np.atleast_1d(accuracy[method]).tolist()}
            for method in methods
            if f"{method}/seeds" in maps
        },
    }  # fmt: skip


def _points(maps) -> np.ndarray:
    """(n, 4) bytes."""
    rows = np.random.default_rng(0).permutation(len(maps["points"]))[:MAX_POINTS]
    axes = maps["axis0"], maps["axis1"]
    places = [(maps["points"][rows, i] - axis[0]) / np.ptp(axis) for i, axis in enumerate(axes)]
    return np.stack([*(np.clip(p, 0, 1) * 255 for p in places), maps["points_y"][rows], maps["points_d"][rows]], axis=1)


def _packed(array) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array, np.uint8).tobytes(), 9)).decode("ascii")


def _colours(style) -> list[str]:
    settings = matplotlib.rc_params_from_file(style, use_default_template=False)
    return [to_hex(colour) for colour in settings["axes.prop_cycle"].by_key()["color"]]
