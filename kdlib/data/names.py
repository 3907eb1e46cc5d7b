"""What a dataset's features, classes and domains are called, where it says so; else they are numbered.

A pickle holds arrays of numbers alone, so that the names are JSON in the bytes of an array, under the key `KEY`. Also
here: how the cuts of one dataset, other splits of the same samples, are named.
"""

import json
import re
from collections.abc import Sequence

import numpy as np

from kdlib.data.files import DataContractError

KEY = "names_json"
KINDS = "features", "classes", "domains"
MAX_BYTES = 1_000_000


def encode(features: Sequence[str], classes: Sequence[str], domains: Sequence[str]) -> np.ndarray:
    """Names as an array of bytes (n,)."""
    named = dict(zip(KINDS, (list(map(str, names)) for names in (features, classes, domains)), strict=True))
    return np.frombuffer(json.dumps(named, ensure_ascii=False).encode("utf-8"), np.uint8)


def decode(array, *counts: int) -> dict[str, list[str]]:
    """The names by kind; counts: of features, classes and domains. Raises `DataContractError`."""
    expected = f"{KEY}: expected what kdlib.data.names.encode returns"
    try:
        if (content := np.asarray(array)).dtype != np.uint8 or content.ndim != 1 or len(content) > MAX_BYTES:
            raise ValueError
        named = {kind: list(json.loads(content.tobytes())[kind]) for kind in KINDS}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataContractError(expected) from None
    for (kind, names), count in zip(named.items(), counts, strict=True):
        good = {name for name in names if isinstance(name, str) and name.strip() and name.isprintable()}
        if len(names) != count or len(good) != count:
            raise DataContractError(f"{expected}, with {count} different names of {kind}, got {len(good)}")
    return named


def numbered(*counts: int) -> dict[str, list[str]]:
    """Names for what has none: features x0, x1 and so on, classes and domains by their numbers."""
    return {
        kind: [f"{prefix}{i}" for i in range(count)]
        for kind, prefix, count in zip(KINDS, ("x", "", ""), counts, strict=True)
    }


def cut_name(dataset: str, cut: int) -> str:
    return f"{dataset}-cut{cut}"


def without_cut(name: str) -> tuple[str, str]:
    """The dataset that `cut_name` named, and the number of the cut: (`aids`, `2`); of others the name, and nothing."""
    dataset, cut = re.fullmatch(r"(.*?)(?:-cut(\d+))?", name, re.DOTALL).groups()
    return dataset, cut or ""
