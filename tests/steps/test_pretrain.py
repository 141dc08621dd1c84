"""`pretrain` on a few patches: what the artefact holds, the schedule in the log, and whether it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder, load_encoder
from swcl_cli.pretraining import fitting
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import make_swap, pretrain
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.folders import read_log
from tests.swap_runs import options as swap_options


def options(root: Path, **values: Any) -> PretrainSettings:
    run = {"epochs": 4, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu"}
    return PretrainSettings(**{"workspace": root, "architecture": "resnet18", "batch_patches": 20, **run, **values})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """8 patients: 80 patches of 32 px in 40 pairs, four steps an epoch."""
    root = tmp_path_factory.mktemp("pretrain")
    prepared.labelled_eyes(root, "odir", 8)
    prepared.labeler(root, ["odir"], [])
    make_swap.run(swap_options(root))
    pretrain.run(options(root))
    return Workspace(root)


def test_artefact_is_the_encoder_alone_under_timms_keys(workspace: Workspace) -> None:
    path = workspace.encoder("swcl")
    tensors, provenance = load_file(path), read_provenance(path)
    assert tensors.keys() == timm.create_model("resnet18", num_classes=0).state_dict().keys()
    assert provenance["encoder"] == {"architecture": "resnet18", "image_size": 32, **prepared.COLOURS}
    assert provenance["step"] == "pretrain" and provenance["settings"]["method"] == "swcl"
    assert provenance["inputs"].keys() == {"swap"} and str(workspace.root) not in json.dumps(provenance)
    loaded = load_encoder(path).state_dict()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)
    first = create_encoder("resnet18", 0).state_dict()
    assert not torch.equal(first["conv1.weight"], tensors["conv1.weight"])


def test_log(workspace: Workspace) -> None:
    lines = read_log(workspace.pretraining("swcl").folder)
    probed = lines.pop()
    assert probed.keys() == {"step", "epoch", "knn_auc", "knn_low", "knn_high"} and probed["epoch"] == 3
    assert [line["step"] for line in lines] == list(range(16))
    rates = [line["learning_rate"] for line in lines]
    assert rates[:4] == pytest.approx([0.00025, 0.0005, 0.00075, 0.001])
    assert rates[4] == 0.001 and rates[10] == pytest.approx(0.0005) and 0 < rates[-1] < 2e-5
    for line in lines:
        assert 1 < line["positives"] <= 3 and line["without_positive"] == 0 and 0 < line["embedding_spread"] < 1.2
        assert 0 < line["alignment"] < 4 and -4.5 < line["uniformity"] < 0 and line["gradient_norm"] > 0
    losses = [line["loss"] for line in lines]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_name_done_and_other_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = workspace.encoder("swcl").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "training_steps", None)
        assert pretrain.run(options(workspace.root, workers=2)) == workspace.encoder("swcl")
        with pytest.raises(SwclError, match=r"made differently \(temperature: 0.1 -> 0.5\).*--fresh.*--name"):
            pretrain.run(options(workspace.root, temperature=0.5))
    assert "The rate rises to the last step" not in capsys.readouterr().err
    other = pretrain.run(options(workspace.root, temperature=0.5, name="warm", epochs=1))
    assert "The rate rises to the last step: 1 --warmup-epochs of 1 --epochs." in capsys.readouterr().err
    assert other == workspace.root / "warm.safetensors" and workspace.pretraining("warm").log.exists()
    assert workspace.encoder("swcl").read_bytes() == before
    assert not list(workspace.root.glob("runs/**/resume.safetensors"))


@pytest.mark.parametrize(
    "more",
    [
        {"method": "swcl", "batch_patches": 20, "epochs": 2},
        {"method": "byol", "batch_images": 4, "epochs": 1, "data": ["odir"]},  # its teacher copies the encoder
    ],
)
def test_frozen_batch_norm_stays_as_the_weights_came(workspace: Workspace, more: dict[str, Any]) -> None:
    start = workspace.encoder("swcl")
    run = {"workspace": workspace.root, "init": str(start), "name": f"{more['method']}-frozen", "workers": 0}
    run |= {"accelerator": "cpu", "frozen_bn": True, "learning_rate": 0.01, "warmup_epochs": 0}
    made = pretrain.run(PretrainSettings.model_validate({**run, **more}))
    before, after = load_file(start), load_file(made)
    norms = {key for key in before if "bn" in key or "downsample.1" in key}
    assert after.keys() == before.keys() and norms
    for key in before:
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(before[key], after[key]) == (key in norms), key
    assert read_provenance(made)["settings"]["frozen_bn"] is True
    assert load_encoder(made)(torch.zeros(1, 3, 32, 32)).shape == (1, 512)


def test_random_weights_train_their_batch_norm(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    plain = pretrain.run(options(workspace.root, epochs=1, name="plain"))
    frozen = pretrain.run(options(workspace.root, epochs=1, name="as-plain", frozen_bn=True))
    assert frozen.read_bytes() == plain.read_bytes()
    assert capsys.readouterr().out.count("--frozen-bn changes nothing: random weights train their BatchNorm.") == 1
