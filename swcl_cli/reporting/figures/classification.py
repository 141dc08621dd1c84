"""Draw ROC curves and reliability of the classification tasks: any grade above 0 against grade 0, for each label."""

from __future__ import annotations

import pandas as pd

from swcl_cli.evaluation.metrics import auc
from swcl_cli.reporting.evidence.columns import POSITIVE
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.reliability import reliability_figure
from swcl_cli.reporting.figures.roc import roc_figure
from swcl_cli.reporting.figures.strokes import initialisations
from swcl_cli.reporting.figures.style import Figure
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.grouping import by_head, by_initialisation, file_name
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import with_deviation, with_interval
from swcl_cli.reporting.findings.probabilities import Probabilities, Scored
from swcl_cli.reporting.findings.questions import own_question, question_of, units
from swcl_cli.reporting.findings.splits import caution_of, shown_rows, split_word


def classification_figures(contents: Contents) -> list[Figure]:
    """Make two figures for each task and label, over all runs: ROC curves, and reliability diagrams.

    Labels of several classes without an order have none: there is no question to be answered by yes or no.
    """
    order, figures = initialisations(contents), []
    for task, head, only, rows in by_head(shown_rows(contents.classified), contents.numbers):
        own = contents.labels.get((task, head))
        question = own_question(own) if own else question_of(task, head)
        if question is None:
            continue
        measure = "auc" if only else f"{head}_auc"
        scored = [_scored(contents.results, of_name, measure) for _, of_name in by_initialisation(rows)]
        photographs = rows.drop_duplicates("image_id")
        words = f"{title(task)}: {question.noun}"
        cases = int((photographs["truth"] > 0).sum())
        sentence = (
            f"On {counted(len(photographs), f'{split_word(rows)} {units(own)}')}: {counted(cases, question.cases)} and "
            f"{counted(len(photographs) - cases, question.others)}.{caution_of(rows)}"
        )
        curves = [_with_both(each) for each in scored if any(run.has_both for run in each.runs)]
        missing = [each.label for each in scored if not any(run.has_both for run in each.runs)]
        if missing:
            sentence += f" No ROC curve of {', '.join(missing)}: no run had both kinds to tell apart."
        if curves:
            name = file_name("roc", task, head, only)
            figures.append(roc_figure(name, f"ROC curves, {words}", sentence, curves, question, order))
        name = file_name("reliability", task, head, only)
        reliable = f"Whether the probabilities can be taken at their word. {sentence}"
        figures.append(reliability_figure(name, f"Reliability, {words}", reliable, scored, question, order))
    return figures


def _with_both(scored: Scored) -> Scored:
    """Keep its runs that had both kinds of photographs."""
    return Scored(scored.label, tuple(run for run in scored.runs if run.has_both), scored.auc)


def _scored(results: pd.DataFrame, rows: pd.DataFrame, measure: str) -> Scored:
    """One initialisation's runs. The AUC reads as in Table II: of several seeds mean and deviation alone, of a single
    run its interval over patients, which is that of results.parquet.
    """
    runs = [
        Probabilities(of_run["truth"].to_numpy() > 0, of_run[POSITIVE].to_numpy(dtype="float64"))
        for _, of_run in rows.groupby("run", sort=True)
    ]
    aucs = {
        run: auc(part.truth, part.score)
        for run, part in zip(sorted(rows["run"].unique()), runs, strict=True)
        if part.has_both
    }
    name, values = str(rows["name"].iloc[0]), list(aucs.values())
    keys = {"task": rows["task"].iloc[0], "name": name}
    if len(values) != 1:
        of_name = results[(results[list(keys)] == pd.Series(keys)).all(axis=1)]
        seeds = dict(zip(of_name["run"], of_name["seed"], strict=True))
        means = pd.Series(aucs, dtype="float64").groupby([seeds.get(run, run) for run in aucs]).mean()
        return Scored(name, tuple(runs), with_deviation(means.tolist()) if values else "")
    keys |= {"split": rows["split"].iloc[0], "measure": measure}
    (place,) = (number for number, run in enumerate(runs) if run.has_both)
    keys["run"] = sorted(rows["run"].unique())[place]
    measured = results[(results[list(keys)] == pd.Series(keys)).all(axis=1)]
    low, high = (float(measured[end].iloc[0]) if len(measured) else float("nan") for end in ("low", "high"))
    return Scored(name, tuple(runs), f"{with_interval(values[0], low, high)} (n = 1)")
