"""Names of features, classes and domains: kept in a pickle of arrays, and checked."""

import json

import numpy as np
import pytest
from small_datasets import arrays

from kdlib.data import DataContractError, from_arrays, load, names, save

NAMED = {"features": ["age", "Größe"], "classes": ["no", "yes"], "domains": ["lake", "hill"]}


def test_names_are_kept_in_a_file(tmp_path):
    save(tmp_path / "a.pkl", arrays() | {names.KEY: names.encode(**NAMED)})
    dataset = load(tmp_path / "a.pkl")
    assert dataset.called == NAMED
    save(tmp_path / "b.pkl", dataset)
    assert (tmp_path / "b.pkl").read_bytes() == (tmp_path / "a.pkl").read_bytes()


def test_what_has_no_names_is_numbered():
    dataset = from_arrays("small", arrays(features=3, domains=1))
    assert dataset.called == {"features": ["x0", "x1", "x2"], "classes": ["0", "1"], "domains": ["0"]}
    assert names.KEY not in dataset.arrays()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.zeros(3), "returns"),
        (np.frombuffer(b"[1", np.uint8), "returns"),
        (np.frombuffer(b"[]", np.uint8), "returns"),
        (np.frombuffer(b"[" * 100_000, np.uint8), "returns"),
        (np.frombuffer(json.dumps(NAMED | {"classes": 3}).encode(), np.uint8), "returns"),
        (names.encode(["age"], ["no", "yes"], ["lake", "hill"]), "with 2 different names of features, got 1"),
        (names.encode(["age", "age"], ["no", "yes"], ["lake", "hill"]), "with 2 different names of features, got 1"),
        (names.encode(["age", "\n"], ["no", "yes"], ["lake", "hill"]), "with 2 different names of features, got 1"),
        (names.encode(["age", "size"], ["no", "yes"], list("abc")), "with 2 different names of domains, got 3"),
    ],
)
def test_other_names_are_refused(value, line):
    with pytest.raises(DataContractError) as raised:
        from_arrays("small", arrays() | {names.KEY: value})
    assert str(raised.value).startswith("names_json: expected what kdlib.data.names.encode returns")
    assert str(raised.value).endswith(line)
