"""Estimate BatchNorm's running statistics anew for the weights as they are, "precise BN" (FACTS E1c)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim.swa_utils import update_bn

from swcl_cli.models.encoders import batch_norms


def trained_norms(module: nn.Module) -> list[nn.Module]:
    """List the BatchNorm layers whose weights train: those of a frozen encoder keep their statistics."""
    return [norm for norm in batch_norms(module) if any(weight.requires_grad for weight in norm.parameters())]


@contextmanager
def precise_statistics(objective: nn.Module, batches: Iterable[Any]) -> Iterator[None]:
    """Give BatchNorm the mean statistics of these batches in this context; afterwards it has its former ones again.

    objective(batch) runs the network, which is left in evaluation mode but for its trained BatchNorms: statistics are
    those of the network as it is judged, without dropout. Training goes on from its own running statistics, as if
    nothing had happened. At least one batch is needed.
    """
    norms = trained_norms(objective)
    former = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    objective.eval()
    update_bn(batches, _Seen(objective, norms))
    for norm, buffers in zip(norms, former, strict=True):
        if not norm.get_buffer("num_batches_tracked"):  # no map passes it, as EfficientNet's last one under a U-Net
            norm.load_state_dict(buffers, strict=False)
    try:
        yield
    finally:
        for norm, buffers in zip(norms, former, strict=True):
            norm.load_state_dict(buffers, strict=False)


class _Seen(nn.Module):
    """Show `update_bn` the trained BatchNorms alone: of a network it resets all, frozen ones too."""

    def __init__(self, objective: nn.Module, norms: list[nn.Module]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norms)
        self.run = objective.__call__

    def forward(self, batch: Any) -> None:
        self.run(batch)
