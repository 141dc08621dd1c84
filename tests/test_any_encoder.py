"""Encoders of each family, by their timm names, from the labeler to answers: tiny photographs, shallow networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import timm
from safetensors.torch import load_file

from swcl_cli.data.images import read_image
from swcl_cli.settings import FinetuneSettings, MakeSwapSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import finetune, make_swap, pretrain, train_labeler
from swcl_cli.tasks.predictor import load_model
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared

SWIN, DINOV2 = "swin_tiny_patch4_window7_224", "vit_small_patch14_reg4_dinov2"
# Networks that take long have a block or two a stage, by timm's own arguments. Sides in pixels: of prepared
# photographs, of which views are half, and of windows, which need not be whole patches.
SHALLOW: dict[str, dict[str, Any]] = {
    SWIN: {"depths": (1, 1, 1, 1)},
    DINOV2: {"depth": 4, "img_size": 56},
    "vit_tiny_patch16_224": {"depth": 4},
}
SIDES = {DINOV2: 112}
DECODERS: dict[str, Any] = {
    "resnet18": "deeplabv3plus",
    "convnext_atto": "deeplabv3plus",
    "vit_tiny_patch16_224": "smp-fpn",
}
ENCODERS = [
    "tf_efficientnet_lite0",
    "vit_tiny_patch16_224",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "convnext_atto", SWIN, DINOV2)),
]
RUN: dict[str, Any] = {"workers": 0, "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def shallow() -> Iterator[None]:
    made = timm.create_model

    def create(name: str, *given: Any, **options: Any) -> Any:
        return made(name, *given, **{**SHALLOW.get(name, {}), **{k: v for k, v in options.items() if v is not None}})

    with mock.patch.object(timm, "create_model", create):
        yield


def write(root: Path, side: int) -> None:
    """8 eyes of odir, whose grades are learnt as those of idrid, and 4 of drive with vessels."""
    for name in ("odir", "idrid"):
        rows = [
            {"image_id": f"{patient}_{eye}", "patient_id": f"{patient}", "eye": eye,
             "abnormal": (patient + right) % 2 == 0,
             "dr_grade": (patient + right) % 2, "dme_grade": right, "split": ("train", "val", "train", "test")[patient],
             "image": prepared.photograph(2 * patient + right, side, side)}
            for patient in range(4) for right, eye in enumerate(("left", "right"))
        ]  # fmt: skip
        prepared.write(root, name, rows, size=side)
    vessels = np.zeros((side, side), np.uint8)
    vessels[side // 2 :] = 255
    field = np.full((side, side), 255, np.uint8)
    rows = [
        {"image_id": f"{item}", "split": split, "mask": vessels, "fov": field,
         "image": prepared.photograph(50 + item, side, side)}
        for item, split in enumerate(("train", "train", "val", "test"))
    ]  # fmt: skip
    prepared.write(root, "drive", rows, size=0)


@pytest.mark.parametrize("architecture", ENCODERS)
def test_from_the_labeler_to_answers(architecture: str, tmp_path: Path) -> None:
    side = SIDES.get(architecture, 128)
    write(tmp_path, side)
    train_labeler.run(
        TrainLabelerSettings(
            workspace=tmp_path, architecture=architecture, labelled=["odir"], unlabelled=[], crop=side // 2, views=2,
            batch_labelled=2, accumulate=1, epochs=1, milestones=[], **RUN,
        )
    )  # fmt: skip
    workspace = Workspace(tmp_path)
    make_swap.run(MakeSwapSettings(workspace=tmp_path, labelled=["odir"], unlabelled=[], batch=4, **RUN))
    scores = pd.read_parquet(workspace.swap).query("score > 0")["score"]
    assert scores.between(0, 1).all() and scores.nunique() > 5
    path = pretrain.run(
        PretrainSettings(
            workspace=tmp_path,
            architecture=architecture,
            batch_patches=8,
            epochs=1,
            warmup_epochs=0,
            probe_every=0,
            **RUN,
        )
    )
    made = load_file(path)
    assert made.keys() == timm.create_model(architecture, num_classes=0).state_dict().keys()
    assert read_provenance(path)["encoder"]["architecture"] == architecture
    shared = {"workspace": tmp_path, "init": "swcl.safetensors", "batch": 2, "epochs": 1, "seeds": 1, **RUN}
    finetune.run(FinetuneSettings(task="idrid", crop=side // 2, **shared))
    finetune.run(
        FinetuneSettings(
            task="drive", crop=96, output_stride=16, decoder=DECODERS.get(architecture, "smp-unet"), **shared
        )
    )
    image = prepared.photograph(99, side, side)
    for task in ("idrid", "drive"):
        answer = load_model(workspace.finetune(task, "swcl") / "seed0/model.safetensors", accelerator="cpu")(image)
        assert all(np.isfinite(part).all() for part in answer.probabilities.values())
    assert answer.masks["vessel"].shape == (side, side)


@pytest.mark.parametrize(
    ("architecture", "crop"),
    [pytest.param(DINOV2, 392, marks=pytest.mark.slow), pytest.param(SWIN, 224, marks=pytest.mark.slow), (SWIN, 96)],
)
def test_whole_photographs(architecture: str, crop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3:2; each --fit has its own features, and the model answers as it was tested."""
    monkeypatch.setitem(SHALLOW, DINOV2, {"depth": 1, "img_size": 56})
    rows = [
        {"image_id": f"{item}", "patient_id": f"{item}", "dr_grade": item % 2, "dme_grade": item % 3,
         "split": ("train", "train", "train", "val", "test", "test")[item % 6],
         "image": prepared.photograph(item, 96, 64)}
        for item in range(12)
    ]  # fmt: skip
    table = prepared.write(tmp_path, "idrid", rows, size=0)
    tested = table[table["split"] == "test"]
    answers = {}
    for fit in ("crop", "pad", "squash"):
        given: dict[str, Any] = {"architecture": architecture, "crop": crop, "fit": fit, "probe": True, "seeds": 1}
        path = finetune.run(FinetuneSettings(workspace=tmp_path, task="idrid", name=fit, **given, **RUN))
        predictions = pd.read_parquet(path.with_name("predictions.parquet")).query("head == 'dr_grade'")
        assert predictions["path"].tolist() == tested["path"].tolist()
        answers[fit] = np.stack(predictions["probabilities"].to_list())
        model = load_model(path.parent / "seed0/model.safetensors", accelerator="cpu")
        alone = [model(read_image(tmp_path / each)).probabilities["dr_grade"] for each in tested["path"]]
        np.testing.assert_allclose(np.stack(alone), answers[fit], atol=1e-5)
    assert len(list((tmp_path / "features/idrid").iterdir())) == 3
    assert not np.allclose(answers["crop"], answers["pad"]) and not np.allclose(answers["pad"], answers["squash"])
