"""Weights in torchvision's layouts: timm's network computes what torchvision's own does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import timm
import torch
from timm.models import is_model_in_modules
from torch import Tensor, nn
from torchvision import models

from swcl_cli.data.colour import IMAGENET
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.models.initialisation.torchvisions import ALIKE, MARKS, without_weights

VIT, SWIN = "vit_base_patch16_224", "swin_tiny_patch4_window7_224"
NARROW: dict[str, dict[str, Any]] = {
    VIT: {"embed_dim": 24, "num_heads": 2},
    SWIN: {"embed_dim": 8, "num_heads": (1, 1, 2, 2)},
}
LARGE = ("efficientnet_b5", "efficientnetv2_s")
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def narrow() -> Iterator[None]:
    """Transformers of few channels; depth and keys are the real ones."""
    made = timm.create_model

    def create(name: str, *given: Any, **options: Any) -> Any:
        return made(name, *given, **{**options, **NARROW.get(name, {})})

    with mock.patch.object(timm, "create_model", create):
        yield
    without_weights.cache_clear()


def narrow_vit() -> nn.Module:
    network: nn.Module = models.VisionTransformer(
        224, 16, num_layers=12, num_heads=2, hidden_dim=24, mlp_dim=96, num_classes=5
    )
    return network


def narrow_swin() -> nn.Module:
    network: nn.Module = models.SwinTransformer([4, 4], 8, [2, 2, 6, 2], [1, 1, 2, 2], [7, 7], num_classes=5)
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {  # torchvision's, and what follows the features in it
    "convnext_tiny": (models.convnext_tiny, "classifier.2"),
    "densenet121": (models.densenet121, "classifier"),
    "efficientnet_b0": (models.efficientnet_b0, "classifier"),
    "efficientnet_b5": (models.efficientnet_b5, "classifier"),
    "efficientnetv2_s": (models.efficientnet_v2_s, "classifier"),
    "mobilenetv2_100": (models.mobilenet_v2, "classifier"),
    "mobilenetv3_small_100": (models.mobilenet_v3_small, "classifier.3"),
    "regnetx_004_tv": (models.regnet_x_400mf, "fc"),
    "regnety_004": (models.regnet_y_400mf, "fc"),
    SWIN: (narrow_swin, "head"),
    VIT: (narrow_vit, "heads"),
}


def drawn(architecture: str) -> nn.Module:
    """Torchvision's network in evaluation; norms and their statistics are random too."""
    torch.manual_seed(0)
    network = NETWORKS[architecture][0]().eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if key.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.2)
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(torch.randn(tensor.shape, generator=draw) / 10)
    return network


def as_offered(state: State) -> State:
    """The names of layers in files that torchvision offers: older ones, of DenseNet and the transformer."""
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key): tensor for key, tensor in state.items()}
    return {re.sub(r"(layer_\d+\.mlp)\.0\.", r"\1.linear_1.", key): tensor for key, tensor in older.items()}


def load(path: Path, state: State, architecture: str | None) -> Initial:
    torch.save(state, path / "w.pth")
    return initialise(str(path / "w.pth"), architecture, colours="rgb", seed=0)


@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in NETWORKS]
)
def test_features_are_torchvisions(architecture: str, tmp_path: Path) -> None:
    network = drawn(architecture)
    initial = load(tmp_path, as_offered(network.state_dict()), architecture)
    assert (initial.mean, initial.std) == IMAGENET
    size = 224 if architecture in NARROW else 64
    images = torch.randn(2, 3, size, size)
    network.set_submodule(NETWORKS[architecture][1], nn.Identity())
    with torch.inference_mode():
        expected, features = network(images).flatten(1), initial.encoder.eval()(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5 * float(expected.std()))


@pytest.mark.parametrize("architecture", [SWIN, "mobilenetv3_small_100"])
def test_what_is_left_aside_is_told_by_the_files_keys(architecture: str, tmp_path: Path) -> None:
    state = drawn(architecture).state_dict()
    _, _, aside = load(tmp_path, state, architecture).summary.partition("; left aside: ")
    heads = {"head.weight", "head.bias"} if architecture == SWIN else {"classifier.3.weight", "classifier.3.bias"}
    computed = [key for key in state if key.endswith("relative_position_index")]
    assert len(computed) == (12 if architecture == SWIN else 0)
    listed, _, more = aside.partition(" and ")
    assert set(listed.split(", ")) <= heads | set(computed)
    assert len(listed.split(", ")) + int(more.partition(" ")[0] or 0) == len(heads) + len(computed)


def test_a_network_that_computes_otherwise_is_refused(tmp_path: Path) -> None:
    """TensorFlow's EfficientNet pads its sides otherwise; a network of another family is another one anyway."""
    state = drawn("efficientnet_b0").state_dict()
    for architecture in ("tf_efficientnet_b0", "convnext_tiny"):
        with pytest.raises(SwclError, match=f"{architecture} computes otherwise. Take .* efficientnet_b0.$"):
            load(tmp_path, state, architecture)


def test_without_its_name_the_network_is_told(tmp_path: Path) -> None:
    for architecture in (None, "resnet18"):
        with pytest.raises(SwclError, match="torchvision's mobilenetv2_100: name it, as --arch.* mobilenetv2_100"):
            load(tmp_path, drawn("mobilenetv2_100").state_dict(), architecture)


def test_one_that_nobody_knows_is_told(tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in drawn("efficientnet_b0").state_dict().items() if "features.6." not in key}
    with pytest.raises(SwclError, match="No network of timm is known to compute as it does"):
        load(tmp_path, state, "tf_efficientnet_b0")


@pytest.mark.parametrize(
    ("architecture", "left_out", "said"),
    [
        ("mobilenetv2_100", "features.9.", "Keys missing: blocks.3.2.bn1.bias, "),
        ("convnext_tiny", "features.4.", "Keys missing: stages.2.downsample.0.bias, "),
        ("efficientnet_b0", "features.3.0.block.2.fc1.", "Keys missing: blocks.2.0.se.conv_reduce.bias, .*weight.$"),
    ],
)
def test_what_is_missing_is_an_error(architecture: str, left_out: str, said: str, tmp_path: Path) -> None:
    state = drawn(architecture).state_dict()
    with pytest.raises(SwclError, match=said):
        load(tmp_path, {key: tensor for key, tensor in state.items() if not key.startswith(left_out)}, architecture)


def test_what_is_too_much_is_an_error(tmp_path: Path) -> None:
    state = {**drawn("regnety_004").state_dict(), "trunk_output.block4.block4-6.f.a.0.weight": torch.ones(1)}
    with pytest.raises(SwclError, match="not expected: s4.b7.conv1.conv.weight"):
        load(tmp_path, state, "regnety_004")


def test_each_network_has_a_layout() -> None:
    assert all(sum(is_model_in_modules(name, [family]) for family in MARKS) == 1 for name in ALIKE)
