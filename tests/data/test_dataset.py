"""The data contract: what is accepted, what is refused with one clear message, and who selects on what."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdlib.data.contract import REQUIRED, are_probabilities
from kdlib.data.dataset import DataContractError, Dataset, UnsafePickleError, from_arrays, load, save


def arrays(features=2, classes=2, domains=3, per_group=10, keys=None, seed=0) -> dict[str, np.ndarray]:
    """All nine keys, `per_group` rows of each domain and class in each split; or just those of `keys`."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(domains * classes), per_group)
    made = {}
    for part in ("train", "valid", "test"):
        made[f"x_{part}"] = rng.normal(size=(len(group), features))
        made[f"y_{part}"], made[f"d_{part}"] = group % classes, group // classes
    return {key: value for key, value in made.items() if keys is None or key in keys}


def test_a_dataset_tells_its_sizes():
    dataset = from_arrays("three", arrays(features=5, classes=4, domains=3))
    assert (dataset.features, dataset.classes, dataset.domains) == (5, 4, 3)
    assert (len(dataset.train), len(dataset.valid), len(dataset.test)) == (120, 120, 120)
    assert np.array_equal(dataset.counts, np.full((3, 4), 10))
    assert list(dataset.arrays()) == [f"{part}_{split}" for split in ("train", "valid", "test") for part in "xyd"]


def test_the_five_keys_of_the_original_readme_are_enough():
    dataset = from_arrays("five", arrays(keys=REQUIRED))
    assert dataset.test is None and dataset.valid.d is None and dataset.reported == "valid"


@pytest.mark.parametrize(
    "shape", [{"features": 1}, {"domains": 1}, {"classes": 7, "domains": 5}, {"features": 100, "per_group": 2}]
)
def test_any_number_of_features_classes_and_domains(shape):
    dataset = from_arrays("any", arrays(**shape))
    assert all(getattr(dataset, key) == value for key, value in shape.items() if key != "per_group")


@pytest.mark.parametrize("dtype", ["f2", ">f4", "<f8", ">i2", "u1", "i8"])
def test_features_of_any_number_type_become_float64(dtype):
    given_arrays = arrays()
    given_arrays["x_train"] = np.asfortranarray((given_arrays["x_train"] * 10).round().clip(0, 99).astype(dtype))
    x = from_arrays("typed", given_arrays).train.x
    assert x.dtype == np.float64 and x.flags.c_contiguous
    assert np.array_equal(x, given_arrays["x_train"])


@pytest.mark.parametrize("dtype", ["?", "u1", ">i4", "i8", "f2", "f8", "u8"])
def test_labels_may_be_ints_bools_or_whole_floats(dtype):
    given_arrays = arrays()
    expected = given_arrays["y_train"]
    y = from_arrays("typed", given_arrays | {"y_train": expected.astype(dtype)}).train.y
    assert y.dtype == np.int64 and np.array_equal(y, expected)


def test_arrays_of_a_dataset_cannot_be_changed_and_are_its_own():
    given_arrays = arrays()
    dataset = from_arrays("own", given_arrays)
    given_arrays["x_train"][:] = 0  # the given array stays writable, and the dataset has a copy
    assert dataset.train.x.any()
    with pytest.raises(ValueError, match="read-only"):
        dataset.train.x[0] = 0


def answers(given_arrays, teachers=2, seed=1) -> dict[str, np.ndarray]:
    """Probabilities for all splits, and unlabelled points with theirs."""
    rng, (samples, features) = np.random.default_rng(seed), given_arrays["x_train"].shape
    parts = [part for part in ("train", "valid", "test") if f"x_{part}" in given_arrays]
    classes = given_arrays["y_train"].max() + 1
    made = {f"t_{part}": rng.dirichlet(np.ones(classes), (teachers, samples)) for part in (*parts, "more")}
    return made | {"x_more": rng.normal(size=(samples, features))}


