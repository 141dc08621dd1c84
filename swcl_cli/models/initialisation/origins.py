"""Find and read an encoder's weights: of a pretrained tag, of a file of ours, or of others."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from swcl_cli.catalogue.encoders import ENCODERS, PACKAGED, TAGS
from swcl_cli.data import colour
from swcl_cli.data.colour import IMAGENET, Colour
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import PREFIX, Network, require_network
from swcl_cli.models.initialisation import conversions, layouts, tags, torchvisions
from swcl_cli.models.initialisation.checkpoints import MARK
from swcl_cli.models.initialisation.weight_files import KINDS, our_provenance, read_tensors
from swcl_cli.workspace import fingerprint, part_of


@dataclass(frozen=True)
class SourceWeights:
    """Hold an encoder's weights under timm's keys, not yet checked against the network, and facts of their origin."""

    encoder: dict[str, Tensor]
    aside: list[str]  # keys of heads
    architecture: str
    origin: str  # tag or path
    name: str  # for reports
    mark: str  # tag or fingerprint, for provenance
    colours: tuple[Colour, Colour] | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class Described:
    """Say what a file of ours tells of its network; its size is `crop` where a task trained it."""

    architecture: Network
    mean: Colour
    std: Colour
    image_size: int | None = None
    crop: int | None = None


@lru_cache(maxsize=1)  # each seed of a run loads again, and each time timm asks the hub whether its file changed
def of_tag(source: str, wanted: str | None) -> SourceWeights:
    """Load `imagenet` or `bit-m`. Raises SwclError where there are no such weights, or they can't be downloaded."""
    architecture, tag = tags.choose(source, wanted)
    if architecture in TAGS[source]:
        layout = layouts.sort_out(tags.download(source, tag), tag)
        return SourceWeights(layout.encoder, layout.heads, architecture, tag, source, tag)
    if architecture == PACKAGED and tags.is_installed():
        tensors, origin, mark = tags.packaged()
    else:
        tensors, origin, mark = tags.download(source, tag), tag, tag
    layout = conversions.fitted(tensors, architecture, origin)
    colours = conversions.colours_of(layout.encoder, architecture)
    return SourceWeights(layout.encoder, layout.heads, architecture, origin, source, mark, colours)


def located(source: str, workspace: Path) -> tuple[Path, str | None] | None:
    """Return the path of a file, here or in the workspace, and the key behind `#`; None where there is no such file."""
    named, mark, key = source.rpartition(MARK)
    for name, part in ((source, None), *([(named, key)] if mark else [])):
        for place in (Path(name), workspace / name):
            if name and place.exists():
                return place, part
    return None


def find(source: str, workspace: Path) -> tuple[Path, str | None]:
    """Find a file by its path, here or in the workspace; return also the key behind `#`, which names a part of it.

    Raises UsageError, with similar names, where there is no such file.
    """
    if there := located(source, workspace):
        return there
    if source == "bit-s":
        raise UsageError(
            "--init bit-s has nothing to download: pass BiT-S-R50x1.npz, of Google's Big Transfer release, as "
            "--init FILE.npz --name bit-s."
        )
    words = ("random", *TAGS, "bit-s")
    files = sorted(path.name for path in workspace.glob("*.safetensors"))
    close = get_close_matches(source, [*words, *files], n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"--init {source}: no such file here or in {workspace}, and none of {', '.join(words)}.{hint} "
        f"Files end in {', '.join(KINDS)}; swcl pretrain makes one."
    )


def of_file(path: Path, key: str | None, wanted: str | None) -> SourceWeights:
    """Read the encoder of a file; of a file of several networks, that of `key`.

    Raises SwclError where it holds no known encoder, or not this architecture.
    """
    ours = _ours(path)
    if ours and key is not None:
        raise UsageError(f"{path} holds one encoder of swcl's own: name it without {MARK}{key}.")
    if wanted is not None:
        require_network(wanted)
    origin = ours or _foreign(path, key, wanted)
    if wanted not in (None, origin.architecture):
        raise UsageError(f"{path} holds a {origin.architecture}, not the --architecture {wanted}.")
    return origin


def _ours(path: Path) -> SourceWeights | None:
    """Read the encoder of our own file: of an encoder, a labeler, or a fine-tuned network; None for others' files."""
    provenance = our_provenance(path)
    if provenance is None:
        return None
    kind = next((kind for kind in ("encoder", "labeler", "model") if kind in provenance), None)
    if kind is None:
        raise SwclError(f"{path} holds no encoder. Encoders are made by: swcl pretrain")
    described: Described = part_of(path, provenance, (kind,), Described)
    tensors = read_tensors(path)
    heads = {
        "encoder": [],
        "labeler": [key for key in tensors if key.startswith("fc.")],
        "model": [key for key in tensors if not key.startswith(PREFIX)],
    }[kind]
    encoder = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items() if key not in heads}
    return SourceWeights(
        encoder,
        heads,
        described.architecture,
        str(path),
        path.stem,
        fingerprint(path),
        (described.mean, described.std),
        described.crop if described.image_size is None else described.image_size,
    )


def _foreign(path: Path, key: str | None, wanted: str | None) -> SourceWeights:
    """Read the encoder of others' file, in any known layout."""
    part = "" if key is None else f"{MARK}{key}"
    source = f"{path}{part}"
    kind = next(kind for kind in KINDS if path.name.endswith(kind))
    name = path.name.removesuffix(kind) + part.replace(MARK, "-")
    mark, tensors = fingerprint(path) + part, read_tensors(path, key)
    if wanted is not None and wanted not in ENCODERS:
        layout = conversions.fitted(tensors, wanted, source)
        colours = IMAGENET if torchvisions.family_of(tensors) else conversions.colours_of(layout.encoder, wanted)
        return SourceWeights(layout.encoder, layout.heads, wanted, source, name, mark, colours)
    layout = layouts.sort_out(tensors, source)
    try:
        architecture = layouts.architecture_of(layout.encoder, wanted, source)
    except SwclError as error:
        raise SwclError(f"{error}{conversions.suggestion(tensors)}") from None
    released = colour.constants("released") if layout.released and key is None else None
    return SourceWeights(layout.encoder, layout.heads, architecture, source, name, mark, released)
