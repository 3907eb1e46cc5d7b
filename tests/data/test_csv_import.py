"""A CSV file becomes a dataset, or one clear line; and what data/README.md says of it works."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdlib.data import DataContractError, csv_import, from_arrays, load
from kdlib.report.__main__ import main


def table(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "width": rng.normal(size=n), "site": np.where(np.arange(n) % 3, "lake", "hill"), "height": np.arange(n),
        "species": np.array(["b", "a"])[np.arange(n) % 2], "part": np.repeat(["train", "valid", "test"], n // 3),
    })  # fmt: skip


COLUMNS = ["--label=species", "--domain=site", "--split=part"]


def test_a_table_becomes_a_dataset(tmp_path, capsys):
    frame = table()
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert main(["convert", str(tmp_path / "t.csv"), str(tmp_path / "mine.pkl"), *COLUMNS]) == 0
    told = capsys.readouterr().out
    assert "species: 0 is a, 1 is b" in told and "site: 0 is hill, 1 is lake" in told
    data = load(tmp_path / "mine.pkl")
    train = frame[frame.part == "train"]
    np.testing.assert_array_equal(data.train.x, train[["width", "height"]])
    np.testing.assert_array_equal(data.train.y, train.species == "b")
    np.testing.assert_array_equal(data.train.d, train.site == "lake")
    assert (len(data.valid), len(data.test)) == (20, 20)
    assert data.called == {"features": ["width", "height"], "classes": ["a", "b"], "domains": ["hill", "lake"]}


def test_the_programs_of_the_readme_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    table(300).drop(columns="part").to_csv("table.csv", index=False)
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    first, plain, drawn = re.findall(r"```python\n(.*?)```", text, re.S)
    x, y, d = np.arange(90.0)[:, None], np.arange(90) % 3, np.arange(90) % 2
    names = {"x_train": x[:60], "y_train": y[:60], "d_train": d[:60], "x_valid": x[60:], "y_valid": y[60:]}
    for program, samples in ((first, 1000), (plain, 90), (drawn, 300)):
        exec(program, names)
        data = load("data/mine.pkl")
        assert sum(len(split) for split in (data.train, data.valid, data.test) if split) == samples


def test_a_dataset_is_written_under_a_name_that_a_report_finds(tmp_path, capsys):
    table().to_csv(tmp_path / "t.csv", index=False)
    assert main(["convert", str(tmp_path / "t.csv"), str(tmp_path / "mine"), *COLUMNS]) == 2
    assert "expected a name that ends in .pkl" in capsys.readouterr().err and not (tmp_path / "mine").exists()


TEACHERS = [["a0", "a1"], ["b0", "b1"]]


def taught(n=60):
    """Two teachers, who say nothing of the test rows; and unlabelled rows at the end."""
    frame = table(n)
    more = frame[:5].assign(part="more", species=None, site=None)
    frame = pd.concat([frame, more], ignore_index=True)
    for k, (first, second) in enumerate(TEACHERS):
        frame[first] = np.where(frame.part == "test", np.nan, (np.arange(len(frame)) + k) % 7 / 7)
        frame[second] = 1 - frame[first]
    return frame


def test_a_table_may_bring_what_teachers_say_and_unlabelled_rows(tmp_path, capsys):
    frame = taught()
    frame.to_csv(tmp_path / "t.csv", index=False)
    files, given = [str(tmp_path / "t.csv"), str(tmp_path / "mine.pkl")], [f"--teacher={','.join(t)}" for t in TEACHERS]
    assert main(["convert", *files, *COLUMNS, *given]) == 0
    told = capsys.readouterr().out
    assert "species: 0 is a, 1 is b" in told
    assert told.endswith("; 5 unlabelled samples; 2 teachers, probabilities in t_train, t_valid, t_more\n")
    data = load(tmp_path / "mine.pkl")
    for part, split in {**data.splits, "more": data.more}.items():
        rows = frame[frame.part == part]
        np.testing.assert_array_equal(split.x, rows[["width", "height"]])
        if part != "test":
            np.testing.assert_allclose(split.t, [rows[columns] for columns in TEACHERS])
    assert data.test.t is None and data.more.y is None


def test_numbers_as_labels_stay_whole_beside_unlabelled_rows():
    frame = taught().assign(species=lambda t: np.where(t.part == "more", np.nan, np.arange(len(t)) % 2 + 3))
    _, meanings = csv_import.arrays(frame, "species", "site", "part", TEACHERS)
    assert repr(meanings["species"]) == "[3, 4]"


@pytest.mark.parametrize(
    ("change", "teachers", "says"),
    [
        (lambda t: t, [["a0", "c"]], "expected a column 'c' for the teacher"),
        (
            lambda t: t,
            [["a0", "a1", "b0"], ["b1"]],
            "teacher: expected a column for each of the 2 classes, got a0,a1,b0",
        ),
        (lambda t: t.assign(a0="x"), TEACHERS, "column 'a0': expected numbers, got text"),
        (lambda t: t.assign(width=np.nan), TEACHERS, "column 'width': row 1 is empty"),
        (lambda t: t.replace({"part": {"more": "test"}}), TEACHERS, "column 'site': row 61 is empty"),
    ],
)
def test_a_mistake_about_teachers_is_one_line(change, teachers, says):
    with pytest.raises(DataContractError, match=says):
        csv_import.arrays(change(taught()), "species", "site", "part", teachers)


def test_without_a_test_split_there_is_none():
    arrays, _ = csv_import.arrays(table().query("part != 'test'"), "species", "site", "part")
    assert from_arrays("t", arrays).test is None


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda t: t.drop(columns="site"), "expected a column 'site' for the domain, got 'width'"),
        (lambda t: t.assign(width=t.width.where(t.index != 7)), "column 'width': row 8 is empty or NA"),
        (lambda t: t.assign(height="tall"), "column 'height': expected numbers, got text"),
        (lambda t: t.assign(part="training"), "column 'part': expected train, valid, test, more, got 'training'"),
        (lambda t: t[t.part != "valid"], "missing x_valid"),
        (lambda t: t.assign(species="a"), "expected at least 2 classes"),
        (lambda t: t[["species", "site", "part"]], "at least one sample and one feature"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_file(tmp_path, capsys, spoil, says):
    spoil(table()).to_csv(tmp_path / "t.csv", index=False)
    assert main(["convert", str(tmp_path / "t.csv"), str(tmp_path / "mine.pkl"), *COLUMNS]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: t.csv: ") and says in told and told.count("\n") == 1
    assert not (tmp_path / "mine.pkl").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"', b"a\n1,2,3\n4,5,6,7,8"])
def test_what_is_no_csv_is_one_line(tmp_path, capsys, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert main(["convert", str(tmp_path / "t.csv"), str(tmp_path / "mine.pkl")]) == 1
    assert capsys.readouterr().err.startswith("error: t.csv: ")
    assert main(["convert", str(tmp_path / "none.csv"), str(tmp_path / "mine.pkl")]) == 1
    assert "No such file" in capsys.readouterr().err
