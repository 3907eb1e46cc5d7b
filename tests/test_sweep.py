"""What a sweep asks of a problem, and what it makes of its points."""

import numpy as np
import pytest

from kdlib import gaussians
from kdlib.problem import Problem
from kdlib.study import Study


@pytest.fixture(scope="module")
def dataset():
    return gaussians.generate(0.5)


def test_a_fraction_of_the_training_samples_takes_as_many_updates_and_nests(dataset):
    study = Study(seeds=2, epochs=1)
    tenth, half, whole = (Problem(dataset, study, fraction=fraction) for fraction in (0.1, 0.5, 1.0))
    for part, share in ((tenth, 0.1), (half, 0.5)):
        counts = [np.bincount(3 * split.y + split.d) for split in (part.train, whole.train)]
        np.testing.assert_allclose(counts[0], share * counts[1], atol=0.5)
        assert part.steps == whole.steps
        assert [part.teacher_steps(k) for k in range(3)] == [whole.teacher_steps(k) for k in range(3)]
        assert part.distance == 0.5 and len(part.splits["fresh"]) == len(whole.splits["fresh"])
        assert part.first(1).train.x.tolist() == part.train.x.tolist()
    rows = [{tuple(point) for point in problem.train.x} for problem in (tenth, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    assert tenth.direct.updates == 75 and set(np.unique(next(iter(tenth.mixed())))) == set(range(len(tenth.train)))
