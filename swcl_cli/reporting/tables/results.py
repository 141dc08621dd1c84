"""Make Table II (initialisations x tasks), and its single runs."""

from __future__ import annotations

from collections.abc import Collection

from swcl_cli.catalogue import paper
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.configurations import families
from swcl_cli.reporting.findings.initialisations import Initialisation, initialisation
from swcl_cli.reporting.findings.measures import meanings
from swcl_cli.reporting.findings.names import ordered_initialisations, ordered_tasks, title
from swcl_cli.reporting.findings.noise import noise_floor
from swcl_cli.reporting.findings.percentages import besides_percent, with_interval
from swcl_cli.reporting.findings.published import PHANTOM, listed, paper_score, withheld
from swcl_cli.reporting.findings.rates import rates_notes
from swcl_cli.reporting.findings.scores import Score, primary
from swcl_cli.reporting.findings.splits import SPLIT_WORDS, TEST
from swcl_cli.reporting.findings.standings import Standing, measured, sentence, standing
from swcl_cli.reporting.tables.table import Cell, Table, Value, finite, share

BESIDE = (
    "Marked paper, in grey: the paper's own means of five runs (its Table II), beside the rows that were made with its "
    "settings."
)
Key = tuple[str, str]  # task and name


def results_table(contents: Contents) -> Table | None:
    """Make Table II. Marks compare what was measured on test, as it is shown: to a tenth of a percent.

    Rows of Table III that were scored on validation alone stand there, where the task has others that were tested.
    """
    averages = {(score.task, score.name): score for score in measured(contents)}
    tested = {score.task for score in averages.values() if score.split == TEST}
    apart = {(family.task, name) for family in families(contents) for name in family.members if family.task in tested}
    shown = {key: score for key, score in averages.items() if score.split == TEST or key not in apart}
    if not shown:
        return None
    began = {key: initialisation(contents, *key) for key in shown}
    papers, notes = _papers(contents, shown, began)
    tasks = ordered_tasks(task for task, _ in shown)
    order = ordered_initialisations(name for _, name in shown)
    measures = {score.task: score.measure for score in shown.values()}
    best = {task: _standing(contents, shown, task) for task in tasks}
    at_home = {key for key, start in began.items() if start.in_domain}
    best_at_home = {task: _standing(contents, shown, task, at_home) for task in tasks}
    marked = [
        {(task, each.best.name) for task, each in of.items() if each and each.is_clear} for of in (best, best_at_home)
    ]
    rows = []
    for name in order:
        titles = [paper.TITLES.get(began[key].method or "", "") for key in papers if key[1] == name]
        first = Cell(name, published=next((called for called in titles if called.lower() != name.lower()), ""))
        rows.append((first, *(_cell(shown, papers, (task, name), *marked) for task in tasks)))
    header = (
        *("initialisation", "task", "measure", "split", "mean", "standard_deviation", "runs", "low", "high"),
        *("pretrained_on", "paper_mean"),
    )
    ordered = [(task, name) for name in order for task in tasks if (task, name) in shown]
    return Table(
        name="results",
        title="Initialisations and tasks",
        sentence="How well each initialisation does on each task after fine-tuning: mean and standard deviation over n "
        f"runs on the test photographs, in percent{besides_percent(measures.values())}, with the 95 % interval over "
        "patients. A run of a cross-validation is the mean of its folds. Bold is what the paired comparison tells "
        "apart from every other row of its column; underlined, from every other one pretrained on retinal photographs "
        "only.",
        columns=("initialisation", *(f"{title(task)} ({title(measures[task])})" for task in tasks)),
        rows=tuple(rows),
        conclusions=tuple(filter(None, (sentence(each) for each in best.values() if each))),
        notes=(
            *meanings(measures[task] for task in tasks),
            *filter(None, [noise_floor(contents)]),
            *notes,
            *rates_notes({name: start.encoder for (_, name), start in began.items()}),
        ),
        records=(header, *((*_record(shown[key]), began[key].domain, share(papers.get(key))) for key in ordered)),
    )


def _papers(
    contents: Contents, shown: dict[Key, Score], began: dict[Key, Initialisation]
) -> tuple[dict[Key, float], list[str]]:
    """Collect the paper's numbers, in percent, of rows that were made as it says, and notes on them."""
    papers: dict[Key, float] = {}
    left_out: dict[str, list[str]] = {}
    for task in ordered_tasks(task for task, _ in shown):
        reasons: set[str] = set()
        for name in (name for of, name in shown if of == task):
            number = paper_score(began[task, name].method, task)
            if number is None or shown[task, name].split != TEST:
                continue
            why = withheld(contents, task, name)
            reasons |= set(why)
            if not why:
                papers[task, name] = number
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
    about = (score.name, score.task, score.measure, score.split)
    return *about, score.mean, finite(score.spread), score.runs, finite(score.low), finite(score.high)


def _standing(
    contents: Contents, shown: dict[Key, Score], task: str, among: Collection[Key] | None = None
) -> Standing | None:
    """Compare what was tested on a task, or those of it that are among some; None for none."""
    rivals = [score for key, score in shown.items() if key[0] == task and (among is None or key in among)]
    tested = [score for score in rivals if score.split == TEST]
    return standing(contents, tested) if tested else None


def _cell(
    shown: dict[Key, Score], papers: dict[Key, float], key: Key, best: Collection[Key], best_at_home: Collection[Key]
) -> Cell:
    """Write the score of a task and name, marked where it is told apart from all others."""
    score = shown.get(key)
    if score is None:
        return Cell()
    published = f"{papers[key]:.2f}" if key in papers else ""
    return Cell(score.text(), score.mean, key in best, key in best_at_home, published)


def runs_table(contents: Contents) -> Table | None:
    """List every run behind Table II."""
    rows = []
    for split, word in SPLIT_WORDS.items():
        for row in primary(contents.results, split).sort_values(["task", "name", "run"]).to_dict("records"):
            about = Cell(title(row["task"]), row["task"]), Cell(str(row["name"])), Cell(str(row["run"])), Cell(word)
            value = Cell(with_interval(row["value"], row["low"], row["high"], str(row["measure"])), row["value"])
            rows.append((*about, Cell(title(row["measure"]), row["measure"]), value))
    if not rows:
        return None
    return Table(
        name="runs",
        title="Every run",
        sentence="The single runs behind the averages: the task's own measure in percent"
        f"{besides_percent(primary(contents.results, TEST)['measure'])}, with its 95 % interval over patients.",
        columns=("task", "initialisation", "run", "photographs", "measure", "value"),
        rows=tuple(rows),
    )
