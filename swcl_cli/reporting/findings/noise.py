"""Say how far scores move by the choice of the tested patients alone: the noise floor of the photographs here."""

from __future__ import annotations

import numpy as np

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.names import ordered_tasks, title
from swcl_cli.reporting.findings.percentages import OWN_UNIT, written
from swcl_cli.reporting.findings.scores import Score
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.reporting.findings.standings import measured

AUC = "auc"


def noise_floor(contents: Contents) -> str:
    """Say the median half width of the rows' intervals over patients, by task; empty where none is known."""
    tested = [score for score in measured(contents) if score.split == TEST and np.isfinite(score.low + score.high)]
    parts = []
    for task in ordered_tasks(score.task for score in tested):
        rows = [score for score in tested if score.task == task]
        measure = rows[0].measure
        width = written(float(np.median([(row.high - row.low) / 2 for row in rows])), measure)
        unit = {"percent": " points", "own": f" in {OWN_UNIT}", "plain": ""}[quality_of(measure).unit]
        parts.append(f"{title(measure)} on {title(task)} is good to about ±{width}{unit}{_of(contents, rows)}")
    if not parts:
        return ""
    return (
        f"The noise floor, by the patients tested here: {'; '.join(parts)}. Smaller gaps between two rows say nothing "
        "by themselves; paired differences are finer."
    )


def _of(contents: Contents, rows: list[Score]) -> str:
    """Count the photographs behind the scores, of an AUC also those with the condition."""
    task, measure = rows[0].task, rows[0].measure
    tables = (contents.classified, contents.segmented, contents.numbers)
    parts = [table[(table["task"] == task) & (table["split"] == TEST)] for table in tables]
    photographs = max(part["image_id"].nunique() for part in parts)
    if not photographs:
        return ""
    patients = max(part["patient_id"].nunique() for part in parts)
    said = [counted(photographs, "photographs"), *([] if patients == photographs else [counted(patients, "patients")])]
    if measure == AUC and len(parts[0]):
        found = parts[0].loc[parts[0]["truth"] > 0, "image_id"].nunique()
        said.append(counted(found, "positives"))
    return f" ({', '.join(said)})"
