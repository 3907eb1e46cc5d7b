"""A population is the same training as its members one by one in Keras; members do not touch each other."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras_networks import keras_network, keras_weights

from kdlib.methods.targets import soften
from kdlib.training import loop, losses
from kdlib.training.batches import Shuffled
from kdlib.training.loop import TrainingError, cosine, run
from kdlib.training.networks import Architecture, initial_weights, predict
from kdlib.training.plan import TrainingPlan

RNG = np.random.default_rng(3)
ROWS, FEATURES, CLASSES, DOMAINS, SIZE, STEPS, EPOCHS = 96, 2, 2, 3, 16, 25, 2
X = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[(np.linalg.norm(X, axis=1) > 1.2).astype(int)]
DOMAIN = np.eye(DOMAINS, dtype=np.float32)[RNG.integers(0, DOMAINS, ROWS)]
WATCH = X[:30], LABELS[:30]
ONE_HEAD, TWO_HEADS = Architecture(FEATURES, (12, 8), (CLASSES,)), Architecture(FEATURES, (12, 8), (CLASSES, DOMAINS))


def planned(seeds, targets=(LABELS,), loss=losses.cross_entropy, architecture=ONE_HEAD, **more):
    batches = Shuffled(np.arange(ROWS), SIZE, STEPS, EPOCHS, tuple(seeds))
    weights, rates = initial_weights(architecture, seeds), cosine(0.01, batches.updates)
    default = {"weights": weights, "x": X, "batches": batches, "rates": rates}
    return TrainingPlan("test", targets=targets, loss=loss, **default | more)


def member(weights, i):
    return [w[i] for w in weights]


def keras_adam(weight_decay=None):
    kind = keras.optimizers.Adam if weight_decay is None else keras.optimizers.AdamW
    return kind(learning_rate=0.0, **({} if weight_decay is None else {"weight_decay": weight_decay}))


def keras_steps(model, plan, i, targets):
    """All steps on member i's batches at the plan's rates; returns the mean loss of each epoch."""
    found, rates = [], iter(plan.rates)
    for epoch in plan.batches:
        each = []
        for rows in epoch[:, i]:
            model.optimizer.learning_rate.assign(next(rates))
            model.reset_metrics()
            wanted = [t[rows] for t in targets]
            wanted = wanted if len(wanted) > 1 else wanted[0]
            each.append(model.train_on_batch(X[rows], wanted, return_dict=True)["loss"])
        found.append(np.mean(each))
    return found


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


# --- Against Keras ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_population_equals_keras_one_by_one():
    plan = planned([0, 1, 5])
    population = run(plan)
    for i in range(3):
        model = keras_network(member(plan.weights, i), (CLASSES,))
        model.compile(keras_adam(), keras.losses.CategoricalCrossentropy(from_logits=True))
        each = keras_steps(model, plan, i, [LABELS])
        assert_close(member(population.weights, i), keras_weights(model, (CLASSES,)))
        np.testing.assert_allclose(population.loss[:, i], each, rtol=1e-4)


@pytest.mark.slow
def test_weight_decay_is_that_of_keras_adamw():
    plan = planned([2], weight_decay=0.05)
    model = keras_network(member(plan.weights, 0), (CLASSES,))
    model.compile(keras_adam(0.05), keras.losses.CategoricalCrossentropy(from_logits=True))
    keras_steps(model, plan, 0, [LABELS])
    assert_close(member(run(plan).weights, 0), keras_weights(model, (CLASSES,)))


@pytest.mark.slow
def test_two_heads_equal_a_keras_model_with_two_outputs():
    heads, plan = (CLASSES, DOMAINS), planned([0, 4], (LABELS, DOMAIN), losses.two_heads, TWO_HEADS)
    population = run(plan)
    for i in range(2):
        model = keras_network(member(plan.weights, i), heads)
        model.compile(keras_adam(), [keras.losses.CategoricalCrossentropy(from_logits=True)] * 2)
        keras_steps(model, plan, i, [LABELS, DOMAIN])
        assert_close(member(population.weights, i), keras_weights(model, heads))


@pytest.mark.slow
def test_distillation_equals_keras_distillation_and_changes_only_the_student():
    temperature, alpha = 3.0, 0.25
    teacher = run(planned([7, 8])).weights
    before = [w.copy() for w in teacher]
    soft = soften(predict(teacher, X), temperature)
    numbers = {"alpha": alpha, "temperature": temperature, "scale": temperature**2}
    plan = planned([0, 1], (LABELS, soft), losses.distillation, settings=numbers)
    population = run(plan)
    for w, old in zip(teacher, before, strict=True):
        np.testing.assert_array_equal(w, old)
    for i in range(2):
        student = keras_network(member(plan.weights, i), (CLASSES,))
        distiller = keras.distillation.Distiller(
            teacher=keras_network(member(teacher, i), (CLASSES,)), student=student, student_loss_weight=alpha,
            distillation_losses=keras.distillation.LogitsDistillation(temperature, keras.losses.KLDivergence()),
        )  # fmt: skip
        distiller.compile(optimizer=keras_adam(), loss=keras.losses.CategoricalCrossentropy(from_logits=True))
        keras_steps(distiller, plan, i, [LABELS])
        assert_close(member(population.weights, i), keras_weights(student, (CLASSES,)))
        assert not np.allclose(population.weights[0][i], plan.weights[0][i])


# --- Members are independent of each other ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 7, 30])
def test_a_member_does_not_depend_on_how_many_train_beside_it(members):
    """To rounding; bit for bit is what the same population gives, in this process and in another."""
    alone, beside = run(planned([6])), run(planned([6, *range(100, 99 + members)]))
    for a, b in zip(alone.weights, beside.weights, strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_each_member_may_have_its_own_data_rates_and_decay():
    seeds, decay = [0, 0, 3], np.array([0.0, 0.05, 0.2])
    x, labels = np.stack([X, X + 1, -X]), np.stack([LABELS, LABELS[:, ::-1], LABELS])
    rates = [cosine(0.01, EPOCHS * STEPS), np.full(EPOCHS * STEPS, 0.003), cosine(0.02, EPOCHS * STEPS)]
    together = run(planned(seeds, (labels,), x=x, rates=np.stack(rates, axis=1), weight_decay=decay))
    for i, seed in enumerate(seeds):
        alone = run(planned([seed], (labels[i],), x=x[i], rates=rates[i], weight_decay=decay[i]))
        assert_close(member(together.weights, i), member(alone.weights, 0))


@pytest.mark.slow
@pytest.mark.parametrize("steps, epochs, most", [(25, 2, 7), (2, 130, 4), (3, 130, 4)])
def test_nothing_depends_on_how_many_steps_a_call_makes(monkeypatch, steps, epochs, most):
    """Calls end within an epoch, or after several, and start anew where points are scored."""
    batches = Shuffled(np.arange(ROWS), SIZE, steps, epochs, (0, 1))
    plan = planned([0, 1], batches=batches, rates=cosine(0.01, batches.updates), watch=WATCH)
    whole = run(plan)
    monkeypatch.setattr(loop, "MAX_GATHERED", most * 4 * (FEATURES + CLASSES) * 2 * SIZE)
    parts = run(plan)
    for a, b in zip([*whole.weights, *whole.watched.values()], [*parts.weights, *parts.watched.values()], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-6)


def test_a_member_that_diverges_disturbs_no_other():
    plan = planned([0, 1, 2])
    whole = run(plan)
    plan.weights[0][1] = np.nan
    spoilt = run(plan)
    assert np.isnan(spoilt.loss[:, 1]).all()
    for i in (0, 2):
        for a, b in zip(member(spoilt.weights, i), member(whole.weights, i), strict=True):
            np.testing.assert_array_equal(a, b)


def checksum(seeds) -> str:
    return hashlib.sha256(b"".join(w.tobytes() for w in run(planned(seeds)).weights)).hexdigest()


def fresh_process(code) -> str:
    """What code that has imported this file prints."""
    folder = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(folder.parent / "helpers"), *sys.path])}
    code = f"import test_loop; {code}"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_same_seeds_in_a_fresh_process_give_the_same_bits():
    assert fresh_process("print(test_loop.checksum([0, 1, 2]))").strip() == checksum([0, 1, 2])


def train_epochs_of(*lengths):
    for steps in lengths:
        batches = Shuffled(np.arange(ROWS), SIZE, steps, EPOCHS, (0, 1))
        run(planned([0, 1], batches=batches, rates=cosine(0.01, batches.updates)))


@pytest.mark.slow
def test_epochs_of_any_length_need_one_compiled_program(tmp_path, monkeypatch):
    kept = f"--tf_xla_persistent_cache_directory={tmp_path} --tf_xla_persistent_cache_device_types=CPU"
    monkeypatch.setenv("TF_XLA_FLAGS", kept)
    fresh_process("test_loop.train_epochs_of(3, 4)")
    assert len(list(tmp_path.glob("*.pb"))) == 1


def test_another_seed_differs():
    population = run(planned([0, 1, 2]))
    assert not np.allclose(population.weights[2][0], population.weights[2][1], atol=1e-3)


# --- What a run keeps ---------------------------------------------------------------------------------------------


def watched(**more):
    return run(planned([0, 1, 2], watch=WATCH, **more))


def test_watched_points_are_scored_as_training_goes_on():
    batches = Shuffled(np.arange(ROWS), SIZE, 2, 130, (0, 1, 2))
    fit = watched(batches=batches, rates=cosine(0.01, batches.updates))
    assert list(fit.scored) == sorted({*loop.halved(130), *range(1, 131, 3)}) and len(fit.loss) == 130
    assert {values.shape for values in fit.watched.values()} == {(len(fit.scored), 3)}


def test_a_last_epoch_may_be_short():
    batches = Shuffled(np.arange(ROWS), SIZE, STEPS, EPOCHS, (0, 1, 2), extra_steps=4)
    fit = watched(batches=batches, rates=cosine(0.01, batches.updates))
    assert (fit.updates, len(fit.loss), list(fit.scored)) == (EPOCHS * STEPS + 4, EPOCHS + 1, [1, 2, 3])
    assert np.all(np.isfinite(fit.loss)) and np.all(fit.loss > 0)


def test_a_score_is_of_the_weights_of_its_epoch():
    fit = watched(checkpoints=(1, 2))
    assert list(fit.scored) == [1, 2]
    for epoch, weights in fit.checkpoints.items():
        logits = predict(weights, WATCH[0])
        right = (logits.argmax(axis=2) == WATCH[1].argmax(axis=1)).mean(axis=1)
        np.testing.assert_allclose(fit.watched["accuracy"][epoch - 1], right, rtol=1e-6)
        for i in range(3):
            loss = keras.losses.CategoricalCrossentropy(from_logits=True)(WATCH[1], logits[i])
            assert fit.watched["loss"][epoch - 1, i] == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.slow
def test_the_best_epoch_is_the_first_of_the_most_accurate_of_each_member():
    rates = np.tile([0.05, 0.3, 0.05], (EPOCHS * STEPS, 1))  # too fast to get better in every epoch
    batches = Shuffled(np.arange(ROWS), SIZE, 5, 10, (0, 1, 2))
    fit = watched(keep_best=True, batches=batches, rates=rates, checkpoints=tuple(range(1, 11)))
    np.testing.assert_array_equal(fit.best_epoch, fit.watched["accuracy"].argmax(axis=0))
    assert len(set(fit.best_epoch)) > 1
    for i, epoch in enumerate(fit.best_epoch):
        for best, then in zip(fit.best, fit.checkpoints[epoch + 1], strict=True):
            np.testing.assert_array_equal(best[i], then[i])


def test_checkpoints_are_the_weights_of_the_epochs_asked_for():
    plan = planned([0, 1, 2])
    fit = run(replace(plan, checkpoints=(1, EPOCHS)))
    assert list(fit.checkpoints) == [1, EPOCHS]
    first = run(replace(plan, batches=replace(plan.batches, epochs=1)))
    for ours, theirs in zip(fit.checkpoints[1], first.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(fit.checkpoints[EPOCHS], fit.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.allclose(fit.checkpoints[1][0], fit.weights[0])


def test_the_first_member_is_kept_at_each_halving_of_the_epochs():
    assert loop.halved(60) == [1, 2, 4, 8, 15, 30] and loop.halved(5) == [1, 2, 3] and loop.halved(1) == []
    plan = planned([0, 1, 2])
    fit = run(replace(plan, checkpoints=tuple(loop.halved(EPOCHS))))
    assert list(fit.early) == list(fit.checkpoints)
    for epoch, weights in fit.checkpoints.items():
        for early, then in zip(fit.early[epoch], weights, strict=True):
            np.testing.assert_array_equal(early, then[:1])


def test_progress_is_told_after_every_epoch_and_updates_are_counted():
    heard = []
    fit = run(planned([0, 1, 2]), heard.append)
    assert heard == list(range(1, EPOCHS + 1))
    assert fit.updates == EPOCHS * STEPS
    assert fit.loss.shape == (EPOCHS, 3)
    assert fit.best is None and not fit.watched and not fit.checkpoints


def test_the_cosine_falls_from_the_rate_to_almost_nothing():
    rates = cosine(0.01, 100)
    np.testing.assert_allclose(rates[[0, 50]], [0.01, 0.005], rtol=1e-6)
    assert (np.diff(rates) < 0).all() and 0 < rates[-1] < 1e-5


# --- Errors -------------------------------------------------------------------------------------------------------


def test_bad_data_and_settings_are_named():
    spoilt = X.copy()
    spoilt[3, 1] = np.nan
    plan = planned([0, 1, 2])
    for wrong, message in (
        ({"x": spoilt}, "finite"),
        ({"x": np.stack([X] * 2)}, r"expected \(n, width\) or \(3, n, width\), got an array of shape \(2, 96, 2\)"),
        ({"batches": replace(plan.batches, seeds=(0,))}, "batches for 1 members, but there are 3"),
        ({"rates": np.full((50, 2), 0.01)}, "rates for 2"),
        ({"weight_decay": np.zeros(2)}, "decay for 2"),
        ({"batches": replace(plan.batches, epochs=0)}, "no batches"),
        ({"keep_best": True}, "watch"),
    ):
        with pytest.raises(TrainingError, match=message):
            run(replace(plan, **wrong))
