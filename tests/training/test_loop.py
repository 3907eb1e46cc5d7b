"""A population is the same training as its members one by one in Keras; members do not touch each other."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kdlib.methods import targets
from kdlib.training import batches, losses
from kdlib.training.loop import TrainingError, cosine, fit
from kdlib.training.networks import Architecture, forward, glorot_uniform, initial_weights, predict, small_normal

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(3)
ROWS, FEATURES, CLASSES, DOMAINS, SIZE, STEPS = 96, 2, 2, 3, 16, 25
X = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[(np.linalg.norm(X, axis=1) > 1.2).astype(int)]
DOMAIN = np.eye(DOMAINS, dtype=np.float32)[RNG.integers(0, DOMAINS, ROWS)]
ONE_HEAD, TWO_HEADS = Architecture(FEATURES, (12, 8), (CLASSES,)), Architecture(FEATURES, (12, 8), (CLASSES, DOMAINS))


def schedule(seeds, epochs=2):
    return list(batches.mixed(np.arange(ROWS), SIZE, STEPS, epochs, seeds))


def trained(seeds, targets=(LABELS,), loss=losses.cross_entropy, architecture=ONE_HEAD, **more):
    rates = cosine(0.01, 2 * STEPS)
    return fit(initial_weights(architecture, seeds), X, targets, loss, schedule(seeds), rates, **more)


def member(weights, i):
    return [w[i] for w in weights]


def keras_network(weights, heads=(CLASSES,)):
    """One member as a Keras model of dense layers; biases are (1, out) here and (out,) there."""
    inputs = x = keras.Input((FEATURES,))
    for kernel in weights[:-2:2]:
        x = keras.layers.Dense(kernel.shape[1], activation="relu")(x)
    model = keras.Model(inputs, [keras.layers.Dense(head)(x) for head in heads])
    hidden, (kernel, bias) = weights[:-2], weights[-2:]
    ends = np.cumsum(heads)
    last = [
        part
        for start, end in zip(ends - heads, ends, strict=True)
        for part in (kernel[:, start:end], bias[:, start:end])
    ]
    model.set_weights([w if i % 2 == 0 else w[0] for i, w in enumerate([*hidden, *last])])
    return model


def keras_weights(model, heads=(CLASSES,)):
    found = [w if w.ndim == 2 else w[None] for w in model.get_weights()]
    split = len(found) - 2 * len(heads)
    return [*found[:split], np.concatenate(found[split::2], axis=1), np.concatenate(found[split + 1 :: 2], axis=1)]


def keras_adam(weight_decay=None):
    kind = keras.optimizers.Adam if weight_decay is None else keras.optimizers.AdamW
    return kind(learning_rate=0.0, **({} if weight_decay is None else {"weight_decay": weight_decay}))


def keras_steps(model, seed_schedule, i, targets):
    """All steps on member i's batches at the cosine's rates; returns the mean loss of each epoch."""
    losses, rates = [], iter(cosine(0.01, 2 * STEPS))
    for epoch in seed_schedule:
        each = []
        for rows in epoch[:, i]:
            model.optimizer.learning_rate.assign(next(rates))
            model.reset_metrics()
            wanted = [t[rows] for t in targets]
            wanted = wanted if len(wanted) > 1 else wanted[0]
            each.append(model.train_on_batch(X[rows], wanted, return_dict=True)["loss"])
        losses.append(np.mean(each))
    return losses


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_a_population_equals_keras_one_by_one():
    seeds = [0, 1, 5]
    population = trained(seeds)
    for i in range(len(seeds)):
        model = keras_network(member(initial_weights(ONE_HEAD, seeds), i))
        model.compile(keras_adam(), keras.losses.CategoricalCrossentropy(from_logits=True))
        losses = keras_steps(model, schedule(seeds), i, [LABELS])
        assert_same(member(population.weights, i), keras_weights(model))
        np.testing.assert_allclose(population.loss[:, i], losses, rtol=1e-4)


def test_weight_decay_is_that_of_keras_adamw():
    population = trained([2], weight_decay=0.05)
    model = keras_network(member(initial_weights(ONE_HEAD, [2]), 0))
    model.compile(keras_adam(0.05), keras.losses.CategoricalCrossentropy(from_logits=True))
    keras_steps(model, schedule([2]), 0, [LABELS])
    assert_same(member(population.weights, 0), keras_weights(model))


def test_each_member_may_have_its_own_rates_and_decay():
    """Equal to separate trainings, each of which is Keras's by the tests above."""
    seeds, decay = [0, 0, 3], [0.0, 0.05, 0.2]
    rates = [cosine(0.01, 2 * STEPS), np.full(2 * STEPS, 0.003), cosine(0.02, 2 * STEPS)]
    start = initial_weights(ONE_HEAD, seeds)
    together = fit(
        start, X, (LABELS,), losses.cross_entropy, schedule(seeds), np.stack(rates, axis=1),
        weight_decay=np.array(decay),
    )  # fmt: skip
    for i, seed in enumerate(seeds):
        alone = fit(
            initial_weights(ONE_HEAD, [seed]), X, (LABELS,), losses.cross_entropy, schedule([seed]), rates[i],
            weight_decay=decay[i],
        )  # fmt: skip
        assert_same(member(together.weights, i), member(alone.weights, 0))
    assert not np.allclose(together.weights[2][0], together.weights[2][1], atol=1e-3)


