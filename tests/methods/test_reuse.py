"""A method that is trained a second time takes what the first time left in the cache, and gives the same bits."""

import pytest
from bits import same

from kdlib.data import gaussians
from kdlib.methods import METHODS, Problem, original
from kdlib.methods.teachers import SklearnTeacher
from kdlib.settings import Settings
from kdlib.training import loop
from kdlib.training.cache import Cache

SMALL = Settings(seeds=2, epochs=2, hidden=(8, 4))


def outcomes(cache) -> dict:
    """All that comes out of each method on a problem, and the progress that was told."""
    told = []
    problem = Problem(gaussians.generate(0.5), SMALL, lambda *event: told.append(event), cache=cache)
    points = problem.dataset.valid
    found = {}
    for name, method in METHODS.items():
        trained = method.train(problem)
        target = None if trained.target is None else trained.target(points.x, points.d)
        fits = {title: vars(fit) for title, fit in trained.fits.items()}
        costs = [trained.updates, trained.teacher_updates, trained.queries, trained.choice]
        found[name] = [trained.log_probabilities(points.x, points.d), target, fits, costs]
    ablation = original.cumulative_ablation(problem)
    return found | {"ablation": ablation.to_csv(), "progress": len(told)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, dict]:
    """The outcomes without a cache, with an empty one, and with the same again, when nothing may be trained."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    found = {"none": outcomes(Cache(None)), "empty": outcomes(cache)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_epoch", pytest.fail)
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