def test_what_teachers_say_comes_with_its_samples(tmp_path):
    given_arrays = arrays(keys=(*REQUIRED, "d_valid"), per_group=20)
    given_arrays |= answers(given_arrays, teachers=4)
    save(tmp_path / "taught.pkl", given_arrays)
    dataset = load(tmp_path / "taught.pkl")
    assert dataset.arrays().keys() == given_arrays.keys()
    for key, value in given_arrays.items():
        np.testing.assert_array_equal(dataset.arrays()[key], value)
    train, select, _ = dataset.roles()
    for split in (train, select):
        rows = [np.flatnonzero((dataset.train.x == x).all(axis=1))[0] for x in split.x]
        np.testing.assert_array_equal(split.t, dataset.train.t[:, rows])
    assert dataset.more.y is None and len(dataset.more) == 120
    assert list(from_arrays("public", arrays() | {"x_more": np.zeros((1, 2))}).arrays())[-1] == "x_more"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda t: t, "probabilities"), (lambda t: t.round(3), "probabilities"),
        (lambda t: t.astype(np.float16), "probabilities"), (lambda t: t == t.max(axis=2)[..., None], "probabilities"),
        (np.log, "logits"), (lambda t: np.log(t) + 100, "logits"), (lambda t: t - 100, "logits"),
        (lambda t: np.log(t) - np.log(t).mean(axis=2, keepdims=True), "logits"),
    ],
)  # fmt: skip
def test_probabilities_and_logits_are_told_apart(change, kind):
    given_arrays = arrays()
    t = change(answers(given_arrays)["t_train"])
    assert are_probabilities(from_arrays("taught", given_arrays | {"t_train": t}).train.t) == (kind == "probabilities")


TAUGHT_REFUSED = {
    "a sum": (lambda a: a["t_more"].__imul__(0.9), r"t_more: expected probabilities.*sum of 0.9 for teacher 0, row 0"),
    "one row": (
        lambda a: a["t_train"][1, 5].__imul__(0.5),
        r"t_train: .*got a sum of 0.5 for teacher 1, row 5; divide",
    ),
    "percentages": (
        lambda a: a["t_test"].__imul__(100),
        "t_test: expected probabilities.*got a sum of 100 for teacher 0",
    ),
    "below zero": (lambda a: a.update(t_train=a["t_train"] * 3 - 1), "t_train: .*all rows sum to one, got .* negative"),
    "two kinds": (
        lambda a: a.update(t_valid=np.log(a["t_valid"])),
        "t_train: expected probabilities in all keys.*got probabilities in t_train, logits in t_valid",
    ),
    "NaN": (lambda a: a["t_train"].__setitem__((1, 7, 0), np.nan), "t_train: .*got 1 that.*teacher 1, row 7, class 0"),
    "log 0": (
        lambda a: a.update(t_more=np.log(np.round(a["t_more"]))),
        r"t_more: expected finite.*instead of log\(0\)",
    ),
    "text": (lambda a: a.update(t_train=a["t_train"].astype(str)), "t_train: expected numbers"),
    "one teacher": (
        lambda a: a.update(t_train=a["t_train"][0]),
        r"t_train: .*\(teachers, 60, 2\).*\(60, 2\); .*t\[None",
    ),
    "a row less": (lambda a: a.update(t_more=a["t_more"][:, :-1]), r"t_more: .*\(2, 60, 2\).*got \(2, 59, 2\)"),
    "a class more": (lambda a: a.update(t_train=np.full((2, 60, 3), 1 / 3)), r"t_train: .*60, 2\).*got \(2, 60, 3\)"),
    "a teacher less": (lambda a: a.update(t_test=a["t_test"][:1]), r"t_test: .*\(2, 60, 2\).*got \(1, 60, 2\)"),
    "no teacher": (lambda a: a.update(t_train=a["t_train"][:0]), r"t_train: expected shape.*got \(0, 60, 2\)"),
    "no points": (lambda a: a.pop("x_more"), "missing x_more"),
    "no training": (lambda a: a.pop("t_train"), "missing t_train"),
    "other features": (
        lambda a: a.update(x_more=np.ones((60, 3))),
        "x_more: expected 2 features, as in x_train, got 3",
    ),
    "misspelled": (lambda a: a.update(t_mroe=a.pop("t_more")), "rename 't_mroe' to t_more"),
}