def test_two_heads_equal_a_keras_model_with_two_outputs():
    seeds, heads = [0, 4], (CLASSES, DOMAINS)
    population = trained(seeds, (LABELS, DOMAIN), losses.two_heads, TWO_HEADS)
    for i in range(len(seeds)):
        model = keras_network(member(initial_weights(TWO_HEADS, seeds), i), heads)
        model.compile(keras_adam(), [keras.losses.CategoricalCrossentropy(from_logits=True)] * 2)
        keras_steps(model, schedule(seeds), i, [LABELS, DOMAIN])
        assert_same(member(population.weights, i), keras_weights(model, heads))


def test_distillation_equals_keras_distillation_and_changes_only_the_student():
    seeds, temperature, alpha = [0, 1], 3.0, 0.25
    teacher = trained([7, 8])
    before = [w.copy() for w in teacher.weights]
    soft = targets.soften(predict(teacher.weights, X), temperature)
    population = trained(
        seeds, (LABELS, soft), losses.distillation,
        settings={"alpha": alpha, "temperature": temperature, "scale": temperature**2},
    )  # fmt: skip
    for w, old in zip(teacher.weights, before, strict=True):
        np.testing.assert_array_equal(w, old)
    for i in range(len(seeds)):
        student = keras_network(member(initial_weights(ONE_HEAD, seeds), i))
        distiller = keras.distillation.Distiller(
            teacher=keras_network(member(teacher.weights, i)), student=student, student_loss_weight=alpha,
            distillation_losses=keras.distillation.LogitsDistillation(temperature, keras.losses.KLDivergence()),
        )  # fmt: skip
        distiller.compile(optimizer=keras_adam(), loss=keras.losses.CategoricalCrossentropy(from_logits=True))
        keras_steps(distiller, schedule(seeds), i, [LABELS])
        assert_same(member(population.weights, i), keras_weights(student))
        assert not np.allclose(population.weights[0][i], initial_weights(ONE_HEAD, seeds)[0][i])


@pytest.mark.parametrize("members", [1, 7, 30])
def test_a_member_does_not_depend_on_how_many_train_beside_it(members):
    """To rounding; bit for bit is what the same population gives, in this process and in another."""
    alone, beside = trained([6]), trained([6, *range(100, 99 + members)])
    for a, b in zip(alone.weights, beside.weights, strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-5)


CODE = "import test_training as t, hashlib; w = t.trained([0, 1, 2]).weights;" + (
    "print(hashlib.sha256(b''.join(a.tobytes() for a in w)).hexdigest())"
)


