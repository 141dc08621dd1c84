"""Find the tested photographs of which a copy was learnt, and the scores without them, by what `audit` found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from swcl_cli.audit.learnt import Made, learnt_copies, learnt_from, made_of
from swcl_cli.audit.verdict import COPY
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.differences import dataset_of, sampled
from swcl_cli.reporting.findings.names import ordered_initialisations, ordered_tasks
from swcl_cli.reporting.findings.paired import Sampled
from swcl_cli.reporting.findings.scores import primary
from swcl_cli.reporting.findings.splits import TEST


@dataclass(frozen=True)
class Leak:
    """Hold the tested photographs of a task of which a copy was learnt on the way to an initialisation's scores.

    ids: of the photographs, sorted; tested: how many are tested in all; measure: the primary one. official, without:
    its mean over seeds, of all photographs and without these, resampled; None where stored predictions don't give it.
    """

    task: str
    name: str
    dataset: str
    ids: tuple[str, ...]
    tested: int
    measure: str
    official: Sampled | None
    without: Sampled | None


def leaks(contents: Contents) -> list[Leak]:
    """List the leaks by task, then initialisation; none where nothing was audited."""
    if contents.audit is None or contents.pairs.empty:
        return []
    learnt = learnt_from(_made(contents), contents.datasets)
    found = []
    for task in ordered_tasks(task for task, _ in contents.finetuned):
        for name in ordered_initialisations(name for of, name in contents.finetuned if of == task):
            artefact, dataset = contents.finetuned[task, name], dataset_of(contents, task)
            folds = bool(artefact.settings.get("folds"))
            paths = learnt_copies(contents.pairs, dataset, learnt[artefact.path], folds)
            if paths and (leak := _leak(contents, task, name, dataset, paths)):
                found.append(leak)
    return found


def _made(contents: Contents) -> dict[str, Made]:
    """Return what each artefact that learnt was made from, by its path."""
    single = [artefact for artefact in (contents.labeler, contents.swap) if artefact]
    artefacts: Iterable[Artefact] = (*single, *contents.encoders.values(), *contents.finetuned.values())
    return {artefact.path: made_of(artefact.fingerprint, artefact.provenance) for artefact in artefacts}


def _leak(contents: Contents, task: str, name: str, dataset: str, paths: set[str]) -> Leak | None:
    """Compare the score with that on all photographs but those at the paths; None where none of them was tested."""
    results = contents.results
    runs = primary(results[(results["task"] == task) & (results["name"] == name)], TEST)
    if runs.empty:
        return None
    tested = _tested(contents, task, name)
    spoilt = {image_id for image_id, path in tested if path in paths}
    if not spoilt:
        return None
    official = sampled(contents, runs, TEST).get(name)
    without = sampled(contents, runs, TEST, spoilt).get(name) if official and len(spoilt) < len(tested) else None
    return Leak(
        task, name, dataset, tuple(sorted(spoilt)), len(tested), str(runs["measure"].iloc[0]), official, without
    )


def _tested(contents: Contents, task: str, name: str) -> set[tuple[str, str]]:
    """Return the ids and paths of the tested photographs."""
    tables = (contents.classified, contents.segmented, contents.numbers)
    parts = [
        rows.loc[(rows["task"] == task) & (rows["name"] == name) & (rows["split"] == TEST), ["image_id", "path"]]
        for rows in tables
    ]
    return set(pd.concat(parts).itertuples(index=False, name=None))


def copies(contents: Contents) -> pd.DataFrame:
    """Return the pairs that are copies."""
    pairs: pd.DataFrame = contents.pairs[contents.pairs["kind"] == COPY]
    return pairs


def not_audited(contents: Contents) -> list[str]:
    """List the data sets that were prepared, or prepared again, since the audit."""
    if contents.audit is None:
        return []
    inputs = contents.audit.inputs
    return sorted(
        name for name, dataset in contents.datasets.items() if inputs.get(name) != dataset.artefact.fingerprint
    )