REFUSED = {
    "no keys": (lambda a: a.clear(), "missing x_train.*got no keys"),
    "missing key": (lambda a: a.pop("d_train"), "missing d_train; expected x_train"),
    "misspelled key": (lambda a: a.update(x_val=a.pop("x_valid")), "missing x_valid.*rename 'x_val' to x_valid"),
    "capital key": (lambda a: a.update(X_train=a.pop("x_train")), "rename 'X_train' to x_train"),
    "misspelled optional key": (
        lambda a: a.update(d_vaild=a.pop("d_valid")),
        "misspelled; rename 'd_vaild' to d_valid",
    ),
    "test without labels": (lambda a: a.pop("y_test"), "missing y_test"),
    "test without features": (lambda a: a.pop("x_test"), "missing x_test"),
    "only test domains": (lambda a: (a.pop("x_test"), a.pop("y_test")), "missing x_test, y_test"),
    "flat features": (lambda a: a.update(x_train=a["x_train"][:, 0]), r"x_train: expected shape.*reshape\(-1, 1\)"),
    "cubic features": (lambda a: a.update(x_valid=a["x_valid"][..., None]), r"x_valid.*reshape\(len\(x\), -1\)"),
    "scalar features": (lambda a: a.update(x_valid=np.float64(3)), r"x_valid: expected shape.*got \(\)"),
    "ragged features": (lambda a: a.update(x_valid=[[1.0], [1.0, 2.0]]), "x_valid.*unequal lengths"),
    "text features": (lambda a: a.update(x_train=a["x_train"].astype(str)), r"x_train: expected numbers.*astype"),
    "complex features": (lambda a: a.update(x_train=a["x_train"] * 1j), "x_train: expected numbers.*complex"),
    "no features": (lambda a: a.update(x_train=np.zeros((60, 0))), "x_train: expected at least one"),
    "no samples": (lambda a: a.update(x_test=np.zeros((0, 2)), y_test=[], d_test=[]), "x_test: expected at least one"),
    "not a number": (lambda a: a["x_test"].__setitem__((3, 1), np.nan), "x_test.*got 1 that.*row 3, column 1"),
    "infinite": (lambda a: a["x_train"].__setitem__((slice(None), 0), np.inf), "x_train.*got 60 that.*row 0, column 0"),
    "huge": (lambda a: a.update(x_valid=a["x_valid"] * 1e300), r"x_valid: expected numbers up to 1e\+100.*rescale"),
    "other features": (
        lambda a: a.update(x_test=np.ones((60, 3))),
        "x_test: expected 2 features, as in x_train, got 3",
    ),
    "too few labels": (lambda a: a.update(y_train=a["y_train"][:-1]), "y_train: expected 60 values.*got 59"),
    "too many domains": (lambda a: a.update(d_valid=np.zeros(61, int)), "d_valid: expected 60 values.*got 61"),
    "one-hot labels": (lambda a: a.update(y_train=np.eye(2)[a["y_train"]]), r"y_train: expected shape \(60,\).*argmax"),
    "column of labels": (lambda a: a.update(y_test=a["y_test"][:, None]), r"y_test: expected shape.*ravel"),
    "fractional labels": (lambda a: a.update(y_train=a["y_train"] + 0.5), "y_train: expected whole numbers"),
    "missing labels": (lambda a: a.update(y_valid=np.full(60, np.nan)), "y_valid: expected whole numbers"),
    "text labels": (
        lambda a: a.update(y_train=np.array(["cat", "dog"] * 30)),
        "y_train: expected whole.*return_inverse",
    ),
    "negative labels": (lambda a: a.update(y_train=a["y_train"] * 2 - 1), "y_train: expected whole.*got -1 to 1"),
    "huge labels": (lambda a: a.update(y_train=a["y_train"] << 40), "y_train: expected whole.*to 1099511627776"),
    "labels from one": (lambda a: a.update(y_train=a["y_train"] + 1), r"y_train: expected classes 0\.\.1.*from 1 to 2"),
    "labels with a gap": (lambda a: a.update(y_train=a["y_train"] * 2), r"classes 0\.\.1.*got 2 from 0 to 2"),
    "domains with a gap": (lambda a: a.update(d_train=a["d_train"] * 5), r"d_train: expected domains 0\.\.2"),
    "one class": (lambda a: a.update(y_train=np.zeros(60, int)), "y_train: expected at least 2 classes, got 1"),
    "rare class": (lambda a: a["y_train"].__setitem__(0, 2), "y_train: class 2 has one sample"),
    "unseen class": (lambda a: a["y_valid"].__setitem__(0, 2), r"y_valid: expected 0\.\.1, as in train, got 2"),
    "unseen domain": (lambda a: a["d_test"].__setitem__(0, 3), r"d_test: expected 0\.\.2, as in train, got 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_breach_of_the_contract_is_one_clear_error(case):
    given_arrays = arrays()
    breach, says = REFUSED[case]
    breach(given_arrays)
    with pytest.raises(DataContractError, match=says) as refusal:
        from_arrays("bad", given_arrays)
    assert len(str(refusal.value)) < 400 and "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", TAUGHT_REFUSED)
def test_each_breach_by_answers_of_teachers_is_one_clear_error(case):
    given_arrays = arrays()
    given_arrays |= answers(given_arrays)
    breach, says = TAUGHT_REFUSED[case]
    with np.errstate(divide="ignore"):
        breach(given_arrays)
    with pytest.raises(DataContractError, match=says) as refusal:
        from_arrays("bad", given_arrays)
    assert len(str(refusal.value)) < 400 and "\n" not in str(refusal.value)


def test_keys_that_mean_something_else_are_ignored():
    extra = {"ids": np.arange(60), "x_train_raw": np.zeros(3), "distance": np.array(0.5)}
    assert list(from_arrays("extra", arrays() | extra).arrays()) == list(from_arrays("plain", arrays()).arrays())


def test_a_domain_may_lack_a_class():
    given_arrays = arrays()
    given_arrays["y_train"] = np.where(given_arrays["d_train"] == 1, 0, given_arrays["y_train"])
    assert from_arrays("lopsided", given_arrays).counts.tolist() == [[10, 10], [20, 0], [10, 10]]


def test_with_a_test_split_it_is_reported_and_valid_selects():
    dataset = from_arrays("nine", arrays())
    assert dataset.reported == "test" and dataset.roles() == (dataset.train, dataset.valid, dataset.test)


def test_without_a_test_split_a_tenth_of_train_selects():
    given_arrays = arrays(per_group=100, keys=REQUIRED)
    given_arrays["x_train"][:, 0] = np.arange(600)
    dataset = from_arrays("five", given_arrays)
    train, select, report = dataset.roles()
    assert report is dataset.valid and (len(train), len(select)) == (540, 60)
    rows = np.concatenate([train.x[:, 0], select.x[:, 0]]).astype(int)
    assert np.array_equal(np.sort(rows), np.arange(600))  # each row once
    for split, size in ((train, 90), (select, 10)):
        assert np.all(np.diff(split.x[:, 0]) > 0)  # in the order of the file
        assert np.array_equal(np.bincount(split.d * 2 + split.y), np.full(6, size))  # of each domain and class
        assert np.array_equal(split.y, dataset.train.y[split.x[:, 0].astype(int)])
    again = dataset.roles()[1]
    assert np.array_equal(again.x, select.x)
    assert not np.array_equal(np.flatnonzero(np.isin(np.arange(600), select.x[:, 0])), np.arange(0, 600, 10))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=4, max_size=40))
