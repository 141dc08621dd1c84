"""Write a model's predictions, masks and overlays of photographs of any kind to a folder: the step `predict`."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from swcl_cli import console
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.opening import is_archive, open_source
from swcl_cli.preparation.unprepared import Found, find_photographs, read_at_own_size
from swcl_cli.reporting.figures.overlays import Colour, colours_of, hexadecimal, overlay
from swcl_cli.settings import PredictSettings
from swcl_cli.tasks import saved
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.predictor import Predictor, load_model
from swcl_cli.tasks.segmentation import structures_of
from swcl_cli.training.processes import device_name
from swcl_cli.workspace import (
    LOCK,
    Workspace,
    atomic,
    differences,
    fingerprint,
    locked,
    provenance,
    read_provenance,
    require_record,
    write_text,
)

RECORD = "predict.json"  # what the folder holds, and whose it is
TABLE, ASIDE, REMARKS = "predictions.csv", "unreadable.csv", "remarks.csv"
OVERLAY_QUALITY = 90

Row: TypeAlias = dict[str, Any]


def run(settings: PredictSettings) -> Path:
    """Predict photographs into the folder `--out`; return it. Raises SwclError where no photograph could be read."""
    path = _existing(settings)
    predictor = load_model(path, settings.accelerator)
    workspace = Workspace(settings.workspace)
    images = [open_source(path, workspace, False) if is_archive(path) else path for path in settings.images]
    found = find_photographs(images, besides=settings.out)
    names = hashlib.sha256("\n".join(found.files).encode(errors="surrogateescape")).hexdigest()[:16]
    inputs = {"model": fingerprint(path), "photographs": names}
    work = provenance("predict", {}, inputs, model=read_provenance(path)[saved.KEY])
    if settings.out.exists() and not settings.out.is_dir():
        raise SwclError(f"{settings.out} is a file: --out names a folder.")
    with locked(settings.out, "predict"):
        _claim(settings.out, work)
        return _predict(settings, path, predictor, found)


def _predict(settings: PredictSettings, path: Path, predictor: Predictor, found: Found) -> Path:
    """Predict the photographs that were found, and write what is told of them; see `run`."""
    photographs, count = found.files, len(found.files) + len(found.aside)
    for sentence in predictor.kind.legend(predictor.model):
        console.say(sentence)

    console.say(f"{len(photographs):,} photographs, on {device_name(predictor.fabric)}.")
    answers = predictor.each(list(photographs.values()), settings.workers)
    rows: list[Row] = []
    unreadable = [_set_aside(name, problem) for name, problem in found.aside.items()]
    far: list[str] = []
    remarks: list[Row] = []
    with console.progress("predicting", len(photographs)) as bar:
        for (name, photograph), answer in zip(photographs.items(), answers, strict=True):
            if isinstance(answer, Unusable):
                unreadable.append(_set_aside(name, answer))
            else:
                _require_finite(name, answer, path)
                if not rows and len(colours := _colours(predictor, answer)) > 1:
                    told = (f"{structure} {hexadecimal(colour)}" for structure, colour in colours.items())
                    console.say(f"Colours of the overlays: {', '.join(told)}.")
                rows.append(_written(predictor, answer, name, photograph, settings.out))
                remarks += [{"image": name, "remark": note} for note in answer.notes]
                far += [name] if predictor.model.is_far(answer.width, answer.height) else []
            bar.advance()
    _write_table(settings.out / TABLE, rows)
    _write_table(settings.out / ASIDE, unreadable)
    _write_table(settings.out / REMARKS, remarks)
    if not rows:
        raise SwclError(f"None of the {count:,} files could be read as photographs; see {settings.out / ASIDE}.")
    if far:
        console.warn(
            f"{len(far):,} of {len(rows):,} photographs, such as {far[0]}, have a shorter side less than half or more "
            f"than twice that of those that trained ({' to '.join(map(str, sorted({*predictor.model.sizes})))} pixels)."
        )
    if remarks:
        console.warn(
            f"{len({row['image'] for row in remarks}):,} of {len(rows):,} photographs were not read as they lie, such "
            f"as {remarks[0]['image']}: {remarks[0]['remark']}. All of them: {settings.out / REMARKS}"
        )
    set_aside = f", {len(unreadable):,} set aside: see {settings.out / ASIDE}" if unreadable else ""
    console.say(f"{len(rows):,} of {count:,} files predicted{set_aside}.")
    return settings.out


def _set_aside(name: str, problem: Unusable) -> Row:
    return {"image": name, "problem": problem.problem, "detail": problem.detail}


def _require_finite(name: str, answer: Answer, model: Path) -> None:
    """Raise SwclError where the answer is not a number: it would be written as a class or an empty mask."""
    if not all(np.isfinite(part).all() for part in answer.probabilities.values()):
        raise SwclError(
            f"{name}: the answer of {model} is not a number. The model is damaged, or diverged in training: "
            "make it again with `swcl finetune --fresh`, perhaps with a lower --learning-rate or --precision fp32."
        )


def _existing(settings: PredictSettings) -> Path:
    """Find the model's file, here or in the workspace. Raises SwclError where there is none."""
    places = (settings.model, Workspace(settings.workspace).root / settings.model)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise SwclError(
            f"{settings.model}: no such file. Models are made by `swcl finetune`, as RUN/model.safetensors."
        )
    return path


def _claim(folder: Path, work: Mapping[str, Any]) -> None:
    """Record in the folder whose predictions it holds.

    Raises SwclError where it holds anything but earlier predictions by this model of these photographs.
    """
    record = folder / RECORD
    if record.is_file():
        if changed := differences(_recorded(record), work):
            raise SwclError(f"{folder} holds other predictions ({'; '.join(changed)}): name another folder with --out.")
    elif any(path.name != LOCK for path in folder.iterdir()):
        raise SwclError(f"{folder} is not empty: name a new folder with --out.")
    write_text(record, json.dumps(work, sort_keys=True, indent=1) + "\n")


def _recorded(path: Path) -> dict[str, Any]:
    """Read whose predictions a folder holds. Raises SwclError where the record is damaged."""
    try:
        return require_record(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise SwclError(
            f"{path} is damaged, or of another version: {error}. Remove its folder, or name another one with --out."
        ) from error


def _written(predictor: Predictor, answer: Answer, name: str, photograph: Path, folder: Path) -> Row:
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


def _colours(predictor: Predictor, answer: Answer) -> dict[str, Colour]:
    """Return the colour of each structure in overlays; none where the answer has no masks."""
    return colours_of(list(answer.masks), structures_of(predictor.model.facts))


def _save(path: Path, image: Image.Image, kind: str, **options: int) -> None:
    """Write an image file of this kind, whole or not at all."""
    with atomic(path) as partial:
        image.save(partial, format=kind, **options)


def _write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a CSV file; without rows remove an earlier file."""
    listed = list(rows)
    path.unlink(missing_ok=True)
    if listed:
        with (
            atomic(path) as partial,
            open(partial, "w", encoding="utf-8", errors="surrogateescape", newline="") as handle,
        ):
            writer = csv.DictWriter(handle, list(listed[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(listed)
