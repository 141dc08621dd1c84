"""Choose the few numbers at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted, noun
from swcl_cli.reporting.findings.differences import PATIENTS_ALONE
from swcl_cli.reporting.findings.names import ordered_tasks, title
from swcl_cli.reporting.findings.paired import NOT_TOLD_APART
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.reporting.findings.standings import Standing, listed, measured, standing


@dataclass(frozen=True)
class Fact:
    """Hold a number, or a verdict in its place, and what it is of."""

    value: str
    words: str

    @property
    def is_number(self) -> bool:
        return self.value[:1].isdigit() or self.value[:1] == "-"


def facts(contents: Contents) -> list[Fact]:
    """Tell how many photographs and patches there are, how good the labeler is, and the standing on each task."""
    facts = []
    photographs = sum(len(dataset.images) for dataset in contents.datasets.values())
    if photographs:
        facts.append(
            Fact(
                f"{photographs:,}",
                f"{noun(photographs, 'photographs')} in {counted(len(contents.datasets), 'data sets')}",
            )
        )
    validated = contents.labeler_validation
    if "auc" in validated:
        interval = f"[{percent(validated['auc_low'])}, {percent(validated['auc_high'])}]"
        facts.append(Fact(percent(validated["auc"]), f"percent AUC of the labeler {interval}"))
    if contents.patches is not None and len(contents.patches):
        share = percent(float(contents.patches["abnormal"].mean()), 0)
        patches = len(contents.patches)
        facts.append(Fact(f"{patches:,}", f"{noun(patches, 'patches')}, {share} % of them abnormal"))
    tested = [score for score in measured(contents) if score.split == TEST]
    for task in ordered_tasks(score.task for score in tested):
        facts.append(_fact(standing(contents, [score for score in tested if score.task == task])))
    return facts


def _fact(standing: Standing) -> Fact:
    """Show the best average where it is alone, or told apart from all others; else that it is not."""
    best = standing.best
    unit = "percent " if quality_of(best.measure).is_share else ""
    about = f"{title(best.measure)} on {title(best.task)}: "
    if standing.is_alone:
        return Fact(best.shown, f"{unit}{about}{best.name}, n = {best.runs}")
    if standing.is_clear:
        others = counted(len(standing.below), "others")
        alone = "" if standing.seeds else f", over {PATIENTS_ALONE}"
        return Fact(best.shown, f"{unit}{about}{best.name}, n = {best.runs}, told apart from {others}{alone}")
    return Fact(NOT_TOLD_APART, f"{about}{listed((best, *standing.level))}{', percent' if unit else ''}")
