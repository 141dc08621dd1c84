"""ROC curves and reliability of the classification tasks: any grade above 0 against grade 0, a picture a label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swcl_cli.evaluation.metrics import auc
from swcl_cli.reporting.evidence.contents import POSITIVE, Contents
from swcl_cli.reporting.figures.probabilities import Run, Scored, reliability_chart, roc_chart
from swcl_cli.reporting.figures.strokes import initialisations
from swcl_cli.reporting.figures.style import Picture
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.judged import average, caution_of, judged, kind_of
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.findings.questions import question_of
from swcl_cli.reporting.tables.table import with_interval


def task_curves(contents: Contents) -> list[Picture]:
    """Two pictures a task and label, over all runs: a ROC curve an initialisation, and how reliable each is."""
    table, order, pictures = judged(contents.classified), initialisations(contents), []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        heads = list(of_task["head"].unique())
        for head in heads:
            several = len(heads) > 1
            rows = of_task[of_task["head"] == head]
            scored = [
                _scored(contents.results, of_name, f"{head}_auc" if several else "auc") for of_name in _split(rows)
            ]
            place = f"{slug(task)}-{slug(head)}" if several else slug(task)
            pictures += _pictures(place, rows, scored, order)
    return pictures


def _pictures(place: str, rows: pd.DataFrame, scored: list[Scored], order: list[str]) -> list[Picture]:
    task, head = rows["task"].iloc[0], rows["head"].iloc[0]
    question = question_of(task, head)
    words = f"{title(task)}: {question.noun}"
    photographs = rows.drop_duplicates("image_id")
    cases = int((photographs["truth"] > 0).sum())
    counted = (
        f"On {len(photographs):,} {kind_of(rows)} photographs: {cases:,} {question.cases} and "
        f"{len(photographs) - cases:,} {question.others}.{caution_of(rows)}"
    )
    drawn = [one for one in scored if any(run.has_both for run in one.runs)]
    undrawn = [one.label for one in scored if one not in drawn]
    sentence = counted
    if undrawn:
        sentence += f" No ROC curve of {', '.join(undrawn)}: no run had both kinds to tell apart."
    reliable = reliability_chart(
        f"reliability-{place}", f"Reliability, {words}",
        f"Whether the probabilities can be taken at their word. {sentence}", scored, question, order,
    )  # fmt: skip
    if not drawn:
        return [reliable]
    runs = [Scored(one.label, tuple(run for run in one.runs if run.has_both), one.auc) for one in drawn]
    return [roc_chart(f"roc-{place}", f"ROC curves, {words}", sentence, runs, question, order), reliable]


def _split(rows: pd.DataFrame) -> list[pd.DataFrame]:
    found = names.in_paper_order(list(rows["name"]), names.INITIALISATIONS)
    return [rows[rows["name"] == name] for name in found]


def _scored(results: pd.DataFrame, rows: pd.DataFrame, measure: str) -> Scored:
    """One initialisation's runs. The AUC reads as in Table II: of several runs mean and deviation, of one its interval
    over patients, which is that of results.parquet.
    """
    runs = [
        Run(of_run["truth"].to_numpy() > 0, of_run[POSITIVE].to_numpy(dtype=np.float64))
        for _, of_run in rows.groupby("run", sort=True)
    ]
    values = [auc(run.truth, run.score) for run in runs if run.has_both]
    name = str(rows["name"].iloc[0])
    if len(values) != 1:
        return Scored(name, tuple(runs), average(values) if values else "")
    keys = {"task": rows["task"].iloc[0], "name": name, "split": rows["split"].iloc[0], "measure": measure}
    (place,) = (number for number, run in enumerate(runs) if run.has_both)
    keys["run"] = sorted(rows["run"].unique())[place]
    measured = results[(results[list(keys)] == pd.Series(keys)).all(axis=1)]
    low, high = (float(measured[end].iloc[0]) if len(measured) else float("nan") for end in ("low", "high"))
    return Scored(name, tuple(runs), f"{with_interval(values[0], low, high)} (n = 1)")
