"""Learn grades by the order of their classes: CORN, conditional ordinal regression (arXiv 2111.08851)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def corn(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the loss of K - 1 logits (N, K - 1) of grades 0 to K - 1 (eq. 6 of arXiv 2111.08851).

    Logit k says how probable a grade above k is among grades of k and more, S_k: the loss is the mean, over all k and
    rows of S_k, of the binary cross-entropy of y > k. labels: (N,), at least one; weights: (K,) of the rows by their
    grade, in a weighted mean. In fp32.
    """
    z, grade = logits.float(), labels[:, None]
    steps = torch.arange(z.shape[1], device=z.device)
    log_above = logsigmoid(z)  # and log(1 - sigmoid(z)) = logsigmoid(z) - z
    losses = -torch.where(grade > steps, log_above, log_above - z)
    counts = (grade >= steps).float()  # of a row in each S_k
    if weights is not None:
        counts = counts * weights[labels][:, None]
    return (losses * counts).sum() / counts.sum()


def corn_probabilities(logits: Tensor) -> Tensor:
    """Return the probability of each grade, (N, K - 1) logits -> (N, K): that of k is P(y > k - 1) - P(y > k).

    P(y > k) is the product of the conditional ones up to k (eq. 3), so that none is below 0.
    """
    above = logsigmoid(logits.float()).cumsum(dim=1).exp()
    one, none = torch.ones_like(above[:, :1]), torch.zeros_like(above[:, :1])
    return torch.cat([one, above], dim=1) - torch.cat([above, none], dim=1)
