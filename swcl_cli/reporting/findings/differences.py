"""Compare initialisations on the same photographs: each with random weights, and with the best other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.evaluation.intervals import Interval
from swcl_cli.reporting.evidence.columns import POSITIVE
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.groups import groups_of_patients
from swcl_cli.reporting.findings.consistency import WEIGHTS, made
from swcl_cli.reporting.findings.grouping import by_task
from swcl_cli.reporting.findings.initialisations import initialisation
from swcl_cli.reporting.findings.names import ordered_initialisations, title
from swcl_cli.reporting.findings.paired import (
    AUC,
    MEANS,
    Difference,
    Sampled,
    best_other,
    comparable,
    difference,
    sample,
)
from swcl_cli.reporting.findings.protocol import protocol_of
from swcl_cli.reporting.findings.scores import primary_or_validation

MAE = "mae"
AGREEMENT = 1e-6  # between a stored score and that of the stored predictions
PHOTOGRAPH = ["task", "name", "run", "image_id", "patient_id"]
PATIENTS_ALONE = "patients alone"
RANDOM, BEST_OTHER = "random", "best other"


@dataclass(frozen=True)
class Comparison:
    """Compare one initialisation of a task with another; `kind` is RANDOM or BEST_OTHER."""

    task: str
    split: str
    name: str
    against: str
    kind: str
    gap: Difference
    runs: tuple[int, int]


def comparisons(contents: Contents) -> tuple[list[Comparison], list[str]]:
    """List comparisons, and those left out: `task, name` without predictions that give their score.

    Of a task that nobody was tested on, on validation photographs.
    """
    compared: list[Comparison] = []
    left_out: list[str] = []
    scored = contents.results[contents.results["primary"].astype(bool) & contents.results["value"].notna()]
    for task, rows in by_task(scored):
        split, runs = primary_or_validation(rows)
        resampled = sampled_by_task(contents)[task, split]
        missing = ordered_initialisations(set(runs["name"]) - set(resampled))
        left_out += [f"{title(task)}, {name}" for name in missing]
        compared += _of_task(contents, task, split, resampled)
    return compared, left_out


def _of_task(contents: Contents, task: str, split: str, sampled: dict[str, Sampled]) -> list[Comparison]:
    """Compare the initialisations of a task; random weights once, where the best one's row says the same."""
    compared = []
    order = ordered_initialisations(sampled)
    untrained = [name for name in order if initialisation(contents, task, name).domain == "none"]
    for name in order:
        rivals = _rivals(contents, task, name, order)
        starts = [other for other in untrained if other in rivals]
        random = None if name in untrained else _reference(contents, task, sampled, name, starts)
        for kind, against in ((RANDOM, random), (BEST_OTHER, best_other(sampled, name, rivals))):
            if against is not None:
                gap = difference(sampled[name], sampled[against])
                runs = (len(sampled[name].seeds), len(sampled[against].seeds))
                compared.append(Comparison(task, split, name, against, kind, gap, runs))
    pairs = {(each.against, each.name) for each in compared if each.kind == RANDOM}
    return [each for each in compared if each.name not in untrained or (each.name, each.against) not in pairs]


def _rivals(contents: Contents, task: str, name: str, order: Sequence[str]) -> list[str]:
    """List the rows that one is compared with: those of its own protocol, of how much trains and on how many labels.

    Where there are none, all others.
    """
    protocol = protocol_of(contents, task, name)
    others = [other for other in order if other != name]
    return [other for other in others if protocol_of(contents, task, other) == protocol] or others


def _reference(
    contents: Contents, task: str, sampled: dict[str, Sampled], name: str, untrained: Sequence[str]
) -> str | None:
    """Choose random weights that were fine-tuned alike; else any."""
    possible = [other for other in untrained if comparable(sampled[other], sampled[name])]

    def is_alike(other: str) -> bool:
        artefacts = [contents.finetuned[task, each] for each in (other, name) if (task, each) in contents.finetuned]
        return len({repr({**made(artefact), WEIGHTS: None}) for artefact in artefacts}) == 1

    return next((other for other in possible if is_alike(other)), next(iter(possible), None))


