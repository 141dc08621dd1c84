"""Gradients that a backward pass has left."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gradient(weight: Tensor) -> Tensor:
    """Takes the gradient of a tensor that must have one."""
    assert weight.grad is not None
    return weight.grad


def whole_gradient(module: nn.Module) -> Tensor:
    """Joins the gradients of all weights of a module, each of which must have one: (weights,)."""
    return torch.cat([gradient(weight).flatten() for weight in module.parameters()])