def test_selection_leaves_every_domain_and_class_in_train(rows):
    y, d = (np.unique(column, return_inverse=True)[1] for column in zip(*rows, strict=True))
    x = np.arange(len(rows))[:, None] * 1.0
    try:
        dataset = from_arrays("any", {"x_train": x, "y_train": y, "d_train": d, "x_valid": x, "y_valid": y})
    except DataContractError:
        return
    train, select, _ = dataset.roles()
    assert len(train) + len(select) == len(rows) and len(select) >= 1
    assert set(zip(train.d, train.y, strict=True)) == set(zip(d, y, strict=True))


def test_without_rows_to_set_aside_there_is_no_selection():
    x, y, d = np.zeros((4, 1)), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    given_arrays = {"x_train": x, "y_train": y, "d_train": d, "x_valid": x, "y_valid": y}
    with pytest.raises(DataContractError, match="none can be set aside"):
        from_arrays("tiny", given_arrays)
    assert from_arrays("tiny", given_arrays | {"x_test": x, "y_test": y}).reported == "test"


def test_saved_and_loaded_again(tmp_path):
    dataset = from_arrays("d", arrays())
    save(tmp_path / "first.pkl", dataset)
    save(tmp_path / "second.pkl", load(tmp_path / "first.pkl"))
    save(tmp_path / "third.pkl", {key: value.tolist() for key, value in dataset.arrays().items()})
    written = (tmp_path / "first.pkl").read_bytes()
    assert written == (tmp_path / "second.pkl").read_bytes() == (tmp_path / "third.pkl").read_bytes()
    again = load(tmp_path / "first.pkl")
    assert (again.name, len(again.sha256)) == ("first", 64)
    for key, value in dataset.arrays().items():
        assert again.arrays()[key].dtype == value.dtype and np.array_equal(again.arrays()[key], value)
    assert sorted(os.listdir(tmp_path)) == ["first.pkl", "second.pkl", "third.pkl"]  # no temporary file is left


