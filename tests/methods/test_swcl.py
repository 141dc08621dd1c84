"""The multi-label contrast as a double loop over views, its measures by hand, and what the method hands to the step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from swcl_cli import methods
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.methods import contrast, swcl
from swcl_cli.methods.contrast import MultiLabelContrast
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.heads import Projector
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace
from tests import prepared


def options(root: Path = Path("."), **values: Any) -> PretrainSettings:
    return PretrainSettings(**{"workspace": root, "architecture": "resnet18", "batch_patches": 4, **values})


def objective(temperature: float = 0.1) -> MultiLabelContrast:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 6))
        return MultiLabelContrast(Embedding(encoder, Projector(6, 5), MEAN, STD, chunk=0), temperature)


def batch_of(labels: list[int]) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (len(labels), 2, 4, 4, 3), generator=torch.Generator().manual_seed(1))
    return {"views": drawn.to(torch.uint8), "label": torch.tensor(labels)}


def by_loops(module: MultiLabelContrast, batch: dict[str, Tensor]) -> float:
    z, label = [], []
    for patch, number in zip(batch["views"], batch["label"].tolist(), strict=True):
        for view in patch:
            z.append(module.embedding(view[None])[0].detach())
            label.append(number)
    total = 0.0
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        weight = {k: math.exp(float(z[i] @ z[k]) / module.temperature) for k in others}
        positives = [k for k in others if label[k] == label[i]]
        total -= sum(math.log(weight[k] / sum(weight.values())) for k in positives) / len(positives)
    return total / len(z)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 1, 2, 3], [5, 5, 5], [0, 1, 0, 2, 1, 0]])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_by_loops(labels: list[int], temperature: float) -> None:
    module, batch = objective(temperature), batch_of(labels)
    assert module(batch)[0].item() == pytest.approx(by_loops(module, batch), rel=1e-4)


def test_measures_by_hand() -> None:
    _, metrics = objective()(batch_of([0, 0, 1]))
    assert metrics["positives"].item() == pytest.approx((4 * 3 + 2 * 1) / 6)  # the other views of the label
    assert metrics["without_positive"].item() == 0
    lonely = contrast._measures(torch.eye(3), torch.tensor([0, 0, 1]), (0, 3))
    assert lonely["positives"].item() == pytest.approx(2 / 3)
    assert lonely["without_positive"].item() == pytest.approx(1 / 3)
    assert lonely["alignment"].item() == pytest.approx(2) and lonely["uniformity"].item() == pytest.approx(-4)


def eyes(root: Path, patients: int = 4, single: bool = True) -> Path:
    """Two positions an eye; the last patient has a left eye alone."""
    rows = [
        {"patient_id": f"{patient}", "eye": eye, "position": position, "score": 0.2 + 0.1 * patient, "size": 32}
        for patient in range(patients)
        for eye in ("left", "right")[: 1 if single and patient == patients - 1 else 2]
        for position in ("tl", "c")
    ]
    table = pd.DataFrame(rows)
    return prepared.swap(root, table.assign(abnormal=table["score"] >= 0.4))


def test_prepare(tmp_path: Path) -> None:
    eyes(tmp_path)
    method: Any = methods.prepare(options(tmp_path), Workspace(tmp_path))
    assert method.image_size == 32 and method.inputs.keys() == {"swap"} and method.views_a_step == 8
    assert method.steps_per_epoch == 4  # 8 pairs, two of them singles, two a step
    assert sorted(item for step in range(4) for _, item in method.plan(step)[0]) == list(range(8))
    kept = {name for name, _ in method.objective.named_parameters()}
    assert {f"embedding.encoder.{name}" for name, _ in method.encoder.named_parameters()} < kept
    assert not any("projector" in key for key in method.encoder.state_dict())
    projected = method.objective.embedding.projector(torch.zeros(2, 512))
    assert projected.shape == (2, 128)


def test_the_last_batch_is_padded_from_the_head(tmp_path: Path) -> None:
    eyes(tmp_path, single=False)
    method = swcl.prepare(options(tmp_path, batch_patches=6), Workspace(tmp_path))
    batches = [[item for _, item in method.plan(step)[0]] for step in range(3)]
    assert method.steps_per_epoch == 3 and batches[2][2:] == batches[0][:1]


def test_weights_are_functions_of_the_seed(tmp_path: Path) -> None:
    eyes(tmp_path)
    states = [
        swcl.prepare(options(tmp_path, seed=seed), Workspace(tmp_path)).objective.state_dict() for seed in (0, 0, 1)
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    for key in ("embedding.encoder.conv1.weight", "embedding.projector.0.weight"):
        assert not torch.equal(states[0][key], states[2][key])


def test_threshold_and_labels_reach_the_patches(tmp_path: Path) -> None:
    eyes(tmp_path)
    for labels, threshold, kinds in (
        (["abnormality"], None, 2),
        (["abnormality"], 0.9, 1),
        (["position"], None, 2),
        (["patient"], None, 4),
        (["position", "abnormality", "patient"], None, 8),
        (["position", "abnormality"], None, 4),
    ):
        settings = options(tmp_path, labels=labels, threshold=threshold)
        method: Any = swcl.prepare(settings, Workspace(tmp_path))
        assert len(np.unique(method.dataset.patches.label)) == kinds


def test_one_abnormality_label_alone_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    eyes(tmp_path)
    swcl.prepare(options(tmp_path, threshold=0.9), Workspace(tmp_path))
    assert "0 of 14 patches are abnormal at this threshold" in capsys.readouterr().err
    swcl.prepare(options(tmp_path, threshold=0.9, labels=["patient"]), Workspace(tmp_path))
    swcl.prepare(options(tmp_path), Workspace(tmp_path))
    assert not capsys.readouterr().err


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="swap.parquet is missing. Make it with: swcl make-swap"):
        swcl.prepare(options(tmp_path), Workspace(tmp_path))
    eyes(tmp_path)
    with pytest.raises(SwclError, match="has 8 pairs, fewer than a batch of 10: lower --batch-patches to at most 16"):
        swcl.prepare(options(tmp_path, batch_patches=20), Workspace(tmp_path))
