"""Prepare masks of several structures: one grey image a photograph, whose values a `Structures` describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from swcl_cli.catalogue.structures import Structures
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.masks import prepare_mask

STRUCTURES = "structures"  # the kind of mask
LAYER = "structure "  # before a name: the two-valued mask of this structure, among a job's inputs


def merged(layers: Mapping[str, Image.Image], size: tuple[int, int], structures: Structures) -> Image.Image:
    """Put two-valued masks together, by their structures: bit k of a pixel is set where the k-th structure is."""
    codes = np.zeros(size[::-1], np.uint16)
    for number, name in enumerate(structures.names):
        if name in layers:
            codes |= np.asarray(layers[name]).astype(bool).astype(np.uint16) << number
    return Image.fromarray(codes.astype(np.uint8) if max(structures.codes) < 256 else codes)


def layers_of(contents: Mapping[str, bytes], own: tuple[int, int]) -> Iterator[tuple[str, Image.Image]]:
    """Prepare the two-valued masks among a job's inputs, by their structures. Raises Unusable, which names it."""
    for kind, data in contents.items():
        if kind.startswith(LAYER):
            name = kind.removeprefix(LAYER)
            try:
                yield name, prepare_mask(data, own)
            except Unusable as unusable:
                raise Unusable(unusable.problem, f"{name}: {unusable.detail}") from unusable