@pytest.mark.filterwarnings("error")
def test_saved_files_are_plain_pickles_with_the_names_of_numpy_1(tmp_path):
    dataset = from_arrays("d", arrays())
    save(tmp_path / "d.pkl", dataset)
    written = (tmp_path / "d.pkl").read_bytes()
    assert b"numpy.core.multiarray\n_reconstruct" in written and b"numpy._core" not in written
    plain = pickle.loads(written)
    assert list(plain) == list(dataset.arrays()) and all(
        np.array_equal(plain[k], v) for k, v in dataset.arrays().items()
    )


def test_bytes_of_the_data_are_not_mistaken_for_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr("kdlib.data.contract.LARGEST", np.inf)  # text read as numbers gives huge ones
    trap = b"cnumpy._core.multiarray\n_reconstruct\n"
    given_arrays = arrays(per_group=20)
    given_arrays["x_train"][:2, :2] = np.frombuffer(trap[:32], "<f8").reshape(2, 2)
    save(tmp_path / "trap.pkl", given_arrays)
    assert np.array_equal(load(tmp_path / "trap.pkl").train.x, given_arrays["x_train"])


def test_a_failed_save_leaves_the_last_good_file(tmp_path, monkeypatch):
    save(tmp_path / "d.pkl", arrays())
    before = (tmp_path / "d.pkl").read_bytes()
    with pytest.raises(DataContractError, match="missing x_train"):
        save(tmp_path / "d.pkl", {})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path / "d.pkl", arrays(seed=1))
    assert os.listdir(tmp_path) == ["d.pkl"] and (tmp_path / "d.pkl").read_bytes() == before


def test_load_names_the_file(tmp_path):
    (tmp_path / "my data.pkl").write_bytes(pickle.dumps({"x_train": np.zeros((3, 1))}))
    with pytest.raises(DataContractError, match=r"^my data\.pkl: missing y_train"):
        load(tmp_path / "my data.pkl")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"x_train": os.getcwd}))
    with pytest.raises(UnsafePickleError, match=r"^evil\.pkl: key 'x_train' names"):
        load(tmp_path / "evil.pkl")


def test_checking_a_file_loads_no_heavy_library():
    code = "import sys, kdlib.data.dataset, kdlib.data.gaussians; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "pandas", "scipy", "sklearn", "matplotlib"} & set(loaded)


def test_a_dataset_is_a_value():
    dataset = from_arrays("d", arrays())
    with pytest.raises(AttributeError):
        dataset.name = "other"
    assert isinstance(dataset, Dataset) and len({dataset}) == 1
