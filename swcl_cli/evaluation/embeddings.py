"""How embeddings lie on the sphere: whether positives are near, whether all are spread out, whether they collapsed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the report asks for the bounds alone, and need not wait for torch
    from torch import Tensor

COLLAPSED = 0.1  # two embeddings' mean cosine is 0.99: at temperature 0.1 negatives look like positives to the loss
HEALTHY_ENTROPY = (0.01, 0.999)  # of DINO's teacher: below, one class has all; above, all classes are alike


def alignment(z: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance of positive pairs (Wang & Isola 2020, arXiv 2005.10242, alpha 2); NaN where there is none.

    z: (N, D), rows of unit length; labels: (N,), equal = positive pair. 0 where positives coincide.
    """
    _, number, count = labels.unique(return_inverse=True, return_counts=True)
    total = z.new_zeros(len(count), z.shape[1]).index_add_(0, number, z)  # (labels, D)
    distances = count.square() - total.square().sum(dim=1)  # sum of squares over the unordered pairs of a label
    mean: Tensor = distances[count > 1].clamp(min=0).sum() / (count * (count - 1) / 2).sum()
    return mean


def uniformity(z: Tensor) -> Tensor:
    """log of the mean of exp(-2 d^2) over distinct pairs (Wang & Isola 2020, t = 2): 0 collapsed, about -4 uniform.

    z: (N, D), rows of unit length. NaN for one row.
    """
    closeness = (z @ z.T).sub_(1).mul_(4).exp_()  # (N, N); d^2 = 2 - 2 cos
    return (closeness.fill_diagonal_(0).sum() / (len(z) * (len(z) - 1))).log()


def spread(z: Tensor) -> Tensor:
    """Mean standard deviation of a dimension, times sqrt(D): 1 uniform on the sphere, 0 collapsed (arXiv 2011.10566).

    z: (N, D), rows of unit length. NaN for one row.
    """
    return z.std(dim=0).mean() * math.sqrt(z.shape[1])


def is_collapsed(spread: float) -> bool:
    """Whether embeddings of this spread tell (almost) nothing apart. Random networks have 0.2 to 0.5."""
    return spread < COLLAPSED


def teacher_fault(entropy: float) -> str:
    """What a DINO teacher whose answers have this mean entropy, of 1, does wrong; empty where that is nothing."""
    least, most = HEALTHY_ENTROPY
    if entropy < least:
        return "has put all photographs into one class"
    return "finds all classes alike" if entropy > most else ""
