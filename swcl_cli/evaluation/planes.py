"""Project embeddings on a plane, to look at them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]  # (N, 2)
NEIGHBOURS = 15  # UMAP's own default; it needs more photographs than these


def principal_plane(vectors: NDArray[np.float32]) -> tuple[Plane, tuple[float, float]]:
    """Project vectors (N, C) on the two directions in which they vary most (PCA); return also their shares of variance.

    The signs of both are such that each direction's largest weight is positive, as scikit-learn has it. Fewer than two
    vectors, or equal ones, lie at 0.
    """
    from sklearn.decomposition import PCA

    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    count = min(2, *vectors.shape)
    plane, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    if len(vectors) > 1 and centred.any():
        fitted = PCA(count, svd_solver="covariance_eigh").fit(centred)
        plane[:, :count] = fitted.transform(centred)
        shares[:count] = fitted.explained_variance_ratio_
    return plane, (float(shares[0]), float(shares[1]))


def neighbour_plane(vectors: NDArray[np.float32]) -> Plane | None:
    """Lay vectors (N, C) out so that neighbours stay neighbours (UMAP, arXiv 1802.03426).

    None where umap-learn is not installed, or there are too few vectors. Distances between far groups mean nothing.
    """
    if find_spec("umap") is None or len(vectors) <= NEIGHBOURS + 1:
        return None
    import umap

    layout: Any = umap.UMAP(n_neighbors=NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(vectors)
    return np.asarray(layout, np.float64)
