"""The few numbers that stand at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import title
from swcl_cli.reporting.results import scores
from swcl_cli.reporting.tables import percent


@dataclass(frozen=True)
class Fact:
    value: str
    words: str


def facts(contents: Contents) -> list[Fact]:
    """How many photographs, how good the labeler is, how many patches, and the best of each task."""
    found = []
    photographs = sum(len(dataset.images) for dataset in contents.datasets.values())
    if photographs:
        found.append(Fact(f"{photographs:,}", f"photographs in {len(contents.datasets)} data sets"))
    measured = contents.labeler.provenance.get("validation", {}) if contents.labeler else {}
    if "auc" in measured:
        found.append(Fact(percent(measured["auc"]), "labeler's AUC on validation, percent"))
    if contents.patches is not None and len(contents.patches):
        share = percent(float(contents.patches["abnormal"].mean()), 0)
        found.append(Fact(f"{len(contents.patches):,}", f"patches, {share} % of them abnormal"))
    tested = [score for score in scores(contents.results) if score.split == "test"]
    for task in names.in_paper_order([score.task for score in tested], names.TASKS):
        best = max((score for score in tested if score.task == task), key=lambda score: score.mean)
        words = f"{title(task)}, {title(best.measure)} of {best.name}"
        rivals = sum(score.task == task for score in tested)
        found.append(Fact(percent(best.mean), f"{words}, percent{f': best of {rivals}' if rivals > 1 else ''}"))
    return found
