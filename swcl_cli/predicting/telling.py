"""Tell what a model sees in photographs: a row of the table of each, its masks, maps and overlay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from swcl_cli.catalogue.structures import file_of
from swcl_cli.cluster.mapping import cluster
from swcl_cli.errors import SwclError
from swcl_cli.predicting.folder import Row, set_aside
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import read_at_own_size
from swcl_cli.reporting.figures.overlays import Colour, colours_of, overlay
from swcl_cli.settings import PredictSettings
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.ensemble import Ensemble
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.segmentation import structures_of
from swcl_cli.tasks.thresholds import above
from swcl_cli.workspace import atomic, fingerprint

MOST = 65_535  # of a map of 16 bits: a probability of 1
OVERLAY_QUALITY = 90
LEAST = 8  # photographs of a chunk
Named = tuple[str, Path]  # a photograph, and its name in the tables


@dataclass(frozen=True)
class Told:
    """Hold what is told of a photograph: a row of predictions or of unreadable files, and remarks."""

    name: str
    rows: list[Row] = field(default_factory=list)
    unreadable: list[Row] = field(default_factory=list)
    remarks: list[Row] = field(default_factory=list)
    is_far: bool = False  # of another size than those that trained
    colours: dict[str, Colour] = field(default_factory=dict)


def tell_each(
    settings: PredictSettings,
    path: Path,
    predictor: Ensemble,
    thresholds: Mapping[str, float],
    photographs: Mapping[str, Path],
    workers: int,
) -> Iterator[Told]:
    """Predict each photograph, write its files into the folder, and tell the rest. path: of the model, for messages.

    Raises SwclError where an answer is not a number.
    """
    answers = predictor.each(list(photographs.values()), workers)
    for (name, photograph), answer in zip(photographs.items(), answers, strict=True):
        if isinstance(answer, Unusable):
            yield Told(name, unreadable=[set_aside(name, answer)])
            continue
        _require_finite(name, answer, predictor.model.heads, path)
        row = _written(predictor, answer, name, photograph, settings.folder)
        yield Told(
            name,
            [row | above(answer, thresholds) | _maps(settings, answer, name)],
            remarks=[{"image": name, "remark": note} for note in answer.notes],
            is_far=predictor.model.is_far(answer.width, answer.height),
            colours=_colours(predictor, answer),
        )


@dataclass(frozen=True)
class Telling:
    """Tell of a chunk of photographs, on a worker, with the models that it has loaded before."""

    settings: PredictSettings
    files: tuple[tuple[Path, str], ...]  # of the models, with their fingerprints
    thresholds: Mapping[str, float]
    threads: int

    def __call__(self, chunk: Sequence[Named]) -> list[Told]:
        torch.set_num_threads(self.threads)
        predictor = _loaded(self.files, self.settings.accelerator)
        return list(tell_each(self.settings, self.files[0][0], predictor, self.thresholds, dict(chunk), 0))


@lru_cache(maxsize=1)
def _loaded(files: tuple[tuple[Path, str], ...], accelerator: str) -> Ensemble:
    for path, expected in files:
        if fingerprint(path) != expected:
            raise SwclError(f"{path} is another file on a worker: all machines have to share one folder.")
    paths = [path for path, _ in files]
    return Ensemble([load_model(path, accelerator) for path in paths], paths)  # type: ignore[arg-type]


def tell_on_workers(
    settings: PredictSettings,
    files: Sequence[Path],
    thresholds: Mapping[str, float],
    photographs: Mapping[str, Path],
    batch: int,
) -> Iterator[Told]:
    """Tell of each photograph, as `tell_each` does, on the workers of a cluster; chunks hold whole batches.

    Raises SwclError where the cluster can't be used, or a worker doesn't see the folder, a model or the photographs.
    """
    everywhere = settings.model_copy(update={"out": settings.folder.absolute(), "scheduler": None})
    models = tuple((path.absolute(), fingerprint(path)) for path in files)
    telling = Telling(everywhere, models, dict(thresholds), torch.get_num_threads())
    work = [(name, path.absolute()) for name, path in photographs.items()]
    with cluster(str(settings.scheduler), settings.folder, "predict") as workers:
        archives = (path for path in settings.photographs if path.is_file())
        workers.require([*files, *archives, *(path for _, path in work[:1])])
        yield from workers.each(telling, work, _lost, chunk=-(-LEAST // batch) * batch)


def _lost(piece: Named, reason: str) -> Told:
    """Return what is told of a photograph on which workers die."""
    return Told(piece[0], unreadable=[set_aside(piece[0], Unusable("killed its workers", reason))])


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
        file = f"maps/{file_of(name, structure, answer.masks)}.png"
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
