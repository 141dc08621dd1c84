"""k nearest neighbours: against a plain loop and scikit-learn's classifier, by hand, at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from swcl_cli.evaluation import neighbours
from swcl_cli.evaluation.neighbours import knn_scores

Bank = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]


@pytest.fixture
def bank() -> Bank:
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(count, 6)).astype(np.float32) for count in (90, 40))
    return train, rng.random(90) < 0.4, test


def test_against_a_loop(bank: Bank) -> None:
    train, labels, test = bank
    scores = []
    for query in test:
        cosines = [float(row @ query / np.linalg.norm(row) / np.linalg.norm(query)) for row in train]
        nearest = sorted(range(90), key=lambda row: -cosines[row])[:7]
        votes = {row: np.exp(cosines[row] / 0.2) for row in nearest}
        scores.append(sum(vote for row, vote in votes.items() if labels[row]) / sum(votes.values()))
    np.testing.assert_allclose(knn_scores(train, labels, test, 7, 0.2), scores, atol=1e-5)
    assert len(np.unique(scores)) > 30


@pytest.mark.parametrize("count", [1, 5, 20])
def test_against_scikit_learn(bank: Bank, count: int) -> None:
    train, labels, test = bank
    classifier = KNeighborsClassifier(
        count, weights=lambda distances: np.exp((1 - distances) / 0.07), metric="cosine", algorithm="brute"
    )
    theirs = classifier.fit(train, labels).predict_proba(test)[:, 1]
    np.testing.assert_allclose(knn_scores(train, labels, test, count), theirs, atol=1e-4)


def test_by_default_as_dino_does(bank: Bank) -> None:
    np.testing.assert_array_equal(knn_scores(*bank), knn_scores(*bank, neighbours=20, temperature=0.07))


def test_by_hand() -> None:
    train = np.array([[2, 0], [0, 5], [-1, 0]], np.float32)
    labels = np.array([True, False, True])
    query = np.array([[3, 0]], np.float32)  # cosines 1, 0, -1
    assert knn_scores(train, labels, query, 1).item() == 1
    assert knn_scores(train, labels, query, 2, 1.0).item() == pytest.approx(np.e / (np.e + 1))
    votes = np.exp([1, 0, -1])
    assert knn_scores(train, labels, query, 50, 1.0).item() == pytest.approx((votes[0] + votes[2]) / votes.sum())


def test_lengths_do_not_matter_and_none_is_no_neighbour(bank: Bank) -> None:
    train, labels, test = bank
    lengths = np.random.default_rng(1).uniform(0.1, 9, (90, 1)).astype(np.float32)
    np.testing.assert_allclose(
        knn_scores(train * lengths, labels, 3 * test), knn_scores(train, labels, test), atol=1e-5
    )
    train = np.concatenate([train, np.zeros((1, 6), np.float32)])
    assert np.isfinite(knn_scores(train, np.append(labels, True), np.zeros((2, 6), np.float32))).all()


def test_a_low_temperature_stays_finite(bank: Bank) -> None:
    train, labels, test = bank
    np.testing.assert_allclose(knn_scores(train, labels, test, 20, 1e-4), knn_scores(train, labels, test, 1), atol=1e-3)


def test_chunks_make_no_difference(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = knn_scores(*bank)
    monkeypatch.setattr(neighbours, "CHUNK", 7)
    np.testing.assert_allclose(knn_scores(*bank), whole, atol=1e-6)
