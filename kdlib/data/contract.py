"""The contract that a dataset's arrays keep, as data/README.md states it; a check says what it expected, and what came.

All of them raise `DataContractError`. Out of scope: what a dataset is made of once its arrays are checked (`dataset`).
"""

import difflib
from collections.abc import Mapping

import numpy as np

from kdlib.data.files import DataContractError
from kdlib.data.pickle_types import shown

REQUIRED = ("x_train", "y_train", "d_train", "x_valid", "y_valid")
OPTIONAL = ("d_valid", "x_test", "y_test", "d_test", "t_train", "t_valid", "t_test", "x_more", "t_more")
NEEDED = dict.fromkeys(("x_test", "y_test", "d_test"), ("x_test", "y_test")) | {
    "t_valid": ("t_train",), "t_test": ("x_test", "y_test", "t_train"), "t_more": ("x_more", "t_train"),
}  # fmt: skip
"""By optional key, those that must come with it."""
SUM_TOLERANCE = 1e-3  #: of probabilities that sum to one
LARGEST = 1e100  #: absolute value of a feature: sums of its squares stay finite


def check_keys(arrays: Mapping) -> None:
    """Raises if a key is missing, or looks like a misspelled one."""
    known = REQUIRED + OPTIONAL
    similar = {
        key: difflib.get_close_matches(str(key).lower(), known, n=1, cutoff=0.8) for key in arrays if key not in known
    }
    misspelled = {key: found[0] for key, found in similar.items() if found and found[0] not in arrays}
    missing = [key for key in REQUIRED if key not in arrays]
    needed = [key for given in NEEDED if given in arrays for key in NEEDED[given]]
    missing += [key for key in dict.fromkeys(needed) if key not in arrays]
    hints = "".join(f"; rename {shown(str(key))} to {meant}" for key, meant in list(misspelled.items())[:2])
    hints += ", and so on" if len(misspelled) > 2 else ""
    if missing:
        got = ", ".join(shown(str(key)) for key in list(arrays)[:12]) or "no keys"
        raise DataContractError(f"missing {', '.join(missing)}; expected {', '.join(REQUIRED)}; got {got}{hints}")
    if hints:  # a misspelled optional key must not quietly change what is reported
        raise DataContractError(f"a key looks misspelled{hints}; if it means something else, give it another name")


def _array(key: str, value) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        raise DataContractError(f"{key}: expected an array, got lists of unequal lengths") from None


def _numbers(key: str, value) -> np.ndarray:
    x = _array(key, value)
    if x.dtype.kind not in "fiub":
        raise DataContractError(f"{key}: expected numbers, got items of type {x.dtype}; convert with .astype(float)")
    return x


def features(key: str, value) -> np.ndarray:
    """Features (n, features) as float64."""
    x = _numbers(key, value)
    if x.ndim != 2:
        hint = ".reshape(-1, 1) makes one feature" if x.ndim < 2 else ".reshape(len(x), -1) makes rows"
        raise DataContractError(f"{key}: expected shape (samples, features), got {x.shape}; {hint}")
    if 0 in x.shape:
        raise DataContractError(f"{key}: expected at least one sample and one feature, got shape {x.shape}")
    x = _finite(key, x, "remove or fill those rows")
    if (largest := max(x.max(), -x.min())) > LARGEST:
        raise DataContractError(f"{key}: expected numbers up to {LARGEST:g}, got {largest:g}; rescale the features")
    return x


def _finite(key: str, x: np.ndarray, remedy: str) -> np.ndarray:
    x = np.array(x, dtype=np.float64, order="C")
    if not (finite := np.isfinite(x)).all():
        *teacher, row, column = np.argwhere(~finite)[0]
        where = f"teacher {teacher[0]}, row {row}, class {column}" if teacher else f"row {row}, column {column}"
        raise DataContractError(
            f"{key}: expected finite numbers, got {(~finite).sum()} that are not, the first in {where}; {remedy}"
        )
    return x


