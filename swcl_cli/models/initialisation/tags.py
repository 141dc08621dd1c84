"""Pretrained weights that timm downloads, by the paper's names."""

from __future__ import annotations

import timm
from torch import Tensor

from swcl_cli.catalogue.encoders import TAGS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import keyed_weights

FILES = {
    "imagenet": "a state dict of timm or torchvision",
    "bit-m": "BiT-M-R50x1.npz of Google's Big Transfer release, or timm's copy of it",
}
MOST_REASON = 140  # characters


def choose(source: str, architecture: str | None) -> tuple[str, str]:
    """Architecture and timm tag; by default the first one. Raises UsageError where there are no such weights."""
    known = TAGS[source]
    chosen = architecture or next(iter(known))
    if chosen not in known:
        hint = " BiT trained on ImageNet alone is BiT-S: pass its .npz file." if source == "imagenet" else ""
        raise UsageError(f"--init {source} has no weights of {chosen}, only of {', '.join(known)}.{hint}")
    return chosen, f"{chosen}.{known[chosen]}"


def download(source: str, tag: str) -> dict[str, Tensor]:
    """The whole network's weights, from timm's cache or the network. timm loads strictly only with its classifier.

    Raises SwclError where they can't be had.
    """
    try:
        with keyed_weights(0, "overwritten"):
            network = timm.create_model(tag, pretrained=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:MOST_REASON] or type(error).__name__
        raise SwclError(
            f"timm could not download {tag} ({reason}). Pass a file instead (--init FILE --name {source}): "
            f"{FILES[source]}."
        ) from error
    return dict(network.state_dict())
