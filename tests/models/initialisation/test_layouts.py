"""An encoder that arrives through a foreign file gives the original network's features, and is told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from swcl_cli.catalogue.encoders import ENCODERS
from swcl_cli.data import colour
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder, load_weights
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.models.initialisation.layouts import sort_out, timm_key
from swcl_cli.workspace import fingerprint
from tests.foreign_weights import (
    features,
    first_bit,
    network,
    released_bit,
    released_bit_features,
    released_resnet,
)

BIT = "resnetv2_50x1_bit"
WEIGHTS = {"resnet18": 100, "resnet34": 180, "resnet50": 265, BIT: 151}  # parameters and running statistics


def hollow(architecture: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        state = timm.create_model(architecture).state_dict()
    return {key: torch.ones(()).expand(tensor.shape) for key, tensor in state.items()}


def load(path: Path, architecture: str | None = None, **given: Any) -> Initial:
    return initialise(str(path), architecture, **{"colours": "rgb", "seed": 0, **given})


def _timm(path: Path, model: Any) -> None:
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, path)


def _torchvision(path: Path, model: Any) -> None:
    theirs = getattr(torchvision.models, model.pretrained_cfg["architecture"])(num_classes=10)
    theirs.load_state_dict(model.state_dict())
    torch.save(theirs.state_dict(), path)


def _old_torchvision(path: Path, model: Any) -> None:
    """Years ago the counters of BatchNorm were not stored, and torch did not zip."""
    state = {key: tensor for key, tensor in model.state_dict().items() if "num_batches" not in key}
    torch.save(state, path, _use_new_zipfile_serialization=False)


def _parallel(path: Path, model: Any) -> None:
    state = {f"module.{key}": tensor for key, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, path)


def _released(path: Path, model: Any) -> None:
    bit = model.pretrained_cfg["architecture"] == BIT
    torch.save(released_bit(model) if bit else released_resnet(model), path)


def _first_bit(path: Path, model: Any) -> None:
    np.savez(path, **first_bit(model))


PROJECTOR = ", ".join(f"projection_network.out.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias"))
LABELER = "out.classification.0.weight, out.classification.0.bias"
CASES = [
    ("resnet18", _timm, ".safetensors", "fc.weight, fc.bias"),
    ("resnet34", _torchvision, ".pth", "fc.weight, fc.bias"),
    ("resnet50", _torchvision, ".pth", "fc.weight, fc.bias"),
    ("resnet18", _old_torchvision, ".pth", "fc.weight, fc.bias"),
    ("resnet18", _parallel, ".pt", "fc.weight, fc.bias"),
    ("resnet18", _released, ".bin", LABELER),
    ("resnet34", _released, ".bin", LABELER),
    (BIT, _released, ".bin", PROJECTOR),
    (BIT, _first_bit, ".npz", "resnet/head/conv2d/kernel, resnet/head/conv2d/bias"),
]


@pytest.mark.parametrize(
    ("architecture", "write", "suffix", "aside"),
    [pytest.param(*case, id=f"{case[0]}{case[1].__name__}") for case in CASES],
)
def test_features_are_the_originals(
    architecture: str, write: Callable[[Path, Any], None], suffix: str, aside: str, tmp_path: Path
) -> None:
    model, path = network(architecture), tmp_path / f"w{suffix}"
    write(path, model)
    initial = load(path)
    found = features(initial.encoder)
    assert torch.equal(found, features(model))
    if architecture == BIT:  # the network that the authors' keys describe
        torch.testing.assert_close(found, released_bit_features(released_bit(model)), rtol=1e-3, atol=1e-4)
    assert initial.architecture == architecture and initial.source == "w" and initial.image_size is None
    assert (initial.mean, initial.std) == colour.constants("released" if write is _released else "rgb")
    assert initial.inputs == {"init": fingerprint(path)}
    count = WEIGHTS[architecture]
    told, _, left = initial.summary.partition("; left aside: ")
    assert told == f"{count} of {count} weights of {architecture} from {path}"
    assert sorted(left.split(", ")) == sorted(aside.split(", "))
    arrived, original = initial.encoder.state_dict(), model.state_dict()
    counted = {key for key in arrived if write is not _old_torchvision or "num_batches" not in key}
    assert all(torch.equal(arrived[key], original[key]) for key in counted)


def test_colours_of_other_files_are_those_asked_for(tmp_path: Path) -> None:
    _timm(tmp_path / "w.safetensors", network("resnet18"))
    initial = load(tmp_path / "w.safetensors", colours="released")
    assert (initial.mean, initial.std) == colour.constants("released")


def test_the_made_networks_notice_a_lost_norm() -> None:
    for architecture in ENCODERS:
        model = network(architecture)
        usual, state = features(model), model.state_dict()
        last = {"resnet18": "layer4.1.bn2.weight", "resnet34": "layer4.2.bn2.weight", BIT: "norm.weight"}
        weight = state[last.get(architecture, "layer4.2.bn3.running_mean")]
        kept = weight.clone()
        weight.fill_(1.0)
        assert not torch.allclose(features(model), usual, rtol=0.01)
        weight.copy_(kept)


def test_bit_as_timm_itself_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    _first_bit(path, network(BIT))
    theirs: Any = timm.create_model(BIT, num_classes=0)
    theirs.load_pretrained(str(path))
    ours = load(path).encoder.state_dict()
    assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("stride", [8, 16])
def test_dilated_encoders_take_the_same_weights(stride: int, tmp_path: Path) -> None:
    model = network("resnet18")
    _released(tmp_path / "w.bin", model)
    dilated: Any = load(tmp_path / "w.bin", output_stride=stride).encoder
    original = model.state_dict()
    assert all(torch.equal(tensor, original[key]) for key, tensor in dilated.state_dict().items())
    assert dilated.forward_features(torch.zeros(1, 3, 64, 64)).shape[-1] == 64 // stride


@pytest.mark.parametrize(
    ("write", "lost", "named"),
    [
        pytest.param(released_bit, "encoder.head.gn.bias", "norm.bias", id="released"),
        pytest.param(first_bit, "resnet/group_norm/gamma", "norm.weight", id="npz"),
        pytest.param(lambda model: model.state_dict(), "norm.weight", "norm.weight", id="timm"),
    ],
)
def test_a_final_norm_that_does_not_arrive_is_an_error(
    write: Callable[[Any], dict[str, Any]], lost: str, named: str
) -> None:
    state = {key: torch.as_tensor(tensor) for key, tensor in write(network(BIT)).items() if key != lost}
    if write is first_bit:
        state = {key: tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor for key, tensor in state.items()}
    with pytest.raises(SwclError) as caught:
        load_weights(create_encoder(BIT), sort_out(state, "w").encoder, "w")
    assert str(caught.value) == f"w does not fit the {BIT}. Keys missing: {named}."


class TestMisfits:
    """Of resnet18's weights, changed. Keys and shapes count here: the files hold one number a weight."""

    @pytest.fixture
    def state(self) -> dict[str, Tensor]:
        return hollow("resnet18")

    def failure(self, tmp_path: Path, state: dict[str, Tensor], architecture: str | None = None) -> str:
        torch.save(state, tmp_path / "w.pt")
        with pytest.raises(SwclError) as caught:
            load(tmp_path / "w.pt", architecture)
        message = str(caught.value)
        assert message.startswith(str(tmp_path / "w.pt"))
        return message.removeprefix(str(tmp_path / "w.pt"))

    def test_missing_keys(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        del state["bn1.running_var"], state["layer4.1.conv2.weight"]
        assert self.failure(tmp_path, state) == (
            " does not fit the resnet18. Keys missing: bn1.running_var, layer4.1.conv2.weight."
        )

    def test_keys_that_are_neither_encoder_nor_head(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        state["predictor.0.weight"] = torch.ones(2)
        assert self.failure(tmp_path, state) == " does not fit the resnet18. Keys not expected: predictor.0.weight."

    def test_shapes(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        state["conv1.weight"] = torch.ones(64, 1, 7, 7)
        assert self.failure(tmp_path, state) == " does not fit the resnet18. Keys of another shape: conv1.weight."

    def test_a_deeper_network(self, tmp_path: Path) -> None:
        message = self.failure(tmp_path, hollow("resnet101"))
        assert message.startswith(" does not fit the resnet50. Keys not expected: layer3.10.bn1.bias, ")
        assert message.endswith(" and 298 more.") and len(message) < 400

    def test_another_architecture_than_asked_for(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        message = self.failure(tmp_path, state, "resnet34")
        assert message == " holds a resnet18, not the --architecture resnet34."

    def test_what_does_not_fit_is_held_against_what_was_asked_for(self, tmp_path: Path) -> None:
        state = hollow("resnet34")
        del state["layer4.2.bn1.bias"]
        assert self.failure(tmp_path, state, "resnet34").endswith("Keys missing: layer4.2.bn1.bias.")

    def test_two_encoders(self, tmp_path: Path, state: dict[str, Tensor]) -> None:
        state |= {f"encoder.{key}": tensor for key, tensor in state.items()}
        assert " holds two encoders: both conv1.weight and encoder.conv1.weight." in self.failure(tmp_path, state)

    @pytest.mark.parametrize(
        "state",
        [
            pytest.param({"visual.proj": torch.ones(2), "logit_scale": torch.ones(())}, id="another network"),
            pytest.param({"fc.weight": torch.ones(10, 512)}, id="a head alone"),
            pytest.param({"conv1.weight": torch.ones(8, 3, 3, 3)}, id="another of the same names"),
        ],
    )
    def test_nothing_that_fits_is_never_a_training_from_scratch(self, state: dict[str, Tensor], tmp_path: Path) -> None:
        message = self.failure(tmp_path, state, "resnet18")
        assert message.startswith(f" holds no encoder that is known here ({', '.join(ENCODERS)})")


def test_unknown_names_stay() -> None:
    names = ("stages.0.blocks.1.norm1.weight", "conv1.weight", "resnet/block1/unit01/d/other", "body.block1.unit01.x")
    assert [timm_key(name) for name in names] == [
        *names[:2],
        "stages.0.blocks.0.d/other",
        "stages.0.blocks.0.x",
    ]
