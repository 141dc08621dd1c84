"""Write a model's predictions, masks and overlays of photographs of any kind to a folder: the step `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from swcl_cli import console
from swcl_cli.catalogue.tasks import SEGMENTATION
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.predicting.folder import ASIDE, REMARKS, Row, claim, find, none_read, set_aside, tell_remarks, write_rows
from swcl_cli.predicting.scoring import score_prepared
from swcl_cli.predicting.sources import find_weights, is_encoder
from swcl_cli.predicting.tables import embed
from swcl_cli.predicting.telling import Told, tell_each, tell_on_workers
from swcl_cli.preparation.unprepared import Found
from swcl_cli.reporting.figures.overlays import hexadecimal
from swcl_cli.settings import PredictSettings
from swcl_cli.settings.predict import CHOSEN
from swcl_cli.tasks import saved
from swcl_cli.tasks.ensemble import Ensemble
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.thresholds import ABOVE, thresholds_of
from swcl_cli.training.processes import device_name
from swcl_cli.workspace import fingerprint, locked, provenance, read_provenance

TABLE = "predictions.csv"


def run(settings: PredictSettings) -> Path:
    """Predict or embed photographs into the folder `--out`, or score prepared data sets; return the folder.

    Raises SwclError where no photograph could be read, or scored.
    """
    if settings.out and settings.out.exists() and not settings.out.is_dir():
        raise SwclError(f"{settings.out} is a file: --out names a folder.")
    paths = [find_weights(model, settings.workspace) for model in settings.models]
    path = paths[0]
    if settings.scheduler and (settings.data or settings.embed or is_encoder(path)):
        console.warn("scheduler: no say with --data, --embed and encoders; this process predicts.")
    if path is None or settings.embed or is_encoder(path):
        _require_fitting(settings, settings.of_models, "an encoder, which embeds")
        if paths[1:]:
            raise UsageError(f"{settings.models[1]}: several models are predicted by together; encoders embed alone.")
        return embed(settings)
    _require_fitting(settings, settings.of_encoders, "a model; --embed takes its encoder")
    files = [path for path in paths if path]
    predictor = Ensemble([load_model(path, settings.accelerator) for path in files], files)
    if settings.data:
        _require_fitting(settings, settings.of_photographs, "scored on a prepared data set, in its workspace")
        return score_prepared(settings, predictor, files)
    thresholds = thresholds_of(predictor.model, path, settings.threshold, CHOSEN)
    if settings.maps and predictor.model.kind != SEGMENTATION:
        raise UsageError(f"--maps is for structures: {path} tells labels.")
    found, names = find(settings)
    inputs = {"model": "+".join(map(fingerprint, files)), "photographs": names}
    work = provenance("predict", settings.defining(), inputs, model=read_provenance(path)[saved.KEY])
    with locked(settings.folder, "predict"):
        claim(settings.folder, work)
        return _predict(settings, files, predictor, found, thresholds)


def _require_fitting(settings: PredictSettings, foreign: frozenset[str], given: str) -> None:
    """Raise UsageError where a setting was chosen that this use of weights does not have."""
    if names := sorted(settings.model_fields_set & foreign):
        raise UsageError(f"--{names[0]}: {settings.model} is {given}.")


def _predict(
    settings: PredictSettings, files: Sequence[Path], predictor: Ensemble, found: Found, thresholds: Mapping[str, float]
) -> Path:
    """Predict the photographs that were found, and write what is told of them; see `run`."""
    path = files[0]
    photographs, count = found.files, len(found.files) + len(found.aside)
    for sentence in predictor.kind.legend(predictor.model):
        console.say(sentence)
    for head, threshold in thresholds.items():
        console.say(f"{head}{ABOVE}: whether any class above the first is more probable than {threshold:.4g}.")
    console.say(f"{len(photographs):,} photographs, on {device_name(predictor.fabric)}.")
    told: Iterable[Told]
    if settings.scheduler:
        told = tell_on_workers(settings, files, thresholds, photographs, predictor.kind.batch)
    else:
        told = tell_each(settings, path, predictor, thresholds, photographs, settings.workers)
    rows: list[Row] = []
    unreadable = [set_aside(name, problem) for name, problem in found.aside.items()]
    far: list[str] = []
    remarks: list[Row] = []
    with console.progress("predicting", len(photographs)) as bar:
        for one in told:
            if not rows and len(one.colours) > 1:
                shown = (f"{structure} {hexadecimal(colour)}" for structure, colour in one.colours.items())
                console.say(f"Colours of the overlays: {', '.join(shown)}.")
            unreadable += one.unreadable
            rows += one.rows
            remarks += one.remarks
            far += [one.name] if one.is_far else []
            bar.advance()
    write_rows(settings.folder / TABLE, rows)
    write_rows(settings.folder / ASIDE, unreadable)
    write_rows(settings.folder / REMARKS, remarks)
    if not rows:
        raise none_read(count, settings.folder)
    if far:
        console.warn(
            f"{len(far):,} of {len(rows):,} photographs, such as {far[0]}, have a shorter side less than half or more "
            f"than twice that of those that trained ({' to '.join(map(str, sorted({*predictor.model.sizes})))} pixels)."
        )
    tell_remarks(remarks, len(rows), settings.folder)
    set_apart = f", {len(unreadable):,} set aside: see {settings.folder / ASIDE}" if unreadable else ""
    console.say(f"{len(rows):,} of {count:,} files predicted{set_apart}.")
    return settings.folder
