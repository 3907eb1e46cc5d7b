"""Why the original lost, in tables and sentences: what `suspects` found, said from its numbers.

Leaves out where the numbers come from, and `claims`, which speaks of the methods' results.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.evaluation import results
from kdlib.evaluation.comparison import t_interval
from kdlib.evaluation.formatting import counted, difference, plus_minus
from kdlib.methods import original
from kdlib.studies.factorial import SEEDS, SUSPECTS, Suspects, subsets

MOST, NEAR = 0.5, 0.02  #: share of the loss that explains it; what counts as reproduced


def design(case: Suspects) -> str:
    """The budget of the factorial, in a sentence."""
    short = original.shortened(case.problem, original.ALL).study.epochs
    return (
        f"{2 ** len(SUSPECTS)} combinations, {counted(case.study.seeds, 'seed')} each (at most "
        f"{SEEDS} are used), {case.study.epochs} epochs, or {short} where updates are few; T = "
        f"{case.study.temperature:g}, α = {case.study.alpha:g}; scored on the {case.problem.reported} points."
    )


def effects(frame: pd.DataFrame) -> pd.DataFrame:
    """Main effects and interactions of two on accuracy, with intervals over seeds: the largest first.

    frame: from `factorial`. A main effect is the mean with the suspect less the mean without it. An interaction is
    half of what the second suspect's presence changes in the effect of the first (both are twice the mean of
    accuracy times signs). Columns: label, order (1 or 2), mean, low, high.
    """
    names = [name for name in frame if frame[name].dtype == bool]
    signs = {name: np.where(frame[name], 1, -1) for name in names}
    rows = []
    for terms in [*combinations(names, 1), *combinations(names, 2)]:
        each = 2 * frame.accuracy * np.prod([signs[name] for name in terms], axis=0)
        rows.append([" × ".join(terms), len(terms), *interval(each.groupby(frame.seed).mean())])
    table = pd.DataFrame(rows, columns=["label", "order", "mean", "low", "high"])
    return table.sort_values("mean", key=np.abs, ascending=False, ignore_index=True)


def corners(frame: pd.DataFrame) -> pd.DataFrame:
    """Each suspect alone: mended in the original (all others stay), and present in the mended student (no other).

    Columns: label; mended, mended_low, mended_high: gain in accuracy over the original; alone, alone_low,
    alone_high: change from the student without any. The first row mends, or has, all of them.
    """
    names = [name for name in frame if frame[name].dtype == bool]
    cells = frame.pivot(index="seed", columns=names, values="accuracy")
    at = {on: cells[tuple(name in on for name in names)] for on in subsets(*names)}
    all_on, none = at[frozenset(names)], at[frozenset()]
    rows = [[f"all {len(names)}", *interval(none - all_on), *interval(all_on - none)]]
    for name in names:
        rows.append([name, *interval(at[frozenset(names) - {name}] - all_on), *interval(at[frozenset({name})] - none)])
    columns = [f"{what}{end}" for what in ("mended", "alone") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["label", *columns])


def interval(values) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences (t: so few seeds make a bootstrap too narrow); NaN of a lone one."""
    return float(np.mean(values)), *t_interval(values)


def verdict(frame: pd.DataFrame, suspect: str) -> str:
    """Whether a suspect explains the original's loss: supported, in part, or not; a sentence with the numbers.

    Supported: mended alone in the original, it gains at least half of what mending all gains. In part: it gains less,
    or only on average over the other suspects, with an interval above zero.
    """
    table = corners(frame).set_index("label")
    own, everything = table.loc[suspect], table.iloc[0]
    effect = effects(frame).set_index("label").loc[suspect]
    clear, word = own.mended_low > 0, "not supported"
    if np.isnan(own.mended_low):
        word = "one seed cannot tell"
    elif clear and everything.mended_low > 0 and own.mended >= MOST * everything.mended:
        word = "supported"
    elif clear or effect.high < 0:
        word = "supported in part"
    return (
        f"The explanation “{suspect}”: **{word}**. Mending it alone changes the accuracy of the original's student "
        f"by {difference(own.mended, own.mended_low, own.mended_high)}, where mending all {len(SUSPECTS)} changes it "
        f"by {difference(everything.mended, everything.mended_low, everything.mended_high)}; on average over all "
        f"combinations of the others it changes by {difference(-effect['mean'], -effect.high, -effect.low)}."
    )


def leading(frame: pd.DataFrame) -> str:
    """Which suspects cost or gain accuracy, and which two have the largest interaction."""
    table = effects(frame)
    main, pair = table[table.order == 1], table[table.order == 2].iloc[0]
    said = [
        f"these {verb} accuracy: "
        + ", ".join(f"“{row.label}” {difference(row.mean, row.low, row.high)}" for row in sure.itertuples())
        for verb, sure in (("cost", main[main.high < 0]), ("gain", main[main.low > 0]))
        if len(sure)
    ]
    return (
        f"On average over all others, {'; '.join(said) or 'none is shown to matter'}. "
        f"The largest interaction is {pair.label}: {difference(pair['mean'], pair.low, pair.high)}."
    )


def nearest(frame: pd.DataFrame) -> pd.Series:
    """The setting of a `sweep` that comes nearest to the published accuracy; the most accurate if none is known."""
    return frame.loc[frame.distance.idxmin() if frame.distance.notna().any() else frame["mean"].idxmax()]


def reproduced(frame: pd.DataFrame) -> str:
    """Whether some setting of a `sweep` reproduces the original's accuracy on this dataset."""
    best = nearest(frame)
    setting = f"T = {best.temperature:g}, α = {best.alpha:g} and {best.epochs:g} epochs"
    if np.isnan(best.published):
        return f"No accuracy is published for this dataset. Most accurate is {setting}: {best['mean']:.4f}."
    near = int((frame.distance <= NEAR).sum())
    return (
        f"The published {best.published:.4f} is nearest at {setting}: {plus_minus(best['mean'], best.sd)}, "
        f"{best.distance:.4f} away; {'**reproduced**' if near else '**not reproduced**'} within {NEAR:g} "
        f"({near} of {len(frame)} settings come as near; the nearest of so many is partly chance)."
    )


def taught(frame: pd.DataFrame) -> str:
    """How much of the gradient is the teachers', from the lowest temperature to the highest, of a `gradient`."""
    said = []
    for (loss, when), rows in frame.groupby(["loss", "when"], sort=False):
        low, high = rows.loc[rows.temperature.idxmin()], rows.loc[rows.temperature.idxmax()]
        said.append(f"{loss} at the {when}, {_percent(low.share)} and {_percent(high.share)}")
    low, high = frame.temperature.min(), frame.temperature.max()
    return f"The soft targets' share of the gradient at T = {low:g} and T = {high:g} is: {'; '.join(said)}."


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """`corners` as words: numbers with their intervals."""
    heads = {"mended": "mended alone in the original", "alone": "alone in the mended student"}
    told = {
        head: [difference(*row) for row in table[[what, f"{what}_low", f"{what}_high"]].itertuples(index=False)]
        for what, head in heads.items()
    }
    return pd.DataFrame(told, index=pd.Index(table.label, name="suspect"))


def write(tables: dict[str, pd.DataFrame], output) -> str:
    """Writes tables as CSV by name into a folder, and their checksums; returns a line that says so."""
    Path(output).mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        results.write(table, Path(output) / f"{name}.csv")
    return results.write_checksums(output)


def _percent(share) -> str:
    return f"{100 * share:.2g} %"
