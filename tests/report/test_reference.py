"""The reference: the same bits here, the same means elsewhere, and what disagrees by its name."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdlib.evaluation import results
from kdlib.report import bits, manifest, reference
from kdlib.report.__main__ import main

HERE = {"cpu": "A", "platform": "Linux x86_64", "python": "3.12", "threads": 1, "versions": {"numpy": "2.4"}}


def make_report(folder, shift=0.0, noise=0, seeds=30, environment=HERE, draft=True, status="ok", drop=()):
    """A report of one dataset and two methods; `noise` seeds the differences that another rounding would make."""
    rng = np.random.default_rng(noise)
    rows = [
        ["d", method, seed, "fresh", "all", "accuracy", value + 0.004 * rng.standard_normal()]
        for method, value in {"ffnn": 0.98, "kd_kernel_teachers": 0.99 + shift}.items()
        for seed in range(seeds)
    ]
    rows = [row for row in [*rows, ["d", "bayes", 0, "fresh", "all", "accuracy", 1.0]] if row[1] not in drop]
    (folder / "d").mkdir(parents=True)
    results.write(pd.DataFrame(rows, columns=results.COLUMNS), folder / "results.csv")
    common = {"status": status, "environment": environment, "reason": ""}
    parameters = {"seeds": seeds, "draft": draft}
    for path, hashes in ((folder, {"lock": "1", "code": {"kdlib/a.py": "2"}}), (folder / "d", {"data": "3"})):
        record = common | {"parameters": parameters, "hashes": hashes}
        (path / manifest.FILE).write_bytes(manifest.to_bytes(record))
    return folder


@pytest.fixture
def kept(tmp_path):
    reference.keep(make_report(tmp_path / "first"), tmp_path / "reference")
    return tmp_path / "reference"


def test_the_same_bits_agree(tmp_path, kept):
    assert reference.compare(make_report(tmp_path / "again"), kept) == (True, ["the same, bit for bit"])


def test_other_bits_from_the_same_environment_do_not_agree_however_near(tmp_path, kept):
    agrees, lines = reference.compare(make_report(tmp_path / "again", shift=1e-9), kept)
    assert not agrees
    assert "not the same bits, though" in lines[0] and "3 of 3 means agree" in lines[1]


def test_elsewhere_means_agree_within_chance_and_disagreements_are_listed(tmp_path, kept):
    other = HERE | {"cpu": "B", "versions": {"numpy": "2.5"}}
    agrees, lines = reference.compare(make_report(tmp_path / "near", noise=1, environment=other), kept)
    assert agrees
    assert "cpu A -> B" in lines[0] and "numpy 2.4 -> 2.5" in lines[0]
    agrees, lines = reference.compare(make_report(tmp_path / "far", shift=0.01, noise=1, environment=other), kept)
    assert not agrees
    assert "2 of 3 means agree" in lines[1]
    assert (
        lines[2].startswith("d, kd_kernel_teachers, accuracy on fresh, domain all: 0.99")
        and "times what is allowed" in lines[2]
    )


def test_with_pins_another_processor_is_no_reason_for_other_bits(tmp_path):
    pinned = HERE | {"pins": {"A": "1"}}
    reference.keep(make_report(tmp_path / "first", environment=pinned), tmp_path / "pinned")
    near = make_report(tmp_path / "near", noise=1, environment=pinned | {"cpu": "B"})
    agrees, lines = reference.compare(near, tmp_path / "pinned")
    assert not agrees and "not the same bits, though pins" in lines[0]
    unpinned = make_report(tmp_path / "unpinned", noise=1, environment=HERE | {"cpu": "B"})
    agrees, lines = reference.compare(unpinned, tmp_path / "pinned")
    assert agrees and "pins {'A': '1'} -> none" in lines[0] and "cpu A -> B" in lines[0]


def test_what_only_one_has_is_a_disagreement(tmp_path, kept):
    other = HERE | {"cpu": "B"}
    agrees, lines = reference.compare(
        make_report(tmp_path / "less", drop=("kd_kernel_teachers",), environment=other), kept
    )
    assert not agrees and "kd_kernel_teachers" in lines[2] and "only in the reference" in lines[2]


def test_exact_numbers_have_the_least_tolerance_and_few_seeds_more():
    def means(mean, seeds, sd=np.nan):
        return pd.DataFrame(
            [["d", "m", "fresh", "all", "nll", mean, sd, seeds]], columns=[*reference.KEYS, "mean", "sd", "seeds"]
        )

    assert len(reference.disagreements(means(0.5, 1), means(0.5 + 2 * reference.MIN_ALLOWED, 1))) == 1
    assert reference.disagreements(means(0.5, 1), means(0.5 + reference.MIN_ALLOWED / 2, 1)).empty
    assert reference.disagreements(means(0.5, 2, 0.0), means(0.5 + reference.MIN_ALLOWED_FEW / 2, 2, 0.0)).empty
    assert len(reference.disagreements(means(0.5, 30, 0.0), means(0.5 + reference.MIN_ALLOWED_FEW / 2, 30, 0.0))) == 1


def test_other_settings_and_missing_reports_are_one_clear_line(tmp_path, kept, capsys):
    assert main(["verify", str(make_report(tmp_path / "ten", seeds=10)), str(kept)]) == 2
    assert "seeds 30 -> 10" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "none"), str(kept)]) == 2
    assert "`make report` makes one" in capsys.readouterr().err
    assert main(["verify", str(make_report(tmp_path / "good")), str(tmp_path / "nothing")]) == 2
    assert "record.json" in capsys.readouterr().err
    assert main(["keep", str(make_report(tmp_path / "failed", status="failed")), str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()


def test_the_exit_status_is_the_verdict(tmp_path, kept, capsys):
    assert main(["verify", str(make_report(tmp_path / "again")), str(kept)]) == 0
    assert f"agrees with {kept}" in capsys.readouterr().out
    assert main(["verify", str(make_report(tmp_path / "other", shift=0.01)), str(kept)]) == 1
    assert "does not agree" in capsys.readouterr().out


def test_other_bits_are_traced_to_a_layer(tmp_path, kept, capsys, monkeypatch):
    (tmp_path / bits.FILE).write_bytes(bits.record({"sums": "1", "products": "2"}))
    monkeypatch.setattr(bits, "compute", lambda: {"sums": "1", "products": "3"})
    main(["verify", str(make_report(tmp_path / "other", shift=0.01)), str(kept)])
    assert "differs: products" in capsys.readouterr().out
    main(["verify", str(make_report(tmp_path / "again")), str(kept)])
    assert "layers" not in capsys.readouterr().out


def markdown_table(reference: Path, methods: dict[str, str]) -> str:
    """The reference as README shows it: mean accuracy on fresh points, a row per dataset, a column per method.

    methods: titles by name. The best of those that see the point alone, without Bayes, is bold.
    """
    means = pd.read_csv(reference / "means.csv", dtype={"dataset": str, "domain": str})
    chosen = means[(means["split"] == "fresh") & (means["domain"] == "all") & (means["metric"] == "accuracy")]
    table = chosen.pivot(index="dataset", columns="method", values="mean")[list(methods)]
    best = table.drop(columns="bayes", errors="ignore").max(axis=1)
    lines = ["| dataset | " + " | ".join(methods.values()) + " |", "|---" + "|---:" * len(methods) + "|"]
    for name, row in table.iterrows():
        cells = [f"**{value:.4f}**" if value == best[name] else f"{value:.4f}" for value in row]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_readme_has_the_table_of_the_reference():
    root = Path(__file__).parents[2]
    titles = {
        "ffnn_tuned": "direct training, tuned",
        "kd_original": "student as in the original",
        "kd_routed": "its deviations fixed",
        "kd_gated": "taught through a gate",
        "kd_kernel_teachers": "taught by kernel machines",
        "kd_portfolio": "taught by a portfolio",
        "bayes": "best possible",
    }
    table = markdown_table(root / "reports" / "reference" / "whole", titles)
    assert table in (root / "README.md").read_text(encoding="utf-8"), f"README's table should be:\n{table}"


def test_the_figures_of_a_full_report_are_kept_too(tmp_path):
    make_report(tmp_path / "out", draft=False)
    images = [
        {"output_type": "display_data", "data": {"image/png": "AAEC"}, "metadata": {"kdlib": {"name": name}}}
        for name in ("other", *reference.FIGURES)
    ]
    cells = [{"cell_type": "markdown", "source": []}, {"cell_type": "code", "source": [], "outputs": images}]
    (tmp_path / "out" / "summary.ipynb").write_text(json.dumps({"cells": cells}))
    reference.keep(tmp_path / "out", tmp_path / "kept")
    kept = {path.stem: path.read_bytes() for path in (tmp_path / "kept").glob("*.png")}
    assert kept == dict.fromkeys(reference.FIGURES, bytes([0, 1, 2]))
    images.pop()
    (tmp_path / "out" / "summary.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(reference.NotComparable, match="no figure named boundaries"):
        reference.keep(tmp_path / "out", tmp_path / "kept")
