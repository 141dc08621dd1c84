"""Bring other layouts of any timm network to timm's keys: of its authors, of DINO, MAE and MoCo (FACTS 4)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor, nn

from swcl_cli.data.colour import HALF, IMAGENET, Colour
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import POSITIONS, create_encoder, listed
from swcl_cli.models.initialisation import torchvisions
from swcl_cli.models.initialisation.checkpoints import MARK
from swcl_cli.models.initialisation.layouts import DEEPEST_PART, Layout, counted

# What stands beside an encoder in files of pretraining: MAE's decoder, tokens for what was hidden, heads and queues.
HIDDEN = "mask_token"  # stands for patches that were hidden; timm knows DINOv2's files by it
BESIDE = (HIDDEN, "decoder", "dino_head", "ibot_head", "projector", "predictor", "queue", "head.", "fc.")
CHUNKED = re.compile(r"^blocks\.\d+\.(\d+)\.")  # DINOv2 trains blocks in groups; the second number counts all
RETFOUND_GREEN = ("vit_small_patch14_reg4_dinov2", 28 * 28)  # its network and positions, those of 392 px
PATCHES = "patch_embed.proj.weight"
SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}  # by width


def fitted(tensors: Mapping[str, Tensor], architecture: str, source: str) -> Layout:
    """Separate the encoder's weights from what stands beside it, under the keys of timm's network.

    The conversion is timm's own; weights of other shapes stay as they are, so that they do not fit. Raises SwclError
    where no weight fits, and names the parts of the file that would.
    """
    if torchvisions.family_of(tensors):
        return torchvisions.fitted(tensors, architecture, source)
    found, aside = _converted(tensors, architecture)
    if not _any_fits(found, architecture):
        parts = _parts_that_fit(tensors, architecture)
        if len(parts) != 1:
            named = f"{source}{'.' if MARK in source else MARK}{parts[0]}" if parts else ""
            raise SwclError(
                f"{source} holds no {architecture}: none of its {len(tensors)} tensors fits. Its keys begin with "
                f"{listed(list(tensors)[:3])}."
                + (f" Below {', '.join(parts)} some do: --init {named}" if parts else "")
            )
        part = f"{parts[0]}."
        inside = {key.removeprefix(part): tensor for key, tensor in tensors.items() if key.startswith(part)}
        found, within = _converted(inside, architecture)
        aside = [f"{part}{key}" for key in within] + [key for key in tensors if not key.startswith(part)]
    return Layout(counted(found), aside, released=False)


def suggestion(tensors: Mapping[str, Tensor]) -> str:
    """Say which network of torchvision, or transformer, a file may hold, and how to name it; nothing for others."""
    if name := torchvisions.identified(tensors):
        return f" It is torchvision's {name}: name it, as --architecture {name}."
    patches = next((tensor for key, tensor in tensors.items() if key.endswith(PATCHES) and tensor.ndim == 4), None)
    if patches is None:
        return ""
    width, side = len(patches), patches.shape[-1]
    registers = any(key.endswith(("register_tokens", "reg_token")) for key in tensors)
    size = SIZES.get(width, "")
    names = (f"vit_{size}_patch{side}{'_reg4' if registers else ''}_dinov2", f"vit_{size}_patch{side}_224")
    name = next((name for name in names if timm.is_model(name)), "vit_base_patch16_224")
    return (
        f" It looks like a transformer of width {width} with patches of {side} px: name it, as --architecture {name}."
    )


def colours_of(tensors: Mapping[str, Tensor], architecture: str) -> tuple[Colour, Colour]:
    """Return the colour constants that weights were trained with.

    MAE and MoCo have the fixed positions of sines, of which that of the class token is 0; they were trained with
    ImageNet's constants, RETFound-Green with 0.5. Of other weights they are those that timm tells for the network.
    """
    positions = tensors.get(POSITIONS)
    if positions is not None and positions.ndim == 3:
        if (architecture, positions.shape[1]) == RETFOUND_GREEN:
            return HALF
        if not positions[:, 0].any():
            return IMAGENET
    told = timm.get_pretrained_cfg(architecture)
    if told is None:
        return IMAGENET
    (red, green, blue), (red_std, green_std, blue_std) = told.mean, told.std
    return (red, green, blue), (red_std, green_std, blue_std)


def _converted(tensors: Mapping[str, Tensor], architecture: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return what is the encoder's under timm's keys, as timm's own conversion has it, and the keys of the rest."""
    network = create_encoder(architecture, weights=tensors)
    own = network.state_dict().keys()
    classifiers = network.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
    heads = tuple(f"{name}." for name in ([classifiers] if isinstance(classifiers, str) else classifiers))
    aside = [key for key in tensors if key not in own and key.startswith((*heads, *BESIDE))]
    encoder = {
        key if key in own else CHUNKED.sub(r"blocks.\1.", key): tensor
        for key, tensor in tensors.items()
        if key not in aside
    }
    of_dino = (
        {HIDDEN: tensors[HIDDEN]} if HIDDEN in tensors and not any(key.startswith("decoder") for key in aside) else {}
    )
    changed: Mapping[str, Tensor] = _by_timm(network)({**of_dino, **encoder}, network)
    return {
        key: encoder[key] if key != POSITIONS and key in encoder and encoder[key].shape != tensor.shape else tensor
        for key, tensor in changed.items()
        if key != HIDDEN
    }, aside


def _by_timm(network: nn.Module) -> Any:
    """Return timm's conversion of other layouts to those of this network."""
    return getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", lambda state, _: state)


def _any_fits(found: Mapping[str, Tensor], architecture: str) -> bool:
    own = create_encoder(architecture, weights=found).state_dict()
    return any(key in own and own[key].shape == tensor.shape for key, tensor in found.items())


def _parts_that_fit(tensors: Mapping[str, Tensor], architecture: str) -> list[str]:
    """Return the prefixes of keys below which most tensors have the names of this network's weights."""
    own = create_encoder(architecture).state_dict().keys()
    common: dict[str, int] = {}
    for key in tensors:
        parts = key.split(".")
        for depth in range(1, min(len(parts), DEEPEST_PART + 1)):
            part, inside = ".".join(parts[:depth]), ".".join(parts[depth:])
            common[part] = common.get(part, 0) + (inside in own or CHUNKED.sub(r"blocks.\1.", inside) in own)
    most = max(common.values(), default=0)
    return [part for part, count in common.items() if count == most > 0]
