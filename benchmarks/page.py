"""The page: figures of the tables in `results/`, and the tables themselves in README.md, between its markers."""

import json
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks import scale, task
from benchmarks.training import ALL_LIMITS, LIMIT, OURS
from kdlib.plots.theme import STYLE

HERE = Path(__file__).resolve().parent
OURS_COLOR, PEERS_COLOR = "C0", "C1"


def write(out: Path) -> None:
    """Draws what tables there are in `out`/results, and writes `out`/README.md."""
    results = out / "results"
    tables = {path.stem: pd.read_csv(path) for path in sorted(results.glob("*.csv"))}
    text = (HERE / "README.md").read_text(encoding="utf-8")
    with matplotlib.rc_context(fname=STYLE):
        if "training" in tables:
            training(tables["training"]).savefig(results / "training.png", dpi=160)
            text = _put(text, "training", _markdown(training_rows(tables["training"])))
        if "growth" in tables:
            growth(tables["growth"]).savefig(results / "growth.png", dpi=160)
        if "pins" in tables:
            text = _put(text, "pins", _markdown(pins_rows(tables["pins"])))
        if "report" in tables:
            table = tables["report"]
            text = _put(text, "report", _markdown(report_rows(table)) + "\n\n" + speed_up(table))
        if "size" in tables:
            text = _put(text, "size", _markdown(size_rows(tables["size"])))
        if "scale" in tables:
            table = tables["scale"]
            text = _put(text, "scale", _markdown(scale_rows(table)) + "\n\n" + scale_sentences(table))
    if (results / "machine.json").exists():
        text = _put(text, "machine", machines(json.loads((results / "machine.json").read_text(encoding="utf-8"))))
    (out / "README.md").write_text(text, encoding="utf-8")


def _put(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README.md: the markers {begin} and {end} are missing")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _markdown(frame: pd.DataFrame) -> str:
    rows = [frame.columns, ["---"] + ["---:"] * (len(frame.columns) - 1), *frame.astype(str).to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _digits(value: float, digits: int = 2) -> str:
    """A number to so many significant digits, thousands apart."""
    rounded = float(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(rounded))))) if rounded else 0
    return f"{rounded:,.{decimals}f}".replace(",", "\u202f")


def training_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The training table for people, slowest first."""
    table = table.sort_values("ms_per_model_epoch", ascending=False)
    is_limit = table.how.str.startswith("limit")
    return pd.DataFrame(
        {
            "how": table.how.where(table.how != OURS, f"**{OURS}**"),
            "members": table.members.where(~is_limit, ""),
            "ms per model-epoch": table.ms_per_model_epoch.map(lambda ms: _digits(ms, 3)),
            "lowest to highest": [
                f"{_digits(low, 3)} to {_digits(high, 3)}"
                for low, high in zip(table.ms_lowest, table.ms_highest, strict=True)
            ],
            "ratio to ours": table.ratio_to_ours.map(lambda ratio: _digits(ratio, 3)),
            "set-up, s": table.set_up_seconds.map(lambda s: f"{s:.1f}").where(~is_limit, ""),
        }
    )


def pins_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table of what pins cost for people."""
    return pd.DataFrame(
        {
            "what": table.what,
            "pairs": table.pairs,
            "CPU seconds with pins": table.cpu_with.map(lambda s: _digits(s, 3)),
            "without": table.cpu_without.map(lambda s: _digits(s, 3)),
            "ratio": table.ratio.map(lambda ratio: f"{ratio:.2f}"),
            "lowest to highest": [
                f"{low:.2f} to {high:.2f}" for low, high in zip(table.lowest, table.highest, strict=True)
            ],
        }
    )


