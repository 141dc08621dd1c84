"""Compute the triplet loss of the labeler (paper III-A; FACTS B1)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

Mining = Literal["semi-hard", "batch-hard"]
ANCHORS = 256  # mined at a time: beside the (N, N) distances mining needs memory of (ANCHORS, N)


def triplet(z: Tensor, labels: Tensor, mining: Mining = "semi-hard", margin: float = 0.5, soft: bool = False) -> Tensor:
    """Mean of [margin + d(a, p) - d(a, n)]+ with d the squared distance of L2-normalised rows (FACTS B1).

    semi-hard: over all positive pairs (a, p); n is the nearest negative with d(a, n) > d(a, p), else the farthest
    negative. batch-hard: over anchors that have a positive; p the farthest positive, n the nearest negative (eq. 5 of
    arXiv 1703.07737). soft: log(1 + e^x) in the hinge's place, the margin kept. z: (N, D); labels: (N,) int64.
    Without a positive in the batch the loss is 0, and without a negative. O(N^2) memory; fp32 also under autocast.
    """
    with torch.autocast(z.device.type, enabled=False):
        z = _unit(z.to(torch.promote_types(z.dtype, torch.float32)))
        square, product = z.square().sum(dim=1), z @ z.T  # (N,), (N, N)
        anchor, near, far = _mined(square, product, labels, mining)  # (T,) each
        gap = square[near] - square[far] - 2 * (product[anchor, near] - product[anchor, far])
        cost = softplus(margin + gap) if soft else (margin + gap).clamp(min=0)
        return cost.sum() / max(len(cost), 1)


def _unit(z: Tensor) -> Tensor:
    """Scale rows to unit length. A row of zeros stays zero and gets no gradient: an epsilon would make it 1e12."""
    length = z.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-6, z / length.clamp(min=1e-6), 0.0)


@torch.no_grad()
def _mined(square: Tensor, product: Tensor, labels: Tensor, mining: Mining) -> Tensor:
    """Choose triplets: (3, T) rows, the anchors, their positives and their negatives."""
    distance = product.mul(-2).add_(square).add_(square[:, None])
    choose = _batch_hard if mining == "batch-hard" else _semi_hard
    triplets = [torch.empty(3, 0, dtype=torch.int64, device=labels.device)]
    for start in range(0, len(labels), ANCHORS):
        rows = slice(start, start + ANCHORS)
        same = labels[rows, None] == labels  # (R, N)
        positive = same.clone()
        positive.diagonal(start).fill_(False)  # an anchor and itself
        if not same.all():
            anchor, near, far = choose(distance[rows], same, positive)
            triplets.append(torch.stack([start + anchor, near, far]))
    return torch.cat(triplets, dim=1)


def _semi_hard(distance: Tensor, same: Tensor, positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Choose a negative for every positive pair: distance (R, N) -> row, positive and negative, (T,) each."""
    most = int(positive.sum(dim=1).max())
    is_pair, near = positive.byte().topk(most, dim=1)  # (R, most); searching for positives alone: half the time
    ascending = distance.masked_fill(same, torch.inf).sort(dim=1)  # each anchor's negatives first
    farther = torch.searchsorted(ascending.values, distance.gather(1, near), right=True)
    farthest = (~same).sum(dim=1, keepdim=True) - 1
    far = ascending.indices.gather(1, farther.minimum(farthest))
    anchor, place = is_pair.nonzero(as_tuple=True)
    return anchor, near[anchor, place], far[anchor, place]


def _batch_hard(distance: Tensor, same: Tensor, positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the hardest triplet of every anchor that has a positive: the farthest positive, the nearest negative.

    distance (R, N) -> row, positive and negative, (T,) each.
    """
    anchor = positive.any(dim=1).nonzero()[:, 0]
    farthest = distance.masked_fill(~positive, -torch.inf).argmax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).argmin(dim=1)
    return anchor, farthest[anchor], nearest[anchor]
