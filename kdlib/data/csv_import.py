"""Converts a table to a dataset: one column each for the label, the domain and the split; all others are features.

Text in labels and domains is numbered in sorted order. Out of scope: filling gaps, encoding text features and drawing
splits, which are decisions for those who know the data.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data.files import DataContractError
from kdlib.data.pickle_types import shown

SPLITS = ("train", "valid", "test")


def read(path) -> pd.DataFrame:
    """A CSV file as a table. Raises `DataContractError` if it is not CSV, `OSError` if it cannot be opened."""
    try:
        return pd.read_csv(path, skipinitialspace=True)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataContractError(f"{Path(path).name}: expected a CSV file: {' '.join(str(error).split())}") from None


def arrays(table: pd.DataFrame, label="label", domain="domain", split="split") -> tuple[dict, dict[str, list]]:
    """Arrays by key for `save`, and what the numbers of labels and domains stand for: {column: values in order}.

    The column `split` holds train, valid and optionally test. Raises `DataContractError`.
    """
    for role, column in (("label", label), ("domain", domain), ("split", split)):
        if column not in table:
            columns = ", ".join(shown(str(name)) for name in table.columns[:12])
            raise DataContractError(f"expected a column {column!r} for the {role}, got {columns}")
    features = table.drop(columns=[label, domain, split])
    for name, values in table.items():
        if values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise DataContractError(f"column {shown(str(name))}: row {row + 1} is empty or NA; fill or remove it")
        if name in features and not pd.api.types.is_numeric_dtype(values):
            raise DataContractError(f"column {shown(str(name))}: expected numbers, got text; encode or remove it")
    parts = table[split].astype(str).str.strip()
    if others := sorted(set(parts) - set(SPLITS)):
        raise DataContractError(f"column {split!r}: expected {', '.join(SPLITS)}, got {shown(others[0])}")
    y, classes = pd.factorize(table[label], sort=True)
    d, domains = pd.factorize(table[domain], sort=True)
    made = {}
    for part in SPLITS:
        rows = (parts == part).to_numpy()
        if rows.any():
            made |= {f"x_{part}": features.to_numpy(np.float64)[rows], f"y_{part}": y[rows], f"d_{part}": d[rows]}
    return made, {label: classes.tolist(), domain: domains.tolist()}
