"""When does distillation help? Accuracy of `kd_best` and `ffnn` by the share of labels and the student's width.

Of the training set a part keeps its labels: `ffnn` trains on that part, and the teachers and the gate of `kd_best`
are fitted to it. The student is asked about all training points, which costs no label, and about noisy copies of them;
the one thing that it takes from the points without labels beside their place is their domain's spread, which
scales the noise of the copies. Both methods take as many updates, of batches of the same size, as in the
full training, whatever the share. Each seed has its own chain of nested labelled parts, so that intervals hold the
chance of which points were labelled as well as that of the start. The choice between kernel machines is made once
for each share, on the first seed's part, and they are fitted to each. Leaves out other ways to use such points.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib import plots
from kdlib.data.dataset import Dataset
from kdlib.evaluation import comparison, metrics, results
from kdlib.evaluation.formatting import counted, percent, signed
from kdlib.methods.kernel_teachers import Kernels, queries
from kdlib.methods.methods import student
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS
from kdlib.plots import theme
from kdlib.training import batches

FRACTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  #: of the training samples of each domain and class
WIDTHS = (2, 4, 8, 16, 32, 64)  #: units of the student's first hidden layer; the second has half as many
SEEDS = 5  #: at most
MOST_QUERIES = 50_000  #: in whole copies of the training set; 20 copies of 2400 points
COLUMNS = ["dataset", "fraction", "labelled", "width", "method", "seed", "split", "accuracy"]


def teach(problem: Problem, parts: list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """What teachers and gate fitted to labelled rows alone say of points (n, features): (n, classes) for each part.

    parts: labelled rows, as many in each; the first chooses the machines.
    """
    answers, chosen = [], None
    for i, rows in enumerate(parts):
        if i and np.array_equal(rows, parts[0]):  # with all labels, the part is the same for all seeds
            answers.append(answers[0])
            continue
        part = Dataset("labelled", problem.train.take(rows), problem.select, problem.report)
        study = replace(problem.study, batch_size=min(problem.study.batch_size, len(rows)))  # the part may be smaller
        machines = Kernels(Problem(part, study), like=chosen)
        chosen = chosen or machines
        answers.append(machines.mixture(x).astype(np.float32))
    return answers


def run(given: Problem) -> pd.DataFrame:
    """Accuracy on the reported split of each fraction, width, method and seed, columns `COLUMNS`."""
    study = replace(given.study, seeds=min(given.study.seeds, SEEDS))
    problem = Problem(given.dataset, study, given.progress)
    train, seeds = problem.train, problem.seeds
    chains = [batches.labelled(train.d, train.y, FRACTIONS, seed) for seed in seeds]
    by_share = list(zip(*chains, strict=True))  # (fraction, seed)
    parts = [rows for share in by_share for rows in share]  # a member per fraction and seed
    x = queries(problem)[0][: max(1, MOST_QUERIES // len(train)) * len(train)]
    targets = np.stack([answer for share in by_share for answer in teach(problem, share, x)])  # (member, n, classes)
    asked, points = [np.arange(len(x))] * len(parts), problem.scaled(x)
    frames = []
    for width in WIDTHS:
        sized = Problem(given.dataset, replace(study, hidden=(width, width // 2)), given.progress)
        start = [np.tile(w, (len(FRACTIONS), 1, 1)) for w in sized.start()]
        fits = {
            "ffnn": sized.fit("ffnn", (sized.labels,), weights=start, batches=members_batches(sized, parts)),
            "kd_best": sized.fit("kd_best", (targets,), weights=start, batches=members_batches(sized, asked), x=points),
        }
        for name, fit in fits.items():
            frames.append(_scores(problem, sized, fit, parts).assign(width=width, method=name))
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def members_batches(problem: Problem, parts: list[np.ndarray]):
    """Batches of members (fraction, seed) from each one's own rows; an epoch has as many as in the full training."""
    study = problem.study
    streams = [
        batches.mixed(rows, study.batch_size, problem.steps, study.epochs, [i % study.seeds])
        for i, rows in enumerate(parts)
    ]
    return (np.concatenate(epoch, axis=1) for epoch in zip(*streams, strict=True))


def _scores(problem: Problem, sized: Problem, fit, parts) -> pd.DataFrame:
    split = problem.splits[problem.reported]
    members = np.arange(len(parts))
    return pd.DataFrame({
        "dataset": problem.dataset.name,
        "fraction": np.repeat(FRACTIONS, problem.study.seeds),
        "labelled": [len(rows) for rows in parts],
        "seed": members % problem.study.seeds,
        "split": problem.reported,
        "accuracy": metrics.accuracy(student(sized, fit).log_probabilities(split.x), split.y),
    })  # fmt: skip


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """`kd_best` - `ffnn` for each fraction and width: mean, p of the paired t-test, and `clear`: p below 0.05.

    p < 0.05 is the same as: the 95 % interval of Student's t leaves out 0. With so few seeds a bootstrap is too narrow.
    """
    pairs = frame.pivot(index=["fraction", "width", "seed"], columns="method", values="accuracy")
    groups = (pairs["kd_best"] - pairs["ffnn"]).groupby(["fraction", "width"])
    table = pd.DataFrame({"mean": groups.mean(), "p": groups.agg(comparison.p_value)})
    return table.assign(clear=table["p"] < 1 - comparison.CONFIDENCE_LEVEL)


