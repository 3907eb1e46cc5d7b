"""Digests of what each layer computes that a result passes through, to name the one that differs on another machine.

`python -m kdlib.studies.layers [LAYER ...]` prints them as JSON, a name and the first digits of a SHA-256 for each
layer, all in about half a minute. Inputs are drawn with fixed seeds; from layer to layer they do not depend on what was
computed before, except in the last ones, which are whole fits, trainings and an experiment. Out of scope: how much a
layer differs.
"""

import hashlib
import io
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np
import scipy.linalg
from scipy.special import logsumexp, ndtr

from kdlib.data import gaussians, synthetic
from kdlib.evaluation import results
from kdlib.methods.candidates import BoostedTrees
from kdlib.methods.kernel_teachers import KernelMachine
from kdlib.methods.targets import soften
from kdlib.settings import Settings
from kdlib.studies.experiment import Experiment
from kdlib.training import loop, losses
from kdlib.training.batches import Shuffled
from kdlib.training.networks import Architecture, initial_weights, predict
from kdlib.training.plan import TrainingPlan

DIGITS = 16
EXPERIMENT = "an experiment"  #: the last layer
FUNCTIONS = np.exp, np.log, np.log1p, np.sqrt, np.cbrt, np.sin, np.cos, np.tanh, np.log10, np.exp2, logsumexp, ndtr
SETTINGS = Settings(seeds=2, epochs=2)  #: of the experiment; as many members and units as the trainings have before it
METHODS = "ffnn", "ffnn_two_heads", "kd_original", "kd_routed", "kd_gated", "kd_kernel_teachers"


def digests(names: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Name and digest of each layer, or of some, the elementary ones first."""
    for name, compute in _layers():
        if names and name not in names:
            continue
        state = hashlib.sha256()
        for array in compute():
            state.update(np.ascontiguousarray(array).tobytes())
        yield name, state.hexdigest()[:DIGITS]


def _layers() -> Iterator[tuple[str, Callable]]:
    """Each layer: a name, and a function that returns arrays."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        x = rng.uniform(0.01, 20, 4001).astype(dtype)
        for function in FUNCTIONS:
            yield f"{function.__name__} of {x.dtype}", lambda f=function, x=x: [f(x)]
        yield f"power of {x.dtype}", lambda x=x: [x ** x.dtype.type(1.7)]
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((301, 203), (203, 97)))
        yield f"BLAS, products of {a.dtype}", lambda a=a, b=b: [a @ b, a @ b[:, 0], a.T @ a, np.linalg.norm(a)]
        yield f"BLAS, stacked products of {a.dtype}", lambda a=a: [a[:300].reshape(3, 100, 203) @ a[0]]
    square = rng.standard_normal((60, 60))
    positive = square @ square.T + np.eye(60)
    yield "LAPACK, Cholesky", lambda: [np.linalg.cholesky(positive), scipy.linalg.cho_factor(positive)[0]]
    yield "LAPACK, singular values", lambda: [*np.linalg.svd(square), *scipy.linalg.svd(square)]
    yield "LAPACK, eigenvectors", lambda: [*np.linalg.eigh(positive), *scipy.linalg.eigh(positive)]
    yield "LAPACK, equations", lambda: [np.linalg.solve(square, positive), *np.linalg.lstsq(square, square[0])[:1]]
    yield "random numbers", lambda: _random(np.random.default_rng(1))
    near, mixed = gaussians.generate(0.5), synthetic.generate("covariances")
    yield "generated data, three Gaussians", lambda: [near.train.x, near.train.y, near.valid.x]
    yield "generated data, mixtures of Gaussians", lambda: [mixed.train.x, mixed.train.y, mixed.valid.x]
    yield "posteriors", lambda: [synthetic.RECIPES["covariances"].distribution.posterior(mixed.train.x)]
    for name, teacher in (("kernel machine", KernelMachine), ("boosted trees", BoostedTrees)):
        for data, points in (("2 features", near.train), ("20 features", mixed.train)):
            yield (
                f"{name}, {data}",
                lambda t=teacher, p=points: [t().fit(p.x[::4], p.y[::4], p.y.max() + 1).log_probabilities(p.x)],
            )
    x, labels = near.train.x[:320], np.eye(2)[near.train.y[:320]]
    plan = TrainingPlan(
        "", initial_weights(Architecture(2, (64, 32), (2,)), (0, 1)), x, (labels,), losses.cross_entropy,
        Shuffled(np.arange(320), 32, 10, 2, (0, 1)), loop.cosine(3e-3, 20), watch=(x, labels),
    )  # fmt: skip
    soft = soften(x[None] @ np.ones((2, 2, 2)), 4.0)
    wide = mixed.train.x[:320]
    two_heads = initial_weights(Architecture(2, (64, 32), (2, 3)), (0, 1))
    for name, changes in {
        "cross-entropy": {},
        "20 features": {
            "x": wide, "watch": (wide, labels), "weights": initial_weights(Architecture(20, (64, 32), (2,)), (0, 1))
        },
        "smoothed cross-entropy": {"loss": losses.smoothed_cross_entropy, "settings": {"smoothing": 0.1}},
        "distillation": {
            "loss": losses.distillation, "targets": (labels, soft),
            "settings": {"alpha": 0.5, "temperature": 4.0, "scale": 16.0},
        },
        "the original's loss": {
            "loss": losses.original, "targets": (labels, soft),
            "settings": {"alpha": 0.5, "temperature": 4.0, "scale": 1.0},
        },
        "two heads": {
            "loss": losses.two_heads, "weights": two_heads, "targets": (labels, np.eye(3)[near.train.d[:320]])
        },
    }.items():  # fmt: skip
        yield f"training, {name}", lambda changes=changes: _trained(replace(plan, **changes))
    yield EXPERIMENT, lambda: [_experiment(near)]


def _random(rng):
    return [rng.standard_normal(999), rng.uniform(size=999), rng.permutation(999), rng.choice(99, 50, replace=False)]


def _trained(plan):
    fit = loop.run(plan)
    return [*fit.weights, fit.loss, *fit.watched.values(), predict(fit.weights, np.asarray(plan.x))]


def _experiment(dataset) -> np.ndarray:
    """The bytes of `results.csv`."""
    experiment = Experiment(dataset, SETTINGS, fraction=0.25)
    experiment.run_all(*METHODS)
    results.write(experiment.results, csv := io.StringIO())
    return np.frombuffer(csv.getvalue().encode(), np.uint8)


if __name__ == "__main__":
    print(json.dumps(dict(digests(sys.argv[1:]))))
