"""Sites that may not pool their samples: what they are, and how good the gate is that follows from their densities.

Methods are those of `kdlib.methods.sites`; what share of the pooled gain they keep is said by `findings.studies`.
"""

import numpy as np
import pandas as pd

from kdlib.methods import Problem
from kdlib.methods.kernel_teachers import KernelMachine
from kdlib.methods.sites import DensityGate, sites
from kdlib.methods.teachers import GATE, fit_teacher


def table(problem: Problem) -> pd.DataFrame:
    """A row per site: its samples, and the Gaussians of its density."""
    rows = {f"domain {site.number}": [site.size, site.components] for site in problem.once(sites)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["samples", "Gaussians"]).rename_axis("site")


def gates(problem: Problem) -> pd.DataFrame:
    """How good each gate P(k | x) is on the reported split, a row each.

    Columns: `gate`; `cross-entropy` of the points' domains, where these are known; and where the exact P(k | x) is
    known, the mean `divergence` of the gate from it (Kullback-Leibler, nats), and the share of points of which both
    find the same domain most probable, `agreement`.
    """
    split, exact = problem.splits[problem.reported], None
    found = {
        "densities and sizes": DensityGate(problem.once(sites)).log_probabilities(split.x)[0],
        "kernel machine on pooled samples": problem.answers(problem.once(fit_teacher, KernelMachine, GATE), split.x)[0],
        "equal weights": np.full((len(split), problem.domains), -np.log(problem.domains)),
    }
    if problem.distribution is not None:
        exact = problem.distribution.domain_posterior(split.x)  # (n, domain)
        found = {"exact": np.log(np.maximum(exact, 1e-300))} | found
    rows = {}
    for title, log_p in found.items():
        row = rows[title] = {}
        log_p = np.maximum(log_p, np.log(1e-300))
        if split.d is not None:
            row["cross-entropy"] = -log_p[np.arange(len(split)), split.d].mean()
        if exact is not None:
            row["divergence"] = (exact * (np.log(np.maximum(exact, 1e-300)) - log_p)).sum(axis=1).mean()
            row["agreement"] = (log_p.argmax(axis=1) == exact.argmax(axis=1)).mean()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("gate").reset_index()