def heat_map(frame: pd.DataFrame) -> plots.Plot:
    """The mean difference by labelled fraction (rows) and width (columns)."""
    table = differences(frame)
    mean, clear = table["mean"].unstack(), table["clear"].unstack()
    return plots.heat_map(
        mean, "difference in accuracy, KD − FFNN", x="width", y="labelled share",
        y_labels=[percent(fraction) for fraction in mean.index], marks=clear, centre=0.0,
        marked="a 95 % interval that leaves out 0",
    )  # fmt: skip


@theme.styled
def curves(frame: pd.DataFrame) -> plots.Plot:
    """Accuracy of both methods by labelled fraction, at the largest width: mean and range over seeds."""
    widest = frame[frame.width == frame.width.max()]
    titles = {name: METHODS[name].title for name in ("ffnn", "kd_best")}
    fig, (ax,) = theme.make_panels(1, 1, 3.6)
    said, keys = [], []
    for name, title in titles.items():
        runs = widest[widest.method == name].groupby("fraction")["accuracy"].agg(["mean", "min", "max"])
        colour, dashes = theme.method_look(name, titles)
        ax.fill_between(100 * runs.index, runs["min"], runs["max"], color=colour, alpha=0.16, linewidth=0)
        keys += ax.plot(100 * runs.index, runs["mean"], "o", color=colour, linestyle=dashes, label=title)
        said.append(f"{title}: " + ", ".join(f"{mean:.4f} with {percent(at)}" for at, mean in runs["mean"].items()))
    theme.logarithmic(ax.xaxis)
    ax.set(xlabel="labelled share, %", ylabel="accuracy", xticks=[100 * at for at in runs.index])
    ax.grid(axis="y")
    theme.finish(fig, keys)
    caption = (
        f"Accuracy by the share of training samples that keep their labels, at width {widest.width.iloc[0]}: mean and "
        f"range over {counted(widest.seed.nunique(), 'seed')}."
    )
    return plots.Plot(fig, caption, f"Curves of accuracy by labelled share. {'; '.join(said)}.")


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Labelled samples, mean accuracy of both methods, and their difference, by fraction, at the largest width."""
    widest = frame[frame.width == frame.width.max()]
    shown = widest.pivot_table(index="fraction", columns="method", values="accuracy")[["ffnn", "kd_best"]]
    shown["difference"] = shown["kd_best"] - shown["ffnn"]
    shown.insert(0, "labelled samples", widest.groupby("fraction")["labelled"].mean().round().astype(int))
    shown.index = [percent(fraction) for fraction in shown.index]
    return shown.rename(columns=lambda name: METHODS[name].title if name in METHODS else name).rename_axis("labels")


def sentence(frame: pd.DataFrame) -> str:
    """Where distillation helps, by how much, and what it saves in labels."""
    found = differences(frame)
    clear = found[found["clear"]]["mean"]
    ahead, behind = int((clear > 0).sum()), int((clear < 0).sum())
    gain = found["mean"].unstack()  # (fraction, width)
    by_share, by_width = gain.mean(axis=1), gain.mean(axis=0)
    best, worst = found["mean"].idxmax(), found["mean"].idxmin()
    means = frame.groupby(["method", "width", "fraction"])["accuracy"].mean()
    widest = gain.columns[-1]
    direct, taught = means["ffnn", widest].iloc[-1], means["kd_best", widest]
    enough = taught.index[taught >= direct]
    text = (
        f"**{METHODS['kd_best'].title} is clearly ahead in {ahead} of {len(found)} cells and clearly behind in "
        f"{behind or 'none'}**; the difference goes from {_cell(found, worst)} to {_cell(found, best)}. "
        f"Averaged over widths it is {signed(by_share.iloc[0])} with {percent(gain.index[0])} of the labels and "
        f"{signed(by_share.iloc[-1])} with all: distillation helps {_more(by_share)} where labels are few. "
        f"Averaged over labels it is {signed(by_width.iloc[0])} at width {gain.columns[0]} and "
        f"{signed(by_width.iloc[-1])} at {widest}: it helps {_more(by_width)} where the student is small."
    )
    if len(enough):
        return text + (
            f" At width {widest} the student reaches with {percent(enough[0])} of the labels what the network trained "
            f"directly reaches with all, {direct:.4f}."
        )
    return text + f" At width {widest} no share of the labels brings it to the {direct:.4f} of FFNN trained on all."


def _cell(found, at) -> str:
    return f"{signed(found['mean'][at])} ({percent(at[0])} of the labels, width {at[1]})"


def _more(gains) -> str:
    return "more" if gains.iloc[0] > gains.iloc[-1] else "less"


def write(frame: pd.DataFrame, output) -> str:
    """Writes `when.csv` and its checksum into a folder; returns a line that says so."""
    Path(output).mkdir(parents=True, exist_ok=True)
    results.write(frame, Path(output) / "when.csv")
    return results.write_checksums(output)
