"""The search: the same for all, blind to the reported split, and what it trains is the method itself."""

import numpy as np
import pandas as pd
import pytest
from small_datasets import arrays, small_dataset

from kdlib.data import from_arrays
from kdlib.methods import METHODS, Problem, tuning
from kdlib.settings import Settings
from kdlib.studies import hyperparameter_search
from kdlib.studies.hyperparameter_search import Search, Setting, retrained

SETTINGS = Settings(seeds=2, epochs=1, hidden=(6,), batch_size=16)  # a third of one epoch is one
SEARCHED = {name: METHODS[name] for name in ("ffnn", "kd_routed")}


@pytest.fixture(scope="module", autouse=True)
def few_methods():
    """All students would take long to define."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hyperparameter_search, "METHODS", SEARCHED)
        yield


@pytest.fixture(scope="module")
def found():
    found = Search(small_dataset(classes=3), SETTINGS)
    found.run("kd_routed")
    return found


def test_every_method_gets_the_same_settings_and_the_default_is_among_them():
    whole = hyperparameter_search.grid(Settings())
    assert len(whole) == len(set(whole)) == 48
    assert hyperparameter_search.default_setting(Settings()) in whole
    assert len(hyperparameter_search.grid(Settings(epochs=1, learning_rate=0.02))) == 30


def test_schedules_begin_at_the_rate():
    cosine, constant = (Setting(name, 0.01, 0.0, 1).rates(10) for name in hyperparameter_search.SCHEDULES[::-1])
    assert cosine[0] == constant[0] == constant[-1] == np.float32(0.01)
    assert cosine[-1] < 0.001


@pytest.mark.slow
def test_methods_with_a_schedule_or_a_search_of_their_own_are_not_searched(monkeypatch):
    names = "ffnn", "ffnn_tuned", "ffnn_two_heads", "kd_original", "kd_routed", "bayes"
    monkeypatch.setattr(hyperparameter_search, "METHODS", {name: METHODS[name] for name in names})
    monkeypatch.setattr(Problem, "is_original", True)
    monkeypatch.setattr(tuning, "GRID", [tuning.Choice(1.0, 0.0)])  # which is the default, but was searched for
    assert list(Search(small_dataset(), SETTINGS).methods) == ["ffnn", "kd_routed"]


@pytest.mark.slow
def test_a_setting_in_the_population_is_the_method_trained_alone(found):
    """The default setting is member for member what the registered method gives."""
    own = found.tried.set_index(hyperparameter_search.KEYS).loc[tuple(vars(found.default).values())]
    method = METHODS["kd_routed"].train(found.problem).fits["student"]
    np.testing.assert_allclose(own["loss"], method.watched["loss"][-1], rtol=1e-4)
    plan = found.methods["kd_routed"].plan
    alone = found.problem.run(retrained(plan, [found.default], 2))
    for a, b in zip(alone.weights, method.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    other_rate = found.problem.run(retrained(plan, [Setting("constant", 0.01, 0.01, 1)], 2))
    assert not np.allclose(other_rate.weights[0], method.weights[0], atol=1e-3)


@pytest.mark.slow
def test_members_are_settings_by_seeds(found):
    plan = found.methods["ffnn"].plan
    settings = [Setting("constant", 0.01, 0.1, 3), Setting("cosine", 0.001, 0.0, 3)]
    varied = retrained(plan, settings, 2)
    assert varied.members == 4 and varied.batches.updates == 3 * found.problem.steps
    np.testing.assert_array_equal(varied.weights[0], plan.weights[0][[0, 1, 0, 1]])
    np.testing.assert_allclose(varied.rates[0], [0.01, 0.01, 0.001, 0.001])
    np.testing.assert_array_equal(varied.weight_decay, [0.1, 0.1, 0, 0])


@pytest.mark.slow
def test_the_reported_split_does_not_choose(found):
    turned = arrays(classes=3)
    flipped = Search(from_arrays("small", turned | {"y_test": 2 - turned["y_test"]}), SETTINGS)
    assert flipped.run("kd_routed") == found.chosen["kd_routed"]
    mine, theirs = (each.reported.accuracy.to_numpy() for each in (found, flipped))
    assert not np.allclose(mine, theirs), "though its labels are others"


def test_the_lowest_mean_loss_is_chosen_and_never_one_that_diverged():
    tried = pd.DataFrame(
        [
            ["cosine", 0.003, 0.0, 9, 0, 0.3],
            ["cosine", 0.003, 0.0, 9, 1, 0.3],
            ["cosine", 0.01, 0.0, 9, 0, 0.1],
            ["cosine", 0.01, 0.0, 9, 1, np.nan],
            ["constant", 0.01, 0.0, 3, 0, 0.1],
            ["constant", 0.01, 0.0, 3, 1, 0.6],
        ],
        columns=[*hyperparameter_search.KEYS, "seed", "loss"],
    )
    assert hyperparameter_search.choose(tried) == Setting("cosine", 0.003, 0.0, 9)


@pytest.mark.slow
def test_tables_have_a_row_per_method(found):
    assert (found.tried.groupby("method").size() == len(found.grid) * 2).all()
    assert list(found.table().index) == ["KD, routed"]
    assert found.table()["rank of the default"].str.fullmatch(r"\d+ of 24").all()
    losses = found.losses()
    assert losses.shape == (2, 4)
    best = found.tried.groupby(hyperparameter_search.KEYS)["loss"].mean().groupby(["schedule", "rate"]).min()
    np.testing.assert_allclose(losses.loc["KD, routed, cosine"], best["cosine"])


@pytest.mark.slow
def test_one_domain_runs(monkeypatch):
    few = [Setting("cosine", 0.003, 0.0, 1), Setting("constant", 0.003, 0.0, 1)]
    monkeypatch.setattr(hyperparameter_search, "grid", lambda settings: few)
    assert Search(small_dataset(domains=1), SETTINGS).run("kd_routed") in few


# --- Sentences ----------------------------------------------------------------------------------------------------


def made_up(gain, lead, seeds=4):
    """Accuracies of ffnn and one student; `gain`: of ffnn's chosen settings; `lead`: of the student over ffnn."""
    chosen, growing = 0.9 + 0.001 * np.arange(seeds), 1 + 0.1 * np.arange(seeds)
    values = {
        ("ffnn", "chosen"): chosen,
        ("ffnn", "default"): chosen - gain * growing,
        ("kd_routed", "chosen"): chosen + lead * growing,
        ("kd_routed", "default"): chosen + lead * growing,
    }
    frames = [
        pd.DataFrame({"method": method, "settings": which, "seed": range(seeds), "accuracy": each})
        for (method, which), each in values.items()
    ]
    return pd.concat(frames)


def test_sentences_turn_with_the_numbers():
    default = Setting("cosine", 0.003, 0.0, 300)
    fair = hyperparameter_search.finding(made_up(gain=-0.01, lead=0.01), default)
    assert "(cosine 0.003, no decay, 300 epochs)" in fair
    assert "**2 of 2** methods. " in fair
    assert "KD, routed is better (+1.15" in fair
    turned = hyperparameter_search.finding(made_up(gain=0.01, lead=-0.01), default)
    assert "**1 of 2** methods; the choice is better for FFNN (+1.15" in turned
    assert "KD, routed is worse" in turned
    words = hyperparameter_search.gains_table(hyperparameter_search.gains(made_up(gain=0.01, lead=-0.01)), 1)
    assert words.loc["FFNN"].tolist()[:2] == ["89.0%", "90.2%"] and words.loc["FFNN"].tolist()[2].startswith("+1.2 [")
    alone = hyperparameter_search.finding(made_up(gain=0.01, lead=0.01, seeds=1), default)
    assert "nothing is shown" in alone
    assert "nan" not in alone
