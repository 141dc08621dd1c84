"""What the report says of the labeler: how well it tells abnormal from normal photographs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import auc, binary_outcomes, bootstrap_interval, reliability
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.probabilities import Run, Scored, reliability_chart, roc_chart
from swcl_cli.reporting.figures.style import Picture
from swcl_cli.reporting.findings.questions import QUESTIONS
from swcl_cli.reporting.tables.table import Cell, Table, count, percent, with_interval

QUESTION = QUESTIONS["abnormal"]


@dataclass(frozen=True)
class Judged:
    """The validation photographs, whose each is, (N,), and the key of the bootstrap over patients."""

    run: Run
    patient: NDArray[np.str_]
    seed: int


def labeler_table(contents: Contents) -> Table | None:
    """AUC on the validation photographs with its interval, beside the paper's."""
    if contents.labeler is None:
        return None
    measured, about = contents.labeler.provenance.get("validation", {}), contents.labeler.provenance.get("labeler", {})
    if "auc" not in measured:
        return None
    auc, low, high, best, epoch = (
        float(measured[key]) for key in ("auc", "auc_low", "auc_high", "best_auc", "best_epoch")
    )
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
        notes=("50 is chance. The paper reports 72 on the off-site part of OIA-ODIR.",),
    )


def labeler_outcomes_table(contents: Contents) -> Table | None:
    """The confusion table at 0.5, with sensitivity and specificity and their intervals."""
    judged = _judged(contents)
    if judged is None:
        return None
    truth, score = judged.run.truth, judged.run.score
    found = binary_outcomes(truth, score)
    error = reliability(truth, score).expected_calibration_error
    right = truth == (score > 0.5)

    def row(words: str, kind: str, abnormal: str, normal: str, among: NDArray[np.bool_]) -> tuple[Cell, ...]:
        of_kind = right[among]
        ends = bootstrap_interval(lambda rows: float(of_kind[rows].mean()), judged.patient[among], judged.seed)
        share = found[kind]
        cells = count(int(found[abnormal])), count(int(found[normal]))
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


def labeler_charts(contents: Contents) -> list[Picture]:
    """ROC curve and reliability diagram on the validation photographs."""
    judged = _judged(contents)
    if judged is None:
        return []
    run = judged.run
    low, high = bootstrap_interval(lambda rows: auc(run.truth[rows], run.score[rows]), judged.patient, judged.seed)
    scored = [Scored("labeler", (run,), with_interval(auc(run.truth, run.score), low, high))]
    photographs = f"{len(run.truth):,} validation photographs, {int(run.truth.sum()):,} of them abnormal"
    return [
        roc_chart(
            "labeler-roc", "ROC curve of the labeler",
            f"The kept labeler on {photographs}; its AUC with the 95 % interval over patients.", scored, QUESTION,
        ),
        reliability_chart(
            "labeler-reliability", "Reliability of the labeler",
            f"Whether the labeler's probabilities can be taken at their word: {photographs}.", scored, QUESTION,
        ),
    ]  # fmt: skip


def _judged(contents: Contents) -> Judged | None:
    table = contents.labeler_scores
    if table is None or contents.labeler is None or table["truth"].nunique() < 2:
        return None
    patient = (table["dataset"] + "/" + table["patient_id"]).to_numpy(dtype=str)
    run = Run(table["truth"].to_numpy(dtype=bool), table["score"].to_numpy(dtype=np.float64))
    return Judged(run, patient, int(contents.labeler.settings.get("seed", 0)))
