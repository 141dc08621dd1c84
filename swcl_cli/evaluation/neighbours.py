"""Classify embeddings by their k nearest neighbours, to judge an encoder without any training on top of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 1024  # test rows at a time: memory is CHUNK x M, whatever N


def knn_scores(
    train: NDArray[np.float32],
    train_labels: NDArray[np.bool_],
    test: NDArray[np.float32],
    neighbours: int = 20,
    temperature: float = 0.07,
) -> NDArray[np.float64]:
    """Return the share (N,) of votes for True among the nearest neighbours by cosine similarity s.

    A vote weighs exp(s / temperature) (Wu et al. 2018, arXiv 1805.01978, III-D; 20 neighbours as DINO's, arXiv
    2104.14294). train: (M, D), train_labels: (M,), test: (N, D). Where M is smaller than `neighbours`, all M vote.
    """
    bank, nearest = _unit(train), min(neighbours, len(train))
    scores = np.empty(len(test))
    for start in range(0, len(test), CHUNK):
        similarity = _unit(test[start : start + CHUNK]) @ bank.T  # (CHUNK, M)
        rows = np.argpartition(-similarity, nearest - 1, axis=1)[:, :nearest]
        near = np.take_along_axis(similarity, rows, axis=1).astype(np.float64)
        votes = np.exp((near - near.max(axis=1, keepdims=True)) / temperature)
        scores[start : start + CHUNK] = (votes * train_labels[rows]).sum(axis=1) / votes.sum(axis=1)
    return scores


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; rows of zeros stay, equally far from all others."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    unit: NDArray[np.float32] = (rows / lengths).astype(np.float32)
    return unit
