"""Compute the supervised contrastive loss of the paper (section III-C)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

CELLS = 1 << 20  # similarities at a time, those of a block of anchors to all views: 4 MB, which fit into the cache


def supervised_contrastive(
    z: Tensor, labels: Tensor, temperature: float = 0.1, anchors: tuple[int, int] | None = None
) -> Tensor:
    """Mean over anchors of the mean over positives of -log p (SupCon "L_out", eq. 2 of arXiv 2004.11362; paper III-C).

    z: (N, D), rows of unit length; labels: (N,) int64, equal = positive pair. An anchor without a positive adds 0.
    anchors: rows [start, stop) whose part of the mean is wanted; the parts of disjoint ranges add up to the whole, and
    so do their gradients. Computed in fp32 also under autocast, since exp(1 / temperature) leaves bf16 two digits.
    The gradient comes along with the value, a block of anchors at a time, so memory is O(CELLS + N * D), not O(N^2).
    """
    start, stop = anchors or (0, len(z))
    loss: Tensor = _SupervisedContrastive.apply(z, labels, temperature, start, stop)
    return loss


class _SupervisedContrastive(torch.autograd.Function):
    """Compute the loss and its gradient together.

    With s_ij = z_i z_j / t, P_i the positives of i and p_i the softmax of s_i without s_ii:
    L = 1/N sum_i [log sum_j e^s_ij - mean over P_i of s_ij], dL/ds_ij = (p_ij - [j in P_i] / |P_i|) / N.
    What the positives add is linear in z, so that it needs their sums alone, and no (N, N) mask.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Tensor, temperature: float, start: int, stop: int) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            rows = z.detach().to(torch.promote_types(z.dtype, torch.float32))
            scaled = rows / temperature
            count, positives, as_positive = _positives(rows, labels, slice(start, stop))
            weight = (count > 0).to(rows.dtype) / len(rows)  # (N, 1), of an anchor in the mean
            share = weight / count.clamp(min=1)
            likeness = (scaled * positives).sum(dim=1, keepdim=True) / count.clamp(min=1)
            loss, gradient = rows.new_zeros(()), -share * as_positive
            gradient[start:stop] -= (share * positives)[start:stop]
            size = max(CELLS // len(rows), 1)
            for first in range(start, stop, size):
                block = slice(first, min(first + size, stop))
                s = scaled[block] @ rows.T  # (B, N)
                s.diagonal(first).fill_(torch.finfo(s.dtype).min)  # not -inf, for a row that has no other
                highest = s.amax(dim=1, keepdim=True)
                total = s.sub_(highest).exp_().sum(dim=1, keepdim=True)  # (B, 1)
                loss += ((highest + total.log() - likeness[block]) * weight[block]).sum()
                p_scale = weight[block] / total
                gradient[block] += (s @ rows).mul_(p_scale)
                gradient += s.T @ (rows[block] * p_scale)
            ctx.save_for_backward(gradient.div_(temperature).to(z.dtype))
            return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None, None, None


def _positives(rows: Tensor, labels: Tensor, anchors: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's number of positives (N, 1), their sum (N, D), and the sum of those that are `anchors` (N, D).

    The rows of a label are added in their order, for equal bits in each run, on a GPU too, and in fp64: of large
    labels the gradient is a small difference of large sums.
    """
    _, label, size = labels.unique(return_inverse=True, return_counts=True)
    chosen = torch.zeros_like(rows)
    chosen[anchors] = rows[anchors]
    both = torch.cat([rows, chosen], dim=1).double()
    sums = embedding_bag(label.argsort(stable=True), both, size.cumsum(0) - size, mode="sum")
    others, anchored = (sums[label] - both).to(rows.dtype).chunk(2, dim=1)
    return (size[label] - 1).unsqueeze(1), others, anchored
