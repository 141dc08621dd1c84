"""Build the labeler that training begins with: of random weights, or on any encoder's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.data import colour
from swcl_cli.data.colour import Colour
from swcl_cli.models.asking import require_size
from swcl_cli.models.encoders import PREFIX, MapClassifier, create_labeler, load_weights
from swcl_cli.models.initialisation import initialise


@dataclass(frozen=True)
class StartingLabeler:
    """Hold a labeler before training, with its colour constants and origin."""

    network: nn.Module
    mean: Colour
    std: Colour
    inputs: dict[str, str]  # {"init": fingerprint or tag}; of random weights {}
    summary: str  # a line for the user; of random weights nothing


def starting_labeler(
    source: str,
    architecture: str,
    *,
    colours: Literal["rgb", "released"],
    seed: int,
    last_norm: Literal["zero", "one"],
    sizes: tuple[int, ...],
    workspace: Path,
) -> StartingLabeler:
    """Build a labeler from `random`, or from the encoder of any source of `initialise`; its classifier is random.

    sizes: sides of the images that it will see. Raises UsageError where the network can't take them.
    """
    if source == UNTRAINED:
        start = StartingLabeler(
            create_labeler(architecture, seed, last_norm=last_norm), *colour.constants(colours), {}, ""
        )
    else:
        initial = initialise(source, architecture, colours=colours, seed=seed, workspace=workspace)
        weights = initial.encoder.state_dict()
        network = create_labeler(architecture, seed, weights=weights)
        prefix = PREFIX if isinstance(network, MapClassifier) else ""
        classifier = {key: tensor for key, tensor in network.state_dict().items() if key.startswith("fc.")}
        load_weights(network, {**{f"{prefix}{key}": tensor for key, tensor in weights.items()}, **classifier}, source)
        start = StartingLabeler(network, initial.mean, initial.std, initial.inputs, initial.summary)
    if isinstance(start.network, MapClassifier):
        for size in sizes:
            require_size(start.network.get_submodule("encoder"), architecture, size, "views")
    return start
