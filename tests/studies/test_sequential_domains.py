"""One pass over the domains: forgetting by hand, the gradient of the term, and sentences that turn."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_datasets import small_dataset

from kdlib.data import from_arrays, gaussians
from kdlib.data.contract import REQUIRED
from kdlib.methods.direct import plain_network
from kdlib.methods.targets import soften
from kdlib.settings import Settings
from kdlib.studies import sequential_domains
from kdlib.training.losses import cross_entropy

RNG = np.random.default_rng(4)


def made_up(lost=0.3, later=0.9, seeds=3, lost_with_term=0.1):
    """Two domains, both orders; the first is learned to 0.95 and falls by `lost`, the second reaches `later`."""
    rows = []
    for method, fall in {"plain": lost, "lwf": lost_with_term, "lwf_scaled": lost}.items():
        for order in ("0-1", "1-0"):
            first, second = order.split("-")
            for seed in range(seeds):
                noise = 0.001 * seed * (1 + len(method) % 3)
                for phase, a, b in ((1, 0.95, 0.5), (2, 0.95 - fall - noise, later)):
                    values = {first: a, second: b, "all": (a + b) / 2}
                    rows += [[method, order, seed, k, v, "made up", "test", phase] for k, v in values.items()]
    columns = ["method", "order", "seed", "domain", "value", "dataset", "split", "phase"]
    return pd.DataFrame(rows, columns=columns)


def test_all_orders_of_few_domains_and_six_of_many():
    assert sequential_domains.orders(1) == [(0,)]
    assert sequential_domains.orders(3) == [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    many = sequential_domains.orders(5)
    assert len(set(many)) == 6
    assert all(sorted(order) == list(range(5)) for order in many)
    assert many == sequential_domains.orders(5)


def test_forgetting_is_what_was_lost_since_the_domain_was_learned():
    each = sequential_domains.by_domain(made_up()).set_index(["method", "order", "domain", "seed"])
    first = each.loc[("plain", "1-0", "1", 2)]
    assert first.place == 1
    assert first.learned == pytest.approx(0.95)
    assert first.forgotten == pytest.approx(0.3 + 0.001 * 2 * 3)
    second = each.loc[("plain", "1-0", "0", 2)]
    assert (second.place, second.learned) == (2, 0.9)
    assert np.isnan(second.forgotten), "nothing comes after the last domain"
    found = sequential_domains.intervals(each.reset_index(), "forgotten", "method", "order")
    found = found.set_index(["method", "order"]).loc[("lwf", "0-1")]
    assert found["mean"] == pytest.approx(0.1 + 0.001 * np.mean([0, 1, 2]))
    assert found.low < found["mean"] < found.high


def test_the_term_has_no_gradient_where_outputs_are_those_recorded():
    logits = RNG.normal(size=(3, 10, 4)).astype(np.float32) * 3
    labels = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (3, 10))]
    recorded = soften(logits, sequential_domains.TEMPERATURE).astype(np.float32)

    def gradient(outputs, loss, *more):
        outputs = tf.constant(outputs)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            total = loss(outputs, *more)
        return tape.gradient(total, outputs).numpy()

    settings = {"strength": tf.constant([0.0, 1.0, 4.0])}
    plain = gradient(logits, cross_entropy, (labels,))
    held = gradient(logits, sequential_domains.without_forgetting, (labels, recorded), settings)
    np.testing.assert_allclose(held, plain, atol=1e-6)
    moved = logits + RNG.normal(size=logits.shape).astype(np.float32)
    term = gradient(moved, sequential_domains.without_forgetting, (labels, recorded), settings) - gradient(
        moved, cross_entropy, (labels,)
    )
    np.testing.assert_allclose(term[0], 0, atol=1e-7)  # the strength is on the term alone
    softened = (soften(moved, 2.0) - recorded) / 2.0 / 10  # of the batch mean of KL, by hand
    np.testing.assert_allclose(term[1:], softened[1:] * np.array([1, 4])[:, None, None], atol=1e-5)


@pytest.fixture(scope="module")
def passes():
    """Three Gaussians at d = 1, moved a little: not recognised, so that its few test points are scored."""
    arrays = gaussians.generate(1.0).arrays()
    moved = from_arrays("moved", arrays | {"x_train": arrays["x_train"] + 1e-3})
    return sequential_domains.Passes(moved, Settings(seeds=2, epochs=30, hidden=(32,)))


@pytest.mark.slow
def test_without_the_term_earlier_domains_are_forgotten(passes):
    each = sequential_domains.by_domain(passes.results)
    plain = each[each.method == "plain"]
    first = plain[plain.place == 1]
    assert first.learned.mean() > 0.7
    assert first.forgotten.groupby(first.domain).mean().min() > 0.1
    at_the_end = sequential_domains.at_the_end(passes.results)  # in percent
    assert 100 * passes.ffnn.min() > at_the_end.loc["no term", "all"].max() + 10


@pytest.mark.slow
def test_updates_are_those_of_direct_training_and_the_first_domain_has_no_term(passes):
    assert sum(passes.updates) == plain_network(passes.problem).updates
    first = passes.results[passes.results.phase == 1].pivot(
        index=["order", "seed", "domain"], columns="method", values="value"
    )
    np.testing.assert_allclose(first.lwf, first.plain, atol=0.01)
    assert not passes.results.value.isna().any()


@pytest.mark.slow
def test_batches_are_of_the_domain_that_is_visited(passes):
    d = passes.problem.train.d
    for p in range(3):
        (*_, index) = passes._batches(p, 100)
        wanted = np.tile(np.repeat([order[p] for order in passes.orders], 2), len(sequential_domains.TITLES))
        assert (d[index] == wanted[None, :, None]).all()


@pytest.mark.slow
@pytest.mark.parametrize("domains", [1, 4])
def test_other_numbers_of_domains_run_and_one_domain_has_no_order(domains):
    dataset = small_dataset(REQUIRED, samples=120, features=3, classes=3, domains=domains)
    passes = sequential_domains.Passes(dataset, Settings(seeds=1, epochs=1, hidden=(4,), batch_size=9))
    assert passes.split == "selection", "the valid split does not tell the domain"
    text = sequential_domains.finding(passes.results, passes.ffnn)
    assert ("moot" in text) == (domains == 1)
    assert sequential_domains.forest(passes.results).empty == (domains == 1)
    assert len(sequential_domains.at_the_end(passes.results).loc["no term"]) == (1 if domains == 1 else 6)


def test_sentences_turn_with_the_numbers():
    ffnn = np.array([0.93, 0.94, 0.95])
    helped = sequential_domains.finding(made_up(), ffnn)
    assert "less forgetting and more accuracy at the end" in helped
    assert "less accuracy in one pass" in helped
    assert "learned to an accuracy of 90.0%" in helped and "forgetting is +30." in helped
    assert sequential_domains.table(made_up()).loc[("0-1", "0"), "With the term, as published"].startswith("+10.1 [")
    turned = sequential_domains.finding(made_up(lost=0.0, later=0.99, lost_with_term=0.4), ffnn - 0.3)
    assert "more forgetting and less accuracy at the end" in turned
    assert "more accuracy in one pass" in turned
    alone = sequential_domains.finding(made_up(seeds=1), ffnn[:1])
    assert "no significant difference in forgetting" in alone
    assert "nan" not in alone
