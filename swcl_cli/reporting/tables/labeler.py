"""Make tables of the labeler: how well it tells abnormal from normal photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.resampling import share_measure
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.reading import MEASURED
from swcl_cli.reporting.findings.labeler import labeler_validation
from swcl_cli.reporting.findings.percentages import percent, with_interval
from swcl_cli.reporting.findings.published import is_as_in_paper
from swcl_cli.reporting.tables.table import Cell, Table, count


def labeler_table(contents: Contents) -> Table | None:
    """Show the AUC on the validation photographs with its interval, beside the paper's."""
    if contents.labeler is None:
        return None
    measured, about = contents.labeler_validation, contents.labeler.provenance.get("labeler", {})
    if "auc" not in measured:
        return None
    auc, low, high, best, epoch = (float(measured[key]) for key in MEASURED)
    row = (
        Cell(str(about.get("architecture", ""))),
        Cell(f"{about.get('image_size', '')} px", about.get("image_size")),
        Cell(with_interval(auc, low, high), auc),
        Cell(f"{percent(best)} (epoch {epoch + 1:.0f})", best),
        Cell(f"the {contents.labeler.settings.get('keep', 'last')} epoch's"),
    )
    return Table(
        name="labeler",
        title="Normal or abnormal",
        sentence="How well the labeler tells abnormal from normal photographs that it was not trained on: AUC in "
        "percent, with the 95 % interval over patients.",
        columns=("architecture", "photographs", "AUC after the last epoch", "best AUC of all epochs", "weights kept"),
        rows=(row,),
        notes=(" ".join(["50 is chance.", *_labels(contents, contents.labeler)]),),
    )


def _labels(contents: Contents, labeler: Artefact) -> list[str]:
    """Say which labels it learnt, where these are not the paper's; else what the paper has, if it is made as that."""
    labelled = list(labeler.settings.get("labelled", ["odir"]))
    if labelled == ["odir"]:
        beside = is_as_in_paper(contents, labeler)
        return ["The paper reports 72 on the off-site part of OIA-ODIR."] if beside else []
    normal = ", ".join(labeler.settings.get("normal", ()))
    return [f"Labels: {', '.join(labelled)}{f'; normal: {normal}' if normal else ''}."]


def labeler_outcomes_table(contents: Contents) -> Table | None:
    """Show the confusion table at 0.5, with sensitivity and specificity and their intervals."""
    validation = labeler_validation(contents)
    if validation is None:
        return None
    truth, outcomes = validation.run.truth, validation.run.outcomes()
    error = validation.run.reliability().expected_calibration_error
    right = truth == (validation.run.score > 0.5)

    def row(words: str, kind: str, abnormal: str, normal: str, among: NDArray[np.bool_]) -> tuple[Cell, ...]:
        ends = validation.interval(share_measure(right, among))
        share = outcomes[kind]
        cells = count(int(outcomes[abnormal])), count(int(outcomes[normal]))
        return Cell(words), *cells, Cell(f"{kind} {with_interval(share, *ends)}", share)

    return Table(
        name="labeler-outcomes",
        title="Right and wrong of the labeler",
        sentence="What the kept labeler calls the validation photographs, at a probability of 0.5, and the percentage "
        "of each kind that it calls rightly, with the 95 % interval over patients.",
        columns=("photographs that are", "called abnormal", "called normal", "rightly"),
        rows=(
            row("abnormal", "sensitivity", "true_positives", "false_negatives", truth),
            row("normal", "specificity", "false_positives", "true_negatives", ~truth),
        ),
        notes=(
            f"Expected calibration error: {percent(error)} percentage points, the mean distance between the "
            "probability of abnormal and the share that is abnormal.",
        ),
    )
