"""Predictions for a table: the chosen network's, and one clear line for every table that is not its own."""

import io

import numpy as np
import pandas as pd
import pytest
from made_up_networks import networks

from kdlib.models import keras_file
from kdlib.report.__main__ import main

EXPECTED = "expected the model's 3 features as columns, 'age', 'height', '1 x'"
ROWS = "height,age,1 x\n100000,0.5,7.001\n98000,-1,6.999\n"


@pytest.fixture
def model(tmp_path):
    networks().write(tmp_path / "student.npz")
    return tmp_path / "student.npz"


@pytest.fixture
def call(model, tmp_path, capsys):
    def predict(content, model=model):
        (tmp_path / "new.csv").write_text(content)
        status = main(["predict", str(model), str(tmp_path / "new.csv")])
        return status, *capsys.readouterr()

    return predict


def test_class_and_probabilities_of_each_row(call, tmp_path):
    status, out, err = call(ROWS)
    assert (status, err) == (0, "")
    found = pd.read_csv(io.StringIO(out), dtype={"class": str})
    expected = networks().probabilities(np.array([[0.5, 1e5, 7.001], [-1, 98e3, 6.999]]))
    assert list(found) == ["class", "p(no)", "p(yes)", "p(may be)", "p(3)"]
    np.testing.assert_allclose(found.iloc[:, 1:], expected, rtol=1e-8)
    assert found["class"].tolist() == [["no", "yes", "may be", "3"][c] for c in expected.argmax(axis=1)]
    keras_file.write(tmp_path / "model.keras", networks(), "kd_b", 1)
    status, same, err = call(ROWS, tmp_path / "model.keras")
    assert (status, err) == (0, "")
    again = pd.read_csv(io.StringIO(same), dtype={"class": str})
    pd.testing.assert_frame_equal(again, found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("age,height\n1,2\n", f"{EXPECTED}; got 2 columns, without '1 x'"),
        ("age,height,weight\n1,2,3\n", f"{EXPECTED}; got 3 columns, without '1 x' and also 'weight'"),
        ("age,height,1 x,label\n1,2,3,no\n", f"{EXPECTED}; got 4 columns, also 'label'"),
        ("age,height,1 x\n1,,3\n", "column 'height': expected finite numbers, got nothing or NA in row 1"),
        (
            "age,height,1 x\n1,2,3\n1,tall,3\n",
            "column 'height': expected finite numbers, got 'tall' in row 2",
        ),
        ("age,height,1 x\n1,inf,3\n", "column 'height': expected finite numbers, got 'inf' in row 1"),
        ("age,height,1 x\n", "expected at least one row below the header, got none"),
        ("", "expected a CSV file: No columns to parse from file"),
    ],
)
def test_another_table_is_one_line(call, content, line):
    status, out, err = call(content)
    assert (status, out) == (1, "")
    assert err.startswith("error: new.csv: ") and line in err and err.count("\n") == 1


def test_another_model_is_one_line(call, model, tmp_path):
    for name, line in (
        ("none.npz", "No such file or directory"),
        ("none.keras", "No such file or directory"),
        ("new.csv", f"model: expected a name that ends in .keras or .npz, got '{tmp_path}/new.csv'"),
    ):
        status, out, err = call(ROWS, tmp_path / name)
        assert (status, out) == (1, "") and line in err and err.count("\n") == 1
    model.write_bytes(b"not arrays")
    assert call(ROWS)[2] == f"error: {model}: expected networks as a report writes them, student.npz\n"
