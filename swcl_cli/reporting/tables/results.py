"""Table II (initialisations x tasks), and its single runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.configurations import families
from swcl_cli.reporting.findings.initialisations import Initialisation, initialisation
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.published import METHODS, PHANTOM, listed, paper_score, withheld
from swcl_cli.reporting.tables.table import Cell, Table, Value, percent, with_interval

SPLIT_WORDS = {"test": "test", "val": "validation"}
NOISE_FLOOR = (
    "The noise floor: at the size of the public test sets, REFUGE's AUC is good to about ±4.3 points (40 positives), "
    "IDRiD's joint accuracy to ±9.7 points (103 photographs). Smaller gaps between two rows say nothing by themselves; "
    "paired differences are finer."
)
BESIDE = (
    "Marked paper, in grey: the paper's own means of five runs (its Table II), beside the rows that were made with its "
    "settings."
)
Key = tuple[str, str]  # task and name


@dataclass(frozen=True)
class Score:
    """The primary measure of one initialisation on one task, as shares. `spread` is the standard deviation (n - 1)."""

    task: str
    name: str
    split: str
    measure: str
    mean: float
    spread: float
    runs: int
    low: float
    high: float

    def text(self) -> str:
        """In percent: mean ± deviation over the runs, or the single run with its interval over patients."""
        shown = (
            f"{percent(self.mean)} ± {percent(self.spread)}"
            if self.runs > 1
            else with_interval(self.mean, self.low, self.high)
        )
        return f"{shown} (n = {self.runs})" + ("" if self.split == "test" else ", validation")


def primary(results: pd.DataFrame, split: str) -> pd.DataFrame:
    """One row a run with a number for the task's own measure on `split`."""
    kept: pd.DataFrame = results[
        results["primary"].astype(bool) & (results["split"] == split) & results["value"].notna()
    ]
    return kept


def scores(results: pd.DataFrame, split: str = "test") -> list[Score]:
    """By task, then initialisation. Where nothing was measured on the test split, what was on the validation one."""
    found = []
    for (task, name), rows in results.groupby(["task", "name"], sort=True):
        runs, where = primary(rows, split), split
        if runs.empty:
            runs, where = primary(rows, "val"), "val"
        if runs.empty:
            continue
        values = runs["value"].to_numpy(dtype=np.float64)
        single = len(runs) == 1
        low, high = (float(runs[side].iloc[0]) if single else float("nan") for side in ("low", "high"))
        spread = float("nan") if single else float(values.std(ddof=1))
        measure = str(runs["measure"].iloc[0])
        found.append(Score(str(task), str(name), where, measure, float(values.mean()), spread, len(runs), low, high))
    return found


def results_table(contents: Contents) -> Table | None:
    """Table II. Marks compare what was measured on test, as it is shown: to a tenth of a percent.

    Rows of Table III that were scored on validation alone stand there, where the task has others that were tested.
    """
    found = {(score.task, score.name): score for score in scores(contents.results)}
    tested = {score.task for score in found.values() if score.split == "test"}
    apart = {(family.task, name) for family in families(contents) for name in family.members if family.task in tested}
    found = {key: score for key, score in found.items() if score.split == "test" or key not in apart}
    if not found:
        return None
    began = {key: initialisation(contents, *key) for key in found}
    papers, notes = _papers(contents, found, began)
    tasks = names.in_paper_order([task for task, _ in found], names.TASKS)
    order = names.in_paper_order([name for _, name in found], names.INITIALISATIONS)
    measures = {score.task: score.measure for score in found.values()}
    rows = []
    for name in order:
        called = [METHODS.get(began[key].method or "", "") for key in papers if key[1] == name]
        first = Cell(name, published=next((said for said in called if said.lower() != name.lower()), ""))
        rows.append((first, *(_score_cell(found, began, papers, (task, name)) for task in tasks)))
    header = (
        "initialisation", "task", "measure", "split", "mean", "standard_deviation", "runs", "low", "high",
        "pretrained_on", "paper_mean",
    )  # fmt: skip
    ordered = [(task, name) for name in order for task in tasks if (task, name) in found]
    return Table(
        name="results",
        title="Initialisations and tasks",
        sentence="How well each initialisation does on each task after fine-tuning: mean and standard deviation over n "
        "runs on the test photographs, in percent; for one run its 95 % interval over patients. Best in bold; best "
        "of those pretrained on retinal photographs only underlined.",
        columns=("initialisation", *(f"{title(task)} ({title(measures[task])})" for task in tasks)),
        rows=tuple(rows),
        notes=(NOISE_FLOOR, *notes),
        records=(header, *((*_record(found[key]), began[key].domain, _share(papers.get(key))) for key in ordered)),
    )


