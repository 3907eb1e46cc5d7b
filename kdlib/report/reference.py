"""The committed reference: what a report of this repository gave, and whether a report made anew agrees with it.

On the same processor, versions, lock and threads the results must be the same to the last bit. Elsewhere rounding
differs, and training carries it on until each network is another one of the same kind; then every metric's mean over
seeds must agree within `SPREADS` standard errors of their difference, and a floor. Leaves out making reports.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.evaluation import results
from kdlib.report import manifest

PICTURES = "gaps", "ladder", "boundaries"  #: names of the summary's figures
KEYS = ["dataset", "method", "split", "domain", "metric"]
SPREADS = 4.0
FLOOR, ROUGH = 0.001, 0.02  #: of metrics between 0 and 1 and of nats; ROUGH where there are fewer than `FEW` seeds
FEW = 10
NAMED = 10  #: drifts that are named one by one


class NoReference(Exception):
    """There is nothing to keep or to compare; one line says why."""


def keep(out: Path, reference: Path) -> str:
    """Makes a report the reference: its means, its record and, of a whole report, its pictures; says what it kept."""
    record, means = _record(out), _means(out)
    reference.mkdir(parents=True, exist_ok=True)
    means.to_csv(reference / "means.csv", index=False, lineterminator="\n", float_format="%.17g")
    (reference / "record.json").write_bytes(manifest.content(record))
    if not record["parameters"]["draft"]:
        _keep_pictures(out, reference)
    return f"kept {len(means)} means of {means['dataset'].nunique()} datasets in {reference}"


def compare(out: Path, reference: Path) -> tuple[bool, list[str]]:
    """Whether a report agrees with the reference, and lines that say how, and name what drifted."""
    try:
        then = json.loads((reference / "record.json").read_text(encoding="utf-8"))
        before = pd.read_csv(reference / "means.csv", dtype={"dataset": str, "domain": str})
    except (OSError, ValueError):
        raise NoReference(f"reference: expected record.json and means.csv in {str(reference)!r}") from None
    now, after = _record(out), _means(out)
    if then["parameters"] != now["parameters"]:
        changed = "; ".join(manifest.differences({"parameters": then["parameters"]}, now | {"hashes": {}}))
        raise NoReference(f"the reference was made with other settings, which cannot be compared: {changed}")
    if then["results"] == now["results"]:
        return True, ["the same, bit for bit"]
    drifted = drift(before, after)
    elsewhere = _elsewhere(then, now)
    if elsewhere:
        lines = [f"not the same surroundings ({'; '.join(elsewhere)}), so bits may differ"]
    else:
        lines = ["not the same bits, though processor, versions, lock and threads are the same"]
    lines += [f"{len(before) - len(drifted)} of {len(before)} means agree within {SPREADS:g} standard errors"]
    lines += [_told(row) for row in drifted.head(NAMED).itertuples()]
    lines += [f"and {len(drifted) - NAMED} more"] if len(drifted) > NAMED else []
    return bool(elsewhere) and drifted.empty, lines


def drift(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The means that disagree, the farthest first, in units of what is allowed (`far`); one that lacks is the farthest.

    Both as in means.csv: the `KEYS`, mean, sd, seeds.
    """
    both = before.merge(after, on=KEYS, how="outer", suffixes=("_then", "_now"))
    error = np.sqrt(sum(both[f"sd_{x}"].fillna(0) ** 2 / both[f"seeds_{x}"] for x in ("then", "now")))
    few = both[["seeds_then", "seeds_now"]].min(axis=1) < FEW
    lone = both[["seeds_then", "seeds_now"]].max(axis=1) == 1  # needs no seed: nothing to be rough about
    allowed = SPREADS * error + np.where(few & ~lone, ROUGH, FLOOR)
    both["far"] = ((both["mean_now"] - both["mean_then"]).abs() / allowed).fillna(np.inf)
    return both[both["far"] > 1].sort_values("far", ascending=False, kind="stable")


def answer(reference: Path, methods: dict[str, str]) -> str:
    """The reference in a Markdown table: mean accuracy on fresh points, a row per dataset, a column per method.

    methods: titles by name. The best of those that see the point alone, Bayes left out, is bold.
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


def _told(row) -> str:
    what = f"{row.dataset}, {row.method}, {row.metric} on {row.split}, domain {row.domain}"
    if np.isnan(row.mean_now) or np.isnan(row.mean_then):
        return f"{what}: only in {'the reference' if np.isnan(row.mean_now) else 'this report'}"
    return f"{what}: {row.mean_then:.5f} -> {row.mean_now:.5f}, {row.far:.1f} times what is allowed"


def _record(out: Path) -> dict:
    record = manifest.read(out)
    if record is None or record["status"] != "ok":
        raise NoReference(f"there is no good report in {str(out)!r}: `make report` makes one")
    runs = results.Reports(out).manifests
    bad = [name for name, run in runs.items() if run["status"] != "ok"]
    if bad or not runs:
        raise NoReference(f"the report in {str(out)!r} is not whole: {', '.join(bad) or 'no datasets'}")
    return {
        "parameters": next(iter(runs.values()))["parameters"],
        "environment": record["environment"],
        "lock": record["hashes"].get("lock"),
        "code": manifest.code_digest(record["hashes"].get("code")),
        "data": {name: run["hashes"]["data"] for name, run in runs.items()},
        "results": manifest.digest((out / "results.csv").read_bytes()),
    }


def _elsewhere(then: dict, now: dict) -> list[str]:
    """What of the surroundings differs: code and data too, since the results then have reason to differ."""
    before, after = then["environment"], now["environment"]
    found = [f"{key} {before[key]} -> {after[key]}" for key in ("cpu", "platform", "python", "threads")
             if before[key] != after[key]]  # fmt: skip
    versions = before["versions"].keys() | after["versions"].keys()
    found += [f"{name} {before['versions'].get(name)} -> {after['versions'].get(name)}" for name in sorted(versions)
              if before["versions"].get(name) != after["versions"].get(name)]  # fmt: skip
    return found + [f"{key} changed" for key in ("lock", "code", "data") if then[key] != now[key]]


def _means(out: Path) -> pd.DataFrame:
    groups = results.read(out / "results.csv").groupby(KEYS, sort=False)["value"]
    return groups.agg(mean="mean", sd="std", seeds="size").reset_index()


def _keep_pictures(out, reference):
    cells = json.loads((out / "summary.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    shown = {output["metadata"].get("kdlib", {}).get("name"): output["data"]["image/png"] for output in outputs}
    if lacking := [name for name in PICTURES if name not in shown]:
        raise NoReference(f"the summary has no figure named {', '.join(lacking)}")
    for name in PICTURES:
        (reference / f"{name}.png").write_bytes(base64.b64decode(shown[name]))
