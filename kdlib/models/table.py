"""What a network says of the rows of a CSV file."""

from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import DataContractError, csv_import
from kdlib.data.pickle_types import shown
from kdlib.models import keras_file
from kdlib.models.networks import ModelError, Networks

MAX_NAMES = 12  #: of columns that a message lists


def predict(model, path) -> pd.DataFrame:
    """The class of each row, and the probability of each: columns `class`, and `p(<class>)` for every class.

    model: a `.keras` file that kdlib wrote, or `student.npz`. The CSV file has the model's features as columns, in any
    order, and no others. Raises `ModelError`, `DataContractError` or OSError.
    """
    model, path = Path(model), Path(path)
    if model.suffix == ".npz":
        networks = Networks.read(model)
        probabilities, about = networks.probabilities, networks.about
    elif model.suffix == ".keras":
        probabilities, about = keras_file.read(model)
    else:
        raise ModelError(f"model: expected a name that ends in .keras or .npz, got {str(model)!r}")
    table, names = csv_import.read(path), about["features"]
    try:
        x = _features(table, names)
    except DataContractError as error:
        raise DataContractError(f"{path.name}: {error}") from None
    p = probabilities(x)
    classes = np.array(about["classes"])
    columns = {f"p({name})": column for name, column in zip(classes, p.T, strict=True)}
    return pd.DataFrame({"class": classes[p.argmax(axis=1)], **columns})


def _features(table: pd.DataFrame, names: list[str]) -> np.ndarray:
    missing = [name for name in names if name not in table]
    unknown = [str(name) for name in table if name not in names]
    if missing or unknown:
        wrong = [f"{word} {_list(these)}" for word, these in (("without", missing), ("also", unknown)) if these]
        expected = f"the model's {len(names)} features as columns, {_list(names)}"
        raise DataContractError(f"expected {expected}; got {len(table.columns)} columns, {' and '.join(wrong)}")
    if not len(table):
        raise DataContractError("expected at least one row below the header, got none")
    numbers = table[names].apply(pd.to_numeric, errors="coerce")
    if not np.isfinite(numbers).all(axis=None):
        row, column = np.argwhere(~np.isfinite(numbers.to_numpy()))[0]
        value = table[names].iat[row, column]
        got = "nothing or NA" if pd.isna(value) else shown(str(value))
        raise DataContractError(f"column {shown(names[column])}: expected finite numbers, got {got} in row {row + 1}")
    return numbers.to_numpy(np.float64)


def _list(names: list[str]) -> str:
    return ", ".join(map(shown, names[:MAX_NAMES])) + (", ..." if len(names) > MAX_NAMES else "")
