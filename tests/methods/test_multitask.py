"""The two cross-entropies as loops over views, and the labels that patches bring."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.methods import multitask
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method
from swcl_cli.methods.multitask import Multitask
from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.gradients import whole_gradient

POSITIONS = ("tl", "tr", "c", "bl", "br")


def prepare(root: Path, **values: Any) -> Method:
    small = {"workspace": root, "method": "multitask", "architecture": "resnet18", "batch_patches": 4}
    return multitask.prepare(PretrainSettings(**{**small, **values}), Workspace(root))


def objective() -> Multitask:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 6))
        return Multitask(Encoding(encoder, MEAN, STD), JointHeads(6, {"abnormality": 2, "position": 5}))


def batch_of(position: list[int], abnormal: list[int], views: int = 2) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (len(position), views, 4, 4, 3), generator=torch.Generator().manual_seed(1))
    label = 2 * torch.tensor(position) + torch.tensor(abnormal)
    return {"views": drawn.to(torch.uint8), "label": label}


def cross_entropy(logits: list[float], label: int) -> float:
    return -math.log(math.exp(logits[label]) / sum(math.exp(value) for value in logits))


@pytest.mark.parametrize(
    ("position", "abnormal", "views"),
    [
        ([0, 1, 2, 3, 4, 0], [0, 1, 1, 0, 0, 1], 2),
        ([0, 1, 2, 3, 4, 0], [0, 1, 1, 0, 0, 1], 1),
        ([3], [1], 2),
        ([2, 2, 2], [0, 0, 0], 2),
    ],
)
def test_loss_and_accuracies_by_loops(position: list[int], abnormal: list[int], views: int) -> None:
    module, batch = objective(), batch_of(position, abnormal, views)
    total, right, placed = 0.0, 0, 0
    for patch, where, ill in zip(batch["views"], position, abnormal, strict=True):
        for view in patch:
            logits = {name: values[0].tolist() for name, values in module.heads(module.encoding(view[None])).items()}
            total += cross_entropy(logits["abnormality"], ill) + 0.1 * cross_entropy(logits["position"], where)
            right += max(range(2), key=logits["abnormality"].__getitem__) == ill
            placed += max(range(5), key=logits["position"].__getitem__) == where
    count = views * len(position)
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(total / count, rel=1e-5)
    assert metrics["accuracy"].item() == pytest.approx(right / count)
    assert metrics["position_accuracy"].item() == pytest.approx(placed / count)
    loss.backward()
    assert whole_gradient(module).isfinite().all()


def test_loss_by_hand() -> None:
    module = objective()
    for weight in module.heads.parameters():
        nn.init.zeros_(weight)
    loss, _ = module(batch_of([0, 4], [1, 0]))
    assert loss.item() == pytest.approx(math.log(2) + 0.1 * math.log(5))


def patches(root: Path, positions: tuple[str, ...] = POSITIONS) -> pd.DataFrame:
    rows = [
        {"patient_id": f"{patient}", "eye": eye, "position": position, "score": (7 * place + patient) % 10 / 10,
         "size": 32}
        for patient in range(3)
        for eye in ("left", "right")[: 2 - (patient == 2)]
        for place, position in enumerate(positions)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    prepared.swap(root, table.assign(abnormal=table["score"] >= 0.4))
    return table


@pytest.mark.parametrize("threshold", [None, 0.6])
def test_labels_of_patches(tmp_path: Path, threshold: float | None) -> None:
    table = patches(tmp_path)
    method: Any = prepare(tmp_path, threshold=threshold)
    label = method.dataset.patches.label
    assert (label % 2 == (table["score"] >= (threshold or 0.4))).all()
    assert (label // 2 == table["position"].map(POSITIONS.index)).all()
    sizes = {name: head.out_features for name, head in method.objective.heads.heads.items()}
    assert sizes == {"abnormality": 2, "position": 5}
    assert (method.items_a_step, method.views_a_step, method.inputs.keys()) == (2, 8, {"swap"})


def test_as_released_a_patch_has_one_weak_view(tmp_path: Path) -> None:
    patches(tmp_path)
    method: Any = prepare(tmp_path, variant="released")
    assert (method.items_a_step, method.views, method.views_a_step, method.dataset.weak) == (2, 1, 4, True)
    assert method.summary.endswith("a batch of 4 patches = 2 pairs = 4 views")


def test_one_kind_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patches(tmp_path)
    prepare(tmp_path)
    assert not capsys.readouterr().err
    method: Any = prepare(tmp_path, threshold=1.0)
    assert "0 of 25 patches are abnormal at this threshold" in capsys.readouterr().err
    assert set(method.dataset.patches.label.tolist()) == {0, 2, 4, 6, 8}


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="swap.parquet is missing. Make it with: swcl make-swap"):
        prepare(tmp_path)
    patches(tmp_path)
    with pytest.raises(SwclError, match="has 15 pairs, fewer than a batch of 20: lower --batch-patches to at most 30"):
        prepare(tmp_path, batch_patches=40)
