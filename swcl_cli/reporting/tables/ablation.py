"""Make Table III: what the weak labels and the threshold contribute (paper IV-D)."""

from __future__ import annotations

from swcl_cli.catalogue.paper import TABLE_THREE
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.configurations import Configuration, Family, families
from swcl_cli.reporting.findings.initialisations import initialisation
from swcl_cli.reporting.findings.names import SWCL, title
from swcl_cli.reporting.findings.published import Asked, listed, withheld
from swcl_cli.reporting.findings.recipes import differing, in_words, recipe
from swcl_cli.reporting.findings.scores import Score, scores
from swcl_cli.reporting.findings.splits import VALIDATION
from swcl_cli.reporting.tables.table import Cell, Table, Value, finite, share

TASK = "refuge-cls"  # the paper's
PRESET = "ablation"
VARIED = ("labels", "threshold")
BATCHES = (
    "A batch holds pairs of one patient and position, so other positions of a patient are almost never in it: "
    "removing a label changes less than its name suggests."
)


def ablation_table(contents: Contents) -> Table | None:
    """Compare SWCL encoders that differ in weak labels or threshold and were fine-tuned on one task."""
    scored = {(score.task, score.name): score for score in scores(contents.results, VALIDATION)}
    rows, records, notes = [], [], [BATCHES]
    for family in families(contents):
        members = sorted(family.members.items(), key=lambda member: (member[1].place, member[0]))
        shown = [(row, scored[family.task, name]) for name, row in members if (family.task, name) in scored]
        papers = {score.name: _paper(contents, family, score.name) for _, score in shown}
        rows += [_row(row, score, papers[score.name]) for row, score in shown]
        records += [_record(row, score, papers[score.name]) for row, score in shown]
        notes += _notes(contents, family, papers)
    if not rows:
        return None
    header = (
        *("configuration", "initialisation", "task", "measure", "mean", "standard_deviation", "runs"),
        *("removed", "threshold", "paper_mean"),
    )
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


def _row(configuration: Configuration, score: Score, paper: float | None) -> tuple[Cell, ...]:
    measured = f"{title(score.task)} ({title(score.measure)})"
    beside = "" if paper is None else f"{paper:.2f}"
    shown = Cell(score.text().removesuffix(", validation"), score.mean, published=beside)
    return Cell(str(configuration)), Cell(score.name), Cell(measured, score.task), shown


def _record(configuration: Configuration, score: Score, paper: float | None) -> tuple[Value, ...]:
    measured = (score.task, score.measure, score.mean, finite(score.spread), score.runs)
    removed = " ".join(configuration.removed)
    return str(configuration), score.name, *measured, removed, configuration.threshold, share(paper)


def _paper(contents: Contents, family: Family, name: str) -> float | None:
    """Return the paper's AUC, where the row was made with the preset."""
    configuration = family.members[name]
    score = TABLE_THREE.get((configuration.method, configuration.removed, configuration.threshold))
    if family.task != TASK or score is None or _unlike(contents, family, name):
        return None
    return score


def _unlike(contents: Contents, family: Family, name: str) -> tuple[str, ...]:
    """List the settings in which a row differs from the preset."""
    row = family.members[name]
    varied = {"labels": list(row.labels), "threshold": row.threshold} if row.method == SWCL else {}
    asked: Asked = {"finetune": {"eval": "val"}, "pretrain": varied}
    return withheld(contents, family.task, name, PRESET, asked)


def _notes(contents: Contents, family: Family, papers: dict[str, float | None]) -> list[str]:
    notes = []
    encoders = [initialisation(contents, family.task, name).encoder for name in family.members]
    recipes = [recipe(encoder.provenance) for encoder in encoders if encoder]
    unlike = [in_words(setting) for setting in differing(recipes) if setting not in VARIED]
    if unlike:
        notes.append(
            f"The encoders compared on {title(family.task)} differ in more than labels and threshold: "
            f"{', '.join(unlike)}."
        )
    if any(papers.values()):
        notes.append("Marked paper, in grey: the paper's own AUC on these photographs (its Table III).")
    elif family.task == TASK:
        reasons = sorted({reason for name in papers for reason in _unlike(contents, family, name)})
        unlike_preset = f"not made as the preset {PRESET} says, in the settings of {listed(reasons)}"
        reason = "these are phantom eyes" if contents.phantom else unlike_preset
        notes.append(f"The paper's own numbers are left out: {reason}.")
    return notes
