"""A network as a file of Keras's: opened without kdlib, the same probabilities, the same bytes."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from made_up_networks import networks

from kdlib.models import keras_file
from kdlib.models.networks import ModelError

X = np.random.default_rng(1).normal(size=(50, 3)) * [1, 1e3, 1e-3] + [0, 1e5, 7]


@pytest.mark.slow
def test_keras_opens_it_without_kdlib(tmp_path):
    keras_file.write(tmp_path / "model.keras", networks(), "kd_a", 2)
    np.save(tmp_path / "x.npy", X)
    program = (
        "import sys; sys.modules['kdlib'] = None\n"
        "import keras, numpy\n"
        "model = keras.models.load_model('model.keras')\n"
        "assert [layer.name for layer in model.layers][0] == 'standardisation'\n"
        "numpy.save('p.npy', model(numpy.load('x.npy')))\n"
        "numpy.save('predicted.npy', model.predict(numpy.load('x.npy'), verbose=0))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = networks().probabilities(X, "kd_a", 2)
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected, rtol=0, atol=1e-6)
    # Keras's `predict` rounds features to single precision; 7 +- 0.001 has few digits then.
    np.testing.assert_allclose(np.load(tmp_path / "predicted.npy"), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("method", "seed"), [("kd_a", 0), ("kd_b", 1)])
def test_it_is_read_as_it_was_written_and_has_the_same_bytes_each_time(tmp_path, method, seed):
    path = tmp_path / "model.keras"
    keras_file.write(path, networks(), method, seed)
    content = path.read_bytes()
    keras_file.write(path, networks(), method, seed)
    assert path.read_bytes() == content
    probabilities, about = keras_file.read(path)
    assert (about["method"], about["seed"], about["features"]) == (method, seed, ["age", "height", "1 x"])
    np.testing.assert_allclose(probabilities(X), networks().probabilities(X, method, seed), rtol=0, atol=1e-6)


def test_other_files_and_names_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(ModelError, match=r"out: expected a name that ends in \.keras"):
        keras_file.write(tmp_path / "model.h5", networks(), "kd_a", 0)
    with pytest.raises(ModelError, match="method: expected one of"):
        keras_file.write(path, networks(), "ffnn", 0)
    assert not path.exists()
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="expected a model that a report wrote"):
        keras_file.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelError, match="expected a model that a report wrote"):
        keras_file.read(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(keras_file.ABOUT, "{}")
    with pytest.raises(ModelError, match="expected a model that a report wrote"):
        keras_file.read(path)
