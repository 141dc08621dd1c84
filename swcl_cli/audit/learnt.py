"""Tell by provenance which data sets an artefact has learnt from, through all that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from swcl_cli.audit.verdict import COPY
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance

TEST = "test"
Made = Mapping[str, tuple[str, Mapping[str, str]]]  # by an artefact's path: fingerprint, and fingerprints of inputs


def learnt_from(made: Made, known: Iterable[str]) -> dict[str, set[str]]:
    """Return the data sets that each artefact was made from, by its path. known: names of data sets.

    An input that is another artefact here, by its fingerprint, brings that one's data sets along: `--init`, the
    labeler, or retinal-SWAP.
    """
    by_fingerprint = {fingerprint: path for path, (fingerprint, _) in made.items()}
    names = set(known)

    def sets(path: str, seen: frozenset[str]) -> set[str]:
        inputs = made[path][1]
        before = {by_fingerprint[value] for value in inputs.values() if value in by_fingerprint} - seen - {path}
        own = names & inputs.keys()
        return own.union(*(sets(each, seen | {path}) for each in before))

    return {path: sets(path, frozenset()) for path in made}


def read_made(workspace: Workspace) -> dict[str, tuple[str, dict[str, str]]]:
    """Read what the labeler, retinal-SWAP and the encoders of a workspace were made from; others are left out."""
    paths = [path for path in (workspace.labeler, workspace.swap) if path.exists()]
    made = {}
    for path in [*paths, *workspace.encoder_files()]:
        try:
            made[workspace.relative(path)] = (fingerprint(path), read_provenance(path).get("inputs", {}))
        except SwclError:  # not ours, or damaged: the step that reads it tells that
            continue
    return made


def sentence_of_copies(workspace: Workspace, dataset: str, inputs: Mapping[str, str], folds: bool) -> str:
    """Say how many tested photographs of a data set are copies of what these inputs have learnt; '' where none are.

    inputs: fingerprints of the data set and of the initial weights. folds: see `learnt_copies`. Without an audit
    nothing is known.
    """
    if not workspace.audit.exists():
        return ""
    if read_provenance(workspace.audit).get("inputs", {}).get(dataset) != inputs[dataset]:
        return f"{workspace.audit} knows nothing of {dataset} as prepared now; renew it with: swcl audit"
    made = {**read_made(workspace), "": ("", inputs)}
    pairs = read_columns(workspace.audit, AUDIT).to_pandas()
    paths = learnt_copies(pairs, dataset, learnt_from(made, workspace.prepared())[""], folds)
    if not paths:
        return ""
    return (
        f"Photographs that {dataset} tests on are copies of learnt ones, by swcl audit ({len(paths):,}, such as "
        f"{min(paths)}): what is tested there was seen. The report shows scores without these, too."
    )


def learnt_copies(pairs: pd.DataFrame, tested: str, learnt: Iterable[str], folds: bool = False) -> set[str]:
    """Return the paths of photographs that a data set tests on, of which a copy was learnt.

    pairs: rows of audit.parquet; learnt: data sets, of which all photographs may have been learnt, but those that
    `tested` itself tests on. folds: its photographs are tested in turn, so that a copy in another group may have been
    learnt.
    """
    copies = pairs[pairs["kind"] == COPY]
    names = set(learnt)
    found: set[str] = set()
    for own, other in (("", "other_"), ("other_", "")):
        mine = copies[copies[f"{own}dataset"] == tested]
        is_tested = (mine[f"{own}split"] == TEST) | folds
        outside = mine[f"{other}dataset"] != tested
        apart = mine["group_id"] != mine["other_group_id"] if folds else mine[f"{other}split"] != TEST
        leaking = is_tested & (outside | apart) & mine[f"{other}dataset"].isin(names)
        found |= set(mine.loc[leaking, f"{own}path"])
    return found
