"""Measure how embeddings lie on the sphere: whether positives are near, all are spread out, or all have collapsed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the report asks for the bounds alone, and need not wait for torch
    from torch import Tensor

COLLAPSED = 0.1  # two embeddings' mean cosine is 0.99: at temperature 0.1 negatives look like positives to the loss
HEALTHY_ENTROPY = (0.01, 0.999)  # of DINO's teacher: below, one class holds all photographs; above, classes are alike


def alignment(z: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared distance of positive pairs (Wang & Isola 2020, arXiv 2005.10242, alpha 2); NaN if none.

    z: (N, D), rows of unit length; labels: (N,), equal = positive pair. 0 where positives coincide.
    """
    _, number, count = labels.unique(return_inverse=True, return_counts=True)
    total = z.new_zeros(len(count), z.shape[1]).index_add_(0, number, z)  # (labels, D)
    distances = count.square() - total.square().sum(dim=1)  # sum of squares over the unordered pairs of a label
    mean: Tensor = distances[count > 1].clamp(min=0).sum() / (count * (count - 1) / 2).sum()
    return mean


def uniformity(z: Tensor) -> Tensor:
    """Return log of the mean of exp(-2 d^2) over pairs (Wang & Isola 2020, t = 2): 0 collapsed, about -4 uniform.

    z: (N, D), rows of unit length. NaN for one row.
    """
    closeness = (z @ z.T).sub_(1).mul_(4).exp_()  # (N, N); d^2 = 2 - 2 cos
    return (closeness.fill_diagonal_(0).sum() / (len(z) * (len(z) - 1))).log()


def spread(z: Tensor) -> Tensor:
    """Return the mean standard deviation of a dimension, times sqrt(D): 1 uniform on the sphere, 0 collapsed.

    From arXiv 2011.10566. z: (N, D), rows of unit length. NaN for one row.
    """
    return z.std(dim=0).mean() * math.sqrt(z.shape[1])


def is_collapsed(spread: float) -> bool:
    """Return whether embeddings of this spread are almost all the same. Random networks have 0.2 to 0.5."""
    return spread < COLLAPSED


def teacher_fault(entropy: float) -> str:
    """Say what is wrong with a DINO teacher whose answers have this mean entropy (0 to 1); empty if nothing is."""
    least, most = HEALTHY_ENTROPY
    if entropy < least:
        return "has put all photographs into one class"
    return "finds all classes alike" if entropy > most else ""
