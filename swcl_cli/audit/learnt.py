"""Tell by provenance which data sets an artefact has learnt from, through all that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from swcl_cli.audit.verdict import COPY
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.left_out import MARKS, mark
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance

TEST = "test"
SWAP = "swap"  # the input whose patches an encoder learns
Learnt = Mapping[str, frozenset[str]]  # by data set: marks of its photographs that were left out


class Made(NamedTuple):
    """Hold an artefact's fingerprint, those of its inputs, and the marks of the photographs that were left out."""

    fingerprint: str
    inputs: Mapping[str, str]
    left_out: frozenset[str] = frozenset()


def learnt_from(made: Mapping[str, Made], known: Iterable[str]) -> dict[str, Learnt]:
    """Return the data sets that each artefact was made from, by its path. known: names of data sets.

    An input that is another artefact here, by its fingerprint, brings that one's data sets along: `--init`, the
    labeler, or retinal-SWAP. A photograph was left out only where each artefact on the way left it out; of retinal-SWAP
    an encoder may leave out more patches.
    """
    by_fingerprint = {one.fingerprint: path for path, one in made.items()}
    names = set(known)

    def sets(path: str, seen: frozenset[str], apart: frozenset[str]) -> dict[str, frozenset[str]]:
        one = made[path]
        own = one.left_out | apart
        learnt = dict.fromkeys(names & one.inputs.keys(), own)
        for name, value in one.inputs.items():
            before = by_fingerprint.get(value, path)
            if before not in seen | {path}:
                for dataset, marks in sets(before, seen | {path}, own if name == SWAP else frozenset()).items():
                    learnt[dataset] = learnt.get(dataset, marks) & marks
        return learnt

    return {path: sets(path, frozenset(), frozenset()) for path in made}


def read_made(workspace: Workspace) -> dict[str, Made]:
    """Read what the labeler, retinal-SWAP and the encoders of a workspace were made from; others are left out."""
    paths = [path for path in (workspace.labeler, workspace.swap) if path.exists()]
    made = {}
    for path in [*paths, *workspace.encoder_files()]:
        try:
            told = read_provenance(path)
            made[workspace.relative(path)] = made_of(fingerprint(path), told)
        except SwclError:  # not ours, or damaged: the step that reads it tells that
            continue
    return made


def made_of(fingerprint: str, told: Mapping[str, Any]) -> Made:
    """Read from its provenance what an artefact was made from, and what it left out."""
    return Made(fingerprint, told.get("inputs", {}), frozenset(told.get(MARKS, ())))


def sentence_of_copies(workspace: Workspace, dataset: str, inputs: Mapping[str, str], folds: bool) -> str:
    """Say how many tested photographs of a data set are copies of what these inputs have learnt; '' where none are.

    inputs: fingerprints of the data set and of the initial weights. folds: see `learnt_copies`. Without an audit
    nothing is known.
    """
    if not workspace.audit.exists():
        return ""
    if read_provenance(workspace.audit).get("inputs", {}).get(dataset) != inputs[dataset]:
        return f"{workspace.audit} knows nothing of {dataset} as prepared now; renew it with: swcl audit"
    made = {**read_made(workspace), "": Made("", inputs)}
    pairs = read_columns(workspace.audit, AUDIT).to_pandas()
    paths = learnt_copies(pairs, dataset, learnt_from(made, workspace.prepared())[""], folds)
    if not paths:
        return ""
    return (
        f"Photographs that {dataset} tests on are copies of learnt ones, by swcl audit ({len(paths):,}, such as "
        f"{min(paths)}): what is tested there was seen. The report shows scores without these, too."
    )


def learnt_copies(pairs: pd.DataFrame, tested: str, learnt: Learnt, folds: bool = False) -> set[str]:
    """Return the paths of photographs that a data set tests on, of which a copy was learnt.

    pairs: rows of audit.parquet; learnt: data sets, of which all photographs may have been learnt, but those that were
    left out, and those that `tested` itself tests on. folds: its photographs are tested in turn, so that a copy in
    another group may have been learnt.
    """
    copies = pairs[pairs["kind"] == COPY]
    found: set[str] = set()
    for own, other in (("", "other_"), ("other_", "")):
        mine = copies[copies[f"{own}dataset"] == tested]
        is_tested = (mine[f"{own}split"] == TEST) | folds
        outside = mine[f"{other}dataset"] != tested
        apart = mine["group_id"] != mine["other_group_id"] if folds else mine[f"{other}split"] != TEST
        leaking = mine[is_tested & (outside | apart) & mine[f"{other}dataset"].isin(learnt.keys())]
        columns = (leaking[name] for name in (f"{own}path", f"{other}dataset", f"{other}path"))
        found |= {path for path, name, twin in zip(*columns, strict=True) if not _is_among(twin, learnt[name])}
    return found


def copies_between(workspace: Workspace, dataset: str, other: str) -> tuple[set[str], str]:
    """Return the paths of the photographs of a data set of which another one holds copies, and what is not known.

    Without an audit nothing is found, nor said.
    """
    if not workspace.audit.exists():
        return set(), ""
    audited = read_provenance(workspace.audit).get("inputs", {})
    here = {name: fingerprint(workspace.manifest(name)) for name in (dataset, other)}
    if unknown := [name for name in here if audited.get(name) != here[name]]:
        named = " and ".join(unknown)
        return set(), f"{workspace.audit} knows nothing of {named} as prepared now; renew it with: swcl audit."
    pairs = read_columns(workspace.audit, AUDIT).to_pandas()
    copies = pairs[pairs["kind"] == COPY]
    ways = (("", "other_"), ("other_", ""))
    of_both = (copies[(copies[f"{own}dataset"] == dataset) & (copies[f"{its}dataset"] == other)] for own, its in ways)
    return {path for rows, (own, _) in zip(of_both, ways, strict=True) for path in rows[f"{own}path"]}, ""


def _is_among(path: str, marks: frozenset[str]) -> bool:
    return bool(marks) and mark(path) in marks
