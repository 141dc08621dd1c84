"""The S4L objective against loops on a tiny network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from swcl_cli.data.labeler_views import UNLABELLED
from swcl_cli.steps.train_labeler import S4L, pool_and_classify
from tests.labeler_runs import options


class Tiny(nn.Module):
    """What S4L asks of a timm network, without batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.convolution, self.fc = nn.Conv2d(3, 5, 3), nn.Linear(5, 2)

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.convolution(images).relu()
        return features

    def forward_head(self, features: Tensor, pre_logits: bool) -> Tensor:
        assert pre_logits
        return features.mean(dim=(2, 3))


def batch_of(labels: list[int], views: int = 3) -> dict[str, Tensor]:
    drawn = torch.randn(len(labels), views, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    shift = torch.arange(len(labels)).reshape(-1, 1, 1, 1, 1) / 3  # views of an image are alike
    return {"views": drawn + shift, "label": torch.tensor(labels), "item": torch.arange(len(labels)) + 40}


def by_loops(
    network: Tiny,
    batch: dict[str, Tensor],
    weight: float,
    margin: float = 0.5,
    mining: str = "semi-hard",
    cost: Callable[[float], float] = lambda gap: max(gap, 0),
) -> tuple[float, float, float]:
    pooled, label, item = [], [], []
    for number, views in enumerate(batch["views"]):
        for view in views:
            pooled.append(network.convolution(view).relu().mean(dim=(1, 2)))
            label.append(int(batch["label"][number]))
            item.append(int(batch["item"][number]))
    costs = []
    for row, wanted in zip(pooled, label, strict=True):
        if wanted != UNLABELLED:
            logits = (network.fc.weight @ row + network.fc.bias).tolist()
            costs.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[wanted])
    z = [normalize(row.detach(), dim=0) for row in pooled]
    gaps = []
    for a in range(len(z)):
        negatives = [float((z[a] - z[n]).square().sum()) for n in range(len(z)) if item[n] != item[a]]
        positives = [float((z[a] - z[p]).square().sum()) for p in range(len(z)) if p != a and item[p] == item[a]]
        if mining == "batch-hard":
            gaps.append(cost(margin + max(positives) - min(negatives)))
            continue
        for near in positives:
            farther = [far for far in negatives if far > near]
            gaps.append(cost(margin + near - (min(farther) if farther else max(negatives))))
    classification, alike = sum(costs) / len(costs), sum(gaps) / len(gaps)
    return classification + weight * alike, classification, alike


@pytest.mark.parametrize("labels", [[0, 1, -1, -1, 1], [1, -1, -1], [0, 1]])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_objective_by_loops(labels: list[int], weight: float) -> None:
    network, batch = Tiny(), batch_of(labels)
    loss, metrics = S4L(network, options(triplet_weight=weight))(batch)
    expected = by_loops(network, batch, weight)
    got = (loss.item(), metrics["cross_entropy"].item(), metrics["triplet"].item())
    assert got == pytest.approx(expected, rel=1e-4) and got[2] > 0


@pytest.mark.parametrize("mining", ["semi-hard", "batch-hard"])
@pytest.mark.parametrize("margin", [0.5, 0.05])
def test_mining_and_margin_are_those_of_the_settings(mining: Literal["semi-hard", "batch-hard"], margin: float) -> None:
    network, batch = Tiny(), batch_of([0, 1, -1, -1, 1])
    loss, metrics = S4L(network, options(mining=mining, margin=margin))(batch)
    others = [by_loops(network, batch, 1.0, *pair)[2] for pair in ((0.5, mining), (0.05, mining))]
    others += [by_loops(network, batch, 1.0, margin, kind)[2] for kind in ("semi-hard", "batch-hard")]
    total, _, alike = by_loops(network, batch, 1.0, margin, mining)
    assert (loss.item(), metrics["triplet"].item()) == pytest.approx((total, alike), rel=1e-4)
    assert len({round(value, 3) for value in others}) == 3  # either would be noticed


@pytest.mark.parametrize("mining", ["semi-hard", "batch-hard"])
@pytest.mark.parametrize("margin", [0.5, 0.05])
def test_a_soft_margin_is_log_of_1_plus_e_to_the_gap(mining: Literal["semi-hard", "batch-hard"], margin: float) -> None:
    """FACTS B1."""
    network, batch = Tiny(), batch_of([0, 1, -1, -1, 1])
    loss, metrics = S4L(network, options(mining=mining, margin=margin, soft_margin=True))(batch)
    total, _, alike = by_loops(network, batch, 1.0, margin, mining, lambda gap: math.log1p(math.exp(gap)))
    assert (loss.item(), metrics["triplet"].item()) == pytest.approx((total, alike), rel=1e-4)
    hinge, _ = S4L(network, options(mining=mining, margin=margin))(batch)
    assert loss.item() > hinge.item() + 0.1


def test_unlabelled_photographs_are_in_the_triplet_loss_alone() -> None:
    batch = batch_of([0, 1, -1, -1])
    other = {**batch, "views": batch["views"].clone()}
    other["views"][2:] = other["views"][2:].flip(-1) * 2
    plain, joint = S4L(Tiny(), options(triplet_weight=0)), S4L(Tiny(), options())
    assert plain(batch)[0].item() == plain(other)[0].item()
    assert joint(batch)[0].item() != joint(other)[0].item()


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_without_unlabelled_data_sets_it_is_the_cross_entropy_alone(weight: float) -> None:
    network, batch = Tiny(), batch_of([0, 1, 1])
    loss, metrics = S4L(network, options(unlabelled="", triplet_weight=weight))(batch)
    _, logits = pool_and_classify(network, batch["views"].flatten(0, 1))
    expected = cross_entropy(logits, batch["label"].repeat_interleave(3))
    assert loss.item() == expected.item() == metrics["cross_entropy"].item() and metrics.keys() == {"cross_entropy"}
    parameters = list(network.parameters())
    gradients = [torch.autograd.grad(value, parameters, retain_graph=True) for value in (loss, expected)]
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
