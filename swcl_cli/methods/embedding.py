"""Embed views as vectors of unit length, in chunks that fit into memory (FACTS 5, C8)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from swcl_cli.data.colour import Colour
from swcl_cli.models.encoders import batch_norms


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

    chunk: views that are encoded at a time; 0 encodes all at once. In chunks the batch is encoded without a graph, and
    each chunk again once its gradient is known (gradient caching, arXiv 2101.06983), so memory is that of a chunk's
    activations, all views as bytes, and all embeddings. The gradient is that of the whole batch under GroupNorm.
    BatchNorm takes its statistics of each chunk alone; its running statistics see each chunk once.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, mean: Colour, std: Colour, chunk: int) -> None:
        super().__init__(encoder, mean, std)
        self.projector, self.chunk = projector, chunk

    def forward(self, views: Tensor) -> Tensor:
        """Embed all views at once, or chunk by chunk with gradient caching."""
        if not self.chunk or len(views) <= self.chunk:
            return self._embed(views)
        return torch.cat(
            [
                checkpoint(self._embed, part, use_reentrant=False, context_fn=self._contexts)
                for part in torch.split(views, self.chunk)
            ]
        )

    def _embed(self, views: Tensor) -> Tensor:
        return normalize(self.projector(super().forward(views)).float(), dim=1)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _running_statistics_kept(self.encoder)


@contextmanager
def _running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Keep BatchNorm's running statistics as they are in this context: a second forward pass must not count."""
    layers: list[Any] = list(batch_norms(module))
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    try:
        for layer in layers:
            layer.momentum, layer.num_batches_tracked = 0.0, None
        yield
    finally:
        for layer, (momentum, tracked) in zip(layers, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, tracked
