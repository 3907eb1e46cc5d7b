"""The committed reference: the results of one report, and whether another agrees with them.

With the same pins (`kdlib.pins`), versions, lock and threads, or without pins on the same processor, the results must
be the same to the last bit. Elsewhere rounding differs, and training amplifies it until each network is another one of
the same kind; then every metric's mean over seeds must agree within `TOLERANCE` standard errors of the difference, plus
a minimum. Out of scope: making reports.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.evaluation import results
from kdlib.report import manifest

FIGURES = "gaps", "ablation", "boundaries"  #: names of the summary's figures
KEYS = ["dataset", "method", "split", "domain", "metric"]
TOLERANCE = 4.0  #: standard errors
FEW_SEEDS = 10
MIN_ALLOWED, MIN_ALLOWED_FEW = 0.001, 0.02  #: of metrics between 0 and 1 and of nats; the latter below `FEW_SEEDS`
SAME = "the same, bit for bit"
MAX_LISTED = 10  #: disagreements that are listed one by one


class NotComparable(Exception):
    """A report or a reference is missing, or they are of different settings; one line says which."""


def keep(out: Path, reference: Path) -> str:
    """Makes a report the reference: its means, its record and, unless a draft, its figures; says what it kept."""
    record, means = _record(out), _means(out)
    reference.mkdir(parents=True, exist_ok=True)
    means.to_csv(reference / "means.csv", index=False, lineterminator="\n", float_format="%.17g")
    (reference / "record.json").write_bytes(manifest.to_bytes(record))
    if not record["parameters"]["draft"]:
        _keep_figures(out, reference)
    return f"kept {len(means)} means of {means['dataset'].nunique()} datasets in {reference}"


def compare(out: Path, reference: Path) -> tuple[bool, list[str]]:
    """Whether a report agrees with the reference, and lines that say how, and list what disagrees.

    reference: what `keep` wrote, or another report.
    """
    try:
        if (reference / manifest.FILE).is_file():
            then, before = _record(reference), _means(reference)
        else:
            then = json.loads((reference / "record.json").read_text(encoding="utf-8"))
            before = pd.read_csv(reference / "means.csv", dtype={"dataset": str, "domain": str})
    except (OSError, ValueError):
        raise NotComparable(f"reference: expected record.json and means.csv in {str(reference)!r}") from None
    now, after = _record(out), _means(out)
    if then["parameters"] != now["parameters"]:
        changes = "; ".join(manifest.changes({"parameters": then["parameters"]}, now | {"hashes": {}}))
        raise NotComparable(f"the reference was made with other settings, which cannot be compared: {changes}")
    if then["results"] == now["results"]:
        return True, [SAME]
    wrong = disagreements(before, after)
    differences = _differences(then, now)
    if differences:
        lines = [f"bits may differ, since the report was made differently: {'; '.join(differences)}"]
    else:
        lines = ["not the same bits, though pins or processor, versions, lock and threads are the same"]
    lines += [f"{len(before) - len(wrong)} of {len(before)} means agree within {TOLERANCE:g} standard errors"]
    lines += [_describe(row) for row in wrong.head(MAX_LISTED).itertuples()]
    lines += [f"and {len(wrong) - MAX_LISTED} more"] if len(wrong) > MAX_LISTED else []
    return bool(differences) and wrong.empty, lines


def disagreements(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The means that disagree, the worst first, with their difference in units of what is allowed (`ratio`).

    Both frames are as in means.csv: the `KEYS`, mean, sd, seeds. A mean that only one of them has is the worst.
    """
    both = before.merge(after, on=KEYS, how="outer", suffixes=("_then", "_now"))
    error = np.sqrt(sum(both[f"sd_{x}"].fillna(0) ** 2 / both[f"seeds_{x}"] for x in ("then", "now")))
    few = both[["seeds_then", "seeds_now"]].min(axis=1) < FEW_SEEDS
    exact = both[["seeds_then", "seeds_now"]].max(axis=1) == 1  # no seed changes it
    allowed = TOLERANCE * error + np.where(few & ~exact, MIN_ALLOWED_FEW, MIN_ALLOWED)
    both["ratio"] = ((both["mean_now"] - both["mean_then"]).abs() / allowed).fillna(np.inf)
    return both[both["ratio"] > 1].sort_values("ratio", ascending=False, kind="stable")


def _describe(row) -> str:
    what = f"{row.dataset}, {row.method}, {row.metric} on {row.split}, domain {row.domain}"
    if np.isnan(row.mean_now) or np.isnan(row.mean_then):
        return f"{what}: only in {'the reference' if np.isnan(row.mean_now) else 'this report'}"
    return f"{what}: {row.mean_then:.5f} -> {row.mean_now:.5f}, {row.ratio:.1f} times what is allowed"


def _record(out: Path) -> dict:
    record = manifest.read(out)
    if record is None or record["status"] != "ok":
        raise NotComparable(f"there is no good report in {str(out)!r}: `make report` makes one")
    runs = results.Reports(out).manifests
    bad = [name for name, run in runs.items() if run["status"] != "ok"]
    if bad or not runs:
        raise NotComparable(f"the report in {str(out)!r} is not complete: {', '.join(bad) or 'no datasets'}")
    code = {}
    for run in (record, *runs.values()):
        code |= run["hashes"].get("code", {})
    return {
        "parameters": next(iter(runs.values()))["parameters"],
        "environment": record["environment"],
        "lock": record["hashes"].get("lock"),
        "code": manifest.combined_digest(code),
        "data": {name: run["hashes"]["data"] for name, run in runs.items()},
        "results": manifest.digest((out / "results.csv").read_bytes()),
    }


def _differences(then: dict, now: dict) -> list[str]:
    """What differs in how two reports were made; code and data count, since they give a reason for other results."""
    before, after = then["environment"], now["environment"]
    keys = ["pins", "platform", "libc", "python", "threads"]
    if not (before.get("pins") and after.get("pins")):
        keys.append("cpu")
    found = [f"{key} {before.get(key) or 'none'} -> {after.get(key) or 'none'}" for key in keys
             if (before.get(key) or "none") != (after.get(key) or "none")]  # fmt: skip
    versions = before["versions"].keys() | after["versions"].keys()
    found += [f"{name} {before['versions'].get(name)} -> {after['versions'].get(name)}" for name in sorted(versions)
              if before["versions"].get(name) != after["versions"].get(name)]  # fmt: skip
    return found + [f"{key} changed" for key in ("lock", "code", "data") if then[key] != now[key]]


def _means(out: Path) -> pd.DataFrame:
    groups = results.read(out / "results.csv").groupby(KEYS, sort=False)["value"]
    return groups.agg(mean="mean", sd="std", seeds="size").reset_index()


def _keep_figures(out, reference):
    cells = json.loads((out / "summary.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    figures = {output["metadata"].get("kdlib", {}).get("name"): output["data"]["image/png"] for output in outputs}
    if missing := [name for name in FIGURES if name not in figures]:
        raise NotComparable(f"the summary has no figure named {', '.join(missing)}")
    for name in FIGURES:
        (reference / f"{name}.png").write_bytes(base64.b64decode(figures[name]))
