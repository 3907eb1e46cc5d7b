"""From a table to a dataset: feature columns, one for the label, one for the domain, one that names the split.

Text in labels and domains is numbered in sorted order. Leaves out what a table cannot be asked for: filling gaps,
encoding features that are text, and drawing splits, which are decisions of whoever knows the data.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data.files import DataContractError
from kdlib.data.pickle_types import shown

SPLITS = ("train", "valid", "test")


def read(path) -> pd.DataFrame:
    """A CSV file as a table; raises `DataContractError` for what is none, `OSError` if it cannot be opened."""
    try:
        return pd.read_csv(path, skipinitialspace=True)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataContractError(f"{Path(path).name}: expected a CSV file: {' '.join(str(error).split())}") from None


def arrays(table: pd.DataFrame, label="label", domain="domain", split="split") -> tuple[dict, dict[str, list]]:
    """Arrays by key for `datasets.save`, and what the numbers of labels and domains stand for.

    table: a column each for label, domain and split (train, valid, and optionally test); all others are features.
    Raises `DataContractError`.
    """
    for role, column in (("label", label), ("domain", domain), ("split", split)):
        if column not in table:
            columns = ", ".join(shown(str(name)) for name in table.columns[:12])
            raise DataContractError(f"expected a column {column!r} for the {role}, got {columns}")
    features = table.drop(columns=[label, domain, split])
    for name, values in table.items():
        if values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise DataContractError(
                f"column {shown(str(name))}: row {row + 1} has no value, or NA; fill or remove such rows"
            )
        if name in features and not pd.api.types.is_numeric_dtype(values):
            raise DataContractError(f"column {shown(str(name))}: expected numbers, got text; encode or remove it")
    parts = table[split].astype(str).str.strip()
    if others := sorted(set(parts) - set(SPLITS)):
        raise DataContractError(f"column {split!r}: expected {', '.join(SPLITS)}, got {shown(others[0])}")
    y, classes = _numbered(table[label])
    d, domains = _numbered(table[domain])
    found = {}
    for part in SPLITS:
        rows = (parts == part).to_numpy()
        if rows.any():
            found |= {f"x_{part}": features.to_numpy(np.float64)[rows], f"y_{part}": y[rows], f"d_{part}": d[rows]}
    return found, {label: classes, domain: domains}


def _numbered(values: pd.Series) -> tuple[np.ndarray, list]:
    """Numbers from 0 in sorted order, and what each stands for."""
    names, numbers = np.unique(values.to_numpy(), return_inverse=True)
    return numbers, names.tolist()
