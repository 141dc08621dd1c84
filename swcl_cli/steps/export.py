"""Write a model or an encoder for other programs: the step `export`."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.errors import SwclError, UsageError
from swcl_cli.exporting.writing import write
from swcl_cli.predicting.embedding import load_embedder
from swcl_cli.predicting.sources import find_weights, is_encoder
from swcl_cli.settings import ExportSettings
from swcl_cli.tasks.predictor import load_model
from swcl_cli.workspace import fingerprint


def run(settings: ExportSettings) -> Path:
    """Export into the folder `--out`; return it."""
    if settings.out.exists() and not settings.out.is_dir():
        raise SwclError(f"{settings.out} is a file: --out names a folder.")
    path = find_weights(settings.model, settings.workspace)
    if path is None or is_encoder(path):
        encoder, initial = load_embedder(
            str(settings.model), settings.architecture, settings.workspace, "cpu", settings.crop
        )
        return write(settings, encoder, path, initial.inputs.get("init", initial.source))
    for name in sorted({"architecture", "crop"} & settings.model_fields_set):
        raise UsageError(f"--{name} is for encoders: {settings.model} is a model, whose file tells it.")
    return write(settings, load_model(path, "cpu"), path, fingerprint(path))
