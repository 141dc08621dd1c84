"""SWCL: multi-label supervised contrastive learning on retinal-SWAP (paper III-C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from swcl_cli import console
from swcl_cli.data import colour
from swcl_cli.data.loaders import epoch_plan
from swcl_cli.data.patch_views import VIEWS, PairViews, join_pairs
from swcl_cli.data.weak_labels import read_patches
from swcl_cli.errors import SwclError
from swcl_cli.losses.contrastive import supervised_contrastive
from swcl_cli.methods.method import Method
from swcl_cli.models.encoders import ARCHITECTURES, create_encoder, keyed_weights
from swcl_cli.models.heads import Projector
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace, fingerprint


class MultiLabelContrast(nn.Module):
    """Encoder, projector and the loss over all views of the batch; two views agree where all chosen labels do."""

    def __init__(self, encoder: nn.Module, projector: nn.Module, temperature: float) -> None:
        super().__init__()
        self.encoder, self.projector, self.temperature = encoder, projector, temperature

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: views (N, 2, 3, S, S), label (N,)."""
        projected = self.projector(self.encoder(batch["views"].flatten(0, 1)))
        z = normalize(projected.float(), dim=1)  # (2N, D)
        label = batch["label"].repeat_interleave(VIEWS)
        loss = supervised_contrastive(z, label, self.temperature)
        return loss, _measures(z.detach(), label)


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Reads swap.parquet. Raises SwclError where it holds fewer pairs than a batch."""
    path = workspace.require(workspace.swap, "swcl make-swap")
    if changed := workspace.changed_since(path):
        console.warn(f"{', '.join(changed)} changed since {path.name} was made; swcl make-swap --fresh renews it.")
    patches = read_patches(path, settings.labels, settings.threshold)
    batch = settings.batch_patches // 2
    if len(patches.pairs) < batch:
        raise SwclError(
            f"{path} has {len(patches.pairs):,} pairs, fewer than a batch of {batch:,}: "
            f"lower --batch-patches to at most {2 * len(patches.pairs):,}."
        )
    if "abnormality" in settings.labels and patches.abnormal.all() == patches.abnormal.any():
        console.warn(
            f"All {len(patches):,} patches have one abnormality label at this threshold: it separates nothing."
        )
    mean, std = colour.constants(settings.colours)
    encoder = create_encoder(settings.architecture, settings.seed)
    with keyed_weights(settings.seed, "projector weights"):
        projector = Projector(ARCHITECTURES[settings.architecture].channels, settings.projection)
    plan, steps = epoch_plan(settings.seed, "pair order", len(patches.pairs), batch, padded=True)
    return Method(
        objective=MultiLabelContrast(encoder, projector, settings.temperature),
        encoder=encoder,
        dataset=PairViews(workspace.root, patches, settings.seed, mean, std),
        collate=join_pairs,
        plan=plan,
        steps_per_epoch=steps,
        views_a_step=VIEWS * settings.batch_patches,
        inputs={"swap": fingerprint(path)},
        image_size=patches.size,
        mean=mean,
        std=std,
        summary=f"{len(patches):,} patches in {len(patches.pairs):,} pairs",
    )


def _measures(z: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Positives an anchor, share of anchors without, and spread of the embedding (1 = uniform, 0 = collapsed)."""
    positives = (label[:, None] == label).sum(dim=1) - 1
    spread = z.std(dim=0).mean() * z.shape[1] ** 0.5
    return {
        "positives": positives.float().mean(),
        "without_positive": (positives == 0).float().mean(),
        "embedding_spread": torch.nan_to_num(spread),
    }
