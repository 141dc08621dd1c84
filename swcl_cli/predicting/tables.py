"""Write what an encoder makes of photographs: embeddings.parquet, and pictures of it."""

from __future__ import annotations

from pathlib import Path

from swcl_cli import console
from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.data.photographs import manifest_of
from swcl_cli.predicting.embedding import Embeddings, described, embed_files, embed_prepared, load_embedder
from swcl_cli.predicting.folder import ASIDE, REMARKS, claim, find, none_read, tell_remarks, write_rows
from swcl_cli.reporting.figures.planes import plane_figures
from swcl_cli.reporting.page.rendering import render
from swcl_cli.settings import PredictSettings
from swcl_cli.training.processes import device_name
from swcl_cli.workspace import EMBEDDINGS, Workspace, atomic, fingerprint, locked, provenance, write_parquet

LABELS, VARIANCE = "labels", "variance"  # in the metadata of embeddings.parquet


def embed(settings: PredictSettings) -> Path:
    """Embed photographs, or prepared data sets, into the folder `--out`; return it.

    Raises SwclError where the weights are no encoder, or no photograph can be read.
    """
    predictor, initial = load_embedder(
        str(settings.model),
        settings.architecture,
        settings.workspace,
        settings.accelerator,
        settings.crop,
        settings.fit,
    )
    workspace, out = Workspace(settings.workspace), settings.folder
    inputs = {"model": initial.inputs.get("init", UNTRAINED)}
    inputs |= {name: fingerprint(manifest_of(workspace, name)) for name in settings.data}
    found = None
    if settings.photographs:
        found, inputs["photographs"] = find(settings)
    work = provenance("predict", settings.defining(), inputs, encoder=described(predictor, initial))
    view = f"photographs as squares of {predictor.model.crop} px ({settings.fit})"
    console.say(f"{initial.summary}; {view}, on {device_name(predictor.fabric)}.")
    with locked(out, "predict"):
        claim(out, work)
        if found:
            made = embed_files(predictor, found, settings.workers)
        else:
            made = embed_prepared(predictor, workspace, settings.data, settings.workers)
        write_rows(out / ASIDE, made.unreadable)
        write_rows(out / REMARKS, made.remarks)
        count = len(made.rows) + len(made.unreadable)
        if not len(made.rows):
            raise none_read(count, out)
        _write(out, made, work)
    tell_remarks(made.remarks, len(made.rows), out)
    set_apart = f", {len(made.unreadable):,} set aside: see {out / ASIDE}" if made.unreadable else ""
    width = made.vectors.shape[1]
    console.say(f"{len(made.rows):,} of {count:,} photographs embedded, {width:,} numbers each{set_apart}.")
    return out


def _write(out: Path, made: Embeddings, work: dict[str, object]) -> None:
    """Write the table and its pictures."""
    table, variance = made.table()
    labels = [label.described() for label in made.labels]
    write_parquet(out / EMBEDDINGS, table, {**work, LABELS: labels, VARIANCE: list(variance)})
    for figure in plane_figures(table.drop_columns(["vector"]).to_pandas(), made.labels, variance):
        drawn = render(figure)
        for suffix, data in (("png", drawn.png), ("svg", drawn.svg)):
            with atomic(out / f"{figure.name}.{suffix}") as partial:
                partial.write_bytes(data)
