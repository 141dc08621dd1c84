"""Embed views as vectors of unit length, in chunks that fit into memory (FACTS 5, C8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from swcl_cli.data.colour import Colour
from swcl_cli.training.chunks import encode_in_chunks


class Encoding(nn.Module):
    """Encode views by an encoder with its colour constants: uint8 (N, S, S, 3) -> features (N, C)."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Module, mean: Colour, std: Colour) -> None:
        super().__init__()
        self.encoder = encoder
        for name, colour in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(colour)[:, None, None] * 255, persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Normalise and encode. Bytes (N, S, S, 3) are (N, 3, S, S) in the memory format that convolutions prefer."""
        features: Tensor = self.encoder((views.permute(0, 3, 1, 2) - self.mean) / self.std)
        return features


class Embedding(Encoding):
    """Embed views by encoder and projector: uint8 (N, S, S, 3) -> (N, D), rows of unit length, fp32.

    chunk: views that are encoded at a time, as `encode_in_chunks` does it; 0 encodes all at once. Memory is that of a
    chunk's activations, all views as bytes, and all embeddings.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, mean: Colour, std: Colour, chunk: int) -> None:
        super().__init__(encoder, mean, std)
        self.projector, self.chunk = projector, chunk

    def forward(self, views: Tensor) -> Tensor:
        """Embed all views at once, or chunk by chunk with gradient caching."""
        if not self.chunk or len(views) <= self.chunk:
            return self._embed(views)
        return encode_in_chunks(self._embed, torch.split(views, self.chunk), self.encoder)

    def _embed(self, views: Tensor) -> Tensor:
        return normalize(self.projector(super().forward(views)).float(), dim=1)
