"""Download pretrained weights by timm, under the paper's names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
from huggingface_hub import constants as hub
from torch import Tensor

from swcl_cli.catalogue.encoders import TAGS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import keyed_weights

FILES = {
    "imagenet": "a state dict of timm or torchvision",
    "bit-m": "BiT-M-R50x1.npz of Google's Big Transfer release, or timm's copy of it",
}
MOST_REASON = 140  # characters
PATIENCE = 5  # seconds for a first answer


def choose(source: str, architecture: str | None) -> tuple[str, str]:
    """Choose architecture and timm tag; by default the first. Raises UsageError where there are no such weights."""
    tags = TAGS[source]
    chosen = architecture or next(iter(tags))
    if chosen not in tags:
        hint = " BiT trained on ImageNet alone is BiT-S: pass its .npz file." if source == "imagenet" else ""
        raise UsageError(f"--init {source} has no weights of {chosen}, only of {', '.join(tags)}.{hint}")
    return chosen, f"{chosen}.{tags[chosen]}"


def download(source: str, tag: str) -> dict[str, Tensor]:
    """Download the whole network's weights, or take them from timm's cache. Raises SwclError where neither works.

    The classifier comes with them, since without it timm does not check that all weights are there.
    """
    unreachable = _unreachable()
    try:
        with keyed_weights(0, "overwritten"), _offline(bool(unreachable)):
            network = timm.create_model(tag, pretrained=True)
    except Exception as error:
        reason = unreachable or " ".join(str(error).split())[:MOST_REASON] or type(error).__name__
        raise SwclError(
            f"timm could not download {tag} ({reason}). Pass a file instead (--init FILE --name {source}): "
            f"{FILES[source]}."
        ) from error
    return dict(network.state_dict())


def _unreachable() -> str:
    """Say why the host of timm's weights does not answer; nothing where it does, or a proxy stands between.

    timm itself tries again and again, for more than a minute.
    """
    host = urlsplit(hub.ENDPOINT).hostname or ""
    if getproxies().keys() & {"http", "https", "all"}:
        return ""
    try:
        socket.create_connection((host, 443), timeout=PATIENCE).close()
    except OSError as error:
        return f"{host} does not answer: {error.strerror or error}"
    return ""


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Let timm look into its cache alone, where that is wanted, within the `with` block."""
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = wanted or before
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before
