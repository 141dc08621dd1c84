"""The few numbers that stand at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.tables.results import scores
from swcl_cli.reporting.tables.table import percent


@dataclass(frozen=True)
class Fact:
    value: str
    words: str


def facts(contents: Contents) -> list[Fact]:
    """How many photographs, how good the labeler is, how many patches, and the best average of each task."""
    found = []
    photographs = sum(len(dataset.images) for dataset in contents.datasets.values())
    if photographs:
        found.append(Fact(f"{photographs:,}", f"photographs in {len(contents.datasets)} data sets"))
    measured = contents.labeler.provenance.get("validation", {}) if contents.labeler else {}
    if "auc" in measured:
        interval = f"[{percent(measured['auc_low'])}, {percent(measured['auc_high'])}]"
        found.append(Fact(percent(measured["auc"]), f"percent AUC of the labeler {interval}"))
    if contents.patches is not None and len(contents.patches):
        share = percent(float(contents.patches["abnormal"].mean()), 0)
        found.append(Fact(f"{len(contents.patches):,}", f"patches, {share} % of them abnormal"))
    tested = [score for score in scores(contents.results) if score.split == "test"]
    for task in names.in_paper_order([score.task for score in tested], names.TASKS):
        best = max((score for score in tested if score.task == task), key=lambda score: score.mean)
        found.append(
            Fact(percent(best.mean), f"percent {title(best.measure)} on {title(task)}: {best.name}, n = {best.runs}")
        )
    return found
