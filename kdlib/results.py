"""Tidy results: one row per number, in memory and on disk, and the seal that ends a run.

Columns are `dataset, method, seed, split, domain, metric, value`; `split` is valid, test or fresh, `domain` is
all, 0, 1, ... Leaves out what the numbers mean.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.metrics import METRICS

COLUMNS = ["dataset", "method", "seed", "split", "domain", "metric", "value"]
SEAL = "sealed.json"


def score(
    dataset: str, method: str, split: str, log_p: np.ndarray, y: np.ndarray, d: np.ndarray | None
) -> pd.DataFrame:
    """Every metric of a population on a split, overall and, where domains are known, accuracy in each.

    log_p: (member, n, classes); y and d: (n,).
    """
    rows = [("all", name, metric(log_p, y)) for name, metric in METRICS.items()]
    for k in [] if d is None else np.unique(d):
        rows.append((str(k), "accuracy", METRICS["accuracy"](log_p[:, d == k], y[d == k])))
    return pd.concat(
        [
            pd.DataFrame({
                "dataset": dataset, "method": method, "seed": np.arange(len(values)),
                "split": split, "domain": domain, "metric": metric, "value": values,
            })
            for domain, metric, values in rows
        ],
        ignore_index=True,
    )[COLUMNS]  # fmt: skip


def select(results: pd.DataFrame, metric: str = "accuracy", domain: str = "all", **equal) -> pd.DataFrame:
    """The rows of one metric, one domain and whatever else is asked to be equal, e.g. `split="fresh"`."""
    wanted = {"metric": metric, "domain": domain, **equal}
    return results[np.logical_and.reduce([results[column] == value for column, value in wanted.items()])]


def summarise(results: pd.DataFrame, by=("dataset", "method"), **equal) -> pd.DataFrame:
    """Mean and standard deviation over seeds (`mean`, `sd`, `seeds`) of what `select` gives, in order of appearance."""
    groups = select(results, **equal).groupby(list(by), sort=False)["value"]
    return groups.agg(mean="mean", sd="std", seeds="size")


def write(results: pd.DataFrame, path) -> None:
    """Writes results as CSV, numbers to the last digit; the same results give the same bytes."""
    results.to_csv(path, index=False, float_format="%.17g", lineterminator="\n")


def read(path) -> pd.DataFrame:
    """Results as written by `write`; raises ValueError if the columns are others."""
    frame = pd.read_csv(path, dtype={"dataset": str, "method": str, "split": str, "domain": str, "metric": str})
    if list(frame.columns) != COLUMNS:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {', '.join(frame.columns)}")
    return frame


def seal(output) -> str:
    """Writes the sentinel of a complete run beside its files: their SHA-256, by name; returns a line that says so.

    Whoever publishes the files checks them against it: a run without it did not reach its end.
    """
    output = Path(output)
    files = sorted(path for path in output.iterdir() if path.suffix in {".csv", ".npz"} and path.is_file())
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (output / SEAL).write_text(json.dumps({"files": hashes}, indent=1) + "\n")
    return f"sealed: {', '.join(hashes)}"
