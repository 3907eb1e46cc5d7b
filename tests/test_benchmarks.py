"""The benchmarks run and write what they promise; how fast anything is depends on the machine and isn't asserted."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import growth, page, pins, report, scale, task, training
from benchmarks.peers import ours
from benchmarks.worker import Worker, environment
from kdlib.pins import PINS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_a_quick_run_writes_tables_figures_and_the_page(tmp_path):
    only = "keras_tensorflow", "ours", "machine"
    done = run("training", "pins", "--quick", "--out", tmp_path, "--only", *only)
    assert done.returncode == 0, done.stderr

    table = pd.read_csv(tmp_path / "results" / "training.csv")
    assert list(table.columns[:4]) == ["how", "members", "ms_per_model_epoch", "ratio_to_ours"]
    assert list(zip(table.how, table.members, strict=True)) == [
        *((way.how, way.members) for way in training.WAYS if way.module in only and way.quick is not None),
        (training.ALL_LIMITS, 1),
    ]
    every = table.set_index("how").ms_per_model_epoch
    assert every[training.ALL_LIMITS] == pytest.approx(every[list(training.LIMITS)].sum(), rel=1e-3)
    assert (table[["ms_per_model_epoch", "ratio_to_ours"]] > 0).all(axis=None)
    assert table.ratio_to_ours[(table.how == training.OURS) & (table.members == 30)].tolist() == [1]

    table = pd.read_csv(tmp_path / "results" / "pins.csv")
    assert table.what.tolist() == list(pins.TRAININGS) and table.ratio.tolist() == table.lowest.tolist()

    text = (tmp_path / "README.md").read_text()
    assert "- training, pins: " in text
    assert len(re.findall(r"^\| .*kdlib.* \|$", text, re.M)) == 2
    assert (tmp_path / "results" / "training.png").stat().st_size > 10_000


def test_the_committed_page_is_that_of_the_committed_tables(tmp_path):
    (tmp_path / "results").mkdir()
    for path in (*page.HERE.glob("results/*.csv"), page.HERE / "results" / "machine.json"):
        (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    page.write(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text == (page.HERE / "README.md").read_text()
    for picture in re.findall(r"\]\((results/.*?)\)", text):
        assert (tmp_path / picture).stat().st_size > 10_000


def test_scale_measures_real_reports_and_simulates_more(tmp_path):
    done = run("scale", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "results" / "scale.csv")
    assert list(table.columns) == scale.COLUMNS
    assert list(zip(table.template, table.datasets, table.workers, strict=True)) == [
        ("tiny", 2, 1), ("tiny", 3, 2), ("simulated", 8, 4),
    ]  # fmt: skip
    assert (table[["run_seconds", "tasks_per_second", "driver_mib"]] > 0).all(axis=None)
    assert (table.driver_cpu_ms >= 0).all()  # so few runs may take less than the clock of the system tells
    assert table.run_seconds.iloc[-1] == 0.2
    assert "A hundred workers are kept busy by runs of" in (tmp_path / "README.md").read_text()


def test_the_model_of_many_datasets():
    rows = [("tiny", 30, 2, 100.0, 150.0), ("simulated", 300, 100, 60.0, 600.0), ("simulated", 400, 100, 50.0, 1024.0)]
    names = ["template", "datasets", "workers", "driver_cpu_ms", "driver_mib"]
    found = scale.limits(pd.DataFrame(rows, columns=names), datasets=7200, workers=100)
    assert found == pytest.approx(
        {"driver_ms": 50, "run_seconds": 5, "driver_hours": 0.1, "dataset_mib": 2.56, "driver_gib": 18}
    )


def test_a_way_that_is_not_installed_is_left_out():
    said = []
    absent = training.Way("absent", "no_such_peer", "run")
    here = training.Way("sgemm", "machine", "sgemm")
    times, _, installed = training.measure([absent, here], 1, 0.01, said.append)
    assert installed == [here] and times.shape == (1, 1)
    assert [line for line in said if "no_such_peer" in line]


def test_a_process_that_ends_or_fails_is_an_error():
    with Worker("machine") as worker, pytest.raises(SystemExit, match=r"machine failed:(.|\n)*TypeError"):
        worker.prepare("sgemm", {"nonsense": 1})
    with pytest.raises(SystemExit, match="process of machine has ended"):
        worker.prepare("sgemm", {})


def test_reports_are_saved_one_by_one(monkeypatch):
    asked, saved = [], []

    def made(data, *case):
        asked.append((tuple(sorted(path.name for path in Path(data).iterdir())), *case))
        return 60.0 / case[-1], 50.0, 900.0, 0.0

    monkeypatch.setattr(report, "make", made)
    table = report.table(seeds=(1, 10), jobs_seeds=5, epochs=7, say=str, save=saved.append)
    every = tuple(sorted(path.name for path in (ROOT / "data").glob("*.pkl")))
    assert asked == [((report.ONE,), 1, 7, 1), ((report.ONE,), 10, 7, 1), (every, 5, 7, 1), (every, 5, 7, 2)]
    assert [len(part) for part in saved] == [1, 2, 3, 4]
    assert list(table.columns) == report.COLUMNS
    assert "2 jobs instead of 1" in page.speed_up(table) and "2.00 times" in page.speed_up(table)
    assert "not measured" in page.speed_up(table[:2])
    sizes = report.size_table(((240, 2), (360, 5)), say=str, save=saved.append)
    assert asked[4:] == [(("clusters.pkl",), report.SIZE_SEEDS, report.SIZE_EPOCHS, 1)] * 2
    assert page.size_rows(sizes)["CPU ms per sample"].tolist() == ["210", "140"]


def test_the_cost_of_pins_is_the_median_ratio_of_pairs(monkeypatch):
    times = np.array([[3.0, 2.0, 6.0], [2.0, 2.0, 2.0]] * 2)  # ms of an epoch of one member
    monkeypatch.setattr(pins, "measure", lambda ways, *_: (times, [], ways))
    seconds = iter([30.0, 20.0, 60.0, 50.0, 90.0, 60.0])
    monkeypatch.setattr(report, "make", lambda *case: (0.0, next(seconds), 0.0, 0.0))
    saved = []
    table = pins.table(reports=3, say=str, save=saved.append)
    assert len(saved[0]) == 2
    assert table.pairs.tolist() == [3, 3, 3]
    assert table.cpu_with.tolist() == pytest.approx([0.09, 0.09, 60]) and table.cpu_without.tolist()[2] == 50
    assert table.ratio.tolist() == [1.5, 1.5, 1.5]
    assert table.lowest.tolist() == [1, 1, 1.2] and table.highest.tolist() == [3, 3, 1.5]


def test_a_process_without_pins_has_none():
    assert not environment(pinned=False).keys() & PINS.keys()


def test_each_part_names_its_machine():
    record = {"cpu": "A", "cores": 2, "platform": "Linux", "python": "3.12", "versions": {"numpy": "2"}}
    found = page.machines({"training": record, "pins": record | {"cpu": "B"}, "scale": record}).splitlines()
    assert [line.partition(", 2 cores")[0] for line in found] == ["- training, scale: A", "- pins: B"]


def test_growth_counts_networks_and_operations(monkeypatch):
    monkeypatch.setattr(growth, "measure", lambda ways, *_: (np.full((len(ways), 1), 2.0), [], ways))
    table = growth.table(members=(5,), samples=(480,), widths=(8,))
    assert list(zip(table.varied, table.value, strict=True)) == [("members", 5), ("samples", 480), ("width", 8)]
    assert table.ms_per_model_epoch.tolist() == [2 / 5, 2 / 30, 2 / 30]
    assert table.gflops_per_second[0] == pytest.approx(5 * task.flops() / 2e-3 / 1e9)


def test_flops_of_an_epoch():
    assert task.flops(samples=1, hidden=(3,)) == 2 * (2 * (2 * 3 + 3 * 2) + 3 * 2)


@pytest.mark.parametrize("distil", [False, True])
def test_ours_runs_the_epochs_it_is_asked_for(distil):
    assert ours.population(members=2, samples=96, hidden=(4,), distil=distil)(3) == 3


@pytest.mark.parametrize(("value", "shown"), [(2803.2, "2\u202f800"), (107.6, "110"), (1.234, "1.2"), (0.062, "0.062")])
def test_numbers_are_shown_to_their_significant_digits(value, shown):
    assert page._digits(value) == shown
