"""Model files say all that using them needs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.classifier import JointClassifier
from swcl_cli.tasks.networks import DECODERS, segmenter
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.saved import KEY, Study, as_provenance, describe
from swcl_cli.workspace import Workspace, write_safetensors
from tests import prepared


def data(root: Path, dataset: str, size: int) -> None:
    rows = [
        {"split": ("train", "train", "train", "test")[item], "image": prepared.photograph(item, 90, 60 + 10 * item)}
        for item in range(4)
    ]
    prepared.write(root, dataset, rows, size=size)


def described(root: Path, name: str, **settings: Any) -> dict[str, Any]:
    """What the file of a model says that was trained on this data set."""
    initial = Initial(nn.Identity(), "resnet18", MEAN, STD, None, "random", {}, "")
    chosen = FinetuneSettings(workspace=root, **{"task": name, "output_stride": 16, **settings})
    workspace, task = Workspace(root), TASKS[name]
    table = manifest.read(workspace.manifest(task.dataset))
    study = Study(task, chosen, workspace, {"train": table[table["split"] == "train"]})
    return as_provenance(describe(study, initial, KINDS[task.kind].facts(task, chosen)))


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
    predictor = load_model(save(tmp_path, network, described(tmp_path, "refuge-seg", decoder=decoder)), "cpu")
    read, model = predictor.network, predictor.model
    assert not read.training and model.facts["decoder"] == decoder and (model.size, model.square) == (514, True)
    with torch.inference_mode():
        for head, logits in network(images()).items():
            torch.testing.assert_close(read(images())[head], logits)


def test_a_classifier_comes_back(tmp_path: Path) -> None:
    data(tmp_path, "messidor", 350)
    network = JointClassifier(create_encoder("resnet18", 3), JointHeads(512, TASKS["messidor"].heads)).eval()
    predictor = load_model(str(save(tmp_path, network, described(tmp_path, "messidor"))), "cpu")
    read, model = predictor.network, predictor.model
    assert (model.task, model.kind, dict(model.heads)) == (
        "messidor",
        "classification",
        {"dr_grade": 2, "dme_grade": 3},
    )
    assert predictor.kind.legend(model) == ["dr_grade: class 0 is 0 or 1, class 1 is 2 or 3."] and model.size == 350
    assert tuple(model.mean) == MEAN and tuple(model.std) == STD
    with torch.inference_mode():
        expected, found = network.probabilities(images()), read.probabilities(images())  # type: ignore[operator]
    torch.testing.assert_close(found, expected)


def test_own_sizes_are_told_by_what_trained(tmp_path: Path) -> None:
    """Shorter sides of the three that train: 60, 70, 80."""
    data(tmp_path, "drive", 0)
    said = described(tmp_path, "drive")
    assert (said["size"], said["sizes"], said["lossless"], said["square"]) == (0, (60, 80), True, False)


def test_files_of_version_0_1_keep_own_sizes_too(tmp_path: Path) -> None:
    """They told the median of the shorter sides, and every fact of either kind."""
    data(tmp_path, "drive", 0)
    said = described(tmp_path, "drive", decoder="smp-unet")
    old = {**said, "size": 70, "grades": {}}
    del old["sizes"]
    network = segmenter("smp-unet", create_encoder("resnet18"), {"vessel": 2})
    model = load_model(save(tmp_path, network, old), "cpu").model
    assert model.form.size == 0 and model.sizes == (70, 70)
    assert [model.is_far(3000, side) for side in (34, 35, 140, 141)] == [True, False, False, True]
    assert not replace(model, lossless=False).is_far(10, 10)  # is resized


def test_the_description_is_json_and_has_no_path(tmp_path: Path) -> None:
    data(tmp_path, "drive", 0)
    text = json.dumps(described(tmp_path, "drive"))
    assert str(tmp_path) not in text and "NaN" not in text


def test_what_is_no_model(tmp_path: Path) -> None:
    prepared.encoder(tmp_path / "swcl.safetensors")
    with pytest.raises(SwclError, match="swcl.safetensors holds no model of a task. Models are made by: swcl finetune"):
        load_model(tmp_path / "swcl.safetensors")


def test_other_versions_and_weights_are_named(tmp_path: Path) -> None:
    data(tmp_path, "drive", 0)
    network = segmenter("smp-unet", create_encoder("resnet18"), {"vessel": 2})
    said = described(tmp_path, "drive", decoder="smp-unet")
    path = save(tmp_path, network, {key: value for key, value in said.items() if key not in ("size", "mean")})
    with pytest.raises(SwclError, match="does not say its mean, size: it is of another version"):
        load_model(path)
    path = save(tmp_path, network, {key: value for key, value in said.items() if key != "output_stride"})
    with pytest.raises(SwclError, match="does not say its output_stride: it is of another version"):
        load_model(path)
    path = save(tmp_path, network, {**said, "kind": "detection"})
    with pytest.raises(SwclError, match="model.safetensors is of the kind detection: it is of another version"):
        load_model(path)
    path = save(tmp_path, network, {**said, "decoder": "smp-fpn"})
    with pytest.raises(SwclError, match="does not fit the Fpn. Keys missing: "):
        load_model(path)
