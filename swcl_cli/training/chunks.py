"""Encode a batch chunk by chunk, in the memory of one chunk: gradient caching (arXiv 2101.06983; FACTS 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swcl_cli.models.encoders import batch_norms


def encode_in_chunks(encode: Callable[[Tensor], Tensor], chunks: Iterable[Tensor], network: nn.Module) -> Tensor:
    """Join the features of all chunks, encoded without a graph; each is encoded again once its gradient is known.

    encode: a chunk of n rows -> features (n, C), by `network`. Between the passes memory holds the chunks and their
    features alone. The gradient is that of the whole batch under GroupNorm. BatchNorm takes its statistics of each
    chunk alone; its running statistics see each chunk once.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _running_statistics_kept(network)

    return torch.cat([checkpoint(encode, chunk, use_reentrant=False, context_fn=contexts) for chunk in chunks])


def mixed_chunks(kinds: Tensor, views: int, size: int) -> list[Tensor]:
    """Divide the views of a batch into chunks of at most `size` that hold each kind in the proportion of the batch.

    kinds: (B,) the kind of each image, which has `views` views -> numbers of the views in each chunk, of B * views:
    those of an image follow each other. Chunks differ by at most a view in size, and from the proportion by less than a
    view. Views of an image lie far apart, so that a chunk shows many images.
    """
    place = torch.empty(len(kinds), views, dtype=torch.float64, device=kinds.device)  # 0 to 1, from first to last chunk
    for kind in kinds.unique():
        alike = kinds == kind
        count = int(alike.sum())
        image, view = torch.arange(count, device=kinds.device), torch.arange(views, device=kinds.device)
        place[alike] = ((view * count + image[:, None]).double() + 0.5) / (count * views)
    order = place.flatten().argsort(stable=True)
    chunks = -(-len(order) // size)
    return list(order.tensor_split([number * len(order) // chunks for number in range(1, chunks)]))


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
