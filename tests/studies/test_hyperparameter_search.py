"""The search: the same for all, blind to the reported split, and what it trains is the method itself."""

import numpy as np
import pandas as pd
import pytest

from kdlib.data import from_arrays
from kdlib.methods.registry import METHODS
from kdlib.settings import Settings
from kdlib.studies import hyperparameter_search
from kdlib.studies.hyperparameter_search import Setting

STUDY = Settings(seeds=2, epochs=1, hidden=(6,), batch_size=16)  # a third of one epoch is one


def other(flip=False, domains=2):
    """Small data of no known law with a test split, whose labels may be turned around."""
    rng = np.random.default_rng(5)
    arrays = {}
    for part, n in (("train", 240), ("valid", 60), ("test", 60)):
        y, d = np.arange(n) % 3, np.arange(n) // 3 % domains
        x = rng.normal(size=(n, 2)) + y[:, None] + 3 * d[:, None]
        arrays |= {f"x_{part}": x, f"y_{part}": 2 - y if flip and part == "test" else y, f"d_{part}": d}
    return from_arrays("other", arrays)


@pytest.fixture(scope="module")
def found():
    found = hyperparameter_search.Search(other(), STUDY)
    found.run("kd_routed")
    return found


def test_every_method_gets_the_same_settings_and_the_studys_own_are_among_them(found):
    whole = hyperparameter_search.grid(Settings())
    assert len(whole) == len(set(whole)) == 48
    assert hyperparameter_search.usual(Settings()) in whole
    assert len(hyperparameter_search.grid(Settings(epochs=1, learning_rate=0.02))) == 30
    assert found.usual in found.grid
    assert (found.tried.groupby("method").size() == len(found.grid) * 2).all()


def test_a_setting_in_the_population_is_the_method_trained_alone(found):
    """The study's own setting is member for member what the registered method gave."""
    own = found.tried.set_index(hyperparameter_search.KEYS).loc[tuple(vars(found.usual).values())]
    method = METHODS["kd_routed"].run(found.problem).fits["student"]
    np.testing.assert_allclose(own["loss"], method.watched["loss"][-1], rtol=1e-4)
    alone = found.problem.again("kd_routed", [found.usual], 2)
    for a, b in zip(alone.weights, method.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    other_rate = found.problem.again("kd_routed", [Setting("constant", 0.01, 0.01, 1)], 2)
    assert not np.allclose(other_rate.weights[0], method.weights[0], atol=1e-3)


def test_the_reported_split_does_not_choose(found):
    flipped = hyperparameter_search.Search(other(flip=True), STUDY)
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


def test_schedules_begin_at_the_rate():
    cosine, constant = (Setting(name, 0.01, 0.0, 1).rates(10) for name in hyperparameter_search.SCHEDULES[::-1])
    assert cosine[0] == constant[0] == constant[-1] == np.float32(0.01)
    assert cosine[-1] < 0.001


def test_tables_have_a_row_per_method(found):
    assert list(found.table().index) == ["KD, routed"]
    assert found.table()["place of the study's own"].str.fullmatch(r"\d+ of 24").all()
    losses = found.losses()
    assert losses.shape == (2, 4)
    best = found.tried.groupby(hyperparameter_search.KEYS)["loss"].mean().groupby(["schedule", "rate"]).min()
    np.testing.assert_allclose(losses.loc["KD, routed, cosine"], best["cosine"])


def test_one_domain_runs(monkeypatch):
    few = [Setting("cosine", 0.003, 0.0, 1), Setting("constant", 0.003, 0.0, 1)]
    monkeypatch.setattr(hyperparameter_search, "grid", lambda study: few)
    assert hyperparameter_search.Search(other(domains=1), STUDY).run("kd_routed") in few


def made_up(gain, lead, seeds=4):
    """Accuracies of ffnn and one student; `gain`: of ffnn's chosen settings; `lead`: of the student over ffnn."""
    chosen = 0.9 + 0.001 * np.arange(seeds)
    values = {
        ("ffnn", "chosen"): chosen,
        ("ffnn", "study's own"): chosen - gain * (1 + 0.1 * np.arange(seeds)),
        ("kd_best", "chosen"): chosen + lead * (1 + 0.1 * np.arange(seeds)),
        ("kd_best", "study's own"): chosen + lead * (1 + 0.1 * np.arange(seeds)),
    }
    frames = [
        pd.DataFrame({"method": method, "settings": which, "seed": range(seeds), "accuracy": each})
        for (method, which), each in values.items()
    ]
    return pd.concat(frames)


def test_sentences_turn_with_the_numbers():
    own = Setting("cosine", 0.003, 0.0, 300)
    fair = hyperparameter_search.finding(made_up(gain=-0.01, lead=0.01), own)
    assert "(cosine 0.003, no decay, 300 epochs)" in fair
    assert "**2 of 2** methods. " in fair
    assert "KD, kernel teachers is better (+0.0115" in fair
    turned = hyperparameter_search.finding(made_up(gain=0.01, lead=-0.01), own)
    assert "**1 of 2** methods; the choice is better for FFNN (+0.0115" in turned
    assert "KD, kernel teachers is worse" in turned
    alone = hyperparameter_search.finding(made_up(gain=0.01, lead=0.01, seeds=1), own)
    assert "nothing is shown" in alone
    assert "nan" not in alone
