"""Encoders: keyed weights, timm's keys, strict loading; the labeler's larger map."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision

from swcl_cli.catalogue.encoders import ENCODERS, WIDE_MAPS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import (
    batch_norms,
    create_encoder,
    create_labeler,
    encoder_state,
    keyed_weights,
    load_encoder,
    load_weights,
)
from swcl_cli.workspace import write_safetensors

EXPECTED = {  # channels of the last features, of stage 1, and whether there is BatchNorm
    "resnet18": (512, 64, True),
    "resnet34": (512, 64, True),
    "resnet50": (2048, 256, True),
    "resnetv2_50x1_bit": (2048, 256, False),
}
DESCRIPTION = {"architecture": "resnet18", "image_size": 64, "mean": [0.3, 0.2, 0.1], "std": [0.3, 0.2, 0.2]}


@pytest.mark.parametrize("architecture", ENCODERS)
def test_facts_are_those_of_the_network(architecture: str) -> None:
    encoder: Any = create_encoder(architecture).eval()
    channels, low_level_channels, batch_norm = EXPECTED[architecture]
    assert channels_of(encoder) == channels and bool(batch_norms(encoder)) == batch_norm
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    shallow, deep = encoder.forward_intermediates(images, indices=[1, 4], norm=True, intermediates_only=True)
    assert encoder(images).shape == (1, channels)
    assert deep.shape == (1, channels, 2, 2)
    assert shallow.shape == (1, low_level_channels, 16, 16)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.modules()) == batch_norm


def test_bit_keeps_its_final_norm_in_the_features() -> None:
    encoder: Any = create_encoder("resnetv2_50x1_bit").eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = encoder.forward_features(images)
    assert features.min() >= 0
    torch.testing.assert_close(encoder(images), features.mean(dim=(2, 3)))
    torch.testing.assert_close(encoder.stages(encoder.stem(images)).min() < 0, torch.tensor(True))
    assert {"norm.weight", "norm.bias"} <= encoder_state(encoder).keys()


def test_weights_are_a_function_of_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = encoder_state(create_encoder("resnet18", seed=3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, other = (encoder_state(create_encoder("resnet18", seed=seed)) for seed in (3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("architecture", WIDE_MAPS)
def test_last_norms_start_at_one_as_torchvisions_or_at_zero_as_timms(architecture: str) -> None:
    """FACTS C11. All else is drawn alike, and as torchvision's in distribution: by its deviation, layer by layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = getattr(torchvision.models, architecture)(num_classes=2).state_dict()
    ours, timms = (create_labeler(architecture, 3, last_norm=value).state_dict() for value in ("one", "zero"))
    usual = create_labeler(architecture, 3).state_dict()
    assert all(torch.equal(timms[key], usual[key]) for key in usual)
    last = {key for key in ours if key.endswith("bn2.weight")}
    assert len(last) == {"resnet18": 8, "resnet34": 16}[architecture]
    for key, weight in theirs.items():
        assert torch.equal(ours[key], timms[key]) == (key not in last)
        assert bool(ours[key].any()) == bool(weight.any()) == (bool(timms[key].any()) or key in last), key
        if weight.ndim > 1:
            assert ours[key].std().item() == pytest.approx(weight.std().item(), rel=0.05), key
            assert ours[key].abs().max().item() == pytest.approx(weight.abs().max().item(), rel=0.4), key
        elif not key.startswith("fc"):
            assert torch.equal(ours[key], weight), key


def test_keyed_weights_differ_by_purpose() -> None:
    made = []
    for purpose in ("a", "b", "a"):
        with keyed_weights(0, purpose):
            made.append(torch.nn.Linear(4, 4).weight)
    assert torch.equal(made[0], made[2]) and not torch.equal(made[0], made[1])


@pytest.mark.parametrize("architecture", ENCODERS)
def test_output_stride_changes_the_map_and_no_key(architecture: str) -> None:
    """Every second or fourth pixel of a dilated map is one of the usual map, where norms do not look at the map."""
    usual: Any = create_encoder(architecture).eval()
    state = encoder_state(usual)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = usual.forward_features(images)
        for stride, side in ((8, 8), (16, 4), (32, 2)):
            encoder: Any = create_encoder(architecture, seed=1, output_stride=stride).eval()
            load_weights(encoder, state, "memory")
            assert all(torch.equal(tensor, state[key]) for key, tensor in encoder.state_dict().items())
            shallow, deep = encoder.forward_intermediates(images, indices=[1, 4], norm=True, intermediates_only=True)
            assert shallow.shape[-2:] == (16, 16) and deep.shape[-2:] == (side, side)
            assert encoder.feature_info[-1]["reduction"] == stride
            if batch_norms(usual):
                torch.testing.assert_close(deep[..., :: 32 // stride, :: 32 // stride], expected)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "swcl.safetensors"
    encoder = create_encoder("resnet18", seed=5).to(memory_format=torch.channels_last)
    state = encoder_state(encoder)
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in state.values())
    write_safetensors(path, state, {"encoder": DESCRIPTION})
    loaded = load_encoder(str(path))
    assert not loaded.training
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
    dilated: Any = load_encoder(path, output_stride=16)
    assert dilated.forward_features(torch.zeros(1, 3, 64, 64)).shape[-1] == 4
    timm.create_model("resnet18", num_classes=0).load_state_dict(state)


def test_half_precision_is_saved_as_fp32() -> None:
    state = encoder_state(create_encoder("resnet18").bfloat16())
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}


def test_loading_is_strict_and_names_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "swcl.safetensors"
    state = encoder_state(create_encoder("resnet18"))
    del state["bn1.weight"], state["layer4.1.conv2.weight"]
    state |= {"fc.weight": torch.zeros(2, 512), "conv1.weight": torch.zeros(64, 3, 3, 3)}
    write_safetensors(path, state, {"encoder": DESCRIPTION})
    with pytest.raises(SwclError) as caught:
        load_encoder(path)
    message = str(caught.value)
    assert str(path) in message
    assert "missing: bn1.weight, layer4.1.conv2.weight;" in message
    assert "not expected: fc.weight;" in message and "of another shape: conv1.weight" in message


def test_a_file_without_an_encoder_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labeler.safetensors"
    write_safetensors(path, {"fc.weight": torch.zeros(2, 512)}, {"step": "train-labeler"})
    with pytest.raises(SwclError, match="holds no encoder"):
        load_encoder(path)


@pytest.mark.parametrize("name", ["resnet19", "resnet18.a1_in1k"])
def test_unknown_architectures_are_errors_with_the_nearest_names(name: str) -> None:
    for create in (create_encoder, create_labeler):
        with pytest.raises(UsageError, match=f"--architecture {name}: timm .* has no network of this name") as caught:
            create(name)
        assert "resnet18" in str(caught.value).partition("name.")[2]


@pytest.mark.parametrize("architecture", WIDE_MAPS)
def test_labeler_maps_448_px_to_28(architecture: str) -> None:
    labeler: Any = create_labeler(architecture).eval()
    with torch.inference_mode():
        assert labeler.forward_features(torch.zeros(1, 3, 448, 448)).shape == (1, 512, 28, 28)
        assert labeler(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
    assert {module.dilation for module in labeler.modules() if isinstance(module, torch.nn.Conv2d)} == {(1, 1)}
    usual = timm.create_model(architecture, num_classes=2)
    usual.load_state_dict(labeler.state_dict())
    assert usual.state_dict()["fc.weight"].shape == (2, 512)
