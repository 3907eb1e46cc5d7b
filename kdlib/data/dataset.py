"""What a dataset is: reading, checking and writing one.

A dataset is a pickle of one dict of arrays, which data/README.md describes: of each split features `x_`, classes `y_`
and domains `d_`, and what teachers say, `t_`, if that is known; and unlabelled samples, `x_more` and `t_more`. The keys
that it must have are those that the README of the original names. Other keys are ignored, but one that looks like a
misspelling is an error.

Out of scope: missing values, text, sample weights, and several labels per sample.
"""

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kdlib.data import contract, files, names, pickle_reader
from kdlib.data.files import DataContractError, UnsafePickleError

__all__ = ["DataContractError", "Dataset", "Split", "UnsafePickleError", "from_arrays", "load", "loads", "save"]

MAX_VALUES = 2**25  #: features of all points that are made of others
BLOCK_VALUES = 2**23  #: features of all points that are worked on at once
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


def blocks(x: np.ndarray, most: int = BLOCK_VALUES) -> Iterator[slice]:
    """Slices that cut points (n, features) into blocks of at most so many points, and of `BLOCK_VALUES` features."""
    size = max(1, min(most, BLOCK_VALUES // x.shape[1]))
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
    with files.replacing(Path(path)) as part:
        part.write_bytes(written)


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
    contract.check_keys(arrays)
    with np.errstate(all="ignore"):  # numbers that are not finite are reported below
        train, valid = _split(arrays, "train"), _split(arrays, "valid")
        test = _split(arrays, "test") if "x_test" in arrays else None
        more = Split(contract.features("x_more", arrays["x_more"]), None) if "x_more" in arrays else None
    classes = contract.contiguous("y_train", train.y, "classes", least=2)
    domains = contract.contiguous("d_train", train.d, "domains", least=1)
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
    splits = {"train": train, "valid": valid, "test": test, "more": more}
    sizes = {part: len(split) for part, split in splits.items() if split is not None}
    splits |= {part: replace(splits[part], t=t) for part, t in contract.answers(arrays, classes, sizes).items()}
    return Dataset(name, **splits, sha256=sha256, names=called)


def _split(arrays, part: str) -> Split:
    x = contract.features(f"x_{part}", arrays[f"x_{part}"])
    y = contract.labels(f"y_{part}", arrays[f"y_{part}"], len(x))
    d = contract.labels(key, arrays[key], len(x)) if (key := f"d_{part}") in arrays else None
    return Split(x, y, d)
