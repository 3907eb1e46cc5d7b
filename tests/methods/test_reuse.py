"""A method that is trained a second time takes what the first time left in the cache, and gives the same bits."""

import numpy as np
import pytest
from bits import same
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from kdlib.data import from_arrays, gaussians
from kdlib.methods import METHODS, Problem, original
from kdlib.methods.teachers import LazyTeacher, SklearnTeacher
from kdlib.settings import Settings
from kdlib.training import loop
from kdlib.training.cache import Cache
from kdlib.training.keys import digest
from kdlib.training.networks import threads

SMALL = Settings(seeds=2, epochs=2, hidden=(8, 4))


def outcomes(cache) -> dict:
    """All that comes out of each method on a problem, and the epochs that were trained."""
    trained_epochs = []

    def progress(*event, reused=False):
        if not reused:
            trained_epochs.append(event)

    arrays = gaussians.generate(0.5).arrays()
    arrays["t_train"] = np.random.default_rng(0).dirichlet([1, 1], (3, len(arrays["x_train"])))  # external teachers
    problem = Problem(from_arrays("taught", arrays), SMALL, progress, cache=cache)
    points = problem.dataset.valid
    found = {}
    for name, method in METHODS.items():
        trained = method.train(problem)
        target = None if trained.target is None else trained.target(points.x, points.d)
        fits = {title: vars(fit) for title, fit in trained.fits.items()}
        costs = [trained.updates, trained.teacher_updates, trained.queries, trained.choice]
        found[name] = [trained.log_probabilities(points.x, points.d), target, fits, costs]
    ablation = original.cumulative_ablation(problem)
    return found | {"ablation": ablation.to_csv(), "progress": len(trained_epochs)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, dict]:
    """The outcomes without a cache, with an empty one, and with the same again, when nothing may be trained."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    found = {"none": outcomes(Cache(None)), "empty": outcomes(cache)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_advance", pytest.fail)
        patch.setattr(SklearnTeacher, "fit", pytest.fail)
        return found | {"full": outcomes(cache)}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*METHODS, "ablation"])
def test_every_method_is_the_same_with_and_without_a_cache(runs, name):
    assert same(runs["empty"][name], runs["none"][name])
    assert same(runs["full"][name], runs["none"][name])


@pytest.mark.slow
def test_the_second_time_nothing_is_trained(runs):
    assert runs["none"]["progress"] >= runs["empty"]["progress"] > len(METHODS)
    assert runs["full"]["progress"] == 0


class Watched(SklearnTeacher):
    """Records how many threads products may use while it is fitted."""

    def choose(self, x, y):
        self.threads = {each["num_threads"] for each in threadpool_info()}
        return super().choose(x, y)


def test_one_thread_trains_whatever_the_process_has():
    x, y = np.arange(8.0)[:, None], np.arange(8) % 2
    with threadpool_limits(limits=2):
        teacher = Watched(LogisticRegression()).fit(x, y, 2)
        assert {each["num_threads"] for each in threadpool_info()} == {2}
    assert teacher.threads == {1}
    assert threads() == 1


def test_a_lazy_teacher_is_fitted_when_it_is_asked_and_refitted_with_its_choices():
    x, y = np.arange(8.0)[:, None], np.arange(8) % 2
    fitted = []

    def fit():
        fitted.append(Watched(LogisticRegression(C=0.1)).fit(x, y, 2))
        return fitted[-1]

    teacher = LazyTeacher(fit, "content")
    again = teacher.refit(x, 1 - y, 2)
    assert not fitted
    answers = SklearnTeacher(LogisticRegression(C=0.1)).fit(x, 1 - y, 2).log_probabilities(x)
    assert np.array_equal(again.log_probabilities(x), answers)
    assert np.array_equal(teacher.log_probabilities(x), fitted[0].log_probabilities(x))
    assert len(fitted) == 1
    keys = {digest(digest, each) for each in (teacher, again)}
    assert len(keys) == 2 and None not in keys
