"""The labeler's file: ours and the authors', and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from swcl_cli.data import colour
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.initialisation import read_labeler
from swcl_cli.workspace import Workspace, read_provenance, write_safetensors
from tests import prepared
from tests.foreign_weights import network, photographs, released_bit, released_resnet

BIT = "resnetv2_50x1_bit"


def test_ours(tmp_path: Path) -> None:
    made = prepared.labeler(tmp_path, ["odir"], ["eyepacs", "mine"])
    labeler = read_labeler(Workspace(tmp_path).labeler)
    assert (labeler.architecture, labeler.image_size) == ("resnet18", 64)
    assert (labeler.labelled, labeler.unlabelled) == (["odir"], ["eyepacs", "mine"])
    assert (labeler.mean, labeler.std) == colour.constants("rgb")
    with torch.inference_mode():
        assert torch.equal(labeler.network.eval()(photographs()), made(photographs()))


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34"])
def test_the_authors(architecture: str, tmp_path: Path) -> None:
    model = network(architecture, classes=2)
    torch.save(released_resnet(model), tmp_path / "pytorch_model.bin")
    labeler = read_labeler(tmp_path / "pytorch_model.bin")
    assert (labeler.architecture, labeler.image_size) == (architecture, 448)
    assert (labeler.labelled, labeler.unlabelled) == (None, None)
    assert (labeler.mean, labeler.std) == colour.constants("released")
    arrived, original = labeler.network.state_dict(), model.state_dict()
    assert arrived.keys() == original.keys() and all(torch.equal(arrived[key], original[key]) for key in arrived)
    arrived_network: Any = labeler.network.eval()
    usual = arrived_network.forward_features(photographs())
    assert usual.shape[-2:] == (4, 4)  # stride 16: the last stage keeps its input's size


def test_another_seed_of_the_network_is_not_left_anywhere(tmp_path: Path) -> None:
    state = released_resnet(network("resnet18", classes=2))
    del state["out.classification.0.bias"]
    torch.save(state, tmp_path / "w.bin")
    with pytest.raises(SwclError, match="does not fit the resnet18. Keys missing: fc.bias"):
        read_labeler(tmp_path / "w.bin")


def test_an_encoder_is_no_labeler(tmp_path: Path) -> None:
    prepared.encoder(tmp_path / "swcl.safetensors")
    with pytest.raises(SwclError, match="swcl.safetensors holds no labeler. Labelers are made by: swcl train-labeler"):
        read_labeler(tmp_path / "swcl.safetensors")
    state = released_resnet(network("resnet18"))
    torch.save({key: tensor for key, tensor in state.items() if key.startswith("encoder.")}, tmp_path / "w.bin")
    with pytest.raises(SwclError, match="w.bin holds no labeler's classifier"):
        read_labeler(tmp_path / "w.bin")
    torch.save(network("resnet18", classes=2).state_dict(), tmp_path / "w.bin")
    with pytest.raises(SwclError, match="w.bin holds no labeler's classifier"):
        read_labeler(tmp_path / "w.bin")


def test_other_architectures_and_classes(tmp_path: Path) -> None:
    torch.save({key: tensor.half() for key, tensor in released_bit(network(BIT)).items()}, tmp_path / "w.bin")
    with pytest.raises(SwclError, match=f"w.bin holds a {BIT}; a labeler of the authors is one of resnet18, resnet34"):
        read_labeler(tmp_path / "w.bin")
    torch.save(released_resnet(network("resnet18")), tmp_path / "w.bin")
    with pytest.raises(SwclError, match="w.bin tells 10 classes apart; a labeler has two, normal and abnormal"):
        read_labeler(tmp_path / "w.bin")


def test_ours_of_another_architecture_or_other_classes(tmp_path: Path) -> None:
    prepared.labeler(tmp_path, ["odir"], [])
    path = Workspace(tmp_path).labeler
    tensors, work = load_file(path), read_provenance(path)
    write_safetensors(path, {**tensors, "fc.weight": torch.ones(3, 512), "fc.bias": torch.ones(3)}, work)
    with pytest.raises(SwclError, match="tells 3 classes apart"):
        read_labeler(path)
    work["labeler"]["architecture"] = "resnet50"
    write_safetensors(path, tensors, work)
    with pytest.raises(SwclError, match=r"does not fit the resnet50\. Keys missing: encoder\.bn1\.bias"):
        read_labeler(path)


def test_one_of_several_networks_is_named(tmp_path: Path) -> None:
    state = network("resnet18", classes=2).state_dict()
    states = {"teacher": state, "student": {key: tensor + 1 for key, tensor in state.items()}}
    released = {name: released_resnet(network("resnet18", classes=2)) for name in states}
    released["student"] = {key: tensor + 1 for key, tensor in released["teacher"].items()}
    torch.save(released, tmp_path / "w.bin")
    with pytest.raises(SwclError, match="w.bin holds several networks: teacher, student. Name one"):
        read_labeler(tmp_path / "w.bin")
    for name, expected in states.items():
        arrived = read_labeler(tmp_path / "w.bin", name).network.state_dict()
        assert all(torch.equal(arrived[key], expected[key]) for key in expected)
    prepared.labeler(tmp_path, ["odir"], [])
    with pytest.raises(UsageError, match="labeler.safetensors holds one labeler of swcl's own: name it without #x"):
        read_labeler(tmp_path / "labeler.safetensors", "x")