def report_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table of whole reports for people."""
    return pd.DataFrame(
        {
            "datasets": table.datasets,
            "seeds": table.seeds,
            "epochs": table.epochs,
            "jobs": table.jobs,
            "seconds": table.seconds.map(lambda s: f"{s:.0f}"),
            "CPU seconds": table.cpu_seconds.map(lambda s: f"{s:.0f}"),
            "peak memory, MiB": table.peak_mib.map(lambda m: f"{m:.0f}"),
            "cores busy elsewhere": table.busy_elsewhere.map(lambda c: f"{c:.2f}"),
        }
    )


def speed_up(table: pd.DataFrame) -> str:
    """How much faster more jobs make a report, in a sentence."""
    every = table[table.datasets == table.datasets.max()].set_index("jobs")
    first, last = every.index.min(), every.index.max()
    if first == last:
        return "How much faster more jobs make it was not measured."
    ratio = every.seconds[first] / every.seconds[last]
    return f"With {last} jobs instead of {first} the report on all datasets is made {ratio:.2f} times as fast."


def size_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table of datasets of other sizes for people."""
    return pd.DataFrame(
        {
            "samples × features": [
                f"{n:,} × {f}".replace(",", "\u202f") for n, f in zip(table.samples, table.features, strict=True)
            ],
            "arrays, MiB": table.array_mib.map(_digits),
            "seconds": table.seconds.map(lambda s: f"{s:.0f}"),
            "CPU seconds": table.cpu_seconds.map(lambda s: f"{s:.0f}"),
            "CPU ms per sample": (1000 * table.cpu_seconds / table.samples).map(_digits),
            "peak memory, MiB": table.peak_mib.map(lambda m: f"{m:.0f}"),
            "cores busy elsewhere": table.busy_elsewhere.map(lambda c: f"{c:.2f}"),
        }
    )


