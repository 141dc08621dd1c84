"""Table III: what the weak labels and the threshold contribute (paper IV-D)."""

from __future__ import annotations

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.configurations import SWCL, Configuration, Family, families
from swcl_cli.reporting.findings.initialisations import initialisation
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.published import TABLE_THREE, Asked, listed, withheld
from swcl_cli.reporting.findings.recipes import differing, recipe
from swcl_cli.reporting.tables.results import Score, scores
from swcl_cli.reporting.tables.table import Cell, Table, Value

TASK = "refuge-cls"  # the paper's
PRESET = "ablation"
VARIED = ("labels", "threshold")
BATCHES = (
    "A batch holds pairs of one patient and position, so other positions of a patient are almost never in it: "
    "removing a label changes less than its name suggests."
)


def ablation_table(contents: Contents) -> Table | None:
    """Where several SWCL encoders that differ in weak labels or threshold were fine-tuned on one task."""
    found = {(score.task, score.name): score for score in scores(contents.results, "val")}
    rows, records, notes = [], [], [BATCHES]
    for family in families(contents):
        members = sorted(family.members.items(), key=lambda member: (member[1].place, member[0]))
        shown = [(name, one, found[family.task, name]) for name, one in members if (family.task, name) in found]
        papers = {name: _paper(contents, family, name) for name, _, _ in shown}
        rows += [_row(name, one, score, papers[name]) for name, one, score in shown]
        records += [_record(name, one, score, papers[name]) for name, one, score in shown]
        notes += _notes(contents, family, papers)
    if not rows:
        return None
    header = (
        "configuration", "initialisation", "task", "measure", "mean", "standard_deviation", "runs", "removed",
        "threshold", "paper_mean",
    )  # fmt: skip
    return Table(
        name="ablation",
        title="Thresholds and weak labels",
        sentence="What each weak label and the threshold t contribute: the task's own measure on its validation "
        "photographs, in percent, after pretraining with fewer labels or another threshold.",
        columns=("configuration", "initialisation", "task", "mean ± deviation"),
        rows=tuple(rows),
        notes=tuple(dict.fromkeys(notes)),
        records=(header, *records),
    )


def _row(name: str, one: Configuration, score: Score, paper: float | None) -> tuple[Cell, ...]:
    measured = f"{title(score.task)} ({title(score.measure)})"
    beside = "" if paper is None else f"{paper:.2f}"
    shown = Cell(score.text().removesuffix(", validation"), score.mean, published=beside)
    return Cell(str(one)), Cell(name), Cell(measured, score.task), shown


def _record(name: str, one: Configuration, score: Score, paper: float | None) -> tuple[Value, ...]:
    spread = score.spread if score.runs > 1 else None
    share = None if paper is None else round(paper / 100, 4)
    about = (" ".join(one.removed), one.threshold)
    return str(one), name, score.task, score.measure, score.mean, spread, score.runs, *about, share


def _paper(contents: Contents, family: Family, name: str) -> float | None:
    """The paper's AUC, where the row was made with the preset."""
    configuration = family.members[name]
    score = TABLE_THREE.get((configuration.method, configuration.removed, configuration.threshold))
    if family.task != TASK or score is None or _unlike(contents, family, name):
        return None
    return score


def _unlike(contents: Contents, family: Family, name: str) -> tuple[str, ...]:
    one = family.members[name]
    varied = {"labels": list(one.labels), "threshold": one.threshold} if one.method == SWCL else {}
    asked: Asked = {"finetune": {"eval": "val"}, "pretrain": varied}
    return withheld(contents, family.task, name, PRESET, asked)


def _notes(contents: Contents, family: Family, papers: dict[str, float | None]) -> list[str]:
    notes = []
    encoders = [
        found.encoder
        for name in family.members
        if (found := initialisation(contents, family.task, name)).encoder is not None
    ]
    unlike = [field for field in differing([recipe(one.provenance) for one in encoders if one]) if field not in VARIED]
    if unlike:
        told = ", ".join(field.replace("_", " ") for field in unlike)
        notes.append(f"The encoders compared on {title(family.task)} differ in more than labels and threshold: {told}.")
    if any(papers.values()):
        notes.append("Marked paper, in grey: the paper's own AUC on these photographs (its Table III).")
    elif family.task == TASK:
        reasons = sorted({reason for name in papers for reason in _unlike(contents, family, name)})
        told = f"not made as the preset {PRESET} says, in the settings of {listed(reasons)}"
        notes.append(f"The paper's own numbers are left out: {'these are phantom eyes' if contents.phantom else told}.")
    return notes
