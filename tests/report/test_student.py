"""The student to take away: what a report says of it, recomputed without the report, kdlib or TensorFlow."""

import io
import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from run_report import FIVE_KEYS

from kdlib.data import distributions, load
from kdlib.evaluation import results
from kdlib.methods.problem import FRESH_POINTS, FRESH_SEED
from kdlib.models.networks import Networks
from kdlib.report.__main__ import main

pytestmark = pytest.mark.slow

#: Recomputes every accuracy of `results.csv`. Reports are scored in single precision: a point whose two likeliest
#: classes are that near may be decided either way, and is counted; any other must be decided alike.
RECOMPUTE = """
import csv, importlib.util
assert not any(map(importlib.util.find_spec, ("kdlib", "tensorflow", "keras", "scipy", "pandas")))
points = np.load("points.npz")
cache = {}
for row in csv.DictReader(open("results.csv")):
    if row["metric"] != "accuracy" or row["method"] not in about["activations"]:
        continue
    split, key = row["split"], (row["method"], row["seed"], row["split"])
    if key not in cache:
        cache[key] = probabilities(points[f"x_{split}"], row["method"], int(row["seed"]))
    p, y = cache[key], points[f"y_{split}"]
    mine = slice(None) if row["domain"] == "all" else points[f"d_{split}"] == int(row["domain"])
    right, ordered = p[mine].argmax(axis=1) == y[mine], np.sort(p[mine], axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    undecided = (margin < 1e-5 * margin.max()).sum()
    reported = float(row["value"]) * len(right)
    assert abs(reported - round(reported)) < 1e-6, row
    assert abs(right.sum() - round(reported)) <= undecided, (row, right.sum(), reported, undecided)
    print(split, len(right), undecided, abs(right.sum() - round(reported)))
"""


@pytest.fixture(scope="module")
def numpy_alone(tmp_path_factory):
    """The Python of a virtual environment that has NumPy and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for part in (installed := Path(np.__file__).parent, installed.with_name("numpy.libs")):
        if part.exists():
            (packages / part.name).symlink_to(part)
    return folder / "bin" / "python"


@pytest.fixture(params=["near", FIVE_KEYS])
def run(request, report):
    return report / request.param


def splits(run, report_data):
    dataset = load(report_data / f"{run.name}.pkl")
    found = {name: split for name, split in dataset.splits.items() if name != "train"}
    return found | {"fresh": distributions.fresh(distributions.recognise(dataset), FRESH_POINTS, FRESH_SEED)}


def test_numpy_alone_recomputes_every_accuracy_from_the_file(numpy_alone, run, report_data, tmp_path):
    points = {f"{k}_{name}": getattr(split, k) for name, split in splits(run, report_data).items() for k in "xyd"}
    np.savez(tmp_path / "points.npz", **{key: array for key, array in points.items() if array is not None})
    for name in ("results.csv", "student.npz"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    _, snippet = re.findall(r"```python\n(.*?)```", (run / "student.md").read_text(), re.S)
    command = [numpy_alone, "-I", "-W", "error", "-c", snippet + RECOMPUTE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(io.StringIO(done.stdout), sep=" ", names=["split", "points", "undecided", "difference"])
    kept = Networks.read(run / "student.npz").methods
    table = results.read(run / "results.csv").query("metric == 'accuracy' and method in @kept")
    assert len(rows) == len(table) and {"ffnn_tuned", "kd_gated", "kd_portfolio"} <= set(kept)
    few = rows[rows["split"] != "fresh"]
    assert (few["undecided"] == 0).mean() > 0.95, "nearly every accuracy on few points is the same exactly"
    assert rows["undecided"].sum() < 1e-4 * rows["points"].sum()


def test_keras_recomputes_the_accuracy_of_the_chosen_network(run, report_data):
    about = Networks.read(run / "student.npz").about
    model = keras.models.load_model(run / "student.keras")
    table = results.select(results.read(run / "results.csv"), method=about["method"], seed=about["seed"])
    for name, split in splits(run, report_data).items():
        p = np.asarray(model(split.x))
        (reported,) = table.loc[table["split"] == name, "value"]
        assert (p.argmax(axis=1) == split.y).mean() == pytest.approx(reported, abs=1e-6)
        expected = Networks.read(run / "student.npz").probabilities(split.x)
        np.testing.assert_allclose(p, expected, rtol=0, atol=1e-6)


def test_the_chosen_network_is_the_best_on_the_points_that_select(report, report_data):
    about = Networks.read(report / "near" / "student.npz").about
    table = results.read(report / "near" / "results.csv").query("split == 'valid' and metric == 'nll'")
    losses = table[table["method"].isin(about["activations"])].pivot(index="seed", columns="method", values="value")
    assert about["method"] == losses.mean().idxmin()
    assert about["seed"] == losses[about["method"]].idxmin()


def test_the_card_has_the_numbers_of_the_results(run, report_data):
    about, card = Networks.read(run / "student.npz").about, (run / "student.md").read_text()
    table = results.select(results.read(run / "results.csv"), method=about["method"], seed=about["seed"], split="fresh")
    assert f"{100 * table['value'].item():.2f}% on the 100" in card
    assert json.loads((run / "manifest.json").read_text())["hashes"]["data"] in card
    page = (run / "report.html").read_text()
    for name in ("student.keras", "student.npz", "student.md"):
        assert f'href="{name}"' in page and (run / name).is_file()


def test_export_and_predict(report, report_data, tmp_path, capsys):
    run, out = str(report / "near"), str(tmp_path / "model.keras")
    assert main(["export", run, "--method=kd_routed", "--seed=1", f"--out={out}"]) == 0
    assert capsys.readouterr().out == f"{out}: KD, routed, seed 1, of near\n"
    test = load(report_data / "near.pkl").test
    pd.DataFrame(test.x, columns=["x0", "x1"]).to_csv(tmp_path / "new.csv", index=False)
    command = [sys.executable, "-m", "kdlib.report", "predict", out, str(tmp_path / "new.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = pd.read_csv(io.StringIO(done.stdout))
    table = results.select(results.read(report / "near" / "results.csv"), method="kd_routed", seed=1, split="test")
    assert (found["class"] == test.y).mean() == pytest.approx(table["value"].item(), abs=1e-6)
    assert main(["export", run, f"--out={tmp_path}/chosen.keras"]) == 0
    assert (tmp_path / "chosen.keras").read_bytes() == (report / "near" / "student.keras").read_bytes()
    capsys.readouterr()
    for arguments, line in (
        ([run, "--method=bayes"], "method: expected one of ffnn, ffnn_tuned,"),
        ([run, "--seed=2"], "seed: expected a whole number from 0 to 1, got 2"),
        ([run, "--seed=one"], "seed: expected a whole number from 0 to 1, got 'one'"),
        ([run, "--out=model.h5"], "out: expected a name that ends in .keras, which Keras asks for, got 'model.h5'"),
        ([str(tmp_path)], f"{tmp_path}/student.npz: No such file or directory"),
        ([run, "--out=/nowhere/model.keras"], "/nowhere/model.keras: No such file or directory"),
    ):
        assert main(["export", *arguments]) == 1
        assert capsys.readouterr().err.startswith(f"error: {line}")
