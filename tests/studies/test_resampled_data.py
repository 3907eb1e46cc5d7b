"""Fresh draws: each member trains on its own data, and the sentences say what the numbers say."""

import numpy as np
import pandas as pd
import pytest

from kdlib.data import gaussians
from kdlib.data.dataset import Dataset
from kdlib.evaluation import results
from kdlib.methods import kernel_teachers
from kdlib.methods.problem import Problem
from kdlib.methods.registry import METHODS
from kdlib.settings import Settings
from kdlib.studies import resampled_data
from kdlib.training.networks import predict

STUDY = Settings(seeds=2, epochs=3, hidden=(16, 8))


@pytest.fixture(scope="module")
def given():
    return Problem(gaussians.generate(1.0), STUDY)


@pytest.fixture(scope="module")
def drawn(given):
    return resampled_data.Draws(given)


def test_each_member_fits_its_own_draw_better_than_the_others(given):
    population = resampled_data.Draws(given)
    population.labels = np.stack([population.labels[0], 1 - population.labels[1]])  # draws that contradict each other
    logits = predict(population.direct.weights, population.x)  # (member, n, classes), each on its own draw
    own = (logits.argmax(axis=2) == population.labels.argmax(axis=2)).mean(axis=1)
    others = (logits.argmax(axis=2) == 1 - population.labels.argmax(axis=2)).mean(axis=1)
    assert (own > others + 0.2).all()


def test_draws_differ_and_share_start_scale_and_batches_with_the_given_data(given, drawn):
    assert drawn.x.shape == (2, 2400, 2) and not np.array_equal(drawn.x[0], drawn.x[1])
    assert all(map(np.array_equal, drawn.start(), given.start()))
    assert all(map(np.array_equal, drawn.mixed(), given.mixed()))
    np.testing.assert_array_equal(drawn.draw(1).train.x, drawn.train.x[1])
    np.testing.assert_allclose(drawn.x[1], given.scaled(drawn.train.x[1]))


def test_machines_like_others_are_the_same_choice_fitted_to_other_data(drawn):
    x, y = drawn.train.x[:, :800], drawn.train.y[:, :800]
    chosen = kernel_teachers.classifier(x[0], y[0])
    again, other = kernel_teachers.classifier(x[0], y[0], chosen), kernel_teachers.classifier(x[1], y[1], chosen)
    np.testing.assert_allclose(again(x[0]), chosen(x[0]))
    assert other.machine.get_params().keys() == chosen.machine.get_params().keys()
    assert other.machine.steps[-1][1].C == chosen.machine.steps[-1][1].C
    assert np.abs(other(x[0]) - chosen(x[0])).max() > 1e-3


def test_a_run_is_tidy_and_its_students_spend_the_same_updates(given, drawn, monkeypatch, tmp_path):
    pair = kernel_teachers.classifier(given.train.x[:800:8], given.train.y[:800:8])  # a quick choice for all machines
    domains = kernel_teachers.classifier(given.train.x[::40], given.train.d[::40])
    machines = type("Machines", (kernel_teachers.Kernels,), {"__init__": lambda self, problem: vars(self).update(
        problem=problem, gate=domains, teachers=[pair] * 3)})(given)  # fmt: skip
    monkeypatch.setattr(resampled_data, "kernels", lambda problem: machines)
    monkeypatch.setattr(resampled_data, "COPIES", 2)
    monkeypatch.setattr(resampled_data, "COMPARED", ("kd_best",))  # networks for teachers would take long
    assert resampled_data.kd_best(drawn).updates == METHODS["ffnn"].run(drawn).updates == given.steps * STUDY.epochs
    frame = resampled_data.run(given)
    counts = results.select(frame).groupby(["training", "method"]).size()
    assert (counts[["draws"]] == 2).all() and counts["given", "bayes"] == 1
    assert len(resampled_data.forest(resampled_data.compare(frame))) == 2
    assert resampled_data.write(frame, tmp_path) == "checksums of draws.csv"


def test_without_a_known_law_there_are_no_rows(given, tmp_path):
    data = given.dataset
    other = Problem(Dataset("other", data.train.take(slice(0, None, 2)), data.valid, data.test), STUDY)
    frame = resampled_data.run(other)
    assert frame.empty and resampled_data.write(frame, tmp_path) == "checksums of draws.csv"
    assert list(pd.read_csv(tmp_path / "draws.csv").columns) == resampled_data.COLUMNS


def made_up(over_draws, over_starts, seeds=12):
    """Results in which kd_best differs from ffnn by so much, in mean and sd, for each source of chance."""
    rng = np.random.default_rng(0)
    rows = [("given", "bayes", 0, 1.0)]
    for training, (mean, sd) in {"draws": over_draws, "given": over_starts}.items():
        noise = rng.normal(size=seeds)
        difference = mean + sd * (noise - noise.mean()) / noise.std(ddof=1)
        for seed in range(seeds):
            for name, value in {"ffnn": 0, "kd_best": difference[seed], "kd_gated": -difference[seed]}.items():
                rows.append((training, name, seed, 0.9 + value))
    frame = pd.DataFrame(rows, columns=["training", "method", "seed", "value"])
    return frame.assign(dataset="x", split="fresh", domain="all", metric="accuracy")[resampled_data.COLUMNS]


def test_sentences_turn_with_the_numbers():
    table = resampled_data.compare(made_up((0.05, 0.01), (0.04, 0.002)))
    text = resampled_data.sentence(table)
    assert "beats the network" in text and "0.0500 more accurate" in text and "the same verdict, better" in text
    assert "closes 50% over draws, 40% on the given data" in text and "draw of the data matters more, 5.0 times" in text
    assert "is worse than" in resampled_data.sentence(table, "kd_gated")
    text = resampled_data.sentence(resampled_data.compare(made_up((-0.05, 0.002), (0.04, 0.01))))
    assert "is worse than" in text and "0.0500 less accurate" in text and "start matters more" in text
    assert "there the verdict is better, here worse" in text
    assert "is not shown to differ" in resampled_data.sentence(
        resampled_data.compare(made_up((0.001, 0.05), (0.001, 0.05)))
    )
