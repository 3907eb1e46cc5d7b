"""The data contract: what a dataset is, and everything that is checked before any training.

A dataset is a pickle of one dict of arrays: `x_train` (n, features), `y_train` (n,), `d_train` (n,),
`x_valid`, `y_valid`, and optionally `d_valid`, `x_test`, `y_test`, `d_test`. Rows are samples; `y` holds
the classes 0..classes-1, `d` the domains 0..domains-1. What teachers say of these samples may come with them,
`t_train`, `t_valid`, `t_test` (teachers, n, classes), and unlabelled samples, `x_more` and `t_more`. Other keys are
ignored, but one that looks like a misspelling of these is an error. The first five keys are those that the README of
the original names.

Out of scope: missing values, text, sample weights, and several labels per sample.
"""

import difflib
import hashlib
import os
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kdlib.data import files, names, pickle_reader
from kdlib.data.files import DataContractError, UnsafePickleError
from kdlib.data.pickle_types import shown

__all__ = ["DataContractError", "Dataset", "Split", "UnsafePickleError", "from_arrays", "load", "loads", "save"]

REQUIRED = ("x_train", "y_train", "d_train", "x_valid", "y_valid")
OPTIONAL = ("d_valid", "x_test", "y_test", "d_test", "t_train", "t_valid", "t_test", "x_more", "t_more")
NEEDED = dict.fromkeys(("x_test", "y_test", "d_test"), ("x_test", "y_test")) | {
    "t_valid": ("t_train",), "t_test": ("x_test", "y_test", "t_train"), "t_more": ("x_more", "t_train"),
}  # fmt: skip
"""By optional key, those that must come with it."""
SUM_TOLERANCE = 1e-3  #: of probabilities that sum to one
LARGEST = 1e100  #: absolute value of a feature: sums of its squares stay finite
MAX_VALUES = 2**25  #: features of all points that are worked on at once, or that are made of others
SELECTION_SHARE = 0.1  #: of train, set aside to select models where there is no test split


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split, in the order of the file. The arrays are read-only."""

    x: np.ndarray  #: (n, features) float64, C-order
    y: np.ndarray | None  #: (n,) int64, classes from 0; None of unlabelled samples
    d: np.ndarray | None = None  #: (n,) int64, domains from 0; None where the file has none
    t: np.ndarray | None = None  #: (teachers, n, classes) float64, what teachers say of them, as the file has it

    def __post_init__(self):
        for array in (self.x, self.y, self.d, self.t):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows) -> "Split":
        """The samples `rows`: an array of indices or bools."""
        d, t = None if self.d is None else self.d[rows], None if self.t is None else self.t[:, rows]
        return Split(self.x[rows], self.y[rows], d, t)

    def matches(self, other: "Split") -> bool:
        """Whether both hold the same samples: features to 1e-5, and domains where both have them."""
        return (
            self.x.shape == other.x.shape
            and np.array_equal(self.y, other.y)
            and (self.d is None or other.d is None or np.array_equal(self.d, other.d))
            and np.allclose(self.x, other.x, rtol=0, atol=1e-5)
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that meets the contract; `load` and `from_arrays` check it and make one."""

    name: str  #: the stem of the file's name
    train: Split  #: its `d` is never None
    valid: Split
    test: Split | None = None
    more: Split | None = None  #: unlabelled samples
    sha256: str = ""  #: of the file; empty for arrays that come from no file
    names: Mapping[str, list[str]] | None = None  #: of `features`, `classes` and `domains`, if the file has them

    @property
    def features(self) -> int:
        return self.train.x.shape[1]

    @property
    def classes(self) -> int:
        return int(self.train.y.max()) + 1

    @property
    def domains(self) -> int:
        return int(self.train.d.max()) + 1

    @property
    def called(self) -> Mapping[str, list[str]]:
        """What `features`, `classes` and `domains` are called: as the file says, or by their numbers."""
        return self.names or names.numbered(self.features, self.classes, self.domains)

    @property
    def counts(self) -> np.ndarray:
        """Training samples (domains, classes); where it is 0, the domain's own teacher never sees the class."""
        counts = np.zeros((self.domains, self.classes), np.int64)
        np.add.at(counts, (self.train.d, self.train.y), 1)
        return counts

    @property
    def reported(self) -> str:
        """Name of the split that results are reported on: test, or valid where there is no test split."""
        return "valid" if self.test is None else "test"

    def roles(self) -> tuple[Split, Split, Split]:
        """The splits to train on, to select models on, and to report; the last one never selects.

        With a test split these are train, valid and test. Without one, a tenth of train, drawn per domain and class
        and the same each time, selects; the rest of train trains, and valid is reported.
        """
        if self.test is not None:
            return self.train, self.valid, self.test
        rng = np.random.default_rng(0)
        selects = np.zeros(len(self.train), bool)
        _, group = np.unique(self.train.d * self.classes + self.train.y, return_inverse=True)
        order = rng.permutation(len(group))
        for rows in np.split(order[np.argsort(group[order], kind="stable")], np.cumsum(np.bincount(group))[:-1]):
            if len(rows) > 1:  # a lone sample stays in train
                selects[rows[: max(1, round(SELECTION_SHARE * len(rows)))]] = True
        return self.train.take(~selects), self.train.take(selects), self.valid

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name: train, valid, and test if there is one."""
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by key, in the contract's order; optional ones only where the dataset has them."""
        splits = self.splits | ({"more": self.more} if self.more else {})
        arrays = {f"{part}_{name}": getattr(split, part) for name, split in splits.items() for part in "xydt"}
        arrays[names.KEY] = self.names and names.encode(**self.names)
        return {key: array for key, array in arrays.items() if array is not None}


