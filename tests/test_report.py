"""The whole way for real, at smoke budget: two datasets, two seeds, two epochs, papermill, kernels, pages."""

import subprocess
import sys
from pathlib import Path

import lxml.html
import pandas as pd
import pytest

from kdlib import gaussians, results
from kdlib.datasets import save

ROOT = Path(__file__).parents[1]


def press(*arguments):
    command = [sys.executable, "-m", "kdlib.report", "run", "--epochs=2", "--draft", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    near = gaussians.generate(0.5)
    save(folder / "near.pkl", near)
    five = {key: value for key, value in gaussians.generate(1.0).arrays().items() if "test" not in key}
    del five["d_valid"]
    save(folder / "five keys.pkl", five)
    (folder / "broken.pkl").write_bytes(b"not a pickle")
    return folder


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "reports"
    done = press(f"--data={data}", f"--out={folder}", "--seeds=2")
    assert done.returncode == 1, done.stderr
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return folder


def page(path):
    return lxml.html.fromstring(path.read_text(encoding="utf-8"))


def test_every_page_is_there_with_its_figures(out):
    index = page(out / "index.html")
    assert len(index.xpath("//figure//img")) == 4
    links = set(index.xpath("//a/@href"))
    assert {"near/report.html", "five%20keys/report.html"} <= links
    for name in ("near", "five keys"):
        report = page(out / name / "report.html")
        assert len(report.xpath("//figure//img")) == 9
        assert all(len(image.get("alt")) > 40 for image in report.xpath("//img"))
        assert "../index.html" in report.xpath("//a/@href")
        assert report.xpath("//math")
    for path in out.rglob("*.html"):
        assert "draft" in page(path).text_content().lower()


def test_a_broken_dataset_is_a_row_that_says_so(out):
    text = page(out / "index.html").text_content()
    assert "broken" in text
    assert "invalid" in text


def test_the_tables_hold_both_datasets(out):
    frame = results.read(out / "results.csv")
    assert set(frame.dataset) == {"near", "five keys"}
    assert frame.groupby("dataset")["split"].unique().map(set).to_dict() == {
        "near": {"valid", "test", "fresh"},
        "five keys": {"valid", "fresh"},
    }
    table = pd.read_csv(out / "table.csv", index_col="dataset")
    assert table.loc["near", "FFNN, original"] == "0.9680 ± 0.0034"


def test_the_same_seeds_give_the_same_file_and_more_seeds_begin_with_them(data, out, tmp_path):
    again = press(f"--data={data}", f"--out={tmp_path}", "--seeds=2", "--jobs=2")
    assert again.returncode == 1, again.stderr
    for name in ("results.csv", "near/results.csv", "five keys/results.csv"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()
    frame = results.read(out / "results.csv")
    nll = results.select(frame, metric="nll", split="fresh", method="ffnn", dataset="near")["value"]
    assert nll.nunique() == 2
