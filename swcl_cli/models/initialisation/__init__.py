"""Load initial weights of any origin: random, pretrained by others, our files and theirs. Never random by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from swcl_cli.catalogue.encoders import DEFAULT, TAGS
from swcl_cli.data import colour
from swcl_cli.data.colour import Colour
from swcl_cli.models.encoders import create_encoder, listed, load_weights
from swcl_cli.models.initialisation import layouts, origins
from swcl_cli.models.initialisation.labelers import Labeler, read_labeler
from swcl_cli.models.initialisation.origins import located

__all__ = ["Initial", "Labeler", "initialise", "located", "read_labeler"]


@dataclass(frozen=True)
class Initial:
    """Hold an encoder before training, with its colour constants, input size and origin."""

    encoder: nn.Module
    architecture: str
    mean: Colour
    std: Colour
    image_size: int | None  # px of the views that it was trained on; None where its origin does not say
    source: str  # its name in reports
    inputs: dict[str, str]  # {"init": fingerprint or tag}; of random weights {}
    summary: str  # a line for the user: which weights were loaded, and which were left aside


def initialise(
    source: str,
    architecture: str | None,
    *,
    colours: Literal["rgb", "released"],
    seed: int,
    output_stride: int = 32,
    workspace: Path = Path("."),
) -> Initial:
    """Load `random`, `imagenet`, `bit-m`, or a file here or in the workspace, of ours or of another layout (FACTS 4).

    FILE#KEY names one of several networks in a file, or a part of one.

    Colour constants come with our files and the authors'; else they are those that `colours` names. Raises SwclError
    where a weight of the encoder is missing, or `architecture` is another one.
    """
    if source == "random":
        architecture = architecture or DEFAULT
        encoder = create_encoder(architecture, seed, output_stride)
        summary = f"random weights of {architecture}, seed {seed}"
        return Initial(encoder, architecture, *colour.constants(colours), None, source, {}, summary)
    if source in TAGS:
        origin = origins.of_tag(source, architecture)
    else:
        origin = origins.of_file(*origins.find(source, workspace), architecture)
    encoder = create_encoder(origin.architecture, seed, output_stride, origin.encoder)
    load_weights(encoder, origin.encoder, origin.origin)
    weights = sum(not key.endswith(layouts.COUNTER) for key in origin.encoder)
    aside = f"; left aside: {listed(origin.aside)}" if origin.aside else ""
    summary = f"{weights} of {weights} weights of {origin.architecture} from {origin.origin}{aside}"
    mean, std = origin.colours or colour.constants(colours)
    inputs = {"init": origin.mark}
    return Initial(encoder, origin.architecture, mean, std, origin.image_size, origin.name, inputs, summary)
