"""Score models on prepared data sets that they were not trained on: train here, test there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd

from swcl_cli import console
from swcl_cli.catalogue.tasks import CLASSIFICATION, SEGMENTATION, TASKS
from swcl_cli.data import manifest
from swcl_cli.data.columns import RESULTS
from swcl_cli.data.photographs import Photographs, manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.predicting.folder import write_rows
from swcl_cli.predicting.overlap import pretrained_on, trained_on, without_trained
from swcl_cli.preparation.unprepared import Form
from swcl_cli.settings import PredictSettings
from swcl_cli.tasks import saved
from swcl_cli.tasks.elsewhere import SPLIT, Elsewhere, task_elsewhere
from swcl_cli.tasks.ensemble import Ensemble
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.saved import Study
from swcl_cli.training.processes import device_name
from swcl_cli.workspace import (
    MODEL,
    RUN,
    Workspace,
    fingerprint,
    locked,
    provenance,
    read_provenance,
    require_own,
    write_parquet,
)

STEP = "predict"
TABLE, PREDICTIONS, RESULT = "predictions.csv", "predictions.parquet", "results.parquet"
SHOWN = 6  # measures on the terminal


def score_prepared(settings: PredictSettings, ensemble: Ensemble, paths: Sequence[Path]) -> Path:
    """Score the models' mean on each data set; return the folder of the last one's predictions and scores.

    Raises SwclError where a data set is not prepared, or trained the models, or has nothing to score.
    """
    workspace, folder = Workspace(settings.workspace), Path()
    models = {path: read_provenance(path) for path in paths}
    for sentence in ensemble.kind.legend(ensemble.model):
        console.say(sentence)
    for dataset in dict.fromkeys(settings.data):
        place = manifest_of(workspace, dataset)
        table, left_out = without_trained(manifest.read(place), dataset, models, workspace, settings.patients)
        elsewhere = task_elsewhere(ensemble.model, dataset, table, workspace)
        sentences = [*left_out, *pretrained_on(dataset, models, workspace), *elsewhere.remarks]
        for sentence in sentences:
            console.warn(sentence)
        name, run = _named(paths)
        folder = workspace.tested(dataset, ensemble.model.task, name, run)
        inputs = {f"model {number}": fingerprint(path) for number, path in enumerate(paths, 1)}
        about = {
            "model": models[paths[0]][saved.KEY],
            "tested": {
                "dataset": dataset,
                "trained_on": sorted({trained_on(made) for made in models.values()}),
                "models": len(paths),
                "photographs": len(elsewhere.table),
                "patients": int(elsewhere.table["group_id"].nunique()),
                "left_out": sentences,
            },
        }
        work = provenance(STEP, settings.defining(), {**inputs, dataset: fingerprint(place)}, **about)
        with locked(folder, STEP):
            for file in (PREDICTIONS, RESULT):
                require_own(folder / file, STEP)
            _score(settings, ensemble, elsewhere, folder, work, {"task": ensemble.model.task, "name": name, "run": run})
    return folder


def _score(
    settings: PredictSettings,
    ensemble: Ensemble,
    elsewhere: Elsewhere,
    folder: Path,
    work: dict[str, Any],
    named: dict[str, str],
) -> None:
    """Score the photographs, and write predictions.csv of all, and of those with labels the tables of a fine-tuning."""
    workspace, dataset = Workspace(settings.workspace), str(work["tested"]["dataset"])
    form = _form(workspace, dataset)
    if ensemble.model.kind == SEGMENTATION and (ensemble.of_other_form(form) or elsewhere.study is None):
        _refuse_masks(ensemble, form, dataset, named)
    if ensemble.of_other_form(form):
        console.warn(
            f"{dataset} was prepared otherwise than what the model learnt: its photographs are resized once more."
        )
    photographs = Photographs.of(workspace, elsewhere.table)
    console.say(f"{dataset}: {len(photographs):,} photographs, on {device_name(ensemble.fabric)}.")
    scores: Iterable[Any] = _followed(ensemble.scores(photographs, form, settings.workers), len(photographs))
    for file in (PREDICTIONS, RESULT):
        (folder / file).unlink(missing_ok=True)
    if ensemble.model.kind == CLASSIFICATION:
        scores = list(scores)
        rows = elsewhere.table[["image_id", "patient_id", "width", "height"]].to_dict("records")
        write_rows(folder / TABLE, [_row(ensemble, row, each) for row, each in zip(rows, scores, strict=True)])
    if elsewhere.study is None:
        heads = ", ".join(ensemble.model.heads)
        console.say(f"{dataset} has no label {heads}: predictions alone are in {folder / TABLE}, and no scores.")
        return
    judgement = ensemble.kind.judge(elsewhere.study, SPLIT, lambda _: _of_heads(elsewhere.study, scores), folder)
    made = {**work, "primary": elsewhere.study.task.measure, "labels": [
        label.described() for label in elsewhere.study.task.own.values()
    ]}  # fmt: skip
    predictions = judgement.predictions.assign(split=SPLIT, **named)
    write_parquet(folder / PREDICTIONS, judgement.columns.table(predictions), made)
    results = _results(judgement, named, elsewhere.study.task.measure)
    write_parquet(folder / RESULT, RESULTS.table(results), made)
    _show(results, f"{named['task']} from {named['name']}, {named['run']}, tested on {dataset}", folder / RESULT)


def _of_heads(study: Study | None, scores: Iterable[Any]) -> Iterator[Any]:
    """Yield the scores of the heads that are judged alone."""
    if study is None or study.task.kind != CLASSIFICATION:
        return iter(scores)
    return ({head: each[head] for head in study.task.heads} for each in scores)


def _followed(scores: Iterator[Any], count: int) -> Iterator[Any]:
    with console.progress("predicting", count) as bar:
        for each in scores:
            yield each
            bar.advance()


def _row(ensemble: Ensemble, about: dict[str, Any], scores: Any) -> dict[str, Any]:
    """Return a photograph's row of predictions.csv."""
    answer = ensemble.kind.answer(scores, (int(about["width"]), int(about["height"])), ensemble.model)
    cells = ensemble.kind.record(answer, str(about["image_id"]), ensemble.model).cells
    return {"image": about["image_id"], "patient": about["patient_id"], **cells}


