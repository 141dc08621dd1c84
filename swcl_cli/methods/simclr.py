"""Pretrain by SimCLR on whole photographs (arXiv 2002.05709; paper IV-B, FACTS D1)."""

from __future__ import annotations

from swcl_cli.methods.contrast import contrast
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_images import image_method, images_to_learn
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build SimCLR. NT-Xent is the contrastive loss with a photograph's number as label: two views are a positive pair.

    Reads all splits of the data sets, and none of their labels. Temperature and optimiser are SWCL's (FACTS D0).
    Raises SwclError where a data set is not prepared, or there are fewer photographs than a batch has.
    """
    images = images_to_learn(settings, workspace, settings.data)
    initial = initial_encoder(settings, workspace)
    return image_method(settings, images, initial, contrast(settings, initial))
