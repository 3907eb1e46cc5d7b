"""Converts a table to a dataset: one column each for the label, the domain and the split; all others are features.

Text in labels and domains is numbered in sorted order. Columns may hold what teachers say of each class; rows of the
split `more`, which are unlabelled, need neither label nor domain. Out of scope: filling gaps, encoding text features
and drawing splits, which are decisions for those who know the data.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import names
from kdlib.data.files import DataContractError
from kdlib.data.pickle_types import shown

SPLITS = ("train", "valid", "test", "more")


def read(path) -> pd.DataFrame:
    """A CSV file as a table. Raises `DataContractError` if it is not CSV, `OSError` if it cannot be opened."""
    try:
        return pd.read_csv(path, skipinitialspace=True)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataContractError(f"{Path(path).name}: expected a CSV file: {' '.join(str(error).split())}") from None


def arrays(
    table: pd.DataFrame, label="label", domain="domain", split="split", teachers: Sequence[Sequence[str]] = ()
) -> tuple[dict, dict[str, list]]:
    """Arrays by key for `save`, and what the numbers of labels and domains stand for: {column: values in order}.

    The column `split` holds train, valid and optionally test and more. teachers: of each teacher the columns of its
    answers, one for each class in order; but for train, they may be empty in a whole split. Raises `DataContractError`.
    """
    answers = [column for columns in teachers for column in columns]
    roles = [("label", label), ("domain", domain), ("split", split), *(("teacher", column) for column in answers)]
    for role, column in roles:
        if column not in table:
            columns = ", ".join(shown(str(name)) for name in table.columns[:12])
            raise DataContractError(f"expected a column {column!r} for the {role}, got {columns}")
    features = table.drop(columns=[column for _, column in roles])
    parts = table[split].astype(str).str.strip()
    unlabelled = (parts == "more").to_numpy()
    for name, values in table.items():
        empty = values.isna() & ~(unlabelled & (name in (label, domain))) & (name not in answers)
        if empty.any():
            raise DataContractError(
                f"column {shown(str(name))}: row {empty.to_numpy().argmax() + 1} is empty or NA; fill or remove it"
            )
        if (name in features or name in answers) and not pd.api.types.is_numeric_dtype(values):
            raise DataContractError(f"column {shown(str(name))}: expected numbers, got text; encode or remove it")
    if others := sorted(set(parts) - set(SPLITS)):
        raise DataContractError(f"column {split!r}: expected {', '.join(SPLITS)}, got {shown(others[0])}")
    labelled = table[~unlabelled].convert_dtypes() if unlabelled.any() else table
    (y, classes), (d, domains) = (pd.factorize(labelled[column], sort=True) for column in (label, domain))
    if wrong := [columns for columns in teachers if len(columns) != len(classes)]:
        raise DataContractError(
            f"teacher: expected a column for each of the {len(classes)} classes, got {','.join(wrong[0])}"
        )
    made = {}
    for part in SPLITS:
        rows = (parts == part).to_numpy()
        if not rows.any():
            continue
        made[f"x_{part}"] = features.to_numpy(np.float64)[rows]
        if part != "more":
            made |= {f"y_{part}": y[rows[~unlabelled]], f"d_{part}": d[rows[~unlabelled]]}
        t = np.array([table[list(columns)].to_numpy(np.float64)[rows] for columns in teachers])
        if not np.isnan(t).all():
            made[f"t_{part}"] = t
    made[names.KEY] = names.encode(features.columns, classes, domains)
    return made, {label: classes.tolist(), domain: domains.tolist()}
