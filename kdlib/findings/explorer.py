"""What a reader can look through on the summary's page: every seed's decision regions, and their accuracies.

Packs maps as bytes, one class a byte, deflated and in base64, for the page's own script (`templates/page.js`). Leaves
out drawing, which the script does, and the static grid of all methods (`plots.boundary_grid`).
"""

import base64
import zlib

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from kdlib.evaluation.results import Reports, reported, select
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary
from kdlib.plots import theme

POINTS = 400  #: training points drawn at most


def scenes(runs: Reports) -> dict:
    """All that the explorer needs, as JSON can hold it: `datasets`, `titles` of methods, `colours` of classes.

    A dataset has `wide` x `high` cells, of each method `maps` (seed, row, column) from the lowest row up and
    `accuracy` per seed, of Bayes one map or None, and `points`: bytes x, y (0 to 255 over the plane), class, domain.
    """
    return {
        "datasets": [_dataset(runs, name) for name in runs.good if _methods(runs.maps(name))],
        "titles": summary.drawn(runs),
        "colours": {"light": _colours(theme.STYLE), "dark": _colours(theme.DARK)},
    }


def _methods(maps) -> list[str]:
    return [name for name in dataset_findings.STORY if f"{name}/seeds" in maps]


def _dataset(runs, name) -> dict:
    maps, results = runs.maps(name), runs.of(name)
    split = reported(results)
    accuracy = select(results, split=split).set_index("method")["value"]
    high, wide = maps[f"{_methods(maps)[0]}/seeds"].shape[1:]
    bayes = maps.get("bayes/seeds")
    return {
        "name": name, "wide": wide, "high": high, "split": split,
        "ratio": float(np.ptp(maps["axis1"]) / np.ptp(maps["axis0"])),
        "bayes": None if bayes is None else _packed(bayes),
        "points": _packed(_points(maps)),
        "methods": {
            method: {"maps": _packed(maps[f"{method}/seeds"]), "accuracy": np.atleast_1d(accuracy[method]).tolist()}
            for method in _methods(maps)
        },
    }  # fmt: skip


def _points(maps) -> np.ndarray:
    """(n, 4) bytes."""
    rows = np.random.default_rng(0).permutation(len(maps["points"]))[:POINTS]
    axes = maps["axis0"], maps["axis1"]
    places = [(maps["points"][rows, i] - axis[0]) / np.ptp(axis) for i, axis in enumerate(axes)]
    return np.stack([*(np.clip(p, 0, 1) * 255 for p in places), maps["points_y"][rows], maps["points_d"][rows]], axis=1)


def _packed(array) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array, np.uint8).tobytes(), 9)).decode("ascii")


def _colours(style) -> list[str]:
    settings = matplotlib.rc_params_from_file(style, use_default_template=False)
    return [to_hex(colour) for colour in settings["axes.prop_cycle"].by_key()["color"]]
