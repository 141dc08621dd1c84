"""BYOL's loss as loops over views, and what the method hands to the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.methods import byol
from swcl_cli.methods.byol import Bootstrap
from swcl_cli.methods.embedding import Encoding
from swcl_cli.models.self_distillation_heads import BatchFreeMLP
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace
from tests import prepared


def options(root: Path, **values: Any) -> PretrainSettings:
    small = {"workspace": root, "method": "byol", "architecture": "resnet18", "batch_images": 4, "data": "odir"}
    return PretrainSettings(**{**small, **values})


def objective() -> Bootstrap:
    """The target is moved away from its start, so that it matters which of the two is asked."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 24))
        module = Bootstrap(Encoding(encoder, MEAN, STD), BatchFreeMLP(24, 32, 6), BatchFreeMLP(6, 32, 6))
        other = nn.Sequential(
            Encoding(nn.Sequential(nn.Flatten(), nn.Linear(48, 24)), MEAN, STD), BatchFreeMLP(24, 32, 6)
        )
    module.target.update(other, 0.5)
    return module


def batch_of(photographs: int) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (photographs, 2, 4, 4, 3), generator=torch.Generator().manual_seed(photographs))
    return {"views": drawn.to(torch.uint8), "label": torch.arange(photographs)}


@pytest.mark.parametrize("photographs", [1, 2, 5])
def test_loss_by_loops(photographs: int) -> None:
    """Each view is predicted from the other: |q / |q| - z / |z||^2, both ways, a mean over photographs."""
    module, batch = objective(), batch_of(photographs)
    total = 0.0
    for views in batch["views"]:
        for seen, wanted in ((0, 1), (1, 0)):
            q = module.predictor(module.online(views[seen, None]))[0].detach()
            z = module.target(views[wanted, None])[0]
            total += float((q / q.norm() - z / z.norm()).square().sum())
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(total / photographs, rel=1e-5)
    assert metrics.keys() == {"embedding_spread"} and 0 < metrics["embedding_spread"] < 1.2
    loss.backward()
    for name, weight in module.named_parameters():
        assert (weight.grad is None) == name.startswith("target."), name
        assert weight.grad is None or (weight.grad.isfinite().all() and weight.grad.any()), name


def test_views_that_are_all_alike() -> None:
    module, batch = objective(), batch_of(3)
    batch["views"][:] = 128
    loss, metrics = module(batch)
    loss.backward()
    assert metrics["embedding_spread"].item() == pytest.approx(0, abs=1e-3)
    assert all(weight.grad.isfinite().all() for weight in module.parameters() if weight.grad is not None)


def test_prepare(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 4)
    method: Any = byol.prepare(options(tmp_path), Workspace(tmp_path))
    online, target = method.objective.online, method.objective.target
    assert method.encoder is online[0].encoder and all(weight.requires_grad for weight in method.encoder.parameters())
    shapes = [
        tuple(layer.weight.shape) for head in (online[1], method.objective.predictor) for layer in (head[0], head[3])
    ]
    assert shapes == [(4096, 512), (256, 4096), (4096, 256), (256, 4096)]
    assert all(head[3].bias is None for head in (online[1], method.objective.predictor))
    started = target.network.state_dict()
    assert all(torch.equal(value, started[key]) for key, value in online.state_dict().items())
    assert (method.image_size, method.views_a_step, method.steps_per_epoch) == (32, 8, 2)
    assert method.summary == "8 photographs of odir, without labels; a batch of 4 = 8 views"


def test_as_released_the_last_layers_have_a_bias(tmp_path: Path) -> None:
    """Of projector, predictor and the target's projector; all else is as ours."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    ours, theirs = (
        byol.prepare(options(tmp_path, variant=variant), Workspace(tmp_path)).objective.state_dict()
        for variant in ("ours", "released")
    )
    added = {"online.1.3.bias", "target.network.1.3.bias", "predictor.3.bias"}
    assert theirs.keys() - ours.keys() == added and ours.keys() <= theirs.keys()
    assert torch.equal(theirs["online.1.3.bias"], theirs["target.network.1.3.bias"])


@pytest.mark.parametrize(
    ("run", "step", "kept"),
    [({"epochs": 6}, 0, 0.996), ({"epochs": 6}, 4, 0.997), ({"epochs": 6}, 8, 0.999), ({"views": 48}, 3, 0.998)],
)
def test_after_a_step_the_target_follows(tmp_path: Path, run: dict[str, int], step: int, kept: float) -> None:
    """Momentum by hand: cosines of 0, 60, 120 degrees of 12 steps; of 90 of 48 views in 6 steps."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    method: Any = byol.prepare(options(tmp_path, **run), Workspace(tmp_path))
    weight, own = (part[1][0].weight for part in (method.objective.online, method.objective.target.network))
    before = own.clone()
    with torch.no_grad():
        weight.add_(1)
    method.after_step(step)
    torch.testing.assert_close(own, kept * before + (1 - kept) * weight.detach(), rtol=0, atol=1e-6)


def test_weights_are_functions_of_the_seed(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 4)
    states = [
        byol.prepare(options(tmp_path, seed=seed), Workspace(tmp_path)).objective.state_dict() for seed in (0, 0, 1)
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    for key in ("online.0.encoder.conv1.weight", "online.1.0.weight", "predictor.0.weight"):
        assert not torch.equal(states[0][key], states[2][key])
