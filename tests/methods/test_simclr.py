"""NT-Xent by the loops of the SimCLR paper and by lightly's, and what the method hands to the step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.methods import simclr
from swcl_cli.methods.contrast import MultiLabelContrast
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.heads import Projector
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.gradients import whole_gradient


def options(root: Path, **values: Any) -> PretrainSettings:
    small = {"workspace": root, "method": "simclr", "architecture": "resnet18", "batch_images": 4}
    return PretrainSettings(**{**small, **values})


def objective(temperature: float) -> MultiLabelContrast:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 6))
        return MultiLabelContrast(Embedding(encoder, Projector(6, 5), MEAN, STD, chunk=0), temperature)


def batch_of(photographs: int, first: int = 0) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (photographs, 2, 4, 4, 3), generator=torch.Generator().manual_seed(photographs))
    return {"views": drawn.to(torch.uint8), "label": torch.arange(first, first + photographs)}


def nt_xent(z: Tensor, temperature: float) -> float:
    """Algorithm 1 of arXiv 2002.05709: z_2k-1 and z_2k are the views of photograph k."""
    similar = [[math.exp(float(one @ other) / temperature) for other in z] for one in z]
    count = len(z)

    def loss(i: int, j: int) -> float:
        return -math.log(similar[i][j] / sum(similar[i][k] for k in range(count) if k != i))

    return sum(loss(k, k + 1) + loss(k + 1, k) for k in range(0, count, 2)) / count


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(("photographs", "first"), [(1, 0), (2, 7), (6, 100)])
def test_loss_by_loops(photographs: int, first: int, temperature: float) -> None:
    module, batch = objective(temperature), batch_of(photographs, first)
    z = module.embedding(batch["views"].flatten(0, 1)).detach().double()
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(nt_xent(z, temperature), rel=1e-5, abs=1e-6)
    assert metrics["positives"].item() == 1 and metrics["without_positive"].item() == 0
    loss.backward()
    assert whole_gradient(module).isfinite().all()


def test_one_photograph_alone_has_nothing_to_be_told_from() -> None:
    """Its other view is all there is: -log 1."""
    loss, _ = objective(0.1)(batch_of(1))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_views_that_are_all_alike() -> None:
    """By hand: each of the other 2n - 1 views is equally likely. The gradient stays finite."""
    module, batch = objective(0.1), batch_of(3)
    batch["views"][:] = 128
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(math.log(5), rel=1e-5)
    assert metrics["embedding_spread"].item() == pytest.approx(0, abs=1e-3)
    loss.backward()
    assert whole_gradient(module).isfinite().all()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_and_gradient_are_lightlys(temperature: float) -> None:
    criterion = pytest.importorskip("lightly.loss").NTXentLoss(temperature=temperature)
    batch = batch_of(8)
    losses: list[float] = []
    gradients: list[Tensor] = []
    for module in (objective(temperature), objective(temperature)):
        if not losses:
            loss, _ = module(batch)
        else:
            z = module.embedding(batch["views"].flatten(0, 1))
            loss = criterion(z[0::2], z[1::2])
        loss.backward()
        losses.append(loss.item())
        gradients.append(whole_gradient(module))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[1].norm()


def test_prepare(tmp_path: Path) -> None:
    """All splits of both data sets, in batches padded from the head of the order; views of half the prepared size."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    prepared.labelled_eyes(tmp_path, "eyepacs", 1)
    method: Any = simclr.prepare(options(tmp_path), Workspace(tmp_path))
    assert method.image_size == 32 and method.inputs.keys() == {"odir", "eyepacs"}
    assert (method.items_a_step, method.views_a_step, method.steps_per_epoch) == (4, 8, 3)
    batches = [[item for _, item in method.plan(step)[0]] for step in range(3)]
    assert sorted([*batches[0], *batches[1], *batches[2][:2]]) == list(range(10)) and batches[2][2:] == batches[0][:2]
    assert method.summary == "10 photographs of odir, eyepacs, without labels; a batch of 4 = 8 views"
    assert method.objective.embedding.projector(torch.zeros(2, 512)).shape == (2, 128)
    assert method.objective.temperature == 0.1
    item = method.dataset[0, 7]
    assert item["label"] == 7 and item["views"].shape == (2, 32, 32, 3)
    narrow = simclr.prepare(options(tmp_path, data="odir", chunk=2, projection=16), Workspace(tmp_path))
    assert narrow.inputs.keys() == {"odir"} and narrow.objective.embedding.chunk == 2


def test_settings_reach_the_views(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 2)
    seen = [
        simclr.prepare(options(tmp_path, data="odir", **given), Workspace(tmp_path)).dataset
        for given in ({}, {"flip": "off"}, {"smallest_crop": 0.08}, {"seed": 1})
    ]
    views = [torch.stack([dataset[0, item]["views"] for item in range(4)]) for dataset in seen]
    assert all(not torch.equal(views[0], other) for other in views[1:])


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="odir/manifest.parquet is missing. Make it with: swcl prep odir SOURCE"):
        simclr.prepare(options(tmp_path), Workspace(tmp_path))
    prepared.labelled_eyes(tmp_path, "odir", 4)
    with pytest.raises(SwclError, match="8 photographs of odir, .*fewer than a batch of 9; lower --batch-images to at"):
        simclr.prepare(options(tmp_path, data="odir", batch_images=9), Workspace(tmp_path))
