"""One network as a `.keras` file, which `keras.models.load_model` opens without kdlib.

Features go in as they are, since standardising them is the model's first layer, and probabilities of the classes come
out. The file is an archive; kdlib adds `kdlib.json` to it, what is known of the network, which Keras ignores.
"""

import json
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

from kdlib.models.networks import ModelError, Networks

ABOUT = "kdlib.json"
DATE = 1980, 1, 1, 0, 0, 0  #: of the archive's files, so that the same network gives the same bytes


def build(networks: Networks, method: str, seed: int):
    """One network as a Keras model; raises `ModelError` if it is not there."""
    import keras  # takes seconds, and is not needed to say that a network is not there

    *hidden, last = layers = networks.layers(method, seed)
    mean, deviation = networks.arrays["mean"], networks.arrays["deviation"]
    outputs = "log_sigmoid" if networks.about["activations"][method] == "sigmoid" else None
    model = keras.Sequential(
        [
            keras.Input((len(mean),), dtype="float64", name="features"),
            # In double precision: features may be large, and differ little.
            keras.layers.Normalization(mean=mean, variance=deviation**2, dtype="float64", name="standardisation"),
            *(keras.layers.Dense(len(bias), "relu", name=f"hidden_{i}") for i, (_, bias) in enumerate(hidden)),
            keras.layers.Dense(len(last[1]), outputs, name="outputs"),
            keras.layers.Softmax(name="probabilities"),
        ],
        name=f"{method}_{seed}",
    )
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer, weights in zip(dense, layers, strict=True):
        layer.set_weights(weights)
    return model


def write(path, networks: Networks, method: str, seed: int) -> None:
    """Writes one network; raises `ModelError` if it is not there, or OSError."""
    if Path(path).suffix != ".keras":
        raise ModelError(f"out: expected a name that ends in .keras, which Keras asks for, got {str(path)!r}")
    model = build(networks, method, seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how Keras copies variables; NumPy 2 wants it otherwise
        model.save(saved := Path(folder) / "model.keras")
        with zipfile.ZipFile(saved) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    for name in ("metadata.json", "config.json"):  # without what differs each time, such as addresses in memory
        files[name] = json.dumps(json.loads(files[name], object_hook=_without_marks)).encode()
    files[ABOUT] = json.dumps(networks.about | {"method": method, "seed": seed}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)


def _without_marks(values: dict) -> dict:
    return {key: value for key, value in values.items() if key not in ("date_saved", "shared_object_id")}


def read(path):
    """A function of points (n, features) that gives P(class | x) (n, classes), and what is known of the network.

    Raises `ModelError` or OSError. Code in the file is not run, as Keras sees to.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
        import keras

        model = keras.models.load_model(path, compile=False)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise ModelError(f"{path}: expected a model that a report wrote, student.keras, or that export wrote") from None
    return lambda x: np.asarray(model(np.asarray(x, np.float64))), about
