"""Find the weights that people name: a file here or in the workspace, or a word that --init knows."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.catalogue.encoders import TAGS, UNTRAINED
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import located
from swcl_cli.models.initialisation.weight_files import our_provenance


def find_weights(model: Path, workspace: Path) -> Path | None:
    """Find the file of a model or an encoder, here or in the workspace; None for weights that have a name.

    Raises SwclError where there is no such file.
    """
    place = located(str(model), workspace)
    if place is None and str(model) not in (UNTRAINED, *TAGS):
        raise SwclError(
            f"{model}: no such file. Models are made by `swcl finetune`, as RUN/model.safetensors, encoders "
            "by `swcl pretrain`, as NAME.safetensors."
        )
    return place[0] if place else None


def is_encoder(path: Path | None) -> bool:
    """Tell whether weights are used as an encoder: those that have a name, others' files, and ours but for models."""
    if path is None:
        return True
    made = our_provenance(path)
    return made is None or "encoder" in made or "labeler" in made