def answers(arrays: Mapping, classes: int, samples: Mapping[str, int]) -> dict[str, np.ndarray]:
    """What teachers say (teachers, n, classes) of each split that they speak of; samples: of every split.

    All of it is of one kind, probabilities or logits.
    """
    found = {}
    for part, count in samples.items():
        if (key := f"t_{part}") in arrays:
            teachers = next((len(t) for t in found.values()), None)
            found[part] = _answers(key, arrays[key], teachers, count, classes)
    kinds = {part: "probabilities" if are_probabilities(t) else "logits" for part, t in found.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{kind} in t_{part}" for part, kind in kinds.items())
        raise DataContractError(f"t_train: expected probabilities in all keys, or logits in all, got {listed}")
    return found


def _answers(key: str, value, teachers: int | None, samples: int, classes: int) -> np.ndarray:
    t = _numbers(key, value)
    if t.ndim != 3 or t.shape[1:] != (samples, classes) or t.shape[0] != (teachers or max(1, t.shape[0])):
        hint = "; one teacher's answers become t[None]" if t.ndim == 2 else ""
        expected = f"({teachers or 'teachers'}, {samples}, {classes}): teachers, rows of x, classes"
        raise DataContractError(f"{key}: expected shape {expected}, got {t.shape}{hint}")
    t = _finite(key, t, "remove those teachers or rows; instead of log(0), give -1000")
    sums = t.sum(axis=2)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if t.min() >= 0 and off.any() and (t.max() <= 1 or np.ptp(sums) <= SUM_TOLERANCE * sums.max()):
        teacher, row = np.argwhere(off)[0]
        raise DataContractError(
            f"{key}: expected probabilities, which sum to one over the classes, as no number is negative; got a sum of "
            f"{sums[teacher, row]:.4g} for teacher {teacher}, row {row}; divide by the sums, or, if these are logits, "
            "subtract a constant, such as 100, which changes nothing else"
        )
    if t.min() < 0 and not off.any():
        raise DataContractError(
            f"{key}: expected probabilities, as all rows sum to one, got {(t < 0).sum()} negative numbers; make them 0"
        )
    return t


def are_probabilities(t: np.ndarray) -> bool:
    """Whether the checked answers (teachers, n, classes) are probabilities; if not, they are logits."""
    return bool(t.min() >= 0 and np.abs(t.sum(axis=2) - 1).max() <= SUM_TOLERANCE)


def labels(key: str, value, samples: int) -> np.ndarray:
    """Labels or domains (n,) as int64."""
    values = _array(key, value)
    if values.ndim != 1:
        one_hot = values.ndim == 2 and values.shape[1] > 1
        hint = "; turn one-hot rows into labels with .argmax(axis=1)" if one_hot else "; flatten it with .ravel()"
        raise DataContractError(f"{key}: expected shape ({samples},), got {values.shape}{hint}")
    if len(values) != samples:
        raise DataContractError(f"{key}: expected {samples} values, one for each row of x, got {len(values)}")
    if values.dtype.kind not in "fiub":
        raise DataContractError(
            f"{key}: expected whole numbers, got items of type {values.dtype}; number them: "
            "np.unique(values, return_inverse=True)[1]"
        )
    if values.dtype.kind == "f" and not (np.isfinite(values) & (np.round(values) == values)).all():
        raise DataContractError(f"{key}: expected whole numbers, got fractions, or numbers that are not finite")
    if values.min() < 0 or values.max() > 2**31 - 1:  # products of class and domain then fit 64 bits
        raise DataContractError(f"{key}: expected whole numbers from 0, got {values.min()} to {values.max()}")
    return np.array(values, dtype=np.int64)


def contiguous(key: str, values: np.ndarray, what: str, least: int) -> int:
    """How many classes or domains there are, all of them among the training samples."""
    found = np.unique(values)
    if len(found) < least:
        raise DataContractError(f"{key}: expected at least {least} {what}, got {len(found)}")
    if found[-1] != len(found) - 1:
        raise DataContractError(
            f"{key}: expected {what} 0..{len(found) - 1}, each with training samples, got {len(found)} from "
            f"{found[0]} to {found[-1]}; number all splits alike: np.searchsorted(np.unique({key}), values)"
        )
    return len(found)
