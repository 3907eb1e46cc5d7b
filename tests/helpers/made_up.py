"""Made-up results, and what is registered of their methods, for tests of what sentences make of them."""

import json

import numpy as np
import pandas as pd

from kdlib.evaluation import results
from kdlib.evaluation.results import BAYES, COLUMNS, Reports

SEEDS = 12
COLUMNS_OF_METHODS = ["title", "role", "in_summary", "uses_domain", "teacher", "control_of", "isolates"]


def methods(*names: str) -> pd.DataFrame:
    """A frame as in methods.csv, of some methods."""
    rows = {
        "ffnn": ["FFNN", "baseline", True, False, "", "", ""],
        "teachers": ["Teachers", "teacher", False, True, "", "", ""],
        "kd_original": ["KD, as in the original", "student", True, False, "", "", ""],
        "kd_routed": ["KD, routed", "student", True, False, "", "kd_gated", "all teachers matter"],
        "kd_gated": ["KD, gated", "student", True, False, "", "", ""],
        "kd_kernel_teachers": ["KD, kernel teachers", "student", True, False, "kernel_mixture", "", ""],
        "kernel_mixture": ["Kernel teachers", "teacher", False, False, "", "", ""],
        "kernel_direct": ["Pooled machine", "control", False, False, "", "", ""],
        "kd_kernel_direct": ["KD, pooled machine", "control", False, False, "kernel_direct", "kd_kernel_teachers",
                             "domains matter"],
        "portfolio": ["Portfolio", "teacher", False, False, "", "", ""],
        "kd_portfolio": ["KD, portfolio", "student", True, False, "portfolio", "", ""],
        "sites_gated": ["Sites, gated", "student", False, False, "", "", ""],
        "sites_mean": ["Sites, mean", "student", False, False, "", "", ""],
        BAYES: ["Bayes", "bound", False, False, "", "", ""],
    }  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS_OF_METHODS).rename_axis("method")
    sections = ["the original" if name == "kd_original" else "any" for name in rows]
    table = table.assign(
        section=sections, description=table["title"] + ", described.", updates=22_500, learns_from="labels"
    )
    return table.loc[list(names or rows)]


def accuracies(**changes) -> dict[str, float]:
    """Mean accuracies by method: one student is worse than FFNN, one as good, one better."""
    usual = {"ffnn": 0.98, "teachers": 0.99, "kd_original": 0.84, "kd_routed": 0.98, "kd_kernel_teachers": 0.99}
    return {BAYES: 1.0} | usual | changes


def noise(key: str, size: int = SEEDS, scale: float = 0.0005) -> np.ndarray:
    """Noise of mean zero, always the same for one key (size,)."""
    values = np.random.default_rng(list(key.encode())).normal(0, scale, size)
    return values - values.mean()


def tidy(
    accuracies: dict[str, float], dataset="data_d1.0", splits=("valid", "test", "fresh"), metric="accuracy"
) -> pd.DataFrame:
    """Tidy results of these means on every split; seeds have something in common, and Bayes has no seeds."""
    common = noise("common", scale=0.002)
    rows = [
        [dataset, method, seed, split, "all", metric, mean + (method != BAYES) * (common[seed] + error)]
        for method, mean in accuracies.items()
        for split in splits
        for seed, error in enumerate(noise(method + split, 1 if method == BAYES else SEEDS))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def publish(folder, name, frame=None, published=None, status="ok", reason="", portfolio=None, **registered):
    """Writes what a run leaves: with results, a good one of these methods; registered: columns of methods.csv."""
    here = folder / name
    here.mkdir(parents=True)
    (here / "manifest.json").write_text(json.dumps({"status": status, "reason": reason, "seconds": 1.0}))
    if frame is not None:
        results.write(frame, here / "results.csv")
        methods(*frame.method.unique()).assign(**registered).to_csv(here / "methods.csv")
        (here / "facts.json").write_text(json.dumps({"distribution": None, "published": published}))
    if portfolio is not None:
        portfolio.to_csv(here / "portfolio.csv", index=False)


def reports(folder, **frames: pd.DataFrame) -> Reports:
    """Good runs of these results, by dataset."""
    for name, frame in frames.items():
        publish(folder, name, frame)
    return Reports(folder)
