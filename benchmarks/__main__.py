"""Measures, writes the tables into results/, then the page. `make bench` runs it all."""

import argparse
import json
import os
import sys
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

from benchmarks import growth, page, pins, report, scale, training
from kdlib.report import manifest

#: arguments of each part's `table` in the full run, and in the quick one, which only shows that everything works
FULL = {"training": {}, "growth": {}, "pins": {}, "report": {}, "size": {}, "scale": {}}
QUICK = {
    "training": {"rounds": 1, "seconds": 0.05},
    "growth": {"rounds": 1, "seconds": 0.02, "members": (2,), "samples": (480,), "widths": (16,)},
    "pins": {"rounds": 1, "seconds": 0.02, "reports": 0},
    "report": {"seeds": (1,), "jobs_seeds": 1, "epochs": 1},
    "size": {"sizes": ((240, 2),)},
    "scale": {"cases": ((2, 1), (3, 2)), "simulated": ((8, 0.2),), "workers": 4, "experiment": False},
}
PARTS = {
    "training": training.table, "growth": growth.table, "pins": pins.table, "report": report.table,
    "size": report.size_table, "scale": scale.table,
}  # fmt: skip
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "scikit-learn", "torch", "jax")


def main(arguments=None) -> None:
    os.environ["KDLIB_CACHE"] = ""  # what was computed before would be quick
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} or page (default: all)")
    parser.add_argument("--out", type=Path, default=page.HERE, metavar="FOLDER", help="for results/ and README.md")
    parser.add_argument("--quick", action="store_true", help="runs everything on a small budget, and measures nothing")
    parser.add_argument(
        "--only", nargs="+", metavar="MODULE", help="of training: only the ways of these benchmarks/peers/"
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help=f"of reports: epochs of each training ({report.EPOCHS})"
    )
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - PARTS.keys() - {"page"}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join([*PARTS, 'page'])}")
    results = given.out / "results"
    results.mkdir(parents=True, exist_ok=True)
    measured = [part for part in PARTS if part in given.parts or not given.parts]
    for part in measured:
        settings = (QUICK if given.quick else FULL)[part]
        save = partial(_save, path=results / f"{part}.csv")
        if part == "training":
            settings = settings | {"ways": _ways(given.only, given.quick)}
        if part in ("pins", "report", "size"):
            settings = settings | {"save": save}
        if part in ("pins", "report") and given.epochs:
            settings = settings | {"epochs": given.epochs}
        table = PARTS[part](**settings, say=_say)
        save(table)
        print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"), flush=True)
    if measured:
        _save_machine(results / "machine.json", measured)
    page.write(given.out)
    print(given.out / "README.md")


def _ways(modules, quick: bool) -> list[training.Way]:
    ways = [way for way in training.WAYS if not modules or way.module in modules]
    if quick:
        ways = [replace(way, options=way.options | way.quick) for way in ways if way.quick is not None]
    return ways


def _save(table, path) -> None:
    table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


def _save_machine(path, parts) -> None:
    """Of each part, the machine that it was measured on; what is said of other parts stays."""
    machines = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    machines |= dict.fromkeys(parts, _machine())
    path.write_text(json.dumps(machines, indent=1) + "\n", encoding="utf-8")


def _machine() -> dict:
    """The machine, and the versions of what was compared."""
    record = manifest.environment()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"cpu": record["cpu"], "cores": record["cores"], "platform": record["platform"],
            "python": record["python"], "versions": versions}  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