def _papers(
    contents: Contents, found: dict[Key, Score], began: dict[Key, Initialisation]
) -> tuple[dict[Key, float], list[str]]:
    """The paper's numbers, in percent, of rows that were made as it says; and what is to be said of them."""
    papers: dict[Key, float] = {}
    left_out: dict[str, list[str]] = {}
    for task in names.in_paper_order([task for task, _ in found], names.TASKS):
        reasons: set[str] = set()
        for name in (name for of, name in found if of == task):
            paper = paper_score(began[task, name].method, task)
            if paper is None or found[task, name].split != "test":
                continue
            why = withheld(contents, task, name)
            reasons |= set(why)
            if not why:
                papers[task, name] = paper
        if reasons:
            left_out.setdefault(PHANTOM if PHANTOM in reasons else listed(sorted(reasons)), []).append(title(task))
    notes = [BESIDE] if papers else []
    for reason, tasks in left_out.items():
        if reason == PHANTOM:
            notes.append("The paper's own numbers are left out: these are phantom eyes.")
        else:
            some = "some of " if any(title(task) in tasks for task, _ in papers) else ""
            notes.append(
                f"The paper's own numbers are left out beside {some}{', '.join(tasks)}: not made as the preset paper "
                f"says, in the settings of {reason}."
            )
    return papers, notes


def _record(score: Score) -> tuple[Value, ...]:
    return (
        score.name, score.task, score.measure, score.split, score.mean, _known(score.spread), score.runs,
        _known(score.low), _known(score.high),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _share(percentage: float | None) -> float | None:
    return None if percentage is None else round(percentage / 100, 4)


def _score_cell(found: dict[Key, Score], began: dict[Key, Initialisation], papers: dict[Key, float], key: Key) -> Cell:
    score = found.get(key)
    if score is None:
        return Cell()
    paper = f"{papers[key]:.2f}" if key in papers else ""
    rivals = {other: one for other, one in found.items() if other[0] == key[0] and one.split == "test"}
    if len(rivals) < 2 or score.split != "test":
        return Cell(score.text(), score.mean, published=paper)
    rounded = {other: round(100 * one.mean, 1) for other, one in rivals.items()}
    at_home = [value for other, value in rounded.items() if began[other].in_domain]
    best = rounded[key] == max(rounded.values())
    best_at_home = began[key].in_domain and rounded[key] == max(at_home)
    return Cell(score.text(), score.mean, best, best_at_home, paper)


def runs_table(contents: Contents) -> Table | None:
    """Every run behind Table II."""
    rows = []
    for split in ("test", "val"):
        for row in primary(contents.results, split).sort_values(["task", "name", "run"]).to_dict("records"):
            cells = [Cell(title(row["task"]), row["task"]), *(Cell(str(row[key])) for key in ("name", "run"))]
            shown = with_interval(row["value"], row["low"], row["high"])
            rows.append(
                (
                    *cells,
                    Cell(SPLIT_WORDS[split]),
                    Cell(title(row["measure"]), row["measure"]),
                    Cell(shown, row["value"]),
                )
            )
    if not rows:
        return None
    return Table(
        name="runs",
        title="Every run",
        sentence="The single runs behind the averages: the task's own measure in percent, with its 95 % interval over "
        "patients.",
        columns=("task", "initialisation", "run", "photographs", "measure", "value"),
        rows=tuple(rows),
    )
