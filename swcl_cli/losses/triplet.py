"""The triplet loss of the labeler (paper III-A; FACTS B1)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

Mining = Literal["semi-hard", "batch-hard"]


def triplet(z: Tensor, labels: Tensor, mining: Mining = "semi-hard", margin: float = 0.5, soft: bool = False) -> Tensor:
    """Mean of [margin + d(a, p) - d(a, n)]+ with d the squared distance of L2-normalised rows (FACTS B1).

    semi-hard: over all positive pairs (a, p); n is the nearest negative with d(a, n) > d(a, p), else the farthest
    negative. batch-hard: over anchors that have a positive; p the farthest positive, n the nearest negative (eq. 5 of
    arXiv 1703.07737). soft: log(1 + e^x) in the hinge's place, the margin kept. z: (N, D); labels: (N,) int64.
    Without a positive in the batch the loss is 0, and without a negative, whose distance counts as infinite.
    O(N^2) memory; fp32 also under autocast.
    """
    with torch.autocast(z.device.type, enabled=False):
        distance = _squared_distances(z.to(torch.promote_types(z.dtype, torch.float32)))  # (N, N)
        same = labels[:, None] == labels
        positive = same & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        mine = _batch_hard if mining == "batch-hard" else _semi_hard
        gap, counted = mine(distance, same, positive)
        violation = margin + gap.masked_fill(~counted, 0.0)
        cost = softplus(violation) if soft else violation.clamp(min=0)
        return cost.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)


def _squared_distances(z: Tensor) -> Tensor:
    """A row of zeros stays zero and gets no gradient: dividing it by an epsilon would make a gradient of 1e12."""
    length = z.norm(dim=1, keepdim=True)
    z = torch.where(length > 1e-6, z / length.clamp(min=1e-6), 0.0)
    square = z.square().sum(dim=1)
    return square[:, None] + square - 2 * z @ z.T


def _semi_hard(distance: Tensor, same: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """d(a, p) - d(a, n) of every pair (N, N), and which of the pairs are positive."""
    ascending = distance.masked_fill(same, torch.inf).sort(dim=1).values  # (N, N), each anchor's negatives first
    farther = torch.searchsorted(ascending.detach(), distance.detach().contiguous(), right=True)
    farthest = (~same).sum(dim=1, keepdim=True) - 1
    return distance - ascending.gather(1, farther.minimum(farthest).clamp(min=0)), positive


def _batch_hard(distance: Tensor, same: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """d(a, farthest positive) - d(a, nearest negative) of every anchor (N,), and which anchors have a positive."""
    farthest = distance.masked_fill(~positive, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return farthest - nearest, positive.any(dim=1)
