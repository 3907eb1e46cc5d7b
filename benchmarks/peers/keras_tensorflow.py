"""Keras on TensorFlow: the usual ways, and the original's."""

import keras
import tensorflow as tf

from benchmarks import task


def _network(last: str = "linear") -> keras.Model:
    layers = [keras.layers.Dense(units, activation="relu") for units in task.HIDDEN]
    return keras.Sequential([keras.Input((task.FEATURES,)), *layers, keras.layers.Dense(task.CLASSES, activation=last)])


def fit(**compiled):
    """`Model.fit`, with what else `compile` is told."""
    x, y, _ = task.data()
    model = _network()
    model.compile(keras.optimizers.Adam(task.RATE), keras.losses.SparseCategoricalCrossentropy(True), **compiled)
    return _fit(model, x, y)


def distillation():
    """`keras.distillation`: teacher and student in one model."""
    x, y, _ = task.data()
    model = keras.distillation.Distiller(
        _network(),
        _network(),
        keras.distillation.LogitsDistillation(task.TEMPERATURE, keras.losses.KLDivergence()),
        student_loss_weight=task.ALPHA,
    )
    model.compile(keras.optimizers.Adam(task.RATE), keras.losses.SparseCategoricalCrossentropy(True))
    return _fit(model, x, y)


def _fit(model, x, y):
    def run(epochs: int) -> int:
        model.fit(x, y, batch_size=task.BATCH, epochs=epochs, verbose=0)
        return epochs

    return run


def original(share: int = 1):
    """The original's loop: domain after domain, batch after batch, all three teachers asked for each; nothing compiled.

    share: of each domain's batches only one in `share` is trained, which saves time.
    """
    x, y, d = task.data()
    labels = keras.ops.one_hot(y, task.CLASSES)
    student, *teachers = (_network("sigmoid") for _ in range(1 + task.DOMAINS))
    entropy, divergence = keras.losses.CategoricalCrossentropy(), keras.losses.KLDivergence()
    adam = keras.optimizers.Adam(task.RATE)
    domains = [
        tf.data.Dataset.from_tensor_slices((x[d == k], labels[d == k])).shuffle(len(x)).batch(task.BATCH)
        for k in range(task.DOMAINS)
    ]
    taken = len(domains[0]) // share

    def step(points, truth, domain):
        said = [teacher(points) for teacher in teachers]
        with tf.GradientTape() as tape:
            outputs = student(points, training=True)
            soft = tf.nn.softmax(said[domain] / task.TEMPERATURE), tf.nn.softmax(outputs / task.TEMPERATURE)
            loss = task.ALPHA * entropy(truth, outputs) + (1 - task.ALPHA) * divergence(*soft)
        gradients = tape.gradient(loss, student.trainable_variables)
        adam.apply_gradients(zip(gradients, student.trainable_variables, strict=True))

    def run(epochs: int) -> float:
        for _ in range(epochs):
            for k, batches in enumerate(domains):
                for points, truth in batches.take(taken):
                    step(points, truth, k)
        return epochs * taken / len(domains[0])

    return run
