"""Find copies among all prepared photographs, what they spoil, and how photographs lie: the step `audit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from swcl_cli import console
from swcl_cli.audit.comparing import compare
from swcl_cli.audit.describing import Described, described, places_of
from swcl_cli.audit.learnt import learnt_copies, learnt_from, read_made
from swcl_cli.audit.measuring import measured
from swcl_cli.audit.orienting import oriented
from swcl_cli.audit.pairs import read_known_labels, read_photographs, rows_of
from swcl_cli.audit.quality import DOUBTFUL, Quality
from swcl_cli.audit.verdict import COPY, VISIT
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.orientation import SURE
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.settings import AuditSettings
from swcl_cli.workers import Each, in_order
from swcl_cli.workspace import Workspace, fingerprint, locked, provenance, require_own, write_parquet

NAMED = 5  # pairs that are named each
LYING = ("upside down", "unsure which way up", "named after the other eye")
SHOWN = {COPY: "the same photograph", VISIT: "the same eye, another photograph"}


def run(settings: AuditSettings) -> Path:
    """Compare the photographs of all prepared data sets, or of those named; return the path of audit.parquet.

    How photographs lie is told in the orientation.parquet of each data set. Raises SwclError where no data set is
    prepared, one is named that is not, or a photograph is missing.
    """
    workspace = Workspace(settings.workspace)
    require_own(workspace.audit, "audit")
    names = _data_sets(workspace, settings)
    inputs = {name: fingerprint(manifest_of(workspace, name)) for name in names}
    with in_order(settings.workers) as each, locked(workspace.compared.parent, "audit"):
        photographs = read_photographs(workspace, names)
        console.say(f"{len(photographs):,} photographs of {len(names):,} data sets: {', '.join(names)}.")
        found = _described(workspace, photographs, each, settings.fresh)
        lying = {name: oriented(workspace, name, each, settings.fresh) for name in names}
        compared = compare(workspace, places_of(workspace, photographs), found, each, settings.fresh)
        qualities = {
            str(name): measured(workspace, str(name), rows, each, settings.fresh)
            for name, rows in photographs.groupby("dataset", sort=True)
        }
    pairs = rows_of(photographs, compared, read_known_labels(workspace, names))
    counts = {kind: int((pairs["kind"] == kind).sum()) for kind in SHOWN}
    made = provenance("audit", settings.defining(), inputs, photographs=len(photographs), counts=counts)
    write_parquet(workspace.audit, AUDIT.table(pairs), made)
    _show(pairs)
    _show_lying(lying)
    _show_quality(qualities)
    _warn(workspace, pairs)
    _warn_of_names(lying)
    return workspace.audit


def _data_sets(workspace: Workspace, settings: AuditSettings) -> list[str]:
    """List the data sets to compare, sorted."""
    names = sorted(workspace.prepared() if settings.data is None else settings.data)
    if len(set(names)) < len(names):
        raise SwclError(f"A data set is named twice: --data {','.join(names)}.")
    if not names:
        raise SwclError(
            f"{workspace.root / 'data'} holds no prepared data set yet. Make one with: swcl prep DATASET SOURCE"
        )
    return names


def _described(workspace: Workspace, photographs: pd.DataFrame, each: Each, fresh: bool) -> Described:
    parts = [
        described(workspace, str(name), rows, each, fresh) for name, rows in photographs.groupby("dataset", sort=True)
    ]
    return Described(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.sketches for part in parts])
    )


def _show(pairs: pd.DataFrame) -> None:
    """Show how many pairs of each kind lie in and between which data sets."""
    if pairs.empty:
        console.say("No photograph is a copy of another one, and no eye was found twice.")
        return
    counts = pairs.groupby(["dataset", "other_dataset", "kind"], sort=True).size()
    places = list(dict.fromkeys((first, second) for first, second, _ in counts.index))
    rows = [(*place, *(f"{counts.get((*place, kind), 0):,}" for kind in SHOWN)) for place in places]
    console.table("Pairs of photographs", ("data set", "and", *SHOWN.values()), rows)


def _show_lying(lying: Mapping[str, pd.DataFrame]) -> None:
    """Show how many photographs of each data set lie upside down, and of how many that is unsure."""
    rows = []
    for name, frame in lying.items():
        unsure = frame["inverted_confidence"] < SURE
        numbers = (len(frame), frame["inverted"].sum(), unsure.sum(), frame["misnamed"].sum())
        rows.append((name, *(f"{int(number):,}" for number in numbers)))
    console.table("How photographs lie", ("data set", "photographs", *LYING), rows)


def _warn_of_names(lying: Mapping[str, pd.DataFrame]) -> None:
    """Warn of photographs whose names tell another eye than is seen."""
    for name, frame in lying.items():
        if named := frame.loc[frame["misnamed"], "image_id"].tolist():
            more = f"; and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
            listed = f"({len(named):,}): {', '.join(named[:NAMED])}{more}"
            console.warn(f"Names of {name} that tell the other eye than is seen {listed}.")


def _show_quality(qualities: Mapping[str, Sequence[Quality]]) -> None:
    """Show of each data set how good its photographs are, and what is amiss most often where they are not."""
    rows = []
    for name, measured_ones in qualities.items():
        poor = [one for one in measured_ones if one.quality < DOUBTFUL]
        reasons = Counter(one.reason for one in poor).most_common(1)
        middle = float(np.median([one.quality for one in measured_ones]))
        rows.append((name, f"{middle:.2f}", f"{len(poor):,}", reasons[0][0] if reasons else "-"))
    console.table("Quality of photographs", ("data set", "median", f"below {DOUBTFUL:g}", "mostly for"), rows)


def _warn(workspace: Workspace, pairs: pd.DataFrame) -> None:
    """Warn of copies with two labels, of those that splits part, and of tested photographs that an artefact learnt."""
    copies = pairs[pairs["kind"] == COPY]
    for words, chosen in (
        ("Copies with unlike labels", copies[copies["unlike"].notna()]),
        ("Copies that the splits of a data set part", copies[_is_parted(copies)]),
        ("Copies of test photographs in another data set", copies[copies["leak"].notna() & ~_is_parted(copies)]),
    ):
        if len(chosen):
            named = "; ".join(_in_words(row) for row in chosen.head(NAMED).to_dict("records"))
            more = f"; and {len(chosen) - NAMED:,} more" if len(chosen) > NAMED else ""
            console.warn(f"{words} ({len(chosen):,}): {named}{more}.")
    for artefact, tested in _learnt(workspace, pairs).items():
        for dataset, paths in tested.items():
            console.warn(f"{artefact} has learnt copies of photographs that {dataset} tests on: {len(paths):,}.")


def _is_parted(copies: pd.DataFrame) -> pd.Series:
    return copies["leak"].notna() & (copies["dataset"] == copies["other_dataset"])


def _in_words(row: Mapping[str, object]) -> str:
    first, second = (
        f"{row[f'{side}dataset']}/{row[f'{side}image_id']} ({row[f'{side}split']})" for side in ("", "other_")
    )
    unlike = f", {row['unlike']}" if isinstance(row["unlike"], str) else ""
    return f"{first} = {second}{unlike}"


def _learnt(workspace: Workspace, pairs: pd.DataFrame) -> dict[str, dict[str, set[str]]]:
    """List the test photographs, by data set, of which each labeler, table of patches or encoder has learnt copies."""
    names = workspace.prepared()
    listed = {}
    for artefact, learnt in learnt_from(read_made(workspace), names).items():
        tested = {name: learnt_copies(pairs, name, learnt) for name in names}
        listed[artefact] = {name: paths for name, paths in tested.items() if paths and learnt.keys() - {name}}
    return listed
