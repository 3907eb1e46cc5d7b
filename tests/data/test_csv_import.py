"""A CSV file becomes a dataset, or one clear line; and what data/README.md says of it works."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdlib.data import csv_import, from_arrays, load
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


def test_without_a_test_split_there_is_none():
    arrays, _ = csv_import.arrays(table().query("part != 'test'"), "species", "site", "part")
    assert from_arrays("t", arrays).test is None


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda t: t.drop(columns="site"), "expected a column 'site' for the domain, got 'width'"),
        (lambda t: t.assign(width=t.width.where(t.index != 7)), "column 'width': row 8 is empty or NA"),
        (lambda t: t.assign(height="tall"), "column 'height': expected numbers, got text"),
        (lambda t: t.assign(part="training"), "column 'part': expected train, valid, test, got 'training'"),
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