def sampled(contents: Contents, runs: pd.DataFrame, split: str, without: Set[str] = frozenset()) -> dict[str, Sampled]:
    """Resample each initialisation whose stored predictions give the scores of all of its runs (of one task).

    without: ids of photographs that are left out of what is returned, though not of that comparison.
    """
    measure = str(runs["measure"].iloc[0])
    keys = runs[["name", "run", "seed", "fold", "value"]].assign(fold=runs["fold"].fillna(-1).astype(np.int64))
    scores = _scores(contents, str(runs["task"].iloc[0]), split, measure)
    rows = scores.merge(keys.drop(columns="value"), on=["name", "run"])
    if rows.empty:
        return {}
    rows = rows.assign(dataset=dataset_of(contents, str(runs["task"].iloc[0])))
    rows["patient_id"] = groups_of_patients(contents, rows["dataset"], rows["patient_id"])
    every = sample(rows, measure)
    agreeing = {name: each for name, each in every.items() if _agrees(each, keys[keys["name"] == name])}
    if not without:
        return agreeing
    others = sample(rows[~rows["image_id"].isin(without)], measure)
    return {name: each for name, each in others.items() if name in agreeing}


def sampled_by_task(contents: Contents) -> dict[tuple[str, str], dict[str, Sampled]]:
    """Resample what has predictions that give its scores, by task and split, then by name."""
    return contents.once("resampled", _sampled_by_task)


def _sampled_by_task(contents: Contents) -> dict[tuple[str, str], dict[str, Sampled]]:
    scored = contents.results[contents.results["primary"].astype(bool) & contents.results["value"].notna()]
    return {
        (task, str(split)): sampled(contents, runs, str(split))
        for task, rows in by_task(scored)
        for split, runs in rows.groupby("split")
    }


def over_patients(sampled: Mapping[tuple[str, str], Mapping[str, Sampled]]) -> dict[tuple[str, str, str], Interval]:
    """Return the interval of the mean over seeds, by task, name and split. sampled: as of `sampled_by_task`."""
    return {
        (task, name, split): each.interval
        for (task, split), of_task in sampled.items()
        for name, each in of_task.items()
        if len(each.of_runs) > 1
    }


def dataset_of(contents: Contents, task: str) -> str:
    """Name the data set of a task: an input of its fine-tunings that is a data set here; empty where none is."""
    inputs = (artefact.inputs for (of, _), artefact in contents.finetuned.items() if of == task)
    return next((each for given in inputs for each in given if each in contents.datasets), "")


def _agrees(sampled: Sampled, stored: pd.DataFrame) -> bool:
    """Tell whether all stored runs are there, with their values."""
    values = stored.sort_values(["seed", "fold"])["value"].to_numpy(dtype=np.float64)
    return len(values) == len(sampled.of_runs) and bool((np.abs(values - sampled.of_runs) <= AGREEMENT).all())


def _scores(contents: Contents, task: str, split: str, measure: str) -> pd.DataFrame:
    """Return a row for each run, photograph and part; no rows where the measure can't be resampled."""
    both = (contents.classified, contents.segmented)
    classified, segmented = (rows[(rows["task"] == task) & (rows["split"] == split)] for rows in both)
    if len(segmented) and measure in MEANS:
        return segmented.rename(columns={"structure": "part", "f1": "score"})[[*PHOTOGRAPH, "part", "score"]]
    if measure == MAE:
        numbers = contents.numbers[(contents.numbers["task"] == task) & (contents.numbers["split"] == split)]
        errors = (numbers["predicted_number"] - numbers["true_number"]).abs()
        return numbers.assign(part="", score=errors)[[*PHOTOGRAPH, "part", "score"]]
    if measure == AUC:
        return classified[[*PHOTOGRAPH, "truth", POSITIVE]]
    right = classified.assign(score=(classified["truth"] == classified["prediction"]).astype(np.float64))
    joint = right.groupby(PHOTOGRAPH, as_index=False, sort=False).agg({"score": ["min", "size"]})
    joint.columns = pd.Index([*PHOTOGRAPH, "score", "heads"])
    most = joint.groupby("name")["heads"].transform("max")
    whole = joint[joint["heads"] == most]  # photographs may lack labels of people's own
    return whole.drop(columns="heads").assign(part="") if measure in MEANS else whole[:0]