def _refuse_masks(ensemble: Ensemble, form: Form, dataset: str, named: dict[str, str]) -> None:
    """Raise SwclError: photographs of another form have no masks that fit, and some have no masks at all."""
    why = "was prepared otherwise than what the model learnt" if ensemble.of_other_form(form) else "has no masks"
    raise SwclError(
        f"{dataset} {why}: structures can't be scored on it. `swcl predict MODEL data/{dataset}/images --out DIR` "
        f"writes the masks that {named['name']} finds."
    )


def _form(workspace: Workspace, dataset: str) -> Form:
    """Return how the data set was prepared."""
    made = read_provenance(workspace.manifest(dataset))["settings"]
    square = any(task.square for task in TASKS.values() if task.dataset == dataset)
    return Form(made["size"], square, bool(made.get("crop_to_field")), not made["size"])


def _named(paths: Sequence[Path]) -> tuple[str, str]:
    """Name the models' initialisation, and the run: of several their count, and a number that tells them apart."""
    known = [path.name == MODEL and bool(RUN.fullmatch(path.parent.name)) for path in paths]
    names = {path.parent.parent.name if its else path.stem for path, its in zip(paths, known, strict=True)}
    name = names.pop() if len(names) == 1 else "several"
    if len(paths) == 1:
        return name, paths[0].parent.name if known[0] else fingerprint(paths[0])[:8]
    together = "".join(sorted(map(fingerprint, paths)))
    return name, f"{len(paths)}-models-{crc32(together.encode()):08x}"


def _results(judgement: Judgement, named: dict[str, str], primary: str) -> pd.DataFrame:
    none = (float("nan"), float("nan"))
    first = primary if primary in judgement.measures else next(iter(judgement.measures))
    return pd.DataFrame([
        {
            **named, "seed": 0, "fold": None, "split": SPLIT, "measure": measure, "value": value,
            "reason": judgement.reasons.get(measure), "primary": measure == first,
            "low": judgement.intervals.get(measure, none)[0], "high": judgement.intervals.get(measure, none)[1],
        }
        for measure, value in judgement.measures.items()
    ])  # fmt: skip


def _show(results: pd.DataFrame, title: str, path: Path) -> None:
    """Show the primary measure first, then others, with their intervals."""
    ordered = results.sort_values("primary", ascending=False, kind="stable").head(SHOWN)
    rows = [
        (row.measure, f"{row.value:.3f}" if row.value == row.value else f"none: {row.reason}",
         f"{row.low:.3f} to {row.high:.3f}" if row.low == row.low else "")
        for row in ordered.itertuples(index=False)
    ]  # fmt: skip
    console.table(title, ("measure", "value", "95 % interval"), rows)
    if len(results) > len(rows):
        console.say(f"{len(results) - len(rows)} more measures are in {path}.")
