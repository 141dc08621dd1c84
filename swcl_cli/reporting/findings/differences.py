"""How initialisations differ on the same photographs: each against random weights, and against the best other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import POSITIVE, Contents
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.consistency import WEIGHTS, made
from swcl_cli.reporting.findings.initialisations import initialisation
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.paired import (
    AUC,
    MEANS,
    RESAMPLES,
    Difference,
    Sampled,
    best_other,
    comparable,
    difference,
    sample,
)
from swcl_cli.reporting.tables.results import primary
from swcl_cli.reporting.tables.table import Cell, Table, Value

AGREEMENT = 1e-6  # between a stored score and that of the stored predictions
PHOTOGRAPH = ["task", "name", "run", "image_id", "patient_id"]
PATIENTS_ALONE = "patients alone"
BOOTSTRAP = (
    f"The intervals come from {RESAMPLES:,} resamples of the patients and, with them, of the runs: both "
    "initialisations get the same patients and the same seeds, and the folds of a seed stay together. Where either has "
    f"one seed alone, only patients are drawn ({PATIENTS_ALONE}): how much runs differ by chance is then not in the "
    "interval, which is far too narrow; that of two or three seeds is somewhat too narrow."
)


@dataclass(frozen=True)
class Comparison:
    """One initialisation of a task against another: random weights, or the best other one."""

    task: str
    split: str
    name: str
    against: str
    kind: str
    found: Difference
    runs: tuple[int, int]


def comparisons(contents: Contents) -> tuple[list[Comparison], list[str]]:
    """By task and initialisation, and those left out: `task, name` without predictions that give their score. Random
    weights have no row of their own where that of the best one says the same the other way round.

    Of a task that nobody was tested on, on validation photographs.
    """
    found: list[Comparison] = []
    left_out: list[str] = []
    scored = contents.results[contents.results["primary"].astype(bool) & contents.results["value"].notna()]
    for task in names.in_paper_order(list(scored["task"]), names.TASKS):
        of_task = contents.results[contents.results["task"] == task]
        runs = primary(of_task, "test")
        split = "test" if len(runs) else "val"
        runs = runs if len(runs) else primary(of_task, "val")
        sampled = _sampled(contents, runs, split)
        missing = names.in_paper_order(list(set(runs["name"]) - set(sampled)), names.INITIALISATIONS)
        left_out += [f"{title(task)}, {name}" for name in missing]
        found += _of_task(contents, task, split, sampled)
    return found, left_out


def _of_task(contents: Contents, task: str, split: str, sampled: dict[str, Sampled]) -> list[Comparison]:
    found = []
    order = names.in_paper_order(list(sampled), names.INITIALISATIONS)
    untrained = [name for name in order if initialisation(contents, task, name).domain == "none"]
    for name in order:
        random = None if name in untrained else _reference(contents, task, sampled, name, untrained)
        for kind, against in (("random", random), ("best other", best_other(sampled, name, order))):
            if against is not None:
                gap = difference(sampled[name], sampled[against])
                runs = (len(sampled[name].seeds), len(sampled[against].seeds))
                found.append(Comparison(task, split, name, against, kind, gap, runs))
    told = {(one.against, one.name) for one in found if one.kind == "random"}
    return [one for one in found if one.name not in untrained or (one.name, one.against) not in told]


def _reference(
    contents: Contents, task: str, sampled: dict[str, Sampled], name: str, untrained: Sequence[str]
) -> str | None:
    """Random weights that were fine-tuned alike; else any."""
    possible = [one for one in untrained if comparable(sampled[one], sampled[name])]

    def is_alike(one: str) -> bool:
        recipes = [contents.finetuned[task, of] for of in (one, name) if (task, of) in contents.finetuned]
        return len({repr({**made(recipe), WEIGHTS: None}) for recipe in recipes}) == 1

    return next((one for one in possible if is_alike(one)), next(iter(possible), None))


def _sampled(contents: Contents, runs: pd.DataFrame, split: str) -> dict[str, Sampled]:
    """By initialisation, where the stored predictions give the scores of all of its runs (of one task)."""
    measure = str(runs["measure"].iloc[0])
    keys = runs[["name", "run", "seed", "fold", "value"]].assign(fold=runs["fold"].fillna(-1).astype(np.int64))
    scores = _scores(contents, str(runs["task"].iloc[0]), split, measure)
    rows = scores.merge(keys.drop(columns="value"), on=["name", "run"])
    if rows.empty:
        return {}
    return {name: one for name, one in sample(rows, measure).items() if _agrees(one, keys[keys["name"] == name])}


def _agrees(one: Sampled, stored: pd.DataFrame) -> bool:
    """Whether all stored runs are there, with their values."""
    values = stored.sort_values(["seed", "fold"])["value"].to_numpy(dtype=np.float64)
    return len(values) == len(one.seeds) and bool((np.abs(values - one.values[0]) <= AGREEMENT).all())


def _scores(contents: Contents, task: str, split: str, measure: str) -> pd.DataFrame:
    """One row a run, photograph and part; no rows where the measure is none that can be resampled."""
    both = (contents.classified, contents.segmented)
    classified, segmented = (rows[(rows["task"] == task) & (rows["split"] == split)] for rows in both)
    if len(segmented) and measure in MEANS:
        return segmented.rename(columns={"structure": "part", "f1": "score"})[[*PHOTOGRAPH, "part", "score"]]
    if measure == AUC:
        return classified[[*PHOTOGRAPH, "truth", POSITIVE]]
    right = classified.assign(score=(classified["truth"] == classified["prediction"]).astype(np.float64))
    joint = right.groupby(PHOTOGRAPH, as_index=False, sort=False).agg({"score": "min"}).assign(part="")
    return joint if measure in MEANS else joint[:0]


def differences_table(contents: Contents) -> Table | None:
    """Each initialisation minus random weights, and minus the best other one, with 95 % intervals."""
    found, left_out = comparisons(contents)
    if not found:
        return None
    rows = []
    by_row: dict[tuple[str, str], dict[str, Comparison]] = {}
    for one in found:
        by_row.setdefault((one.task, one.name), {})[one.kind] = one
    for (task, name), kinds in by_row.items():
        random, best = kinds.get("random"), kinds.get("best other")
        other = Cell(best.against if best else "")
        where = ", validation" if next(iter(kinds.values())).split == "val" else ""
        rows.append((Cell(f"{title(task)}{where}", task), Cell(name), *_cells(random), other, *_cells(best)))
    notes = [BOOTSTRAP, _of_many(len({(one.task, *sorted((one.name, one.against))) for one in found}))]
    if left_out:
        notes.append(
            "Not compared, since the stored predictions are missing or do not give the score of the run: "
            f"{'; '.join(left_out)}."
        )
    header = (
        "task", "split", "initialisation", "against", "kind", "difference", "low", "high", "verdict", "runs",
        "runs_against", "drawn",
    )  # fmt: skip
    return Table(
        name="differences",
        title="Differences on the same photographs",
        sentence="How many points each initialisation gains over random initial weights, and over the best other "
        "initialisation, on the same photographs, with 95 % intervals of a paired bootstrap.",
        columns=("task", "initialisation", "over random", "verdict", "best other", "over it", "verdict"),
        rows=tuple(rows),
        notes=tuple(notes),
        records=(header, *map(_record, found)),
    )


def _cells(one: Comparison | None) -> tuple[Cell, Cell]:
    if one is None:
        return Cell(), Cell()
    drawn = "" if one.found.with_runs else f" ({PATIENTS_ALONE})"
    return Cell(points(one.found), one.found.value), Cell(f"{one.found.verdict}{drawn}")


def points(found: Difference) -> str:
    """`+3.2 [-0.4, +6.9]`, without brackets where there is no interval; no minus before a zero."""
    value, low, high = (round(100 * share, 1) + 0.0 for share in (found.value, found.low, found.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]" if np.isfinite(low) else f"{value:+.1f}"


def _record(one: Comparison) -> tuple[Value, ...]:
    drawn = "patients and runs" if one.found.with_runs else PATIENTS_ALONE
    ends = (end if np.isfinite(end) else None for end in (one.found.low, one.found.high))
    numbers = (one.found.value, *ends)
    return one.task, one.split, one.name, one.against, one.kind, *numbers, one.found.verdict, *one.runs, drawn


def _of_many(count: int) -> str:
    """The warning of multiple comparisons."""
    by_chance = f"about {round(count / 20)} of them" if count >= 20 else "one in twenty"
    return (
        f"The table makes {count} comparisons, and no interval is widened for the others: if nothing differed, "
        f"{by_chance} would be called better or worse by chance. The best other one was chosen on these "
        "photographs too, which flatters it."
    )
