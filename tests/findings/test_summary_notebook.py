"""The summary's cells on made-up results: of the original's datasets, of others, and of many."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from made_up import accuracies, noise, publish, tidy

from kdlib import display
from kdlib.data.published import PUBLISHED
from kdlib.report.pages.render import in_page_order

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks/summary.ipynb"
ORIGINAL = {f"data_d{d}": published for d, published in PUBLISHED.items()}
OTHERS = "moons", "boards"
MANY = [*(f"crabs-cut{cut}" for cut in range(1, 6)), *(f"set{i}" for i in range(6))]


def publish_all(folder, names):
    """Runs of datasets in the plane, with all that the summary reads."""
    rng = np.random.default_rng(0)
    points = {"points": rng.normal(size=(30, 2)), "points_y": np.arange(30) % 2, "points_d": np.arange(30) % 3}
    plane = {"axis0": np.linspace(-2, 2, 12), "axis1": np.linspace(-2, 2, 10), "plane": np.array(0)}
    for place, name in enumerate(names):  # cuts of a dataset differ a little
        every = accuracies(portfolio=0.99, kd_portfolio=0.985 + place / 10_000)
        if name not in ORIGINAL:
            del every["kd_original"]
        frame = pd.concat(
            [
                tidy(every, name),
                tidy(dict.fromkeys(every, 0.2) | {"kd_portfolio": 0.1 + place / 1_000}, name, metric="nll"),
            ]
        )
        kinds = pd.DataFrame({"kind": ["trees", "linear"], "tells_domains": [True, False], "weight": [0.7, 0.3]})
        publish(folder, name, frame, published=ORIGINAL.get(name), portfolio=kinds)
        maps = points | plane
        for method in every:
            votes = rng.random((2, 10, 12)).astype(np.float16)
            maps |= {f"{method}/mean": votes, f"{method}/votes": votes}
            maps[f"{method}/seeds"] = rng.integers(0, 2, (3, 10, 12)).astype(np.uint8)
        np.savez_compressed(folder / name / "boundaries.npz", **maps)
        if name in ORIGINAL:
            ablation().to_csv(folder / name / "ablation.csv", index=False)


def ablation():
    labels = {"step": ["as in the original", "mixed"]}
    labels["explanation"] = ["as in the original", "domains mixed", "best epoch selected", "both"]
    rows = [
        [kind, label, seed, 0.84 + 0.01 * place + error]
        for kind in labels
        for place, label in enumerate(labels[kind])
        for seed, error in enumerate(noise(kind + label))
    ]
    return pd.DataFrame(rows, columns=["kind", "label", "seed", "accuracy"])


@pytest.fixture
def summary(tmp_path, monkeypatch):
    """Executes the notebook on runs of some datasets: the text of its page, and what it writes into `out`."""
    shown = []
    monkeypatch.setattr(display, "publish_display_data", lambda data, *_, **__: shown.append(data["text/plain"]))

    def summary(names):
        publish_all(tmp_path / "reports", names)
        (tmp_path / "out").mkdir()
        space, cells = {}, nbformat.read(NOTEBOOK, as_version=4).cells
        for cell in cells:
            if cell.cell_type == "code":
                shown.clear()
                exec(compile(cell.source, cell.id, "exec"), space)
                cell.outputs = list(shown)
            if "parameters" in cell.metadata.get("tags", []):
                space |= {"reports": tmp_path / "reports", "output": tmp_path / "out"}
        return "\n\n".join(text for cell in in_page_order(cells) for text in cell.get("outputs", [cell.source]))

    return summary


@pytest.mark.slow
def test_of_the_originals_datasets_the_summary_tells_the_originals_story(summary):
    text = summary(ORIGINAL)
    assert "one measurement repeated at several distances" in text
    assert "## Original and reproduction" in text and "## Why the original's student lost" in text
    assert "The rebuilt student differs from the published one by" in text
    assert "Fixing every deviation" in text and "three Gaussian domains" in text


@pytest.mark.slow
def test_of_other_datasets_it_says_nothing_of_the_original(summary, tmp_path):
    text = summary(OTHERS)
    story, related = text.split("## Related work")
    assert "original" not in story and "SLAM-CROC" in related and "## Further studies" not in story
    assert "on both datasets" in text and "**Distillation can beat" in text
    table = pd.read_csv(tmp_path / "out/table.csv", index_col="dataset")
    assert set(table.index) == set(OTHERS) and "KD, portfolio" in table and "KD, original" not in table


@pytest.mark.slow
def test_of_many_datasets_it_counts_each_once(summary):
    text = summary(MANY)
    assert "Means over 7 datasets" in text and "better on all 7 datasets" in text
    assert "### What lost" in text and "show 7 datasets, of each its first cut" in text
    assert "crabs-cut2" not in text.split("## The runs")[0]
