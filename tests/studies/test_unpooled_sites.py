"""The study of sites that do not pool: its tables, and sentences that turn."""

import numpy as np
import pytest
from made_up import accuracies, methods, tidy
from scipy.stats import entropy
from sklearn.metrics import log_loss
from small_datasets import small_dataset

from kdlib.data import gaussians
from kdlib.data.contract import REQUIRED
from kdlib.findings import studies as study_findings
from kdlib.methods import Problem, problem
from kdlib.methods.sites import DensityGate, sites
from kdlib.settings import Settings
from kdlib.studies import unpooled_sites

SETTINGS = Settings(seeds=2, epochs=1, hidden=(4,))


@pytest.mark.slow
def test_gates_are_judged_by_the_exact_one_where_it_is_known(monkeypatch):
    monkeypatch.setattr(problem, "FRESH_POINTS", 3000)
    known = Problem(gaussians.generate(0.5), SETTINGS)
    table, split = unpooled_sites.gates(known).set_index("gate"), known.splits["fresh"]
    exact = known.distribution.domain_posterior(split.x)
    gate = np.exp(DensityGate(known.once(sites)).log_probabilities(split.x))[0]
    row = table.loc["densities and sizes"]
    assert row["divergence"] == pytest.approx(entropy(exact, gate, axis=1).mean(), rel=1e-3)
    assert row["cross-entropy"] == pytest.approx(log_loss(split.d, gate), rel=1e-3)
    assert row["agreement"] == pytest.approx((gate.argmax(axis=1) == exact.argmax(axis=1)).mean())
    assert table.loc["exact"].tolist() == [pytest.approx(log_loss(split.d, exact), rel=1e-3), 0, 1]
    assert 0 < row["divergence"] < table.loc["equal weights", "divergence"] / 10
    assert unpooled_sites.table(known)["samples"].tolist() == [800, 800, 800]


@pytest.mark.slow
def test_without_the_exact_gate_domains_judge_and_without_domains_nothing_does():
    assert list(unpooled_sites.gates(Problem(small_dataset(), SETTINGS)).columns) == ["gate", "cross-entropy"]
    assert list(unpooled_sites.gates(Problem(small_dataset(REQUIRED), SETTINGS)).columns) == ["gate"]


def frame(**changes):
    return tidy(accuracies(sites_gated=0.987, sites_mean=0.95) | changes)


def said(results):
    return study_findings.unpooled_sentence(results, methods(*results.method.unique()))


def test_the_share_of_the_gain_that_is_kept():
    assert "keeps 70% of the gain" in said(frame())  # 0.007 of 0.01
    assert "*FFNN*: +0.70 [" in said(frame()) and "against +1.00 [" in said(frame()) and "−3.00 [" in said(frame())
    assert "keeps −50" in said(frame(sites_gated=0.975))
    for pooled in (0.98, 0.97):
        assert "no gain to keep" in said(frame(kd_kernel_teachers=pooled))
    assert said(tidy(accuracies())) == ""
