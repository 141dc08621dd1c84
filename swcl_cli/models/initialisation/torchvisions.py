"""Bring torchvision's weights to timm's keys, of networks that compute alike in both (FACTS 4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import timm
import torch
from timm.models import is_model_in_modules
from torch import Tensor, nn

from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import POSITIONS
from swcl_cli.models.initialisation.layouts import Layout, counted

EPSILON = 1e-3  # what BatchNorm adds to variances in torchvision's networks of OTHER_EPSILON; in timm's it adds less
OTHER_EPSILON = (
    *(f"efficientnet_b{number}" for number in (5, 6, 7)),
    *(f"efficientnetv2_{size}" for size in "sml"),
    *(f"mobilenetv3_{size}_100" for size in ("small", "large")),
)
ALIKE = (  # timm's networks that compute what torchvision's do; ResNets have torchvision's keys in timm too
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
    *(f"densenet{layers}" for layers in (121, 161, 169, 201)),
    *(f"efficientnet_b{number}" for number in range(5)),
    "mobilenetv2_100",
    *(f"regnetx_{size}" for size in ("004_tv", "008", "016", "032", "080", "160", "320")),
    *(f"regnety_{size}" for size in ("004", "008_tv", "016", "032", "080_tv", "160", "320", "1280")),
    *(f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base")),
    *(f"vit_{size}_224" for size in ("base_patch16", "base_patch32", "large_patch16", "large_patch32", "huge_patch14")),
    *OTHER_EPSILON,
)
MARKS = {  # a key that only torchvision's files have, by the module of timm that has the network
    "densenet": ("features.denseblock1.denselayer1.norm.1.weight",),  # of the files that torchvision offers
    "regnet": ("trunk_output.block1.block1-0.f.a.0.weight",),
    "vision_transformer": ("encoder.layers.encoder_layer_0.ln_1.weight",),
    "swin_transformer": ("features.1.0.attn.qkv.weight",),
    "convnext": ("features.1.0.layer_scale",),
    "efficientnet": ("features.1.0.block.0.0.weight", "features.1.conv.0.0.weight"),
    "mobilenetv3": ("features.1.block.0.0.weight",),
}
MOST_BLOCKS = 40  # in a stage of a RegNet
RULES = {  # what is replaced in keys, in this order; ^ is their beginning
    "densenet": {f".{part}.{number}.": f".{part}{number}." for part in ("norm", "conv") for number in (1, 2)},
    "convnext": {
        "^features.0.": "^stem.",
        **{f"^features.{2 * number}.": f"^stages.{number}.downsample." for number in (1, 2, 3)},
        **{f"^features.{2 * number + 1}.": f"^stages.{number}.blocks." for number in range(4)},
        ".layer_scale": ".gamma",
        ".block.0.": ".conv_dw.",
        ".block.2.": ".norm.",
        ".block.3.": ".mlp.fc1.",
        ".block.5.": ".mlp.fc2.",
        "^classifier.0.": "^head.norm.",
        "^classifier.2.": "^head.fc.",
    },
    "swin_transformer": {
        "^features.0.0.": "^patch_embed.proj.",
        "^features.0.2.": "^patch_embed.norm.",
        **{f"^features.{2 * number}.": f"^layers.{number}.downsample." for number in (1, 2, 3)},
        **{f"^features.{2 * number + 1}.": f"^layers.{number}.blocks." for number in range(4)},
        ".mlp.0.": ".mlp.fc1.",
        ".mlp.3.": ".mlp.fc2.",
        "^head.": "^head.fc.",
    },
    "vision_transformer": {
        "^class_token": "^cls_token",
        "^conv_proj.": "^patch_embed.proj.",
        "^encoder.pos_embedding": f"^{POSITIONS}",
        "^encoder.layers.encoder_layer_": "^blocks.",
        "^encoder.ln.": "^norm.",
        ".ln_1.": ".norm1.",
        ".ln_2.": ".norm2.",
        ".self_attention.in_proj_": ".attn.qkv.",
        ".self_attention.out_proj.": ".attn.proj.",
        ".mlp.0.": ".mlp.fc1.",
        ".mlp.3.": ".mlp.fc2.",
        ".mlp.linear_1.": ".mlp.fc1.",  # of torchvision's first version
        ".mlp.linear_2.": ".mlp.fc2.",
        "^heads.": "^",
    },
    "regnet": {
        "^stem.0.": "^stem.conv.",
        "^stem.1.": "^stem.bn.",
        **{
            f"^trunk_output.block{stage}.block{stage}-{block}.": f"^s{stage}.b{block + 1}."
            for stage in (1, 2, 3, 4)
            for block in range(MOST_BLOCKS)
        },
        ".proj.0.": ".downsample.conv.",
        ".proj.1.": ".downsample.bn.",
        **{f".f.{letter}.0.": f".conv{number}.conv." for number, letter in enumerate("abc", 1)},
        **{f".f.{letter}.1.": f".conv{number}.bn." for number, letter in enumerate("abc", 1)},
        ".f.se.": ".se.",
        "^fc.": "^head.fc.",
    },
}
BLOCKS = {  # of mobile networks: convolutions and their norms in order, by timm's class
    "ConvBnAct": ("conv bn1",),
    "DepthwiseSeparableConv": ("conv_dw bn1", "se", "conv_pw bn2"),
    "EdgeResidual": ("conv_exp bn1", "se", "conv_pwl bn2"),
    "InvertedResidual": ("conv_pw bn1", "conv_dw bn2", "se", "conv_pwl bn3"),
}
SQUEEZE = "se"
COMPUTED = ".relative_position_index"  # of Swin: no weight


def family_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the module of timm that has the network of a file in torchvision's layout; empty for other layouts."""
    return next((family for family, marks in MARKS.items() if any(mark in tensors for mark in marks)), "")


