"""Table II (initialisations x tasks), its single runs, the differences behind it, and Table III (weak labels)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import title
from swcl_cli.reporting.tables import Cell, Table, Value, percent, with_interval

SPLIT_WORDS = {"test": "test", "val": "validation"}
NOISE_FLOOR = (
    "The noise floor: at the size of the public test sets, REFUGE's AUC is good to about ±4.3 points (40 positives), "
    "IDRiD's joint accuracy to ±9.7 points (103 photographs). Smaller differences say nothing."
)
WEAK_LABELS = ("position", "abnormality", "patient")
Configuration = tuple[tuple[str, ...], float | None]  # the weak labels, and the threshold
RANDOM: Configuration = ((), None)


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
    """Table II. Marks compare what was measured on test, as it is shown: to a tenth of a percent."""
    found = {(score.name, score.task): score for score in scores(contents.results)}
    if not found:
        return None
    tasks = names.in_paper_order([task for _, task in found], names.TASKS)
    initialisations = names.in_paper_order([name for name, _ in found], names.INITIALISATIONS)
    measures = {score.task: score.measure for score in found.values()}
    rows = []
    for name in initialisations:
        cells = [_score_cell(found.get((name, task)), [s for s in found.values() if s.task == task]) for task in tasks]
        rows.append((Cell(name), *cells))
    header = ("initialisation", "task", "measure", "split", "mean", "standard_deviation", "runs", "low", "high")
    ordered = [found[name, task] for name in initialisations for task in tasks if (name, task) in found]
    return Table(
        name="results",
        title="Initialisations and tasks",
        sentence="How well each initialisation does on each task after fine-tuning: mean and standard deviation over n "
        "runs on the test photographs, in percent; for one run its 95 % interval over patients. Best in bold; best "
        "of those pretrained on retinal photographs only underlined.",
        columns=("initialisation", *(f"{title(task)} ({title(measures[task])})" for task in tasks)),
        rows=tuple(rows),
        notes=(NOISE_FLOOR,),
        records=(header, *(_record(score) for score in ordered)),
    )


def _record(score: Score) -> tuple[Value, ...]:
    return (
        score.name, score.task, score.measure, score.split, score.mean, _known(score.spread), score.runs,
        _known(score.low), _known(score.high),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _score_cell(score: Score | None, of_task: list[Score]) -> Cell:
    if score is None:
        return Cell()
    rivals = [rival for rival in of_task if rival.split == "test"]
    if len(rivals) < 2 or score.split != "test":
        return Cell(score.text(), score.mean)
    at_home = [round(100 * rival.mean, 1) for rival in rivals if names.is_in_domain(rival.name)]
    value = round(100 * score.mean, 1)
    best = value == max(round(100 * rival.mean, 1) for rival in rivals)
    return Cell(score.text(), score.mean, best, names.is_in_domain(score.name) and value == max(at_home))


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


def ablation_table(contents: Contents) -> Table | None:
    """Table III: where SWCL encoders that differ in weak labels or threshold were fine-tuned on one task."""
    swcl = {a.fingerprint: a for a in contents.encoders.values() if a.settings.get("method") == "swcl"}
    configuration: dict[tuple[str, str], Configuration] = {}
    for (task, name), artefact in contents.finetuned.items():
        init = artefact.provenance.get("inputs", {}).get("init")
        if init in swcl:
            settings = swcl[init].settings
            labels = tuple(label for label in WEAK_LABELS if label in settings["labels"])
            configuration[task, name] = (labels, _threshold(contents, settings.get("threshold")))
        elif init is None:
            configuration[task, name] = RANDOM
    found = [score for score in scores(contents.results, "val") if (score.task, score.name) in configuration]
    trained: dict[str, set[Configuration]] = {}
    for score in found:
        if configuration[score.task, score.name] != RANDOM:
            trained.setdefault(score.task, set()).add(configuration[score.task, score.name])
    compared = [score for score in found if len(trained.get(score.task, ())) > 1]
    if not compared:
        return None
    rows = []
    for score in sorted(compared, key=lambda s: (s.task, _rank(configuration[s.task, s.name]), s.name)):
        about = (
            Cell(_words(configuration[score.task, score.name])),
            Cell(score.name),
            Cell(title(score.task), score.task),
        )
        rows.append((*about, Cell(score.text().removesuffix(", validation"), score.mean)))
    return Table(
        name="ablation",
        title="Thresholds and weak labels",
        sentence="What each weak label and the threshold t contribute: the task's own measure on its validation "
        "photographs, in percent, after pretraining with fewer labels or another threshold.",
        columns=("configuration", "initialisation", "task", "mean ± deviation"),
        rows=tuple(rows),
        notes=(
            "A batch holds pairs of one patient and position, so other positions of a patient are almost never in it: "
            "removing a label changes less than its name suggests.",
        ),
    )


def _threshold(contents: Contents, own: float | None) -> float | None:
    return own if own is not None or contents.swap is None else float(contents.swap.settings["threshold"])


def _rank(configuration: Configuration) -> tuple[int, float]:
    labels, threshold = configuration
    return (len(WEAK_LABELS) - len(labels) if labels else -1, threshold or 0.0)


def _words(configuration: Configuration) -> str:
    labels, threshold = configuration
    if not labels:
        return "random"
    removed = [label for label in WEAK_LABELS if label not in labels]
    at = "" if threshold is None else f"t = {threshold:g}"
    return (
        ", ".join(part for part in (at, f"without {' and '.join(removed)}" if removed else "") if part) or "all labels"
    )
