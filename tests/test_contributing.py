"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdlib.evaluation import results

ROOT = Path(__file__).resolve().parent.parent
RECIPES = dict(re.findall(r"^### (.*)\n\n((?:.|\n)*?)(?=^###|\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
RECIPE_TITLES = {"kd_hard_labels": "KD, hard labels", "kd_forest_teachers": "KD, forest teachers"}
TITLES = RECIPE_TITLES | {"kd_product": "KD, product of teachers"}  # and the one of notebooks/methods.py


def follow(recipe, folder) -> None:
    """Writes the files of a recipe below a folder, and applies its changes to others."""
    for kind, content in re.findall(r"^```(python|diff)\n(.*?)^```$", recipe, re.M | re.S):
        head, _, body = content.partition("\n")
        path = folder / head.split()[1]
        if kind == "python":
            assert head.startswith("# ") and not path.exists()
            path.write_text(body)
            continue
        lines = body.splitlines()
        old = "\n".join(line[1:] for line in lines if line[0] != "+")
        new = "\n".join(line[1:] for line in lines if line[0] != "-")
        text = path.read_text()
        assert head.startswith("+++ ") and text.count(old) == 1
        path.write_text(text.replace(old, new))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_short(recipe):
    blocks = re.findall(r"^```\w+\n(.*?)^```$", RECIPES[recipe], re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()[1:] if line.strip("+ ")]  # [0] names the file
    assert 0 < len(lines) <= 20
    for name in re.findall(r"`((?:kdlib|notebooks|tests)/[\w/.]+)`", RECIPES[recipe]):
        assert (ROOT / name).exists(), name


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with all recipes followed."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("kdlib", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in RECIPES.values():
        follow(recipe, folder)
    return folder


def test_what_recipes_write_is_in_style(copy):
    files = {copy / name for name in re.findall(r"^(?:#|\+\+\+) (kdlib/.*\.py)$", "".join(RECIPES.values()), re.M)}
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, f"--config={ROOT / 'pyproject.toml'}"]
        done = subprocess.run([*ruff, *files], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def report(copy):
    """The copy with what a report and a sweep left in it."""

    def run(module, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=copy, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(copy)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    (copy / "sweep.yaml").write_text(f"alpha: [0, 1]\nmethods: [ffnn, {', '.join(RECIPE_TITLES)}]\n")
    run("kdlib.data.collection", "data", "rings")
    options = "--data=data", "--methods=notebooks/methods.py", "--seeds=2", "--epochs=2"
    run("kdlib.report", "run", *options, "--out=out")
    run("kdlib.report", "sweep", *options, "--out=swept", "sweep.yaml")
    return copy


@pytest.mark.slow
def test_new_methods_are_in_results_tables_figures_and_pages(report):
    maps = np.load(report / "out/rings/boundaries.npz")
    assert {f"{name}/mean" for name in TITLES} < set(maps)
    for file in ("out/rings/results.csv", "out/results.csv", "swept/results.csv"):
        assert TITLES.keys() < set(pd.read_csv(report / file)["method"])
    methods = pd.read_csv(report / "out/rings/methods.csv", index_col="method")
    assert methods.loc[list(TITLES), "title"].to_dict() == TITLES
    for page in ("out/rings/report.html", "out/index.html", "swept/index.html"):
        text = (report / page).read_text()
        assert all(title in text for title in TITLES.values()), page


@pytest.mark.slow
def test_a_new_distribution_has_fresh_points_and_a_ceiling(report):
    frame = results.read(report / "out/rings/results.csv")
    accuracy = frame[(frame.metric == "accuracy") & (frame.split == "fresh") & (frame.domain == "all")]
    assert accuracy.groupby("method")["value"].mean().idxmax() == "bayes"


@pytest.mark.slow
def test_a_new_metric_is_in_the_results(report):
    frame = results.read(report / "out/rings/results.csv").set_index(["method", "metric"])["value"]
    assert 0 < frame["bayes", "brier"].mean() < frame["ffnn", "brier"].mean() < 1