def fitted(tensors: Mapping[str, Tensor], architecture: str, source: str) -> Layout:
    """Bring a file in torchvision's layout to the keys of timm's network. Weights that it does not know stay.

    Where torchvision's BatchNorm adds more to variances than timm's does, the difference is added to the running ones,
    so that the network computes the same in evaluation. Raises SwclError where timm's network is another one.
    """
    family = family_of(tensors)
    if architecture not in ALIKE or not is_model_in_modules(architecture, [family]):
        name = identified(tensors)
        remedy = f"Take --architecture {name}." if name else "No network of timm is known to compute as it does."
        raise SwclError(
            f"{source} holds weights of torchvision, and timm's {architecture} computes otherwise. {remedy}"
        )
    encoder, aside = _renamed(tensors, family, architecture)
    if architecture in OTHER_EPSILON:
        for name, norm in without_weights(architecture).named_modules():
            variance = f"{name}.running_var"
            if isinstance(norm, nn.BatchNorm2d) and variance in encoder:
                encoder[variance] = encoder[variance] + (EPSILON - norm.eps)
    return Layout(counted(encoder), aside, released=False)


def identified(tensors: Mapping[str, Tensor]) -> str:
    """Return timm's name of the network of a file in torchvision's layout; empty where it is none of ALIKE."""
    family = family_of(tensors)
    for architecture in ALIKE if family else ():
        if is_model_in_modules(architecture, [family]):
            encoder, _ = _renamed(tensors, family, architecture)
            own = without_weights(architecture).state_dict()
            classifier = _classifier(architecture)
            expected = {key: tensor.shape for key, tensor in own.items() if not key.startswith((classifier, POSITIONS))}
            counted_ones = counted(encoder).items()
            if expected == {key: tensor.shape for key, tensor in counted_ones if key != POSITIONS}:
                return architecture
    return ""


@cache
def without_weights(architecture: str) -> Any:
    """Return timm's network without weights, to look at."""
    with torch.device("meta"):
        return timm.create_model(architecture)


