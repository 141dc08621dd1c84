"""BYOL and DINO in sizes that learn in seconds, on planted photographs; run by torchrun, a few steps of both."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from swcl_cli.chance import generator
from swcl_cli.data.augment import center_view, contrastive_pixels
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.evaluation.metrics import auc
from swcl_cli.evaluation.neighbours import knn_scores
from swcl_cli.methods.byol import Bootstrap
from swcl_cli.methods.dino import SelfDistillation
from swcl_cli.methods.embedding import Embedding, Encoding
from swcl_cli.models.self_distillation_heads import BatchFreeMLP, Bottleneck, Prototypes
from swcl_cli.training.loop import training_steps
from swcl_cli.training.processes import make_fabric
from swcl_cli.training.schedules import cosine_momentum, warmup_cosine
from tests.methods.planted_eyes import photograph

Objective = Bootstrap | SelfDistillation
SIDE = 32


def convolution(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    layer = nn.BatchNorm2d(outputs) if norm == "batch" else nn.GroupNorm(4, outputs)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), layer, nn.ReLU())


def encoder(norm: str) -> nn.Module:
    stages = [convolution(*channels, norm) for channels in ((3, 16), (16, 32), (32, 32))]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def byol(norm: str = "group") -> Bootstrap:
    torch.manual_seed(0)
    return Bootstrap(Encoding(encoder(norm), MEAN, STD), BatchFreeMLP(32, 64, 32), BatchFreeMLP(32, 64, 32))


def dino(norm: str = "group", classes: int = 512) -> SelfDistillation:
    torch.manual_seed(0)
    return SelfDistillation(Embedding(encoder(norm), Bottleneck(32, 64, 256), MEAN, STD, 0), Prototypes(256, classes))


def update(objective: Objective, momentum: float) -> None:
    if isinstance(objective, Bootstrap):
        objective.target.update(objective.online, momentum)
    else:
        objective.teacher.update(objective.student, momentum)


def kept(objective: Objective) -> nn.Module:
    if isinstance(objective, Bootstrap):
        return objective.online[0].encoder
    return objective.teacher.network.get_submodule("0.encoder")


def batch(step: int, images: range, size: int) -> dict[str, Tensor]:
    items = generator(0, "batch", step).permutation(images)[:size].tolist()
    views = [
        [contrastive_pixels(photograph(i, i % 2 == 1), SIDE, generator(0, "v", step, i, v)) for v in range(2)]
        for i in items
    ]
    return {"views": torch.from_numpy(np.array(views))}


def knn_auc(objective: Objective, count: int) -> float:
    """Half of the photographs vote on the others."""
    shown = np.stack([center_view(photograph(item, item % 2 == 1), SIDE, SIDE) for item in range(count)])
    with torch.no_grad():
        embeddings = kept(objective).eval()(torch.from_numpy(shown)).numpy()
    positive, half = np.arange(count) % 2 == 1, count // 2
    return auc(positive[half:], knn_scores(embeddings[:half], positive[:half], embeddings[half:]))


def train(
    objective: Objective, batches: Iterator[dict[str, Tensor]], total: int, rate: float
) -> list[dict[str, float]]:
    """Steps of all processes together, each on its part of the batch; loss and measures of each."""
    fabric = make_fabric("cpu", "fp32", several=True)
    wrapped = fabric.setup_module(objective)
    optimizer = torch.optim.AdamW([weight for weight in objective.parameters() if weight.requires_grad], lr=rate)
    rank, world = fabric.global_rank, fabric.world_size
    parts = ([{"views": whole["views"].chunk(world)[rank]}] for whole in batches)
    found = []
    for step in training_steps(
        fabric, wrapped, optimizer, parts, lambda step: rate * warmup_cosine(step, total // 4, total), seed=0
    ):
        update(objective, cosine_momentum(step.index, total, MOM))
        found.append({"loss": step.loss, **step.metrics})
    return found


def few_steps(make: Callable[[], Objective]) -> tuple[dict[str, Tensor], dict[str, Tensor], list[dict[str, float]]]:
    """State, gradients of the last step, and measures."""
    objective = make()
    measures = train(objective, (batch(step, range(8), 4) for step in range(3)), 3, 1e-3)
    gradients = {name: weight.grad for name, weight in objective.named_parameters() if weight.grad is not None}
    return objective.state_dict(), gradients, measures


if __name__ == "__main__":
    results = [few_steps(make) for make in (byol, dino)]
    if int(torch.distributed.get_rank()) == 0:
        torch.save(results, sys.argv[1])
    torch.distributed.destroy_process_group()
