"""Model files say all that using them needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.classification import JointClassifier
from swcl_cli.tasks.networks import DECODERS, segmenter
from swcl_cli.tasks.saved import KEY, describe, read_model
from swcl_cli.workspace import Workspace, write_safetensors
from tests import prepared


def data(root: Path, dataset: str, size: int) -> None:
    rows = [
        {"split": ("train", "train", "train", "test")[item], "image": prepared.photograph(item, 90, 60 + 10 * item)}
        for item in range(4)
    ]
    prepared.write(root, dataset, rows, size=size)


def described(root: Path, task: str, **settings: Any) -> dict[str, Any]:
    initial = Initial(nn.Identity(), "resnet18", MEAN, STD, None, "random", {}, "")
    chosen = FinetuneSettings(workspace=root, **{"task": task, "output_stride": 16, **settings})
    return describe(TASKS[task], chosen, Workspace(root), initial)


def save(root: Path, network: nn.Module, description: dict[str, Any]) -> Path:
    path = root / "model.safetensors"
    write_safetensors(path, network.state_dict(), {"step": "finetune", KEY: description})
    return path


def images() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_segmenter_comes_back(tmp_path: Path, decoder: str) -> None:
    data(tmp_path, "refuge-seg", 514)
    encoder = create_encoder("resnet18", 3, 16 if decoder == "deeplabv3plus" else 32)
    network = segmenter(decoder, encoder, TASKS["refuge-seg"].heads).eval()
    read, about = read_model(save(tmp_path, network, described(tmp_path, "refuge-seg", decoder=decoder)))
    assert not read.training and about.decoder == decoder and (about.size, about.square) == (514, True)
    with torch.inference_mode():
        for head, logits in network(images()).items():
            torch.testing.assert_close(read(images())[head], logits, rtol=0, atol=0)


def test_a_classifier_comes_back(tmp_path: Path) -> None:
    data(tmp_path, "messidor", 350)
    network = JointClassifier(create_encoder("resnet18", 3), JointHeads(512, TASKS["messidor"].heads)).eval()
    read, about = read_model(save(tmp_path, network, described(tmp_path, "messidor")))
    assert (about.task, about.kind, dict(about.heads)) == (
        "messidor",
        "classification",
        {"dr_grade": 2, "dme_grade": 3},
    )
    assert [list(grades) for grades in about.grades.values()] == [[0, 0, 1, 1]] and about.size == 350
    assert tuple(about.mean) == MEAN and tuple(about.std) == STD
    with torch.inference_mode():
        expected, found = network.probabilities(images()), read.probabilities(images())  # type: ignore[operator]
    assert all(torch.equal(expected[head], found[head]) for head in expected)


def test_own_sizes_are_told_by_what_trained(tmp_path: Path) -> None:
    """Shorter sides of the three that train: 60, 70, 80."""
    data(tmp_path, "drive", 0)
    said = described(tmp_path, "drive")
    assert (said["size"], said["lossless"], said["square"]) == (70, True, False)


def test_the_description_is_json_and_has_no_path(tmp_path: Path) -> None:
    data(tmp_path, "drive", 0)
    text = json.dumps(described(tmp_path, "drive"))
    assert str(tmp_path) not in text and "NaN" not in text


def test_what_is_no_model(tmp_path: Path) -> None:
    prepared.encoder(tmp_path / "swcl.safetensors")
    with pytest.raises(SwclError, match="swcl.safetensors holds no model of a task. Models are made by: swcl finetune"):
        read_model(tmp_path / "swcl.safetensors")


def test_other_versions_and_weights_are_named(tmp_path: Path) -> None:
    data(tmp_path, "drive", 0)
    network = segmenter("smp-unet", create_encoder("resnet18"), {"vessel": 2})
    said = described(tmp_path, "drive", decoder="smp-unet")
    path = save(tmp_path, network, {key: value for key, value in said.items() if key not in ("size", "mean")})
    with pytest.raises(SwclError, match="does not say its mean, size: it is of another version"):
        read_model(path)
    path = save(tmp_path, network, {**said, "decoder": "smp-fpn"})
    with pytest.raises(SwclError, match="does not fit the Fpn. Keys missing: "):
        read_model(path)