def blocks(x: np.ndarray, most: int = MAX_VALUES) -> Iterator[slice]:
    """Slices that cut points (n, features) into blocks of at most so many points, and of `MAX_VALUES` features."""
    size = max(1, min(most, MAX_VALUES // x.shape[1]))
    return (slice(start, start + size) for start in range(0, len(x), size))


def load(path) -> Dataset:
    """The dataset in a pickle; nothing in the file is run.

    Raises `DataContractError`, or `UnsafePickleError` for a pickle of anything but arrays; both name the file first.
    """
    return loads(path, files.read_bytes(path))


def loads(path, content: bytes) -> Dataset:
    """The dataset in the bytes of a pickle, named after its path; raises what `load` raises."""
    with files.name_file_in_errors(path):
        return from_arrays(Path(path).stem, pickle_reader.loads(content), hashlib.sha256(content).hexdigest())


def save(path, data: Dataset | Mapping) -> None:
    """Writes a dataset, or arrays by key, after checking them; the file is written whole or not at all.

    The same arrays give the same bytes. The format is protocol 3 with NumPy 1's names, as in the original's files:
    every NumPy reads those without a warning, whereas NumPy before 1.26 has no `numpy._core`, and 1.26 only part of it.
    """
    arrays = (data if isinstance(data, Dataset) else from_arrays(Path(path).stem, data)).arrays()
    dtypes = {"x": "<f8", "t": "<f8", "n": "|u1"}
    arrays = {key: array.astype(dtypes.get(key[0], "<i8")) for key, array in arrays.items()}
    written = pickle.dumps(arrays, protocol=3)
    # The name occurs once, before the bytes of the first array; later arrays refer to it.
    written = written.replace(b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\n_reconstruct\n", 1)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(written)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_in(folder: Path, dataset: Dataset) -> str:
    """Writes a dataset as `<name>.pkl` into a folder, and returns a line that says what the file holds."""
    path = folder / f"{dataset.name}.pkl"
    save(path, dataset)
    sizes = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    return f"{path}: {sizes}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def from_arrays(name: str, arrays: Mapping, sha256: str = "") -> Dataset:
    """A dataset from arrays by key, checked.

    Features of any number type become float64; labels and domains may be ints, bools, or floats that are whole
    numbers. Raises `DataContractError`, which says what was expected, what was found, and what to do.
    """
    _check_keys(arrays)
    with np.errstate(all="ignore"):  # numbers that are not finite are reported below
        train, valid = _split(arrays, "train"), _split(arrays, "valid")
        test = _split(arrays, "test") if "x_test" in arrays else None
        more = Split(_features("x_more", arrays["x_more"]), None) if "x_more" in arrays else None
    classes = _contiguous("y_train", train.y, "classes", least=2)
    domains = _contiguous("d_train", train.d, "domains", least=1)
    if (rarest := np.bincount(train.y)).min() < 2:
        raise DataContractError(f"y_train: class {rarest.argmin()} has one sample; expected at least 2 of each class")
    for part, split in (("valid", valid), ("test", test), ("more", more)):
        if split is None:
            continue
        if split.x.shape[1] != train.x.shape[1]:
            width, expected = split.x.shape[1], train.x.shape[1]
            raise DataContractError(f"x_{part}: expected {expected} features, as in x_train, got {width}")
        for key, values, known in ((f"y_{part}", split.y, classes), (f"d_{part}", split.d, domains)):
            if values is not None and values.max() >= known:
                raise DataContractError(f"{key}: expected 0..{known - 1}, as in train, got {values.max()}")
    if test is None and len(np.unique(train.d * classes + train.y)) == len(train):
        raise DataContractError(
            "x_train: no two samples share domain and class, so none can be set aside to select models; "
            "add samples, or the keys x_test and y_test"
        )
    called = names.decode(arrays[names.KEY], train.x.shape[1], classes, domains) if names.KEY in arrays else None
    train, valid, test, more = _with_answers(arrays, classes, train=train, valid=valid, test=test, more=more)
    return Dataset(name, train, valid, test, more, sha256, called)


def _check_keys(arrays):
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


def _split(arrays, part: str) -> Split:
    x = _features(f"x_{part}", arrays[f"x_{part}"])
    y = _labels(f"y_{part}", arrays[f"y_{part}"], len(x))
    d = _labels(key, arrays[key], len(x)) if (key := f"d_{part}") in arrays else None
    return Split(x, y, d)


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


def _features(key: str, value) -> np.ndarray:
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


def _with_answers(arrays, classes: int, **splits: Split | None) -> list[Split | None]:
    """The splits with what teachers say of them, which is of one kind in all."""
    teachers, kinds = None, {}
    for part, split in splits.items():
        if (key := f"t_{part}") in arrays:
            t = _answers(key, arrays[key], teachers, len(split), classes)
            teachers, kinds[key] = len(t), "probabilities" if are_probabilities(t) else "logits"
            splits[part] = replace(split, t=t)
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{kind} in {key}" for key, kind in kinds.items())
        raise DataContractError(f"t_train: expected probabilities in all keys, or logits in all, got {found}")
    return list(splits.values())


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


def _labels(key: str, value, samples: int) -> np.ndarray:
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


def _contiguous(key: str, values: np.ndarray, what: str, least: int) -> int:
    found = np.unique(values)
    if len(found) < least:
        raise DataContractError(f"{key}: expected at least {least} {what}, got {len(found)}")
    if found[-1] != len(found) - 1:
        raise DataContractError(
            f"{key}: expected {what} 0..{len(found) - 1}, each with training samples, got {len(found)} from "
            f"{found[0]} to {found[-1]}; number all splits alike: np.searchsorted(np.unique({key}), values)"
        )
    return len(found)
