"""Pretrain by SWCL: multi-label supervised contrastive learning on retinal-SWAP (paper III-C)."""

from __future__ import annotations

from swcl_cli.methods.contrast import contrast
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_pairs import pair_method, read_swap, warn_of_one_kind
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build SWCL. Raises SwclError where there is no retinal-SWAP, or it has fewer pairs than a batch has."""
    swap = read_swap(settings, workspace, settings.labels)
    if "abnormality" in settings.labels:
        warn_of_one_kind(swap.patches, "at this threshold")
    initial = initial_encoder(settings, workspace)
    return pair_method(settings, swap, initial, contrast(settings, initial))
