"""Make the rows of audit.parquet: pairs that are copies or visits, with their labels, splits and families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from swcl_cli.audit.comparing import Outcome, Pair
from swcl_cli.audit.registration import Agreement
from swcl_cli.audit.verdict import COPY, change, verdict
from swcl_cli.data import manifest
from swcl_cli.data.columns import AUDIT, PLACE
from swcl_cli.data.splits import joined
from swcl_cli.workspace import Workspace

TEST = "test"
Labels = Mapping[str, pd.DataFrame]  # by data set: its label columns, as objects, by image_id


def read_photographs(workspace: Workspace, names: Sequence[str]) -> pd.DataFrame:
    """Read all photographs of these data sets, sorted by data set, then as in their manifests."""
    columns = [*PLACE.names, "checksum"]
    tables = [manifest.read(workspace.manifest(name), columns) for name in sorted(names)]
    return pd.concat(tables, ignore_index=True)


def read_known_labels(workspace: Workspace, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the labels of these data sets, by data set and image_id."""
    labels = {}
    for name in names:
        path = workspace.manifest(name)
        own = [label.name for label in manifest.read_labels(path)]
        table = manifest.read(path, ["image_id", *own]) if own else manifest.read(path, ["image_id"])
        labels[name] = table.set_index("image_id").astype(object)
    return labels


def judged(
    checksums: Sequence[int], compared: Sequence[tuple[Pair, Outcome]]
) -> list[tuple[Pair, Agreement, str, str, str]]:
    """Judge the pairs: of each that is a copy or a visit the kind, how sure it is, and what was changed; copies first,
    then in the order of places. checksums: of the photographs' files.
    """
    found = []
    for pair, outcome in compared:
        if judgement := verdict(outcome.agreement):
            equal = checksums[pair.one] == checksums[pair.other]
            shares = (outcome.seen, outcome.other_seen)
            changed = change(judgement[0], pair.turn, outcome.agreement, shares, equal)
            found.append((pair, outcome.agreement, *judgement, changed))
    return sorted(found, key=lambda row: (row[2] != COPY, row[0].one, row[0].other))


def rows_of(photographs: pd.DataFrame, compared: Sequence[tuple[Pair, Outcome]], labels: Labels) -> pd.DataFrame:
    """Make a row of each pair that is a copy or a visit, in the order of `judged`."""
    found = judged(photographs["checksum"].tolist(), compared)
    families = _families([row[0] for row in found if row[2] == COPY])
    places = photographs[PLACE.names].to_dict("records")
    rows = [
        {
            "kind": kind,
            "sure": sure,
            "change": changed,
            **places[pair.one],
            **{f"other_{name}": value for name, value in places[pair.other].items()},
            "unlike": _unlike(places[pair.one], places[pair.other], labels) if kind == COPY else None,
            "leak": _leak(places[pair.one], places[pair.other]) if kind == COPY else None,
            "family": families.get(pair.one) if kind == COPY else None,
            **{
                name: getattr(agreement, name) for name in ("vessels", "levels", "residual", "apart", "degrees", "gain")
            },
        }
        for pair, agreement, kind, sure, changed in found
    ]
    return pd.DataFrame(rows, columns=AUDIT.names).astype({"family": "Int32"})


def _families(copies: Sequence[Pair]) -> dict[int, int]:
    """Number the groups of photographs that are copies of each other, from 0, in their order."""
    roots = joined([(f"{pair.one:09d}", f"{pair.other:09d}") for pair in copies])
    numbers = {root: number for number, root in enumerate(sorted(set(roots.values())))}
    return {int(photograph): numbers[root] for photograph, root in roots.items()}


def _unlike(one: Mapping[str, str], other: Mapping[str, str], labels: Labels) -> str | None:
    """List the labels of two photographs that differ, `dr_grade 0 and 3`, of those that both data sets know.

    Names of labels and classes are the same in any case, as in `predict --data`.
    """
    first, second = (labels[place["dataset"]].loc[place["image_id"]] for place in (one, other))
    named = {_any_case(name): name for name in second.index}
    unlike = []
    for name in first.index:
        if theirs := named.get(_any_case(name)):
            values = first[name], second[theirs]
            if not pd.isna(list(values)).any() and _any_case(values[0]) != _any_case(values[1]):
                unlike.append(f"{name} {values[0]} and {values[1]}")
    return ", ".join(unlike) or None


def _any_case(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _leak(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """Name the splits of two copies where they part a data set, or one of two data sets tests on its own."""
    splits = (one["split"], other["split"])
    if one["dataset"] == other["dataset"]:
        return f"{splits[0]} and {splits[1]}" if splits[0] != splits[1] else None
    return f"{splits[0]} and {splits[1]}" if TEST in splits else None
