"""Compute the losses of a student against its teacher: BYOL's regression and DINO's cross-entropy (FACTS D1)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize, softmax

SHORTEST = 1e-6  # length below which a prediction counts as shorter: the gradient at 0 stays finite


def regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows of |q - z|^2 = 2 - 2 cos(q, z), q and z of unit length (eq. 2 of arXiv 2006.07733).

    predictions, targets: (N, D), of any length. 0 where they point the same way, 4 where they point apart. In fp32.
    """
    with torch.autocast(predictions.device.type, enabled=False):
        q, z = (normalize(rows.float(), dim=1, eps=SHORTEST) for rows in (predictions, targets))
        return (2 - 2 * (q * z).sum(dim=1)).mean()


def sharpened(outputs: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """Return softmax((outputs - centre) / temperature), the teacher's distribution (arXiv 2104.14294, 3.1).

    outputs: (N, K); centre: (K,), their running mean. The centre keeps a class from taking all views, a low temperature
    keeps the classes from being all alike.
    """
    return softmax((outputs - centre).float() / temperature, dim=1)


def soft_cross_entropy(outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean over rows of -sum_k p_k log softmax(outputs / temperature)_k (eq. 2 of arXiv 2104.14294).

    outputs: (N, K), the student's; targets: (N, K), distributions p over the classes.
    """
    return -(targets * log_softmax(outputs.float() / temperature, dim=1)).sum(dim=1).mean()


def mean_entropy(distributions: Tensor) -> Tensor:
    """Mean over rows of -sum_k p_k log p_k, as a share of log K: 0 where a class is certain, 1 where all are alike."""
    entropy: Tensor = torch.special.entr(distributions).sum(dim=1).mean()
    return entropy / math.log(distributions.shape[1])


def of_other_view(rows: Tensor) -> Tensor:
    """Exchange the two views of each image: (2n, D) -> (2n, D), where the rows of an image follow each other."""
    return rows.view(-1, 2, rows.shape[1]).flip(1).flatten(0, 1)
