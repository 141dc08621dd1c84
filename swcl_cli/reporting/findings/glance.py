"""Choose the few numbers at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import ordered_tasks, title
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.reporting.findings.splits import TEST


@dataclass(frozen=True)
class Fact:
    value: str
    words: str


def facts(contents: Contents) -> list[Fact]:
    """Tell how many photographs and patches there are, how good the labeler is, and the best average of each task."""
    facts = []
    photographs = sum(len(dataset.images) for dataset in contents.datasets.values())
    if photographs:
        facts.append(Fact(f"{photographs:,}", f"photographs in {len(contents.datasets)} data sets"))
    measured = contents.labeler_validation
    if "auc" in measured:
        interval = f"[{percent(measured['auc_low'])}, {percent(measured['auc_high'])}]"
        facts.append(Fact(percent(measured["auc"]), f"percent AUC of the labeler {interval}"))
    if contents.patches is not None and len(contents.patches):
        share = percent(float(contents.patches["abnormal"].mean()), 0)
        facts.append(Fact(f"{len(contents.patches):,}", f"patches, {share} % of them abnormal"))
    tested = [score for score in scores(contents.results) if score.split == TEST]
    for task in ordered_tasks(score.task for score in tested):
        best = max((score for score in tested if score.task == task), key=lambda score: score.merit)
        unit = "percent " if quality_of(best.measure).is_share else ""
        words = f"{unit}{title(best.measure)} on {title(task)}: {best.name}, n = {best.runs}"
        facts.append(Fact(best.shown, words))
    return facts
