"""Run by torchrun in test_registry.py: of each method one training step on this process's part of a batch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.loaders import step_batches
from swcl_cli.pretraining.fitting import own_part
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.loop import training_steps
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests.methods import tiny_encoder

FORMS = [*METHODS, *(f"{name} released" for name, method in METHODS.items() if "variant" in method.options)]
Found = dict[str, tuple[dict[str, torch.Tensor], dict[str, float]]]


def small(root: Path, method: str, **values: Any) -> PretrainSettings:
    """A few steps an epoch of what `planted_eyes` writes for 6 patients."""
    batch = {"batch_images": 8} if "batch_images" in METHODS[method].options else {"batch_patches": 16}
    run = {"epochs": 2, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu", "probe_every": 0}
    named = {"workspace": root, "method": method, "architecture": "resnet18"}
    return PretrainSettings(**{**named, **batch, **run, **values})


def step(root: Path, half: bool = False) -> Found:
    """method -> gradients, buffers and changes of all weights (a teacher's, too), and loss and metrics, of one step of
    all processes together; with `half` of this process alone on the first half of the batch.
    """
    fabric = make_fabric("cpu", "fp32", several=True)
    first_of_two: Any = SimpleNamespace(world_size=2, global_rank=0)
    found: Found = {}
    with tiny_encoder.in_place_of_timms("group"):
        for form in FORMS:
            name, *variant = form.split()
            given = {"variant": variant[0]} if variant else {}
            method = methods.prepare(small(root, name, **given), Workspace(root))
            plan = own_part(method, first_of_two if half else fabric)
            wrapped = fabric.setup_module(method.objective)
            weights = dict(method.objective.named_parameters())
            start = {name: weight.detach().clone() for name, weight in weights.items()}
            optimizer = torch.optim.SGD([w for w in weights.values() if w.requires_grad], lr=1.0)
            batches = step_batches(method.dataset, plan, 0, 1, 0, method.collate)
            method.before_step(0)
            (done,) = training_steps(fabric, wrapped, optimizer, batches, lambda _: 1.0, seed=0)
            method.after_step(0)
            tensors = {name: weight.grad for name, weight in weights.items() if weight.requires_grad}
            tensors |= {f"change of {name}": weight.detach() - start[name] for name, weight in weights.items()}
            tensors |= {f"buffer {name}": buffer for name, buffer in method.objective.named_buffers()}
            kept = {name: tensor.clone() for name, tensor in tensors.items() if tensor is not None}
            found[form] = (kept, {"loss": done.loss, **done.metrics})
    return found


if __name__ == "__main__":
    found = step(Path(sys.argv[1]))
    if int(torch.distributed.get_rank()) == 0:
        torch.save(found, sys.argv[2])
    torch.distributed.destroy_process_group()
