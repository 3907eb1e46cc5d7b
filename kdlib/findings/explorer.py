"""What a reader can look through on the summary's page: every seed's decision regions, and their accuracies.

Packs maps as bytes, one class a byte, deflated and in base64, for the page's own script (`templates/page.js`). Out of
scope: drawing, which the script does.
"""

import base64
import zlib

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from kdlib.evaluation.results import BAYES, Reports, reported, select
from kdlib.findings import dataset as dataset_findings
from kdlib.findings import summary_tables
from kdlib.plots import theme
from kdlib.plots.plane import density
from kdlib.plots.scatter import TrainingPoints

MAX_POINTS = 400  #: training points drawn
MAX_TEACHERS = 6  #: whose answers can be softened


def scenes(runs: Reports) -> dict:
    """What the explorer shows, ready for JSON: `datasets`, `titles` of the summary's methods, `colours` and `start`.

    A dataset has `wide` x `high` cells; of each method `maps` (seed, row, column) from the lowest row up and `accuracy`
    per seed and, of the first seed, `early` maps and their `epochs`, followed by the last; the `density` of points; of
    Bayes and of the teachers, or None, probabilities (..., class, row, column); `points`: bytes x, y (0 to 255 over the
    plane), class, domain; and the cell (column, row) where it starts.
    """
    titles = summary_tables.titles(runs)
    datasets = [_dataset(runs, name, titles) for name in runs.good]
    colours = {"light": _colours(theme.STYLE), "dark": _colours(theme.DARK)}
    return {"datasets": datasets, "titles": titles, "colours": colours, "start": _start(runs, datasets)}


def _start(runs, datasets) -> dict:
    """Where a student gains most over the baseline."""
    if not datasets:
        return {}
    gains = pd.concat(summary_tables.comparisons(runs))["difference"]
    students = dataset_findings.in_summary(summary_tables.methods(runs), "student")
    gains = gains[gains.index.get_level_values(1).isin(list(students))]
    gains = gains[gains.index.get_level_values(0).isin([scene["name"] for scene in datasets])]
    baseline = dataset_findings.baseline(summary_tables.methods(runs))
    name, best = gains.idxmax() if len(gains) else (datasets[0]["name"], baseline)
    return {"dataset": name, "left": baseline, "right": best}


def _dataset(runs, name, methods) -> dict:
    maps, results = runs.maps(name), runs.of(name)
    split = reported(results)
    accuracy = select(results, split=split).set_index("method")["value"]
    weights = density(maps)
    teachers = [maps[key] for key in sorted(maps) if key.startswith("teacher_") and key.endswith("/mean")]
    spread = np.ptp([answers[0] for answers in teachers], axis=0) if teachers else 1  # where teachers differ most
    row, column = np.unravel_index((spread * weights).argmax(), weights.shape)
    return {
        "name": name, "wide": len(maps["axis0"]), "high": len(maps["axis1"]), "split": split,
        "ratio": float(np.ptp(maps["axis1"]) / np.ptp(maps["axis0"])),
        "axes": TrainingPoints.from_maps(maps).axis_labels(),
        "start": [int(column), int(row)],
        "classes": int(maps["points_y"].max()) + 1,
        "density": _packed(255 * weights / weights.max()),
        "posterior": _probabilities(maps[f"{BAYES}/mean"]) if f"{BAYES}/mean" in maps else None,
        "teachers": _probabilities(teachers) if 1 < len(teachers) <= MAX_TEACHERS else None,
        "points": _packed(_points(maps)),
        "methods": {
            method: _method(maps, method, accuracy[method]) for method in methods if f"{method}/seeds" in maps
        },
    }  # fmt: skip


def _method(maps, method, accuracy) -> dict:
    shown = {"maps": _packed(maps[f"{method}/seeds"]), "accuracy": np.atleast_1d(accuracy).tolist()}
    if f"{method}/early" in maps:
        shown |= {"early": _packed(maps[f"{method}/early"]), "epochs": maps[f"{method}/epochs"].tolist()}
    return shown


def _probabilities(array) -> str:
    return _packed(np.round(255 * np.asarray(array, float)))


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
