"""Keep a teacher: the running mean of a student's weights (arXiv 2006.07733, eq. 1; 2104.14294, 3.1)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

MOMENTUM = 0.996  # of the first step; it rises to 1 (FACTS D1)


class Teacher(nn.Module):
    """Copy the student at its start. No gradient reaches the copy; it is saved in the objective's state.

    It works in the student's mode, as BYOL's and DINO's do: BatchNorm takes the statistics of the batch. So its running
    statistics are of its own activations, as an evaluation of its weights needs them.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, views: Tensor) -> Tensor:
        """Return the teacher's outputs, without a gradient."""
        outputs: Tensor = self.network(views)
        return outputs

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float) -> None:
        """Set each weight to momentum * own + (1 - momentum) * student's, in place."""
        average = get_ema_multi_avg_fn(momentum)
        average(list(self.network.parameters()), list(student.parameters()), None)
