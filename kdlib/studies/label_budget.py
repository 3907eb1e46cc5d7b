"""When does distillation help? Accuracy of a student and of direct training by labelled share and student's width.

Of the training set a part keeps its labels: direct training uses that part, and the student's teachers and gate are
fitted to it. The student is asked about all training points, which costs no label, and about noisy copies of them; the
one thing that it takes from the points without labels beside their place is their domain's spread, which scales the
noise of the copies. Both methods take as many updates, of batches of the same size, as in the full training, whatever
the share. Each seed has its own chain of nested labelled parts, so that intervals cover the choice of labelled points
as well as the initial weights. The choice between kernel machines is made once for each share, on the first seed's
part, and they are fitted to each. Out of scope: other ways to use points without labels.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from kdlib import plots
from kdlib.evaluation import comparison, metrics, results
from kdlib.evaluation.formatting import counted, decimal, percent, points, signed
from kdlib.methods import METHODS, Problem, Student
from kdlib.plots import theme
from kdlib.training.batches import Together, labelled
from kdlib.training.plan import TrainingPlan, repeat, stack

BASELINE, STUDENT = "ffnn", "kd_kernel_teachers"
FRACTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  #: of the training samples of each domain and class
WIDTHS = (2, 4, 8, 16, 32, 64)  #: units of the student's first hidden layer; the second has half as many
MAX_SEEDS = 5
MAX_QUERIES = 50_000  #: in whole copies of the training set; 20 copies of 2400 points
COLUMNS = ["dataset", "fraction", "labelled", "width", "method", "seed", "split", "accuracy"]


def run(given: Problem) -> pd.DataFrame:
    """Accuracy on the reported split of each fraction, width, method and seed, columns `COLUMNS`."""
    problem = given.first(MAX_SEEDS)
    train, split = problem.train, problem.splits[problem.reported]
    chains = [labelled(train.d, train.y, FRACTIONS, seed) for seed in problem.seeds]
    parts = list(zip(*chains, strict=True))  # rows by fraction and seed
    rows = pd.DataFrame({
        "dataset": problem.dataset.name,
        "fraction": np.repeat(FRACTIONS, len(problem.seeds)),
        "labelled": [len(part) for share in parts for part in share],
        "seed": np.tile(problem.seeds, len(FRACTIONS)),
        "split": problem.reported,
    })  # fmt: skip
    plans = {BASELINE: direct_plan(problem, parts), STUDENT: student_plan(problem, parts)}
    frames = []
    for width in WIDTHS:
        sized = problem.with_settings(hidden=(width, width // 2))
        weights = [np.tile(layer, (len(FRACTIONS), 1, 1)) for layer in sized.initial_weights()]
        for name, plan in plans.items():
            fit = problem.run(replace(plan, weights=weights))
            trained = Student(plan).trained(problem, fit)
            accuracy = metrics.accuracy(trained.log_probabilities(split.x), split.y)
            frames.append(rows.assign(width=width, method=name, accuracy=accuracy))
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def direct_plan(problem: Problem, parts) -> TrainingPlan:
    """Direct training on the labelled rows of each fraction and seed, which are the members."""
    plan = METHODS[BASELINE].define(problem).plan
    batches = [
        replace(plan.batches, rows=rows, seeds=(seed,))
        for share in parts
        for seed, rows in zip(problem.seeds, share, strict=True)
    ]
    return replace(repeat(plan, len(parts)), batches=Together(tuple(batches)))


def student_plan(problem: Problem, parts) -> TrainingPlan:
    """The student's training, its teachers fitted to the labelled rows of each fraction and seed: the members."""
    copies = max(1, MAX_QUERIES // len(problem.train))
    plans = []
    for share in parts:
        chosen = None
        for seed, rows in zip(problem.seeds, share, strict=True):
            part = problem.trained_on(problem.train.take(rows), [seed], machines_from=chosen)
            chosen = chosen or part
            plans.append(METHODS[STUDENT].define(part, copies=copies).plan)
    return stack(plans)


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Student less direct training for each fraction and width: mean, p of the paired t-test, `clear`: p below 0.05.

    p < 0.05 means that the 95 % interval of Student's t excludes 0. With so few seeds a bootstrap is too narrow.
    """
    pairs = frame.pivot(index=["fraction", "width", "seed"], columns="method", values="accuracy")
    groups = (pairs[STUDENT] - pairs[BASELINE]).groupby(["fraction", "width"])
    table = pd.DataFrame({"mean": groups.mean(), "p": groups.agg(comparison.p_value)})
    return table.assign(clear=table["p"] < 1 - comparison.CONFIDENCE_LEVEL)


def heat_map(frame: pd.DataFrame) -> plots.Plot:
    """The mean difference by labelled fraction (rows) and width (columns)."""
    table = differences(frame)
    mean, clear = table["mean"].unstack(), table["clear"].unstack()
    return plots.heat_map(
        100 * mean, "difference in accuracy, KD − FFNN, percentage points", x="width", y="labelled share",
        y_labels=[percent(fraction) for fraction in mean.index], marks=clear, centre=0.0,
        marked="a 95% interval that excludes 0", digits=1,
    )  # fmt: skip


@theme.styled
def curves(frame: pd.DataFrame) -> plots.Plot:
    """Accuracy of both methods by labelled fraction, at the largest width: mean and range over seeds."""
    widest = frame[frame.width == frame.width.max()].assign(accuracy=100 * frame.accuracy)
    titles = {name: METHODS[name].title for name in (BASELINE, STUDENT)}
    fig, (ax,) = theme.make_panels(1, 1, 3.6)
    said, keys = [], []
    for name, title in titles.items():
        runs = widest[widest.method == name].groupby("fraction")["accuracy"].agg(["mean", "min", "max"])
        style = theme.method_style(name)
        ax.fill_between(100 * runs.index, runs["min"], runs["max"], color=style["color"], alpha=0.16, linewidth=0)
        keys += ax.plot(100 * runs.index, runs["mean"], marker="o", **style, label=title)
        ends = (f"{decimal(mean, 1)}% with {percent(at)}" for at, mean in runs["mean"].items())
        said.append(f"{title}: {', '.join(ends)}")
    theme.set_logarithmic(ax.xaxis)
    ax.set(xlabel="labelled share, %", ylabel="accuracy, %", xticks=[100 * at for at in runs.index])
    ax.grid(axis="y")
    theme.finish(fig, keys)
    caption = (
        f"Accuracy by the share of training samples that keep their labels, at width {widest.width.iloc[0]}: mean and "
        f"range over {counted(widest.seed.nunique(), 'seed')}."
    )
    return plots.Plot(fig, caption, f"Curves of accuracy by labelled share. {'; '.join(said)}.", widest)


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Labelled samples, accuracies in percent and their difference in points, by fraction, at the largest width."""
    widest = frame[frame.width == frame.width.max()]
    shown = widest.pivot_table(index="fraction", columns="method", values="accuracy")[[BASELINE, STUDENT]]
    shown, digits = 100 * shown, results.digits(frame.split.iloc[0])
    difference = [signed(each, digits) for each in shown[STUDENT] - shown[BASELINE]]
    shown = shown.map(lambda mean: decimal(mean, digits)).assign(**{"difference, points": difference})
    shown.insert(0, "labelled samples", widest.groupby("fraction")["labelled"].mean().round().astype(int))
    shown.index = [percent(fraction) for fraction in shown.index]
    return shown.rename(columns=lambda name: METHODS[name].title if name in METHODS else name).rename_axis("labels")


def sentence(frame: pd.DataFrame) -> str:
    """Where distillation helps, by how much, and what it saves in labels."""
    table = differences(frame)
    clear = table[table["clear"]]["mean"]
    ahead, behind = int((clear > 0).sum()), int((clear < 0).sum())
    gain = table["mean"].unstack()  # (fraction, width)
    by_share, by_width = gain.mean(axis=1), gain.mean(axis=0)
    best, worst = table["mean"].idxmax(), table["mean"].idxmin()
    digits = results.digits(frame.split.iloc[0])
    form = partial(points, digits=digits)
    means = frame.groupby(["method", "width", "fraction"])["accuracy"].mean()
    widest = gain.columns[-1]
    direct, distilled = means[BASELINE, widest].iloc[-1], means[STUDENT, widest]
    enough = distilled.index[distilled >= direct]
    text = (
        f"**{METHODS[STUDENT].title} is clearly ahead in {ahead} of {len(table)} cells and clearly behind in "
        f"{behind or 'none'}**; the difference goes from {_cell(table, worst, form)} to {_cell(table, best, form)}. "
        f"Averaged over widths it is {form(by_share.iloc[0])} with {percent(gain.index[0])} of the labels and "
        f"{form(by_share.iloc[-1])} with all: distillation helps {_more(by_share)} where labels are few. "
        f"Averaged over labels it is {form(by_width.iloc[0])} at width {gain.columns[0]} and "
        f"{form(by_width.iloc[-1])} at {widest}: it helps {_more(by_width)} where the student is small."
    )
    if len(enough):
        return text + (
            f" At width {widest} the student reaches with {percent(enough[0])} of the labels what the network trained "
            f"directly reaches with all, {percent(direct, digits)}."
        )
    reached = percent(direct, digits)
    return text + f" At width {widest} no share of the labels brings it to the {reached} of FFNN trained on all."


def _cell(table, at, form) -> str:
    return f"{form(table['mean'][at])} ({percent(at[0])} of the labels, width {at[1]})"


def _more(gains) -> str:
    return "more" if gains.iloc[0] > gains.iloc[-1] else "less"
