"""Programs that XLA compiles are found again by a process that has done something else before."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from kdlib.training.compiled import compiled
from kdlib.training.networks import Architecture, initial_weights, predict

TRAIN = """import sys
import tensorflow as tf
from kdlib.data import gaussians
from kdlib.methods import METHODS, Problem
from kdlib.settings import Settings
before = [tf.constant(float(i)) + 1 for i in range(int(sys.argv[1]))]
problem = Problem(gaussians.generate(float(sys.argv[2])), Settings(seeds=2, epochs=1, hidden=(4,)))
for name in sys.argv[3:]:
    problem.run(METHODS[name].define(problem).plan)
"""


@pytest.mark.slow
def test_another_process_finds_the_programs(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o700)
    flags = f"--tf_xla_persistent_cache_directory={folder} --tf_xla_persistent_cache_device_types=CPU"

    def train(*arguments) -> dict[str, bytes]:
        environment = os.environ | {"TF_XLA_FLAGS": flags}
        subprocess.run([sys.executable, "-c", TRAIN, *arguments], env=environment, check=True)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = train("0", "0.5", "ffnn", "kd_routed")
    assert len(first) >= 4  # training and scoring, with two losses
    assert train("9", "1.0", "kd_routed", "ffnn") == first


def test_a_program_that_another_process_compiles_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", f'--tf_xla_persistent_cache_directory="{tmp_path}"')

    def double(x):
        return 2 * x

    def twice():
        return compiled(double)(tf.constant([3.0])).numpy()

    assert twice() == 6
    (path,) = tmp_path.glob("*.lock")
    with path.open("w") as file, ThreadPoolExecutor() as thread:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process would
        waiting = thread.submit(twice)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        file.close()
        assert waiting.result(timeout=60) == 6


def test_functions_of_one_name_are_not_mixed_up():
    @compiled
    def apply(function, x):
        return function(x)

    double, square = (lambda x: 2 * x), (lambda x: x * x)
    double.__qualname__ = square.__qualname__ = "same"
    x = tf.constant([3.0])
    assert [float(apply(function, x)[0]) for function in (double, square, double)] == [6, 9, 6]


@pytest.mark.parametrize("points", [1, 5])
def test_each_shape_and_type_has_its_program(points):
    @compiled
    def total(x, settings):
        return tf.reduce_sum(x) + tf.cast(settings["bias"], x.dtype)

    for dtype in (np.float32, np.float64, np.int32):
        found = total(tf.constant(np.ones(points, dtype)), {"bias": np.int32(points)})
        assert found.dtype == dtype
        assert int(found) == 2 * points


def test_numbers_of_other_functions_stay_tensorflows_own():
    predict(initial_weights(Architecture(2, (3,), (2,)), range(2)), np.zeros((1, 2)))
    number = int(tf.function(lambda x: x + 1).get_concrete_function(tf.constant(1.0)).name.decode().rpartition("_")[2])
    assert number < 2**20