def _classifier(architecture: str) -> str:
    """Return the beginning of the keys of timm's classifier."""
    return f"{without_weights(architecture).pretrained_cfg['classifier']}."


def _renamed(tensors: Mapping[str, Tensor], family: str, architecture: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the encoder's tensors under timm's keys, and the file's keys of classifiers and of what is no weight."""
    network, classifier = without_weights(architecture), _classifier(architecture)
    rules, own = RULES[family] if family in RULES else _of_mobile(network), network.state_dict()
    encoder, aside = {}, []
    for key, tensor in tensors.items():
        name = f"^{key}"
        for old, new in rules.items():
            name = name.replace(old, new)
        name = name.removeprefix("^")
        if name.startswith(classifier) or name.endswith(COMPUTED):
            aside.append(key)
        else:
            encoder[name] = _shaped_as(own.get(name), tensor)
    return encoder, aside


def _of_mobile(network: Any) -> dict[str, str]:
    """Write the rules of an EfficientNet or MobileNet: torchvision numbers the parts of a block, timm names them.

    EfficientNet's blocks are numbered by stage, MobileNet's throughout.
    """
    rules = {"^features.0.0.": "^conv_stem.", "^features.0.1.": "^bn1."}
    count = 0
    for stage, blocks in enumerate(network.blocks):
        for number, block in enumerate(blocks):
            count += 1
            inside = _of_block(block)
            for before in (f"^features.{stage + 1}.{number}.block.", f"^features.{count}.block."):
                rules |= {f"{before}{old}": f"^blocks.{stage}.{number}.{new}" for old, new in inside.items()}
            rules |= {
                f"^features.{count}.conv.{old}": f"^blocks.{stage}.{number}.{new}"
                for old, new in _without_activation(inside).items()
            }
    if hasattr(network, "bn2"):
        for last in (len(network.blocks) + 1, count + 1):
            rules |= {f"^features.{last}.0.": "^conv_head.", f"^features.{last}.1.": "^bn2."}
        return rules | {"^classifier.1.": "^classifier."}
    last_block = f"^blocks.{len(network.blocks) - 1}.0."
    rules |= {f"^features.{count}.0.": f"{last_block}conv.", f"^features.{count}.1.": f"{last_block}bn1."}
    return rules | {"^classifier.0.": "^conv_head.", "^classifier.3.": "^classifier."}


def _of_block(block: nn.Module) -> dict[str, str]:
    """Return timm's names of a block's parts by torchvision's numbers."""
    squeezes = any(name.startswith(f"{SQUEEZE}.") for name, _ in block.named_parameters())
    parts = [part for part in BLOCKS[type(block).__name__] if part != SQUEEZE or squeezes]
    names: dict[str, str] = {}
    for number, part in enumerate(parts):
        if part == SQUEEZE:
            names |= {f"{number}.fc1.": f"{SQUEEZE}.conv_reduce.", f"{number}.fc2.": f"{SQUEEZE}.conv_expand."}
        else:
            convolution, norm = part.split()
            names |= {f"{number}.0.": f"{convolution}.", f"{number}.1.": f"{norm}."}
    return names


def _without_activation(inside: Mapping[str, str]) -> dict[str, str]:
    """Number the last convolution and norm of a block as MobileNetV2 does, whose last ones stand alone."""
    *others, (_, convolution), (_, norm) = inside.items()
    last = len(inside) // 2 - 1
    return dict(others) | {f"{last}.": convolution, f"{last + 1}.": norm}


def _shaped_as(own: Tensor | None, tensor: Tensor) -> Tensor:
    """Return the tensor in the shape of the network's own, where they differ in sides of 1 alone."""
    if own is None or [side for side in own.shape if side > 1] != [side for side in tensor.shape if side > 1]:
        return tensor
    return tensor.reshape(own.shape)
