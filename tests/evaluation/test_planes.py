"""Planes of embeddings, against a decomposition by hand."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.chance import generator
from swcl_cli.evaluation.planes import neighbour_plane, principal_plane


@pytest.mark.parametrize("shape", [(50, 6), (5, 40), (3, 2), (2, 5)])
def test_the_principal_plane_is_that_of_the_singular_vectors(shape: tuple[int, int]) -> None:
    vectors = generator(0, "planes", item=shape[0]).normal(size=shape) * np.arange(1, shape[1] + 1) + 7
    plane, shares = principal_plane(vectors.astype(np.float32))
    centred = vectors.astype(np.float32).astype(np.float64)
    centred -= centred.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = (left * values)[:, :2]
    for axis in range(min(2, shape[0] - 1)):  # up to its sign
        sign = np.sign(expected[:, axis] @ plane[:, axis])
        np.testing.assert_allclose(plane[:, axis], sign * expected[:, axis], atol=1e-4 * values[0])
    np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:2], atol=1e-6)


@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.full((9, 4), 0.3), np.ones((4, 1)) * np.arange(4)[:, None]])
def test_what_does_not_vary_lies_at_zero(vectors: np.ndarray) -> None:
    plane, shares = principal_plane(vectors.astype(np.float32))
    assert np.isfinite(plane).all() and np.isfinite(shares).all() and not plane[:, 1].any()


def test_neighbours_stay_neighbours() -> None:
    pytest.importorskip("umap")
    drawn = generator(0, "two clouds").normal(size=(60, 8))
    drawn[30:] += 40
    plane = neighbour_plane(drawn.astype(np.float32))
    assert plane is not None and plane.shape == (60, 2)
    centres = plane[:30].mean(axis=0), plane[30:].mean(axis=0)
    apart = np.concatenate([plane[:30] - centres[0], plane[30:] - centres[1]])
    within = np.linalg.norm(apart, axis=1).max()
    assert np.linalg.norm(centres[0] - centres[1]) > within


def test_too_few_have_no_neighbours() -> None:
    assert neighbour_plane(np.zeros((10, 3), np.float32)) is None
