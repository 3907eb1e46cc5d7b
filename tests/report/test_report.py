"""A complete report at smoke budget: two datasets, two seeds, two epochs, with real kernels and pages."""

import io
import subprocess
import sys
from urllib.parse import quote, unquote

import lxml.html
import pandas as pd
import pytest
from cluster import Cluster
from run_report import FIVE_KEYS, ROOT, run_report

from kdlib.evaluation import results

pytestmark = pytest.mark.slow


def page(path):
    return lxml.html.fromstring(path.read_text(encoding="utf-8"))


def test_every_page_has_its_figures(report):
    index = page(report / "index.html")
    assert len(index.xpath("//figure//img")) == 4
    links = set(index.xpath("//a/@href"))
    assert {"near/report.html", f"{quote(FIVE_KEYS)}/report.html"} <= links
    for name in ("near", FIVE_KEYS):
        tree = page(report / name / "report.html")
        assert len(tree.xpath("//figure//img")) == 9
        assert all(len(image.get("alt")) > 40 for image in tree.xpath("//img"))
        assert "../index.html" in tree.xpath("//a/@href")
        assert tree.xpath("//math")
    for path in report.rglob("*.html"):
        assert "draft" in page(path).text_content().lower()
        assert path.stat().st_size < (2_500_000 if path.name == "index.html" else 2_000_000)


def test_figures_have_versions_for_dark_and_narrow_pages_and_their_data(report):
    for path in report.rglob("*.html"):
        for figure in page(path).xpath("//figure[picture]"):
            sources = figure.xpath("picture//source/@srcset")
            assert len({*sources, *figure.xpath("picture//img/@src")}) == 4
            assert all(source.startswith("data:image/webp;base64,") for source in sources)
            (data,) = figure.xpath("details//a[@class='csv']/@href")
            assert len(pd.read_csv(io.StringIO(unquote(data.partition(",")[2])))) > 0


def test_a_broken_dataset_has_a_row_in_the_summary(report):
    text = page(report / "index.html").text_content()
    assert "broken" in text
    assert "invalid" in text


def test_the_tables_hold_both_datasets(report):
    frame = results.read(report / "results.csv")
    assert set(frame.dataset) == {"near", FIVE_KEYS}
    assert frame.groupby("dataset")["split"].unique().map(set).to_dict() == {
        "near": {"valid", "test", "fresh"},
        FIVE_KEYS: {"valid", "fresh"},
    }
    table = pd.read_csv(report / "table.csv", index_col="dataset")
    assert table.loc["near", "FFNN, original"] == "96.8 ± 0.3"


def test_with_nothing_due_nothing_heavy_is_imported(report_data, report):
    options = "--epochs=2", "--draft", f"--data={report_data}", f"--out={report}", "--seeds=2"
    command = [sys.executable, "-X", "importtime", "-m", "kdlib.report", "run", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("nothing is due; up to date: 3 runs and the summary\n")
    lines = done.stderr.splitlines()
    problems = [line for line in lines if not line.startswith("import time:")]
    assert [line.partition(".pkl")[0] for line in problems] == ["broken: invalid: broken"]  # not tried again
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "kdlib.report.pipeline" in imported
    assert not {"pandas", "tensorflow", "distributed", "nbformat", "papermill", "jinja2"} & imported


def test_the_same_seeds_give_the_same_file_on_a_cluster_too(report_data, report, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{FIVE_KEYS}.pkl").write_bytes((report_data / f"{FIVE_KEYS}.pkl").read_bytes())
    with Cluster(tmp_path / "cluster", workers=1) as cluster:
        options = f"--data={tmp_path / 'data'}", f"--out={tmp_path / 'out'}", "--seeds=2"
        again = run_report(*options, f"--scheduler={cluster.file}")
    assert again.returncode == 0, again.stderr
    there, here = (folder / FIVE_KEYS / "results.csv" for folder in (tmp_path / "out", report))
    assert there.read_bytes() == here.read_bytes()


def test_seeds_differ(report):
    frame = results.read(report / "results.csv")
    nll = results.select(frame, metric="nll", split="fresh", method="ffnn", dataset="near")["value"]
    assert nll.nunique() == 2
