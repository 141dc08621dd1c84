"""Run by torchrun in test_processes.py: one training step on this process's part of a batch; rank 0 writes it down."""

from __future__ import annotations

import sys

import torch
from torch import nn

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.methods.contrast import MultiLabelContrast
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.heads import Projector
from swcl_cli.training.loop import training_steps
from swcl_cli.training.processes import make_fabric
from tests.gradients import gradient

PATCHES_OF_PAIRS = (2, 1, 2, 2, 1, 2)  # pairs and singles: parts of a batch hold unequal numbers of views
LABELS = (0, 0, 1, 0, 2, 3, 4, 5, 5, 0)


def objective(chunk: int) -> MultiLabelContrast:
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.GroupNorm(2, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 6)
    )
    return MultiLabelContrast(Embedding(encoder, Projector(6, 5), MEAN, STD, chunk), 0.1)


def part(rank: int, world: int) -> dict[str, torch.Tensor]:
    views = torch.randint(0, 256, (len(LABELS), 2, 16, 16, 3), generator=torch.Generator().manual_seed(1))
    pairs = len(PATCHES_OF_PAIRS) // world
    ends = [sum(PATCHES_OF_PAIRS[: pairs * count]) for count in (rank, rank + 1)]
    return {"views": views.to(torch.uint8)[slice(*ends)], "label": torch.tensor(LABELS)[slice(*ends)]}


def step(chunk: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Gradients, and loss and metrics, of one step of all processes together."""
    fabric = make_fabric("cpu", "fp32", several=True)
    network = objective(chunk)
    wrapped = fabric.setup_module(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    batches = [[part(fabric.global_rank, fabric.world_size)]]
    (done,) = training_steps(fabric, wrapped, optimizer, batches, lambda _: 0.0, seed=0)
    gradients = {name: gradient(weight).clone() for name, weight in network.named_parameters()}
    return gradients, {"loss": done.loss, **done.metrics}


if __name__ == "__main__":
    found = step(chunk=int(sys.argv[2]))
    if int(torch.distributed.get_rank()) == 0:
        torch.save(found, sys.argv[1])
    torch.distributed.destroy_process_group()
