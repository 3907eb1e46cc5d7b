"""Why the original lost, in tables and sentences computed from the results of `factorial`."""

from itertools import combinations

import numpy as np
import pandas as pd

from kdlib.evaluation import comparison
from kdlib.evaluation.formatting import counted, difference, percent, plus_minus, points
from kdlib.methods import original
from kdlib.studies.factorial import FACTORS, MAX_SEEDS, FactorialStudy, subsets

MIN_SHARE, MIN_PART = 0.5, 0.1  #: of the loss: explains it, explains it in part
MAX_DISTANCE = 0.02  #: in accuracy, of what counts as reproduced


def describe_design(study: FactorialStudy) -> str:
    """The budget of the factorial, in a sentence."""
    short = original.shortened(study.problem, original.ALL).settings.epochs
    return (
        f"{2 ** len(FACTORS)} combinations, {counted(study.settings.seeds, 'seed')} each (at most "
        f"{MAX_SEEDS} are used), {study.settings.epochs} epochs, or {short} where updates are few; T = "
        f"{study.settings.temperature:g}, α = {study.settings.alpha:g}; scored on the {study.problem.reported} points."
    )


def effects(frame: pd.DataFrame) -> pd.DataFrame:
    """Main effects and interactions of two on accuracy, with intervals over seeds: the largest first.

    frame: from `factorial`. A main effect is the mean with the factor less the mean without it. An interaction is half
    of what the second factor's presence changes in the effect of the first (both are twice the mean of
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
    """Each factor alone: fixed in the original (all others stay), and present in the fixed student (no other).

    Columns: label; fixed, fixed_low, fixed_high: gain in accuracy over the original; alone, alone_low,
    alone_high: change from the student without any. The first row fixes, or has, all of them.
    """
    names = [name for name in frame if frame[name].dtype == bool]
    cells = frame.pivot(index="seed", columns=names, values="accuracy")
    at = {on: cells[tuple(name in on for name in names)] for on in subsets(*names)}
    all_on, none = at[frozenset(names)], at[frozenset()]
    rows = [[f"all {len(names)}", *interval(none - all_on), *interval(all_on - none)]]
    for name in names:
        rows.append([name, *interval(at[frozenset(names) - {name}] - all_on), *interval(at[frozenset({name})] - none)])
    columns = [f"{what}{end}" for what in ("fixed", "alone") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["label", *columns])


def interval(values) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences (t: so few seeds make a bootstrap too narrow); NaN of a lone one."""
    return float(np.mean(values)), *comparison.interval_of_differences(values)


def verdict(frame: pd.DataFrame, factor: str, digits: int = 2) -> str:
    """Whether a factor explains the original's loss: supported, in part, or not; a sentence with the numbers.

    Supported: fixed alone in the original, it gains at least half of what fixing all gains. In part: at least a tenth,
    alone or only on average over the other factors. Every gain has an interval above zero. digits: of points.
    """
    table = corners(frame).set_index("label")
    own, everything = table.loc[factor], table.iloc[0]
    effect = effects(frame).set_index("label").loc[factor]
    clear, word = own.fixed_low > 0, "not supported"
    gain = max(own.fixed if clear else 0, -effect["mean"] if effect.high < 0 else 0)
    if np.isnan(own.fixed_low):
        word = "one seed cannot tell"
    elif clear and everything.fixed_low > 0 and own.fixed >= MIN_SHARE * everything.fixed:
        word = "supported"
    elif gain > 0 and gain >= MIN_PART * everything.fixed:
        word = "supported in part"
    return (
        f"The explanation “{factor}”: **{word}**. Fixing it alone changes the accuracy of the original's student "
        f"by {points(own.fixed, own.fixed_low, own.fixed_high, digits)}, where fixing all {len(FACTORS)} changes it "
        f"by {points(everything.fixed, everything.fixed_low, everything.fixed_high, digits)}; on average over all "
        f"combinations of the others it changes by {points(-effect['mean'], -effect.high, -effect.low, digits)}."
    )


def leading_factors(frame: pd.DataFrame, digits: int = 2) -> str:
    """Which factors cost or gain accuracy, and which two have the largest interaction."""
    table = effects(frame)
    main, pair = table[table.order == 1], table[table.order == 2].iloc[0]
    clear = [
        f"these {verb} accuracy: "
        + ", ".join(f"“{row.label}” {points(row.mean, row.low, row.high, digits)}" for row in sure.itertuples())
        for verb, sure in (("cost", main[main.high < 0]), ("gain", main[main.low > 0]))
        if len(sure)
    ]
    return (
        f"On average over all others, {'; '.join(clear) or 'none is shown to matter'}. "
        f"The largest interaction is {pair.label}: {points(pair['mean'], pair.low, pair.high, digits)}."
    )


def nearest_setting(frame: pd.DataFrame) -> pd.Series:
    """The setting of a `sweep` that comes nearest to the published accuracy; the most accurate if none is known."""
    return frame.loc[frame.distance.idxmin() if frame.distance.notna().any() else frame["mean"].idxmax()]


def reproduced(frame: pd.DataFrame) -> str:
    """Whether some setting of a `sweep` reproduces the original's accuracy on this dataset."""
    best = nearest_setting(frame)
    setting = f"T = {best.temperature:g}, α = {best.alpha:g} and {best.epochs:g} epochs"
    if np.isnan(best.published):
        return f"No accuracy is published for this dataset. Most accurate is {setting}: {percent(best['mean'], 1)}."
    near = int((frame.distance <= MAX_DISTANCE).sum())
    return (
        f"The published {percent(best.published, 1)} is nearest at {setting}: "
        f"{plus_minus(100 * best['mean'], 100 * best.sd, 1)}%, {100 * best.distance:.1f} points away; "
        f"{'**reproduced**' if near else '**not reproduced**'} within {100 * MAX_DISTANCE:g} points "
        f"({near} of {len(frame)} settings come as near; the nearest of so many is partly chance)."
    )


def gradient_share(frame: pd.DataFrame) -> str:
    """How much of a `gradient` comes from the teachers, at the lowest and the highest temperature."""
    shares = []
    for (loss, time), rows in frame.groupby(["loss", "time"], sort=False):
        low, high = rows.loc[rows.temperature.idxmin()], rows.loc[rows.temperature.idxmax()]
        shares.append(f"{loss} at the {time}, {percent(low.share, 1)} and {percent(high.share, 1)}")
    low, high = frame.temperature.min(), frame.temperature.max()
    return f"The soft targets' share of the gradient at T = {low:g} and T = {high:g} is: {'; '.join(shares)}."


def corners_table(table: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """`corners` as words: percentage points with their intervals."""
    heads = {"fixed": "fixed alone in the original", "alone": "alone in the fixed student"}
    columns = {
        head: [difference(*(100 * row), digits) for row in table[[what, f"{what}_low", f"{what}_high"]].to_numpy()]
        for what, head in heads.items()
    }
    return pd.DataFrame(columns, index=pd.Index(table.label, name="factor"))