def test_the_same_seed_in_a_fresh_process_gives_the_same_bits():
    folder = __file__.rpartition("/")[0]
    runs = [
        subprocess.run([sys.executable, "-c", CODE], cwd=folder, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == 64


def test_another_seed_differs():
    population = trained([0, 1])
    assert not np.allclose(population.weights[2][0], population.weights[2][1], atol=1e-3)


def test_each_member_may_have_its_own_data():
    own = np.stack([X, X + 1, -X])
    rates, seeds = cosine(0.01, 2 * STEPS), [0, 1, 2]
    labels = np.stack([LABELS, LABELS[:, ::-1], LABELS])
    together = fit(initial_weights(ONE_HEAD, seeds), own, (labels,), losses.cross_entropy, schedule(seeds), rates)
    for i in range(3):
        single = fit(initial_weights(ONE_HEAD, [i]), own[i], (labels[i],), losses.cross_entropy, schedule([i]), rates)
        assert_same(member(together.weights, i), member(single.weights, 0))


def test_a_member_that_diverges_is_reported_and_disturbs_no_other():
    seeds = [0, 1, 2]
    weights = initial_weights(ONE_HEAD, seeds)
    weights[0][1] = np.nan
    spoilt = fit(weights, X, (LABELS,), losses.cross_entropy, schedule(seeds), cosine(0.01, 2 * STEPS))
    np.testing.assert_array_equal(spoilt.diverged, [False, True, False])
    whole = trained(seeds)
    for i in (0, 2):
        for a, b in zip(member(spoilt.weights, i), member(whole.weights, i), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_best_epoch_is_the_first_of_the_most_accurate():
    run = trained([0, 1, 2], watch=(X[:30], LABELS[:30]), keep_best=True)
    np.testing.assert_array_equal(run.best_epoch, run.watched["accuracy"].argmax(axis=0))
    for i in range(3):
        model = keras_network(member(run.best, i))
        right = (np.asarray(model(X[:30])).argmax(axis=1) == LABELS[:30].argmax(axis=1)).mean()
        assert right == pytest.approx(run.watched["accuracy"][:, i].max())


def test_an_observer_sees_the_weights_of_every_epoch():
    seen = {}
    run = trained([0, 1], observe=lambda epoch, weights: seen.update({epoch: np.asarray(weights[0])}))
    assert list(seen) == list(range(1, len(run.loss) + 1))
    np.testing.assert_array_equal(seen[len(run.loss)], run.weights[0])
    assert not np.allclose(seen[1], run.weights[0])


def test_predict_agrees_with_keras_whatever_the_number_of_points():
    weights = initial_weights(ONE_HEAD, [0, 1])
    model = keras_network(member(weights, 1))
    for n in (1, 5, 2048, 2049):
        x = RNG.normal(size=(n, FEATURES)).astype(np.float32)
        np.testing.assert_allclose(predict(weights, x)[1], model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("features, classes", [(1, 2), (2, 7), (4, 4), (5, 3), (20, 12)])
def test_narrow_and_wide_layers_are_the_same_network(features, classes):
    weights = initial_weights(Architecture(features, (6,), (classes,)), [0])
    x = RNG.normal(size=(1, 9, features)).astype(np.float32)
    hidden = np.maximum(x[0] @ weights[0][0] + weights[1][0], 0)
    np.testing.assert_allclose(forward(weights, x)[0], hidden @ weights[2][0] + weights[3][0], rtol=1e-4, atol=1e-5)


def test_initial_weights_are_those_of_keras_initializers_in_law():
    weights = initial_weights(Architecture(2, (400, 300), (2,)), range(3))
    limit = np.sqrt(6 / 700)
    assert weights[2].min() == pytest.approx(-limit, rel=1e-3)
    assert weights[2].std() == pytest.approx(
        np.asarray(keras.initializers.GlorotUniform(0)((400, 300))).std(), rel=0.01
    )
    small = initial_weights(Architecture(2, (400, 300), (2,)), range(3), small_normal)
    assert small[2].std() == pytest.approx(0.05, rel=0.01)
    assert not any(bias.any() for bias in weights[1::2])


def test_methods_share_their_start():
    one, two = initial_weights(ONE_HEAD, [3]), initial_weights(TWO_HEADS, [9, 3])
    np.testing.assert_array_equal(one[0][0], two[0][1])
    np.testing.assert_array_equal(one[4][0], two[4][1][:, :CLASSES])
    assert glorot_uniform(np.random.default_rng(0), 2, 3).shape == (2, 3)


# --- Batches ------------------------------------------------------------------------------------------------------


def test_mixed_batches_see_every_row_once_per_pass():
    for epoch in batches.mixed(np.arange(64), 16, 4, 3, [0, 1]):
        assert epoch.shape == (4, 2, 16)
        for i in range(2):
            assert sorted(epoch[:, i].ravel()) == list(range(64))


def test_passes_go_on_where_rows_do_not_fill_batches():
    seen = np.concatenate([e[:, 0].ravel() for e in batches.mixed(np.arange(50), 16, 3, 25, [0])])
    counts = np.bincount(seen, minlength=50)
    assert len(seen) == 1200
    assert counts.min() == counts.max() == 24


def test_domains_in_order_come_in_order():
    groups = [np.arange(0, 40), np.arange(40, 60)]
    (epoch,) = batches.in_order(groups, 5, 12, 1, [0])
    assert (epoch[:8] < 40).all()
    assert (epoch[8:] >= 40).all()


def test_batches_depend_on_the_seed_alone():
    together, alone = (next(iter(batches.mixed(np.arange(30), 5, 6, 1, seeds))) for seeds in ([4, 5, 6], [5]))
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])
    assert not np.array_equal(together[:, 0], together[:, 1])


# --- Errors -------------------------------------------------------------------------------------------------------


def test_bad_data_and_settings_are_named():
    weights = initial_weights(ONE_HEAD, [0, 1])
    spoilt = X.copy()
    spoilt[3, 1] = np.nan
    plan = schedule([0, 1])
    with pytest.raises(TrainingError, match="finite"):
        fit(weights, spoilt, (LABELS,), losses.cross_entropy, plan, cosine(0.01, 50))
    with pytest.raises(TrainingError, match="shape"):
        fit(weights, np.stack([X] * 3), (LABELS,), losses.cross_entropy, plan, cosine(0.01, 50))
    with pytest.raises(TrainingError, match="members"):
        fit(weights, X, (LABELS,), losses.cross_entropy, schedule([0]), cosine(0.01, 50))
    with pytest.raises(TrainingError, match="rates for 3"):
        fit(weights, X, (LABELS,), losses.cross_entropy, plan, np.full((50, 3), 0.01))
    with pytest.raises(TrainingError, match="no batches"):
        fit(weights, X, (LABELS,), losses.cross_entropy, [], cosine(0.01, 50))
    with pytest.raises(TrainingError, match="watch"):
        fit(weights, X, (LABELS,), losses.cross_entropy, plan, cosine(0.01, 50), keep_best=True)
