"""Weights of timm's networks, written as others name and store them: made by walking the network, not by a key map."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm, max_pool2d

from tests.prepared import photograph

CLASSES = 10


@cache
def network(architecture: str, classes: int = CLASSES) -> Any:
    """In evaluation mode; norms and running statistics are drawn too, so that losing one of them changes features."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model(architecture, num_classes=classes)
        for name, tensor in made.state_dict().items():
            if "norm" in name or "bn" in name or "downsample.1" in name:
                tensor.copy_(tensor + torch.rand(tensor.shape) if tensor.is_floating_point() else tensor + 7)
    return made.eval()


def photographs() -> Tensor:
    """(2, 3, 64, 64)"""
    pixels = np.stack([photograph(item).transpose(2, 0, 1) for item in range(2)])
    return torch.tensor(pixels / 127.5 - 1, dtype=torch.float32)


@torch.inference_mode()
def features(encoder: Any) -> Tensor:
    """Pooled features of the photographs, (2, C), evaluation mode."""
    encoder.eval()
    pooled: Tensor = encoder.forward_head(encoder.forward_features(photographs()), pre_logits=True)
    return pooled


def released_bit(model: Any) -> dict[str, Tensor]:
    """BiT as the authors name it: Google's port to PyTorch under `encoder.`, and their projection network."""
    state = {
        "encoder.root.conv.weight": model.stem.conv.weight,
        "encoder.head.gn.weight": model.norm.weight,
        "encoder.head.gn.bias": model.norm.bias,
        **{f"projection_network.out.{n}.{kind}": torch.ones(3) for n in (0, 2) for kind in ("weight", "bias")},
    }
    for (i, j), block in units(model).items():
        unit = f"encoder.body.block{i}.unit{j:02d}"
        for n in (1, 2, 3):
            state[f"{unit}.gn{n}.weight"] = getattr(block, f"norm{n}").weight
            state[f"{unit}.gn{n}.bias"] = getattr(block, f"norm{n}").bias
            state[f"{unit}.conv{n}.weight"] = getattr(block, f"conv{n}").weight
        if block.downsample is not None:
            state[f"{unit}.downsample.weight"] = block.downsample.conv.weight
    return {key: tensor.detach().clone() for key, tensor in state.items()}


def first_bit(model: Any) -> dict[str, Any]:
    """BiT as its authors published it: TensorFlow's names, kernels (height, width, in, out)."""

    def kernel(convolution: Any) -> Any:
        return convolution.weight.detach().permute(2, 3, 1, 0).numpy()

    arrays = {
        "resnet/root_block/standardized_conv2d/kernel": kernel(model.stem.conv),
        "resnet/group_norm/gamma": model.norm.weight.detach().numpy(),
        "resnet/group_norm/beta": model.norm.bias.detach().numpy(),
        "resnet/head/conv2d/kernel": kernel(model.head.fc),
        "resnet/head/conv2d/bias": model.head.fc.bias.detach().numpy(),
    }
    for (i, j), block in units(model).items():
        unit = f"resnet/block{i}/unit{j:02d}"
        for n, letter in enumerate("abc", 1):
            norm = getattr(block, f"norm{n}")
            arrays[f"{unit}/{letter}/standardized_conv2d/kernel"] = kernel(getattr(block, f"conv{n}"))
            arrays[f"{unit}/{letter}/group_norm/gamma"] = norm.weight.detach().numpy()
            arrays[f"{unit}/{letter}/group_norm/beta"] = norm.bias.detach().numpy()
        if block.downsample is not None:
            arrays[f"{unit}/a/proj/standardized_conv2d/kernel"] = kernel(block.downsample.conv)
    return arrays


def units(model: Any) -> dict[tuple[int, int], Any]:
    """The blocks of BiT by stage and place, both from 1."""
    return {(i, j): block for i, stage in enumerate(model.stages, 1) for j, block in enumerate(stage.blocks, 1)}


@torch.inference_mode()
def released_bit_features(state: dict[str, Tensor]) -> Tensor:
    """The network that the authors' keys describe, written out: (2, 2048) of the photographs (arXiv 1912.11370)."""

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        variance, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, correction=0)
        return conv2d(x, (weight - mean) / (variance + 1e-10).sqrt(), stride=stride, padding=weight.shape[-1] // 2)

    def activate(x: Tensor, name: str) -> Tensor:
        return group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"]).relu()

    x = convolve(photographs(), "encoder.root.conv", stride=2)
    x = max_pool2d(nn.functional.pad(x, (1, 1, 1, 1)), 3, 2)
    for i, blocks in enumerate((3, 4, 6, 3), 1):
        for j in range(1, blocks + 1):
            unit, stride = f"encoder.body.block{i}.unit{j:02d}", 2 if i > 1 and j == 1 else 1
            inside = activate(x, f"{unit}.gn1")
            beside = x if j > 1 else convolve(inside, f"{unit}.downsample", stride)
            inside = convolve(inside, f"{unit}.conv1")
            inside = convolve(activate(inside, f"{unit}.gn2"), f"{unit}.conv2", stride)
            x = beside + convolve(activate(inside, f"{unit}.gn3"), f"{unit}.conv3")
    return activate(x, "encoder.head.gn").mean(dim=(2, 3))


def released_resnet(model: Any) -> dict[str, Tensor]:
    """A ResNet as the authors name it: torchvision's keys under `encoder.`; with 2 classes it is their labeler."""
    state = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("fc.")}
    released = {f"encoder.{key}": tensor.clone() for key, tensor in state.items()}
    released |= {f"out.classification.0.{kind}": getattr(model.fc, kind).detach() for kind in ("weight", "bias")}
    return released
