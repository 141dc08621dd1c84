"""Run by torchrun in test_objectives.py: a training step of the labeler's and of the tasks' objectives."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from swcl_cli.data.augment import IGNORED
from swcl_cli.data.labeler_views import UNLABELLED
from swcl_cli.models.heads import JointHeads
from swcl_cli.steps.train_labeler import S4L
from swcl_cli.tasks.class_labels import MISSING
from swcl_cli.tasks.classifier import JointClassifier
from swcl_cli.tasks.segmentation import Segmenter
from swcl_cli.training.loop import training_steps
from swcl_cli.training.processes import make_fabric, own_plan
from tests.gradients import whole_gradient
from tests.labeler_runs import options

ITEMS = 7  # photographs of a batch: two processes have three and four
SIDE = 12
Found = dict[str, tuple[Tensor, float]]


class Maps(nn.Sequential):
    """Maps of features without BatchNorm: (N, 3, S, S) -> (N, 6, S, S)."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.Tanh())


class Labeler(nn.Module):
    """The parts of timm's ResNets that S4L calls."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.fc = Maps(), nn.Linear(6, 2)

    def forward_features(self, images: Tensor) -> Tensor:
        maps: Tensor = self.maps(images)
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool) -> Tensor:
        assert pre_logits
        return maps.mean(dim=(2, 3))


class Decoder(nn.Module):
    def __init__(self, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.maps = Maps()
        self.heads = nn.ModuleDict({name: nn.Conv2d(6, classes, 1) for name, classes in heads.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.maps(images)
        return {name: head(maps) for name, head in self.heads.items()}


def objectives() -> dict[str, nn.Module]:
    torch.manual_seed(3)
    pooled = nn.Sequential(Maps(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    heads = JointHeads(6, {"grade": 3, "signs": 2, "age": 1, "order": 2})
    return {
        "labeler": S4L(Labeler(), options(unlabelled=["eyepacs"])),
        "labels": JointClassifier(pooled, heads, ["signs"], {"age": {"mean": 50.0, "sd": 9.0}}, ["order"]),
        "dice of two": Segmenter(Decoder({"vessel": 2, "disc": 2}), dice=True),
        "dice of exclusive ones": Segmenter(Decoder({"structures": 3}), dice=True),
    }


def batch(items: list[int]) -> dict[str, Any]:
    """What the objectives take of these photographs: labels are uneven, and missing more in the first ones."""
    draw = torch.Generator().manual_seed(8)
    views = torch.randint(0, 256, (ITEMS, 2, 3, SIDE, SIDE), generator=draw).to(torch.uint8)
    mask = torch.randint(0, 3, (ITEMS, SIDE, SIDE), generator=draw)
    mask[:2, :9] = IGNORED
    labels: dict[str, Any] = {
        "grade": torch.tensor([MISSING, MISSING, 0, 1, 2, 2, 1]),
        "signs": torch.tensor([[MISSING] * 2, [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1]]),
        "age": torch.tensor([float("nan"), 40.0, 61.0, 55.0, float("nan"), 70.0, 20.0]),
        "order": torch.tensor([0, 2, MISSING, 1, 1, 2, 0]),
    }
    return {
        "views": views[items],
        "label": torch.tensor([0, 1, 1, 0, UNLABELLED, UNLABELLED, UNLABELLED])[items],
        "item": torch.arange(ITEMS)[items],
        "image": views[items, 0].float() / 255 - 0.5,
        "mask": mask[items],
        "labels": {name: values[items] for name, values in labels.items()},
    }


def step() -> Found:
    """objective -> the gradient of all its weights, and its loss, of one step of all processes together."""
    fabric = make_fabric("cpu", "fp32", several=True)
    plan = own_plan(lambda _: [[(0, item) for item in range(ITEMS)]], fabric, lambda key: key[1] < 4)
    (keys,) = plan(0)
    return of_items([item for _, item in keys])


def of_items(items: list[int]) -> Found:
    """The same of these photographs of a batch, which other processes have others of, if there are any."""
    fabric = make_fabric("cpu", "fp32", several=True)
    return {name: _step(objective, fabric, items) for name, objective in objectives().items()}


def _step(objective: nn.Module, fabric: Any, items: list[int]) -> tuple[Tensor, float]:
    wrapped = fabric.setup_module(objective)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.0)
    (done,) = training_steps(fabric, wrapped, optimizer, [[batch(items)]], lambda _: 0.0, seed=0)
    return whole_gradient(objective).clone(), done.loss


if __name__ == "__main__":
    found = step()
    if int(torch.distributed.get_rank()) == 0:
        torch.save(found, sys.argv[1])
    torch.distributed.destroy_process_group()
