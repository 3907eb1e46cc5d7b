"""The plane of the figures, against NumPy's singular value decomposition."""

import numpy as np
import pytest

from kdlib.plots.plane import Plane


@pytest.mark.parametrize("features", [1, 2, 5])
def test_the_grid_surrounds_the_points_and_lies_in_the_plane(features):
    x = np.random.default_rng(0).normal(size=(50, features))
    plane = Plane(x)
    points, grid = plane.project(x), plane.grid
    assert points.shape == (50, 2) and grid.shape == (len(plane.axis0) * len(plane.axis1), features)
    assert plane.axis0[0] < points[:, 0].min() and points[:, 0].max() < plane.axis0[-1]
    assert plane.axis1[0] < points[:, 1].min() and points[:, 1].max() < plane.axis1[-1]
    back = plane.project(grid).reshape(len(plane.axis1), len(plane.axis0), 2)
    np.testing.assert_allclose(back[0, :, 0], plane.axis0, atol=1e-9)
    np.testing.assert_allclose(back[:, 0, 1], plane.axis1 if features > 1 else 0, atol=1e-9)


def test_up_to_two_features_stay_as_they_are():
    x = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(Plane(x).project(x), x)
    np.testing.assert_array_equal(Plane(x[:, :1]).project(x[:, :1]), x * [1, 0])
    assert not Plane(x).is_projection


def test_more_are_standardised_and_projected_on_their_principal_components():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)) * 10.0 ** np.arange(6)
    standardised = (x - x.mean(axis=0)) / x.std(axis=0)
    _, sizes, directions = np.linalg.svd(standardised, full_matrices=False)
    plane = Plane(x)
    np.testing.assert_allclose(np.abs(plane.project(x)), np.abs(standardised @ directions[:2].T), atol=1e-9)
    assert plane.variance == pytest.approx(np.square(sizes[:2]) / np.square(sizes).sum())


@pytest.mark.parametrize("scale", [0, 1e-100, 1e100])
def test_any_scale_that_a_dataset_may_have_is_projected(scale):
    x = scale * np.random.default_rng(0).normal(size=(20, 4))
    plane = Plane(x)
    assert np.isfinite(plane.grid).all() and ((plane.variance >= 0) & (plane.variance < 1)).all()
