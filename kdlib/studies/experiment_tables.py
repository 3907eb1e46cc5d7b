"""Tables of an experiment, for the pages of one dataset.

Out of scope: running it (`experiment`), and tables that compare methods (`findings`).
"""

import numpy as np
import pandas as pd

from kdlib.evaluation.formatting import whole
from kdlib.evaluation.results import BAYES
from kdlib.methods import METHODS, Problem, Role
from kdlib.methods.students import NOISE
from kdlib.studies.experiment import Experiment

#: How queries are made, in a sentence.
QUERIES = f"Queries copy training points with Gaussian noise of {NOISE:g} standard deviations within the domain."


def reasons(experiment: Experiment) -> pd.DataFrame:
    """Methods that were left out, or not scored on a split, and why."""
    rows = {METHODS[name].title: reason for name, reason in experiment.left_out.items()}
    return pd.DataFrame({"reason": pd.Series(rows, dtype=str)}).rename_axis("method")


def reliability(experiment: Experiment) -> pd.DataFrame:
    """Confidence, accuracy and share (`count`) of each bin on the reported split, of all seeds' answers together.

    Of the baseline and the students in the summary.
    """
    frames = []
    for name in experiment.ran(Role.BASELINE, Role.STUDENT, in_summary=True):
        if name in experiment.bins:
            confidence, accuracy, share = experiment.bins[name]  # (seed, bin)
            every = share.sum(axis=0)
            weight = share / np.where(every > 0, every, 1)  # of a seed in a bin; it may have no answer there
            means = [(weight * values).sum(axis=0) for values in (confidence, accuracy)]
            columns = zip(("confidence", "accuracy", "count"), (*means, share.mean(axis=0)), strict=True)
            frames.append(pd.DataFrame(dict(columns)).assign(method=name))
    return pd.concat(frames, ignore_index=True)


def calibration(experiment: Experiment) -> pd.DataFrame:
    """Means over seeds of all metrics but accuracy, on the reported split, a row per method."""
    every = experiment.results
    rows = every[(every.split == experiment.problem.reported) & (every.domain == "all")]
    table = rows.groupby(["method", "metric"], sort=False)["value"].mean().unstack("metric")
    wanted = [metric for metric in dict.fromkeys(rows.metric) if metric != "accuracy"]
    named = table[wanted].rename(index=experiment.titles, columns={"agreement": "agreement with teacher"})
    return named.rename_axis(columns=None)


def samples(experiment: Experiment) -> pd.DataFrame:
    """Samples of each split, and what it is for."""
    problem = experiment.problem
    purpose, few = "trains networks and teachers", len(problem.once(Problem.bounded).train)
    if few < len(problem.train):
        purpose = f"trains networks; {whole(few)} of them train the kernel machines and the portfolio"
    rows = {"train": (len(problem.train), purpose)}
    selects = "part of train" if experiment.dataset.test is None else "valid"
    rows[selects] = (len(problem.select), "is watched during training; selects")
    rows[experiment.dataset.reported] = (len(problem.report), "is reported")
    if "fresh" in problem.splits:
        rows["fresh"] = (len(problem.splits["fresh"]), "new draws of the same distribution; is reported")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["samples", "purpose"]).rename_axis("split")


def accuracies(experiment: Experiment, split: str | None = None) -> pd.DataFrame:
    """Mean and sd of the accuracy on a split in percent, overall and per domain; default: the reported split."""
    split = split or experiment.problem.reported
    accuracy = experiment.results[(experiment.results.metric == "accuracy") & (experiment.results.split == split)]
    groups = accuracy.groupby(["method", "domain"], sort=False)["value"]
    table = groups.agg(mean="mean", sd="std").unstack("domain")
    domains = sorted((name for name in table.columns.levels[1] if name != "all"), key=int)
    named = {("mean", "all"): "mean", ("sd", "all"): "sd"} | {("mean", k): f"domain {k}" for k in domains}
    table = table[list(named)].set_axis(list(named.values()), axis=1)
    return 100 * table.rename(index=lambda name: METHODS[name].title).rename_axis(index="method")


def definitions(experiment: Experiment) -> pd.DataFrame:
    """What each method learns from and what was chosen, and its updates, by title."""
    by_title = experiment.methods.set_index("title").rename_axis("method")
    named = by_title.drop(METHODS[BAYES].title, errors="ignore")[
        ["learns_from", "choice", "updates", "teacher_updates"]
    ]
    named.columns = ["learns from", "chosen", "updates", "updates of teachers or search"]
    return named if named["chosen"].any() else named.drop(columns="chosen")
