"""scikit-learn's MLPClassifier, which for two classes has one logistic output."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks import task


def classifier():
    """A network per `fit`."""
    x, y, _ = task.data()

    def run(epochs: int) -> int:
        model = MLPClassifier(
            task.HIDDEN, batch_size=task.BATCH, max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it has not converged, nor is it meant to
            model.fit(x, y)
        return model.n_iter_

    return run
