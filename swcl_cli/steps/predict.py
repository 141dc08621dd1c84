"""Write a model's predictions, masks and overlays of photographs of any kind to a folder: the step `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from swcl_cli import console
from swcl_cli.catalogue.tasks import SEGMENTATION
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.predicting.folder import ASIDE, REMARKS, Row, claim, find, none_read, set_aside, tell_remarks, write_rows
from swcl_cli.predicting.scoring import score_prepared
from swcl_cli.predicting.sources import find_weights, is_encoder
from swcl_cli.predicting.tables import embed
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Found, read_at_own_size
from swcl_cli.reporting.figures.overlays import Colour, colours_of, hexadecimal, overlay
from swcl_cli.settings import PredictSettings
from swcl_cli.settings.predict import CHOSEN
from swcl_cli.tasks import saved
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.ensemble import Ensemble
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.segmentation import structures_of
from swcl_cli.tasks.thresholds import ABOVE, above, thresholds_of
from swcl_cli.training.processes import device_name
from swcl_cli.workspace import atomic, fingerprint, locked, provenance, read_provenance

TABLE = "predictions.csv"
MOST = 65_535  # of a map of 16 bits: a probability of 1
OVERLAY_QUALITY = 90


def run(settings: PredictSettings) -> Path:
    """Predict or embed photographs into the folder `--out`, or score prepared data sets; return the folder.

    Raises SwclError where no photograph could be read, or scored.
    """
    if settings.out and settings.out.exists() and not settings.out.is_dir():
        raise SwclError(f"{settings.out} is a file: --out names a folder.")
    paths = [find_weights(model, settings.workspace) for model in settings.models]
    path = paths[0]
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
        return _predict(settings, path, predictor, found, thresholds)


def _require_fitting(settings: PredictSettings, foreign: frozenset[str], given: str) -> None:
    """Raise UsageError where a setting was chosen that this use of weights does not have."""
    if names := sorted(settings.model_fields_set & foreign):
        raise UsageError(f"--{names[0]}: {settings.model} is {given}.")


def _predict(
    settings: PredictSettings, path: Path, predictor: Ensemble, found: Found, thresholds: Mapping[str, float]
) -> Path:
    """Predict the photographs that were found, and write what is told of them; see `run`."""
    photographs, count = found.files, len(found.files) + len(found.aside)
    for sentence in predictor.kind.legend(predictor.model):
        console.say(sentence)
    for head, threshold in thresholds.items():
        console.say(f"{head}{ABOVE}: whether any class above the first is more probable than {threshold:.4g}.")
    console.say(f"{len(photographs):,} photographs, on {device_name(predictor.fabric)}.")
    answers = predictor.each(list(photographs.values()), settings.workers)
    rows: list[Row] = []
    unreadable = [set_aside(name, problem) for name, problem in found.aside.items()]
    far: list[str] = []
    remarks: list[Row] = []
    with console.progress("predicting", len(photographs)) as bar:
        for (name, photograph), answer in zip(photographs.items(), answers, strict=True):
            if isinstance(answer, Unusable):
                unreadable.append(set_aside(name, answer))
            else:
                _require_finite(name, answer, predictor.model.heads, path)
                if not rows and len(colours := _colours(predictor, answer)) > 1:
                    told = (f"{structure} {hexadecimal(colour)}" for structure, colour in colours.items())
                    console.say(f"Colours of the overlays: {', '.join(told)}.")
                row = _written(predictor, answer, name, photograph, settings.folder)
                rows.append(row | above(answer, thresholds) | _maps(settings, answer, name))
                remarks += [{"image": name, "remark": note} for note in answer.notes]
                far += [name] if predictor.model.is_far(answer.width, answer.height) else []
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


def _require_finite(name: str, answer: Answer, heads: Iterable[str], model: Path) -> None:
    """Raise SwclError where the answer is not a number: it would be written as a class or an empty mask."""
    numbers = [answer.numbers[head] for head in heads if head in answer.numbers]
    parts = [*answer.probabilities.values(), np.array(numbers)]
    if not all(np.isfinite(part).all() for part in parts):
        raise SwclError(
            f"{name}: the answer of {model} is not a number. The model is damaged, or diverged in training: "
            "make it again with `swcl finetune --fresh`, perhaps with a lower --learning-rate or --precision fp32."
        )


def _maps(settings: PredictSettings, answer: Answer, name: str) -> Row:
    """Write the probability of each structure, if that is wanted: 0 to 65,535 in a PNG; return the cells of the row."""
    cells: Row = {}
    for structure in answer.masks if settings.maps else ():
        file = f"maps/{name}{f'_{structure}' if len(answer.masks) > 1 else ''}.png"
        levels = np.rint(answer.probabilities[structure].astype(np.float64) * MOST).astype(np.uint16)
        _save(settings.folder / file, Image.fromarray(levels), "PNG")
        cells[f"{structure}_map"] = file
    return cells


def _written(predictor: Ensemble, answer: Answer, name: str, photograph: Path, folder: Path) -> Row:
    """Write a photograph's masks, and an overlay of them all, at its own size; return its row of the table."""
    record = predictor.kind.record(answer, name, predictor.model)
    row: Row = {"image": name, "width": answer.width, "height": answer.height, **record.cells}
    if not answer.masks:
        return row
    for file, image in record.images.items():
        _save(folder / file, image, "PNG")
    file = f"overlays/{name}.jpg"
    drawn = overlay(read_at_own_size(photograph), answer.masks, _colours(predictor, answer))
    _save(folder / file, Image.fromarray(drawn), "JPEG", quality=OVERLAY_QUALITY)
    return {**row, "overlay": file}


def _colours(predictor: Ensemble, answer: Answer) -> dict[str, Colour]:
    """Return the colour of each structure in overlays; none where the answer has no masks."""
    return colours_of(list(answer.masks), structures_of(predictor.model.facts))


def _save(path: Path, image: Image.Image, kind: str, **options: int) -> None:
    """Write an image file of this kind, whole or not at all."""
    with atomic(path) as partial:
        image.save(partial, format=kind, **options)
