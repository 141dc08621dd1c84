"""Compute the supervised contrastive loss of the paper (section III-C)."""

from typing import Any

import torch
from torch import Tensor

BLOCK = 256  # anchors at a time: their similarities to 4,096 views fit into a core's cache


def supervised_contrastive(
    z: Tensor, labels: Tensor, temperature: float = 0.1, anchors: tuple[int, int] | None = None
) -> Tensor:
    """Mean over anchors of the mean over positives of -log p (SupCon "L_out", eq. 2 of arXiv 2004.11362; paper III-C).

    z: (N, D), rows of unit length; labels: (N,) int64, equal = positive pair. An anchor without a positive adds 0.
    anchors: rows [start, stop) whose part of the mean is wanted; the parts of disjoint ranges add up to the whole, and
    so do their gradients. Computed in fp32 also under autocast, since exp(1 / temperature) leaves bf16 two digits.
    The gradient comes along with the value, a block of anchors at a time, so memory is O(BLOCK * N), not O(N^2).
    """
    start, stop = anchors or (0, len(z))
    loss: Tensor = _SupervisedContrastive.apply(z, labels, temperature, start, stop)
    return loss


class _SupervisedContrastive(torch.autograd.Function):
    """Compute the loss and its gradient together.

    With s_ij = z_i z_j / t, P_i the positives of i and p_i the softmax of s_i without s_ii:
    L = 1/N sum_i [log sum_j e^s_ij - mean over P_i of s_ij], dL/ds_ij = (p_ij - [j in P_i] / |P_i|) / N.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, labels: Tensor, temperature: float, start: int, stop: int) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            rows = z.detach().to(torch.promote_types(z.dtype, torch.float32))
            loss, gradient = rows.new_zeros(()), torch.zeros_like(rows)
            for first in range(start, stop, BLOCK):
                block = slice(first, min(first + BLOCK, stop))
                anchor = torch.arange(block.start, block.stop, device=z.device)
                itself = (anchor - block.start, anchor)
                s = (rows[block] / temperature) @ rows.T  # (B, N)
                s[itself] = -torch.inf
                positive = labels[block, None] == labels
                positive[itself] = False
                count = positive.sum(dim=1, keepdim=True)  # (B, 1)
                counted = (count > 0).to(s.dtype) / len(rows)
                share = positive / count.clamp(min=1)  # (B, N)
                normaliser = s.logsumexp(dim=1, keepdim=True)
                likeness = torch.where(positive, s, 0.0).sum(dim=1, keepdim=True) / count.clamp(min=1)
                loss += torch.where(count > 0, (normaliser - likeness) * counted, 0.0).sum()
                slope = torch.where(count > 0, (s - normaliser).exp_().sub_(share).mul_(counted), 0.0)
                gradient[block] += slope @ rows / temperature
                gradient += slope.T @ (rows[block] / temperature)
            ctx.save_for_backward(gradient.to(z.dtype))
            return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None, None, None