def scale_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table of many datasets for people."""
    return pd.DataFrame(
        {
            "template": table.template,
            "runs": table.datasets,
            "workers": table.workers,
            "seconds of a run": table.run_seconds.map(lambda s: _digits(s, 3)),
            "runs per second": table.tasks_per_second.map(lambda s: _digits(s, 3)),
            "overhead of a run, ms": table.overhead_ms.map(lambda ms: f"{ms:.0f}"),
            "CPU of the driver for it, ms": table.driver_cpu_ms.map(lambda ms: f"{ms:.0f}"),
            "memory of the driver, MiB": table.driver_mib.map(lambda mib: f"{mib:.0f}"),
            "cores busy elsewhere": table.busy_elsewhere.map(lambda c: f"{c:.2f}" if c == c else ""),
        }
    )


def scale_sentences(table: pd.DataFrame) -> str:
    """What the model predicts, for the simulated rows as well, in sentences."""
    found, checks = scale.limits(table), []
    most = 1000 / found["driver_ms"]
    for row in table[table.template == "simulated"].itertuples():
        predicted = _digits(min(row.workers / row.run_seconds, most))
        checks.append(f"{predicted} with runs of {row.run_seconds:.3g} s ({_digits(row.tasks_per_second)} simulated)")
    return (
        f"A run takes {found['driver_ms']:.0f} ms of the driver's CPU, so that it handles {_digits(most)} runs a "
        f"second at most. Runs a second by the model: {', '.join(checks)}. A hundred workers are kept busy by runs of "
        f"{found['run_seconds']:.0f} s and more; with shorter ones the driver saturates first. Ten thousand datasets "
        f"take {found['driver_hours']:.1f} hours of it. Memory runs out first: the driver needs "
        f"{found['dataset_mib']:.1f} MiB for each dataset, {_digits(found['driver_gib'])} GiB for all, when it sends "
        "their results to the run of the summary."
    )


def machines(records: dict[str, dict]) -> str:
    """The machine and versions that each part was measured with, a line for each machine."""
    parts = {}
    for part, record in records.items():
        parts.setdefault(_machine(record), []).append(part)
    return "\n".join(f"- {', '.join(names)}: {sentence}" for sentence, names in parts.items())


def _machine(record: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['cpu']}, {record['cores']} cores, {record['platform']}; Python {record['python']}, {versions}."


def training(table: pd.DataFrame) -> Figure:
    """Cost against members: ours as a line, peers as points, the limits below."""
    figure = Figure(figsize=(7.4, 5.2), layout="constrained")
    ax = figure.subplots()
    ours = table[table.how == OURS].sort_values("members")
    limits = table[table.how.isin([LIMIT, ALL_LIMITS])]
    peers = table[~table.how.str.startswith((OURS, "limit"))].sort_values("ms_per_model_epoch")
    ax.plot(ours.members, ours.ms_per_model_epoch, "o-", color=OURS_COLOR)
    label = dict(textcoords="offset points", va="center")
    ax.annotate(OURS, (ours.members.iloc[0], ours.ms_per_model_epoch.iloc[0]), (9, 5), color=OURS_COLOR, **label)
    for row in table[table.how.str.startswith(OURS) & (table.how != OURS)].itertuples():  # on the line: named below it
        ax.plot(row.members, row.ms_per_model_epoch, "s", color=OURS_COLOR, mfc="none", ms=9)
        box = dict(facecolor=ax.get_facecolor(), edgecolor="none", pad=1)  # a limit may pass behind it
        ax.annotate(row.how, (row.members, row.ms_per_model_epoch), (9, -18), color=OURS_COLOR, bbox=box, **label)
    ax.plot(peers.members, peers.ms_per_model_epoch, "s", color=PEERS_COLOR, ms=5)
    for shift, row in zip(_apart(peers), peers.itertuples(), strict=True):
        above = 6 * (row.members > 1)  # clear of our line
        ax.annotate(row.how, (row.members, row.ms_per_model_epoch), (9, shift + above), color=PEERS_COLOR, **label)
    for row in limits.itertuples():
        ax.axhline(row.ms_per_model_epoch, color="C6", ls=(0, (5, 2)), lw=1.2)
        ax.annotate(row.how, (1, row.ms_per_model_epoch), (0, 8 if row.how == ALL_LIMITS else -8), color="C6", **label)
    ax.set(xscale="log", yscale="log", xlim=(0.8, 200), xlabel="networks trained side by side (members)")
    shown = pd.concat([table[~table.how.str.startswith("limit")], limits]).ms_per_model_epoch
    ax.set_ylim(shown.min() * 0.5, shown.max() * 1.8)
    ax.set_title(f"Milliseconds for one epoch of one network ({task.SAMPLES} samples, batches of {task.BATCH})")
    _plain_ticks(ax)
    return figure


def _apart(peers: pd.DataFrame, height: float = 13, per_decade: float = 68):
    """Shifts in points that keep the labels of points in one column from covering each other."""
    shifts = {}
    for _, column in peers.groupby("members"):
        wanted = np.log10(column.ms_per_model_epoch.to_numpy()) * per_decade
        placed = wanted.copy()
        for i in range(1, len(placed)):
            placed[i] = max(placed[i], placed[i - 1] + height)
        shifts |= dict(zip(column.index, placed - wanted, strict=True))
    return [shifts[index] for index in peers.index]


def growth(table: pd.DataFrame) -> Figure:
    """Milliseconds of an epoch against members, samples and width."""
    titles = {"members": "members", "samples": "samples", "width": "units of the first layer"}
    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    for ax, (what, title) in zip(figure.subplots(1, 3, sharey=True), titles.items(), strict=True):
        part = table[table.varied == what]
        ax.plot(part.value, part.ms_per_epoch, "o-", color=OURS_COLOR, ms=4)
        ax.set(xscale="log", yscale="log", xlabel=title)
        _plain_ticks(ax)
    figure.axes[0].set_title("Milliseconds for one epoch of all networks")
    return figure


def _plain_ticks(ax):
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}" if value < 10_000 else f"{value / 1000:g}k")
        axis.set_minor_formatter(lambda *_: "")
    ax.grid(True, which="major")
