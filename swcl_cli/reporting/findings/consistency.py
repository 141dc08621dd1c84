"""Straighten results that can't be averaged as they are: stored twice, or made differently under one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.catalogue.paper import TASK_ORDER
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.names import ordered_initialisations, title
from swcl_cli.reporting.findings.recipes import Recipe, differing, in_words, recipe, text

PHOTOGRAPHS, WEIGHTS = "photographs", "initial weights"  # beside the settings: the fingerprints of what went in
ONE_RUN = ["task", "name", "seed", "fold"]
PREDICTED = ["task", "name", "run", "split", "image_id"]
MOST_FIELDS = 2  # in a name
FRAMES = ("results", "classified", "numbers", "segmented", "grids")
Run = tuple[str, str, str]  # task, name and run


def straightened(contents: Contents) -> Contents:
    """The contents with each run once, and a row of its own for each kind of runs that were made differently.

    `mixed` and `repeated` say what was changed. Runs are told apart by the provenance of their own files.
    """
    return _separated(_without_copies(contents))


def _without_copies(contents: Contents) -> Contents:
    """Drop the second copy of a run, and both where their values differ, since nobody knows which is right."""
    results = contents.results.assign(fold=contents.results["fold"].fillna(-1).astype(np.int64))
    twice = results.duplicated([*ONE_RUN, "split", "measure"], keep=False)
    repeated: list[str] = []
    kept = np.ones(len(results), bool)
    for (task, name, seed, fold), rows in results[twice].groupby(ONE_RUN, sort=True):
        alike = rows.groupby(["split", "measure"])["value"].agg(lambda values: values.nunique(dropna=False) == 1)
        same = (results[ONE_RUN] == [task, name, seed, fold]).all(axis=1).to_numpy()
        if alike.all():
            kept &= ~same | ~results.duplicated([*ONE_RUN, "split", "measure"]).to_numpy()
        else:
            kept &= ~same
            repeated.append(f"{title(task)}, {name}: {', '.join(sorted(set(rows['run'])))}")
    single = contents.results[kept]
    here = set(single[["task", "name", "run"]].itertuples(index=False, name=None)) if not kept.all() else None
    return replace(
        contents,
        results=single.reset_index(drop=True),
        classified=_predictions(contents.classified, "head", here),
        numbers=_predictions(contents.numbers, "head", here),
        segmented=_predictions(contents.segmented, "structure", here),
        repeated=repeated,
    )


def _predictions(predictions: pd.DataFrame, part: str, here: set[Run] | None) -> pd.DataFrame:
    """Keep each prediction once. here: the runs that are kept, or None where all are."""
    kept = ~predictions.duplicated([*PREDICTED, part]).to_numpy()
    if here is not None:
        named = predictions[["task", "name", "run"]].itertuples(index=False, name=None)
        kept &= np.fromiter((run in here for run in named), bool, len(predictions))
    return predictions if kept.all() else predictions[kept].reset_index(drop=True)


def _separated(contents: Contents) -> Contents:
    """Give each kind of runs of one name a name of its own."""
    renamed: dict[Run, str] = {}
    finetuned, mixed = dict(contents.finetuned), []
    for (task, name), whole in sorted(contents.finetuned.items()):
        of_task = contents.results[(contents.results["task"] == task) & (contents.results["name"] == name)]
        runs = {run: contents.runs.get((task, name, run), whole) for run in sorted(set(of_task["run"]))}
        kinds = _kinds(runs)
        recipes = [made(kind[0][1]) for kind in kinds]
        fields = differing(recipes)
        if len(kinds) > 1:
            del finetuned[task, name]
            for number, (kind, settings) in enumerate(zip(kinds, recipes, strict=True), 1):
                new = _variant(name, settings, fields, number)
                finetuned[task, new] = kind[0][1]
                renamed |= {(task, name, run): new for run, _ in kind}
                listed = ", ".join(run for run, _ in kind)
                mixed.append(f"{title(task)}, {new}: {_values(settings, fields)} ({listed})")
        elif kinds and (stray := differing([recipes[0], made(whole)])):
            finetuned[task, name] = kinds[0][0][1]
            mixed.append(f"{title(task)}, {name}: {whole.path} tells other {', '.join(stray)} than its runs")
    if not renamed:
        return replace(contents, finetuned=finetuned, mixed=mixed)
    frames = {key: _named_anew(getattr(contents, key), renamed) for key in FRAMES}
    return replace(
        contents,
        **frames,
        finetuned=dict(sorted(finetuned.items())),
        runs={(key[0], renamed.get(key, key[1]), key[2]): artefact for key, artefact in contents.runs.items()},
        logs={key._replace(name=renamed.get(key[1:], key.name)): log for key, log in contents.logs.items()},
        mixed=mixed,
    )


def made(artefact: Artefact) -> Recipe:
    """Return the recipe of an artefact, with the fingerprints of photographs and initial weights."""
    photographs = [str(mark) for name, mark in sorted(artefact.inputs.items()) if name != "init"]
    marks = {PHOTOGRAPHS: ",".join(photographs), WEIGHTS: str(artefact.inputs.get("init", UNTRAINED))}
    return recipe(artefact.provenance) | marks


def _kinds(runs: Mapping[str, Artefact]) -> list[list[tuple[str, Artefact]]]:
    """Group runs that were made alike, in the order of their names."""
    kinds: dict[tuple[tuple[str, str], ...], list[tuple[str, Artefact]]] = {}
    for run, artefact in runs.items():
        alike = tuple((field, text(value)) for field, value in sorted(made(artefact).items()))
        kinds.setdefault(alike, []).append((run, artefact))
    return list(kinds.values())


def _variant(name: str, settings: Recipe, fields: Sequence[str], number: int) -> str:
    about = _values(settings, fields) if len(fields) <= MOST_FIELDS else f"variant {number}"
    return f"{name} ({about})"


def _values(settings: Mapping[str, Any], fields: Sequence[str]) -> str:
    return ", ".join(f"{in_words(field)} {text(settings.get(field))}" for field in fields)


def _named_anew(frame: pd.DataFrame, renamed: Mapping[Run, str]) -> pd.DataFrame:
    keys = frame[["task", "name", "run"]].itertuples(index=False, name=None)
    return frame.assign(name=[renamed.get(key, key[1]) for key in keys])


def inconsistencies(contents: Contents) -> list[tuple[str, tuple[str, ...]]]:
    """List warnings with their items, the gravest first. contents: straightened ones."""
    warnings = (
        ("Runs under one name were made differently: each kind has a row of its own.", contents.mixed),
        ("Runs that are stored twice with different values: they are left out.", contents.repeated),
        (
            "Compared on different photographs: the data were prepared or split anew between these results.",
            unlike_photographs(contents),
        ),
        ("Compared under different settings: what differs below may explain the gap.", unlike_settings(contents)),
    )
    return [(words, tuple(items)) for words, items in warnings if items]


def unlike_settings(contents: Contents) -> list[str]:
    """List the settings in which initialisations differ that are compared on a task, an item each."""
    return [
        f"{title(task)}, {in_words(field)}: {_sides(recipes, field)}"
        for task, recipes in _side_by_side(contents)
        for field in differing(recipes.values())
        if field not in (PHOTOGRAPHS, WEIGHTS)
    ]


def unlike_photographs(contents: Contents) -> list[str]:
    """List the tasks whose initialisations saw data sets that were prepared or split differently."""
    return [
        f"{title(task)}, {PHOTOGRAPHS} prepared as: {_sides(recipes, PHOTOGRAPHS)}"
        for task, recipes in _side_by_side(contents)
        if PHOTOGRAPHS in differing(recipes.values())
    ]


def _side_by_side(contents: Contents) -> list[tuple[str, dict[str, Recipe]]]:
    """List each task with the recipes by name, those scored on validation apart from those scored on test."""
    compared: dict[tuple[int, str, str], dict[str, Recipe]] = {}
    for (task, name), artefact in sorted(contents.finetuned.items()):
        settings = made(artefact)
        place = TASK_ORDER.index(task) if task in TASK_ORDER else len(TASK_ORDER)
        compared.setdefault((place, task, str(settings.get("eval"))), {})[name] = settings
    return [(task, recipes) for (_, task, _), recipes in sorted(compared.items(), key=lambda item: item[0])]


def _sides(recipes: Mapping[str, Recipe], field: str) -> str:
    """Write `120 (random, swcl); 40 (dino)`, the most frequent value first."""
    sides: dict[str, list[str]] = {}
    for name in ordered_initialisations(recipes):
        sides.setdefault(text(recipes[name].get(field)), []).append(name)
    ordered = sorted(sides.items(), key=lambda side: (-len(side[1]), side[0]))
    return "; ".join(f"{value} ({', '.join(of)})" for value, of in ordered)
