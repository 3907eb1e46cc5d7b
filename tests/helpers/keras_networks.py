"""A member of a population as a Keras model, which is the reference for networks and their training."""

import keras
import numpy as np


def keras_network(weights, heads):
    """Dense layers with these weights, which are one member's: [kernel (in, out), bias (1, out), ...]."""
    inputs = x = keras.Input((len(weights[0]),))
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


def keras_weights(model, heads) -> list[np.ndarray]:
    """The weights of such a model, as `keras_network` takes them."""
    found = [w if w.ndim == 2 else w[None] for w in model.get_weights()]
    split = len(found) - 2 * len(heads)
    return [*found[:split], np.concatenate(found[split::2], axis=1), np.concatenate(found[split + 1 :: 2], axis=1)]
