"""Keep what a study measured beyond its workspace: scores, seeds and costs in two tables, no photographs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli import __version__, console
from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.differences import Comparison
from swcl_cli.reporting.findings.initialisations import FINGERPRINT, initialisation
from swcl_cli.reporting.findings.protocols import OVER_IT, START, Row, rows_by_protocol
from swcl_cli.reporting.findings.recipes import recipe
from swcl_cli.reporting.findings.scores import primary
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.reporting.tables.differences import drawn
from swcl_cli.settings import PretrainSettings
from swcl_cli.study.costs import views_a_step
from swcl_cli.study.initialisations import IMAGENET
from swcl_cli.tasks.ledger import spent
from swcl_cli.workspace import PRETRAIN, RunName, Workspace, write_text

RUNS, COMPARISONS = "runs.csv", "comparisons.csv"
OF = ["task", "protocol", "fraction", "initialisation", "start", "architecture", "views"]
MADE = ["data", "weights", "recipe"]  # short hashes: rows that differ in one were made differently
ABOUT = ["date", "version"]
RUN = [*OF, "seed", "fold", "measure", *MADE]  # what tells runs apart
RUN_COLUMNS = [*RUN, "score", "low", "high", "seconds", "pretraining_seconds", "taught", *ABOUT]
PAIR = [*OF, "kind", "against", "against_start", "against_weights", *MADE]
PAIR_COLUMNS = [
    *PAIR, "difference", "low", "high", "verdict", "runs", "runs_against", "drawn", "photographs", "taught", *ABOUT,
]  # fmt: skip
NUMBERS = ["fraction", "score", "difference", "low", "high", "seconds", "pretraining_seconds"]
WHOLE = ["views", "seed", "fold", "runs", "runs_against", "photographs", "taught"]
DIGITS = 5


def collect(workspace: Workspace, folder: Path) -> Path:
    """Add the finished runs of a workspace to the tables in a folder; return the path of the runs.

    A run that is there already is replaced, a comparison only by one of as many runs or more. Raises SwclError where
    the workspace holds phantom eyes, or a table is none of these.
    """
    contents = straightened(read_contents(workspace))
    if contents.phantom:
        raise SwclError(
            f"{workspace.root} holds phantom eyes: their scores say nothing about real ones, and stay there."
        )
    for line in contents.damaged:
        console.warn(line)
    listed = rows_by_protocol(contents)
    if not listed:
        raise SwclError(f"{workspace.root} holds no finished run that was tested. Plan some with: swcl study --hours 2")
    runs = pd.DataFrame([run for row in listed for run in _runs(workspace, contents, row)], columns=RUN_COLUMNS)
    pairs = [
        _pair(workspace, contents, row, pair)
        for row in listed
        for pair in (row.over_start, row.swcl)
        if pair is not None
    ]
    _merge(folder / RUNS, runs, RUN, [])
    _merge(folder / COMPARISONS, pd.DataFrame(pairs, columns=PAIR_COLUMNS), PAIR, ["runs", "runs_against"])
    console.say(f"{len(runs):,} runs and {len(pairs):,} comparisons of {workspace.root}.")
    return folder / RUNS


def read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table; without rows where there is none. Raises SwclError where its columns are others."""
    if not path.exists():
        return _typed(pd.DataFrame(columns=list(columns)))
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise SwclError(f"{path} can't be read: {error}.") from error
    if list(table.columns) != list(columns):
        unlike = ", ".join(sorted(set(table.columns) ^ set(columns))) or "their order"
        raise SwclError(f"{path} is no table of swcl study --collect: {unlike}. Move it away, or name another folder.")
    try:
        return _typed(table)
    except ValueError as error:
        raise SwclError(f"{path} can't be read: {error}.") from error


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give each column its type, so that equal rows are equal: hashes are no numbers, whatever their digits."""
    typed = {
        name: pd.to_numeric(values.replace("", None)).astype("Int64" if name in WHOLE else "Float64")
        if name in (*WHOLE, *NUMBERS)
        else values.fillna("").astype(str)
        for name, values in table.items()
    }
    return pd.DataFrame(typed)


def _merge(path: Path, new: pd.DataFrame, key: list[str], larger: list[str]) -> None:
    """Join new rows with those of a table, each key once: the new one, unless the old one is `larger` in a column."""
    both = pd.concat([read(path, list(new.columns)), _typed(new)], ignore_index=True)
    if larger:
        both = both.assign(size=both[larger].sum(axis=1)).sort_values("size", kind="stable").drop(columns="size")
    kept = both.drop_duplicates(key, keep="last").sort_values(key, kind="stable", na_position="first")
    write_text(path, kept.to_csv(index=False, lineterminator="\n"))


def _runs(workspace: Workspace, contents: Contents, row: Row) -> list[dict[str, Any]]:
    """Describe each run of a row."""
    of = (contents.results["task"] == row.task) & (contents.results["name"] == row.name)
    return [
        {
            **_described(contents, row),
            "seed": run["seed"],
            "fold": None if pd.isna(run["fold"]) else int(run["fold"]),
            "measure": run["measure"],
            "score": round(run["value"], DIGITS),
            "low": _rounded(run["low"]),
            "high": _rounded(run["high"]),
            "seconds": _seconds(workspace, contents, row, str(run["run"])),
            "pretraining_seconds": _pretraining(contents, row),
            **_about(workspace, contents, row),
        }
        for run in primary(contents.results[of], TEST).to_dict("records")
    ]


def _pair(workspace: Workspace, contents: Contents, row: Row, pair: Comparison) -> dict[str, Any]:
    """Describe a comparison of a row: with its start, or of SWCL with it."""
    of_name, against = (_described(contents, row, name) for name in (pair.name, pair.against))
    gap = pair.gap
    return {
        **of_name,
        "kind": {START: "start", OVER_IT: "swcl"}[pair.kind],
        "against": against["initialisation"],
        "against_start": against["start"],
        "against_weights": against["weights"],
        "difference": round(gap.value, DIGITS),
        "low": _rounded(gap.low),
        "high": _rounded(gap.high),
        "verdict": gap.verdict,
        "runs": pair.runs[0],
        "runs_against": pair.runs[1],
        "drawn": drawn(gap),
        "photographs": row.tested,
        **_about(workspace, contents, row),
    }


def _described(contents: Contents, row: Row, name: str = "") -> dict[str, Any]:
    """Describe the weights of a row, or of another one of its task and protocol, and how they were fine-tuned."""
    name = name or row.name
    artefact = contents.finetuned[row.task, name]
    began = initialisation(contents, row.task, name)
    start = ""
    if began.encoder:
        first = began.encoder.inputs.get("init")
        start = UNTRAINED if first is None else "other" if FINGERPRINT.fullmatch(first) else IMAGENET
    photographs = ",".join(mark for of, mark in sorted(artefact.inputs.items()) if of != "init")
    return {
        "task": row.task,
        "protocol": row.protocol.trains,
        "fraction": row.protocol.fraction,
        "initialisation": began.method or name,
        "start": start,
        "architecture": artefact.settings.get("architecture", ""),
        "views": began.encoder.settings.get("views") if began.encoder else None,
        "data": _short(photographs),
        "weights": _short(artefact.inputs.get("init", UNTRAINED)),
        "recipe": _short(recipe(artefact.provenance)),
    }


def _about(workspace: Workspace, contents: Contents, row: Row) -> dict[str, Any]:
    """Tell when a row was finished, and by which version; and whether its weights know labels that are tested."""
    artefact = contents.finetuned[row.task, row.name]
    finished = datetime.fromtimestamp((workspace.root / artefact.path).stat().st_mtime, UTC)
    version = artefact.provenance["versions"].get("swcl", __version__)
    return {"taught": int(row.taught), "date": f"{finished:%Y-%m-%dT%H:%M:%SZ}", "version": version}


def _seconds(workspace: Workspace, contents: Contents, row: Row, run: str) -> float | None:
    """Return what the training of a run took, by its log; None where it kept none."""
    batch = recipe(contents.finetuned[row.task, row.name].provenance).get("batch", 1)  # a probe has none
    return round(spent(workspace.finetuning(row.task, row.name, run).folder, int(batch)), 1) or None


def _pretraining(contents: Contents, row: Row) -> float | None:
    """Return what the pretraining of a row's encoder took, by its log; None where there is none."""
    encoder = initialisation(contents, row.task, row.name).encoder
    log = contents.logs.get(RunName(PRETRAIN, name=Path(encoder.path).stem)) if encoder else None
    if encoder is None or log is None or "views_a_second" not in log:
        return None
    known = {name: encoder.settings[name] for name in ("method", "variant") if encoder.settings.get(name)}
    batches = {name: value for name, value in encoder.settings.items() if name.startswith("batch_")}
    a_step = views_a_step(PretrainSettings.model_construct(**known, **batches))
    return round(float((a_step / log["views_a_second"].dropna()).sum()), 1)


def _rounded(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), DIGITS)


def _short(value: object) -> str:
    """Return a short hash, by which rows that were made alike are found."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
