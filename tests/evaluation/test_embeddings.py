"""Alignment, uniformity and spread: against loops and torch's own distances, by hand, at their edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from swcl_cli.evaluation.embeddings import COLLAPSED, alignment, is_collapsed, spread, teacher_fault, uniformity


def embeddings(count: int = 30, width: int = 8, seed: int = 0) -> Tensor:
    return normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize(
    "labels", [torch.arange(30) % 7, torch.zeros(30, dtype=torch.int64), torch.arange(30) // 2 * 5]
)
def test_alignment_against_loops(labels: Tensor) -> None:
    z = embeddings()
    distances = [
        float((z[i] - z[j]).square().sum()) for i in range(30) for j in range(30) if i != j and labels[i] == labels[j]
    ]
    assert float(alignment(z, labels)) == pytest.approx(sum(distances) / len(distances), abs=1e-5)


def test_alignment_of_two_views_is_wang_and_isolas() -> None:
    first, second = embeddings(seed=1), embeddings(seed=2)
    theirs = (first - second).norm(dim=1).pow(2).mean()
    ours = alignment(torch.cat([first, second]), torch.arange(30).repeat(2))
    torch.testing.assert_close(ours, theirs)


def test_uniformity_is_wang_and_isolas() -> None:
    z = embeddings()
    torch.testing.assert_close(uniformity(z), torch.pdist(z).pow(2).mul(-2).exp().mean().log())
    distances = [float((z[i] - z[j]).square().sum()) for i in range(30) for j in range(30) if i != j]
    by_loops = math.log(sum(math.exp(-2 * distance) for distance in distances) / len(distances))
    assert float(uniformity(z)) == pytest.approx(by_loops, abs=1e-5)


def test_by_hand() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])  # squared distances 2, 4, 2
    assert float(alignment(z, torch.tensor([3, 3, 3]))) == pytest.approx(8 / 3)
    assert float(alignment(z, torch.tensor([3, 9, 3]))) == pytest.approx(4)
    assert float(uniformity(z)) == pytest.approx(math.log((2 * math.exp(-4) + math.exp(-8)) / 3))
    opposite = z[[0, 2]]  # standard deviations sqrt(2) and 0
    assert float(spread(opposite)) == pytest.approx(math.sqrt(2) / 2 * math.sqrt(2))


def test_uniform_embeddings_and_collapsed_ones() -> None:
    uniform = embeddings(2000, 128)
    assert float(spread(uniform)) == pytest.approx(1, abs=0.01)
    assert float(uniformity(uniform)) == pytest.approx(-4 + 8 / 128, abs=0.01)  # log E exp(4 cos - 4), cos ~ N(0, 1/D)
    one_point = uniform[:1].repeat(50, 1)
    assert float(spread(one_point)) == pytest.approx(0, abs=1e-6)
    assert float(uniformity(one_point)) == pytest.approx(0, abs=1e-5)
    assert float(alignment(one_point, torch.arange(50) % 2)) == pytest.approx(0, abs=1e-6)


def test_collapsed_is_a_mean_cosine_of_99_percent() -> None:
    noise, centre = embeddings(2000, 64), torch.eye(64)[0]
    for distance, collapsed in ((0.05, True), (0.2, False)):
        z = normalize(centre + distance * noise, dim=1)
        cosine = ((z @ z.T).sum() - 2000) / (2000 * 1999)
        assert float(spread(z)) == pytest.approx(math.sqrt(1 - cosine), rel=0.02)
        assert is_collapsed(float(spread(z))) == collapsed == bool(cosine > 1 - COLLAPSED**2)


@pytest.mark.parametrize(
    ("entropy", "fault"),
    [
        (0.0, "has put all photographs into one class"), (0.0099, "has put all photographs into one class"),
        (0.01, ""), (0.5, ""), (0.999, ""),
        (0.9991, "finds all classes alike"), (1.0, "finds all classes alike"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_teacher(entropy: float, fault: str) -> None:
    assert teacher_fault(entropy) == fault


def test_edges_are_nan() -> None:
    one = embeddings(1)
    assert math.isnan(alignment(one, torch.tensor([0]))) and math.isnan(uniformity(one))
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert math.isnan(spread(one)) and not is_collapsed(float(spread(one)))
    assert math.isnan(alignment(embeddings(5), torch.arange(5)))  # nobody has a positive
