"""Contrast views by their labels, the objective that SWCL, SWCL-image and SimCLR share (paper III-C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from swcl_cli.data.image_views import VIEWS
from swcl_cli.evaluation.embeddings import alignment, spread, uniformity
from swcl_cli.losses.contrastive import supervised_contrastive
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.heads import Projector
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.processes import count_processes, gather_rows

MEASURED = 1024  # embeddings of a step that alignment, uniformity and spread look at: they cost N^2, too


class MultiLabelContrast(nn.Module):
    """Compute the contrastive loss over the views of all processes; two views are a positive pair by equal labels."""

    def __init__(self, embedding: Embedding, temperature: float) -> None:
        super().__init__()
        self.embedding, self.temperature = embedding, temperature

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and metrics. batch: views uint8 (n, 2, S, S, 3), label (n,): this process's part of the batch.

        Each process takes its own anchors; the mean over the processes is the loss of the whole batch, and so is the
        mean of the gradients (FACTS C8).
        """
        own = self.embedding(batch["views"].flatten(0, 1))  # (2n, D)
        z, anchors = gather_rows(own)
        label, _ = gather_rows(batch["label"].repeat_interleave(VIEWS))
        loss = supervised_contrastive(z, label, self.temperature, anchors)
        return loss * count_processes(), _measures(own.detach(), label, anchors)


def contrast(settings: PretrainSettings, initial: Initial) -> MultiLabelContrast:
    """Build the objective on this encoder, with a new projector."""
    with keyed_weights(settings.seed, "projector weights"):
        projector = Projector(channels_of(initial.encoder), settings.projection)
    embedding = Embedding(initial.encoder, projector, initial.mean, initial.std, settings.chunk)
    return MultiLabelContrast(embedding, settings.temperature)


def _measures(own: Tensor, label: Tensor, anchors: tuple[int, int]) -> dict[str, Tensor]:
    """Measure the batch: positives per anchor, and anchors without any; of this process's embeddings, how they lie."""
    _, number, count = torch.unique(label, return_inverse=True, return_counts=True)
    positives = (count - 1)[number].float()
    z, label = own[:MEASURED], label[slice(*anchors)][:MEASURED]
    return {
        "positives": positives.mean(),
        "without_positive": (positives == 0).float().mean(),
        "alignment": alignment(z, label),
        "uniformity": uniformity(z),
        "embedding_spread": spread(z),
    }
