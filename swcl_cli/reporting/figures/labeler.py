"""Draw figures of how well the labeler tells abnormal from normal photographs."""

from __future__ import annotations

from swcl_cli.catalogue.labels import ABNORMAL
from swcl_cli.evaluation.metrics import auc
from swcl_cli.evaluation.resampling import auc_measure
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.reliability import reliability_figure
from swcl_cli.reporting.figures.roc import roc_figure
from swcl_cli.reporting.figures.style import Figure
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.labeler import labeler_validation
from swcl_cli.reporting.findings.percentages import with_interval
from swcl_cli.reporting.findings.probabilities import Scored
from swcl_cli.reporting.findings.questions import question_of


def labeler_figures(contents: Contents) -> list[Figure]:
    """Make the ROC curve and the reliability diagram on the validation photographs."""
    validation = labeler_validation(contents)
    if validation is None:
        return []
    run, question = validation.run, question_of("", ABNORMAL)
    ends = validation.interval(auc_measure(run.truth, run.score))
    scored = [Scored("labeler", (run,), with_interval(auc(run.truth, run.score), *ends))]
    photographs = f"{counted(len(run.truth), 'validation photographs')}, {int(run.truth.sum()):,} of them abnormal"
    roc = f"The kept labeler on {photographs}; its AUC with the 95 % interval over patients."
    reliable = f"Whether the labeler's probabilities can be taken at their word: {photographs}."
    return [
        roc_figure("labeler-roc", "ROC curve of the labeler", roc, scored, question),
        reliability_figure("labeler-reliability", "Reliability of the labeler", reliable, scored, question),
    ]
