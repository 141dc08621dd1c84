"""The steps of `pretrain`: AdamW written out, and what each of several processes sees of a batch."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.loaders import step_batches
from swcl_cli.models.encoders import encoder_state
from swcl_cli.pretraining.fitting import own_part
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import pretrain
from swcl_cli.workspace import Workspace
from tests.methods import planted_eyes, tiny_encoder
from tests.methods.each_method_in_processes import small

STEPS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("steps")
    planted_eyes.write(root, 6)
    return root


def by_hand(settings: PretrainSettings) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The encoder's weights before and after STEPS steps of AdamW (arXiv 1711.05101, algorithm 2), in double."""
    method = methods.prepare(settings, Workspace(settings.workspace))
    before = {name: tensor.clone() for name, tensor in encoder_state(method.encoder).items()}
    weights = dict(method.objective.train().named_parameters())
    exact = {name: weight.detach().double() for name, weight in weights.items()}
    first, second = ({name: torch.zeros_like(weight) for name, weight in exact.items()} for _ in range(2))
    batches = step_batches(method.dataset, method.plan, 0, STEPS, 0, method.collate)
    for step, (batch,) in enumerate(batches):
        loss, _ = method.objective(batch)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        rate = settings.learning_rate * (1 + math.cos(math.pi * step / STEPS)) / 2
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            first[name] = 0.9 * first[name] + 0.1 * gradient.double()
            second[name] = 0.999 * second[name] + 0.001 * gradient.double().square()
            direction = first[name] / (1 - 0.9 ** (step + 1))
            direction /= (second[name] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            decay = settings.weight_decay if weight.ndim > 1 else 0.0
            exact[name] = exact[name] - rate * decay * exact[name] - rate * direction
            weight.data.copy_(exact[name])
    return before, encoder_state(method.encoder)


@pytest.mark.parametrize("decay", [0.0, 5.0])
def test_steps_are_adamws(root: Path, decay: float) -> None:
    """Decoupled decay, of weights alone; each weight ends within a hundredth of its way from where it does by hand."""
    settings = small(
        root, "swcl", batch_patches=20, warmup_epochs=0, views=STEPS * 40, weight_decay=decay, name=f"decay-{decay:g}"
    )
    with tiny_encoder.in_place_of_timms("group"):
        made = load_file(pretrain.run(settings))
        before, expected = by_hand(settings)
    assert made.keys() == expected.keys()
    for name, tensor in made.items():
        assert (tensor - expected[name]).norm() < 0.01 * (expected[name] - before[name]).norm(), name


def shares(method: Any, processes: int, step: int) -> list[list[Any]]:
    """The keys that each process takes of a step."""
    fabrics: list[Any] = [SimpleNamespace(world_size=processes, global_rank=rank) for rank in range(processes)]
    plans = [own_part(method, fabric) for fabric in fabrics]
    return [keys for plan in plans for keys in plan(step)]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_each_batch_without_rest(root: Path, name: str, processes: int) -> None:
    """Equal parts, in the order of ranks, of the batch that one process would see; no key is in two of them."""
    with tiny_encoder.in_place_of_timms("group"):
        method = methods.prepare(small(root, name), Workspace(root))
    for step in range(2 * method.steps_per_epoch):
        (whole,) = method.plan(step)
        parts = shares(method, processes, step)
        assert list(chain(*parts)) == whole and len(set(whole)) == len(whole) == method.items_a_step
        assert [len(part) for part in parts] == [len(whole) // processes] * processes
