"""Pretrain by SWCL-image: SWCL with the whole photograph's label of abnormality (paper IV-B, FACTS C13)."""

from __future__ import annotations

from swcl_cli import console
from swcl_cli.methods.contrast import contrast
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_pairs import Swap, find_swap, left_out_of, pair_method, warn_of_one_kind
from swcl_cli.settings import PretrainSettings
from swcl_cli.swap.image_labels import image_labels
from swcl_cli.swap.weak_labels import UNLABELLED, read_patches
from swcl_cli.workspace import Workspace, fingerprint


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build SWCL-image. A photograph gives its label to its five patches; unlabelled photographs are left out.

    Raises SwclError where there is no retinal-SWAP, no photograph has a label, or too few pairs remain for a batch.
    """
    path = find_swap(workspace)
    abnormal, inputs = image_labels(workspace, path)
    learning, left_out = left_out_of(settings, workspace, path)
    patches = read_patches(path, settings.labels, abnormal=abnormal, without=left_out.reasons)
    if "abnormality" in settings.labels:
        warn_of_one_kind(patches, "by their photographs' labels")
    if unknown := int((abnormal == UNLABELLED).sum()):
        console.say(f"{unknown:,} of {len(abnormal):,} patches are left out: their photographs have no label.")
    swap = Swap(patches, path, workspace.root, {"swap": fingerprint(path), **inputs}, left_out, learning)
    initial = initial_encoder(settings, workspace)
    return pair_method(settings, swap, initial, contrast(settings, initial))
