"""Tiny templates and datasets for the tests of the report; a dataset's name decides what its run does."""

import pickle

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """dataset: str = ""
output: str = "."
seeds: int = 1
epochs: int = 1
hidden: list = [4]
batch_size: int = 1
learning_rate: float = 0.1
temperature: float = 1.0
alpha: float = 0.5
draft: bool = False"""

CHECKSUMS = """# Write checksums
import hashlib, json, pathlib
folder = pathlib.Path(output)
sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
_ = (folder / "checksums.json").write_text(json.dumps({"files": sums}))"""

WRITE = """import pathlib
from kdlib import display
content = pathlib.Path(dataset).read_bytes()
(pathlib.Path(output) / "results.csv").write_text(f"bytes,seeds\\n{len(content)},{seeds}\\n")"""

EXPERIMENT = (
    WRITE
    + """
if "slow" in dataset:
    import os, time
    time.sleep(float(os.environ.get("SLOW", 60)))
if "crash" in dataset or seeds == 13:
    raise ValueError("boom <script>alert(1)</script>")"""
)

POINT = (
    WRITE
    + """
if temperature == 13:
    raise ValueError("an unlucky temperature")
if temperature == 60:
    import time
    time.sleep(60)"""
)

SUMMARY = """import json, pathlib
for path in sorted(pathlib.Path(reports).rglob("manifest.json")):
    record = json.loads(path.read_text())
    print(record["name"], record["status"], record["reason"], sorted(p.name for p in path.parent.iterdir()))
(pathlib.Path(output) / "results.csv").write_text("all")
(pathlib.Path(output) / "table.csv").write_text("table")"""


def files(folder) -> dict[str, bytes]:
    """Content by relative name of all files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def notebook(*cells: str, parameters: str = PARAMETERS, title="# A title", checksums: str = CHECKSUMS) -> bytes:
    """A template whose code cells under the heading Work are `cells`, and `checksums` unless it is empty."""
    all_cells = [new_markdown_cell(title), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    all_cells.append(new_markdown_cell("## Work"))
    all_cells += [new_code_cell(cell) for cell in (*cells, checksums) if cell]
    for number, cell in enumerate(all_cells):
        cell.id = f"cell-{number}"
    return nbformat.writes(new_notebook(cells=all_cells)).encode()


def templates(folder) -> None:
    """Writes an experiment, a point of a sweep, and a summary of each."""
    (folder / "sweep").mkdir(parents=True, exist_ok=True)
    (folder / "experiment.ipynb").write_bytes(notebook(EXPERIMENT))
    point = notebook(POINT, parameters=f"{PARAMETERS}\nfraction: float = 1.0\nmethods: list = []")
    (folder / "sweep" / "point.ipynb").write_bytes(point)
    summary = notebook(SUMMARY, parameters='reports: str = ""\noutput: str = "."\ndraft: bool = False')
    for path in (folder / "summary.ipynb", folder / "sweep" / "summary.ipynb"):
        path.write_bytes(summary)


def dataset(path, seed=0) -> None:
    """Writes a small pickle that satisfies the data contract."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    x = rng.normal(size=(36, 2))
    arrays = {"x_train": x[:24], "y_train": np.arange(24) % 2, "d_train": np.arange(24) // 12}
    arrays |= {"x_valid": x[24:], "y_valid": np.arange(12) % 2}
    path.write_bytes(pickle.dumps(arrays, protocol=3))
