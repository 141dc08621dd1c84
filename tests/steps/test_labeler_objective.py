"""The S4L objective against loops on a tiny network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from swcl_cli.data.augment import normalise
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.labeler_views import UNLABELLED
from swcl_cli.losses.triplet import triplet
from swcl_cli.steps.train_labeler import S4L, pool_and_classify
from swcl_cli.training.chunks import mixed_chunks
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
    bytes_ = (80 + 70 * (drawn + shift)).clamp(0, 255).to(torch.uint8)
    return {"views": bytes_, "label": torch.tensor(labels), "item": torch.arange(len(labels)) + 40}


def normalised(views: Tensor) -> Tensor:
    """As evaluation normalises photographs: bytes (N, 3, H, W)."""
    return torch.tensor(np.stack([normalise(view.permute(1, 2, 0).numpy(), MEAN, STD) for view in views]))


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
        for view in normalised(views):
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
    other["views"][2:] = 255 - other["views"][2:].flip(-1)
    plain, joint = S4L(Tiny(), options(triplet_weight=0)), S4L(Tiny(), options())
    assert plain(batch)[0].item() == plain(other)[0].item()
    assert joint(batch)[0].item() != joint(other)[0].item()


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_without_unlabelled_data_sets_it_is_the_cross_entropy_alone(weight: float) -> None:
    network, batch = Tiny(), batch_of([0, 1, 1])
    loss, metrics = S4L(network, options(unlabelled="", triplet_weight=weight))(batch)
    _, logits = pool_and_classify(network, normalised(batch["views"].flatten(0, 1)))
    expected = cross_entropy(logits, batch["label"].repeat_interleave(3))
    assert loss.item() == expected.item() == metrics["cross_entropy"].item() and metrics.keys() == {"cross_entropy"}
    parameters = list(network.parameters())
    gradients = [torch.autograd.grad(value, parameters, retain_graph=True) for value in (loss, expected)]
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


class Normed(Tiny):
    """The same with norms: GroupNorm, or BatchNorm."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.norm(self.convolution(images)).relu()
        return features


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


@pytest.mark.parametrize("labels", [[0, 1, -1, -1, 1, 0, -1], [0, 1, 1, 0]])
@pytest.mark.parametrize("chunk", [6, 8, 20])
def test_chunks_give_the_loss_and_the_gradient_of_the_whole_batch(labels: list[int], chunk: int) -> None:
    """Where a norm looks at each view alone; all three of the classifier's, the norm's and the convolution's."""
    network, batch = Normed(nn.GroupNorm(1, 5)), batch_of(labels)
    whole, parts = (S4L(network, options(chunk=each, batch_labelled=4, batch_unlabelled=3)) for each in (0, chunk))
    (expected, named), (loss, metrics) = whole(batch), parts(batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert {key: value.item() for key, value in metrics.items()} == pytest.approx(
        {key: value.item() for key, value in named.items()}, rel=1e-5
    )
    for part, value in zip(gradients(loss, network), gradients(expected, network), strict=True):
        torch.testing.assert_close(part, value, rtol=1e-4, atol=1e-6)
        assert value.abs().max() > 1e-4


def test_batch_statistics_are_those_of_each_chunk() -> None:
    """Written out, with autograd through all views at once: 7 images of 3 views in chunks of 5, 5, 5 and 6."""
    labels = [0, 1, -1, -1, 1, 0, -1]
    network, batch = Normed(nn.BatchNorm2d(5)), batch_of(labels)
    with torch.no_grad():
        network.norm.weight.copy_(torch.linspace(0.5, 2, 5))  # type: ignore[operator]
        network.norm.bias.copy_(torch.linspace(-0.5, 0.5, 5))  # type: ignore[operator]
    settings = options(chunk=6, batch_labelled=4, batch_unlabelled=3)
    loss, _ = S4L(network, settings).train()(batch)
    got = gradients(loss, network)

    views = normalised(batch["views"].flatten(0, 1))
    features = network.convolution(views)
    chunks = [chunk.tolist() for chunk in mixed_chunks(batch["label"] != UNLABELLED, 3, 6)]
    assert [len(chunk) for chunk in chunks] == [5, 5, 5, 6]
    assert [sum(labels[row // 3] != UNLABELLED for row in chunk) for chunk in chunks] == [3, 3, 3, 3]
    rows: dict[int, Tensor] = {}
    running = torch.zeros(5)
    for chunk in chunks:
        part = features[chunk]
        mean, variance = part.mean(dim=(0, 2, 3)), part.var(dim=(0, 2, 3), unbiased=False)
        scaled = (part - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        weight, bias = network.norm.weight, network.norm.bias
        pooled = (scaled * weight[:, None, None] + bias[:, None, None]).relu().mean(dim=(2, 3))  # type: ignore[index]
        rows |= dict(zip(chunk, pooled, strict=True))
        running = 0.9 * running + 0.1 * mean.detach()
    z = torch.stack([rows[row] for row in range(len(rows))])
    label, item = (batch[name].repeat_interleave(3) for name in ("label", "item"))
    known = label != UNLABELLED
    logits = z[known] @ network.fc.weight.T + network.fc.bias
    expected = cross_entropy(logits, label[known]) + triplet(z, item)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for part, value in zip(got, gradients(expected, network), strict=True):
        torch.testing.assert_close(part, value, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(network.norm.running_mean, running)
    assert network.norm.num_batches_tracked == 4


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(5), nn.GroupNorm(1, 5)])
def test_a_chunk_that_holds_the_batch_changes_no_bit(norm: nn.Module) -> None:
    batch = batch_of([0, 1, -1, -1])
    results = []
    for chunk in (0, 12, 500):
        network = Normed(copy.deepcopy(norm))
        loss, _ = S4L(network, options(chunk=chunk))(batch)
        results.append([loss, *gradients(loss, network)])
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(result, results[0], strict=True))
