"""Compare the candidates among photographs: first by their sketches, then by registration, each pair once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from swcl_cli import console
from swcl_cli.audit.describing import Described, Place, is_current, recipe
from swcl_cli.audit.registration import Agreement, View, agree, compare_sketches, view_of
from swcl_cli.audit.search import nearest
from swcl_cli.audit.turns import turned
from swcl_cli.data.columns import COMPARED
from swcl_cli.data.images import read_image
from swcl_cli.data.stored import read_columns
from swcl_cli.workers import Each
from swcl_cli.workspace import Workspace, write_parquet

RECIPE = 1  # raise it when the same two photographs agree in other numbers
LEAST_SKETCH = 0.4  # correlation of sketches below which two photographs are not registered (FACTS 9)
SEEN = 32  # views that a process keeps: pairs come in the order of their first photographs

Key = tuple[int, int, int]  # checksums of the one and the other, and the turn


class Pair(NamedTuple):
    """Hold two photographs by their numbers in a table, how the other has to be turned, and where registration begins:
    the other's shift across and down, as shares of the side.
    """

    one: int
    other: int
    turn: int
    across: float
    down: float


class Outcome(NamedTuple):
    """Hold how two photographs agree, and the share of the field of view that each frame shows."""

    seen: float
    other_seen: float
    agreement: Agreement


def compare(
    workspace: Workspace, places: Sequence[Place], found: Described, each: Each, fresh: bool
) -> list[tuple[Pair, Outcome]]:
    """Compare each photograph with those that look like it. places, found: of all photographs, in one order.

    What an earlier audit compared is taken from its file, unless `fresh`.
    """
    pairs = _alike(places, found)
    keys = [(places[pair.one].checksum, places[pair.other].checksum, pair.turn) for pair in pairs]
    kept = {} if fresh else _kept(workspace.compared)
    missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in kept}
    work = ((places[pair.one], places[pair.other], pair) for pair in missing.values())
    with console.progress("comparing pairs", len(missing)) as bar:
        for key, outcome in zip(missing, each(_compare, work), strict=True):
            kept[key] = outcome
            bar.advance()
    if missing:
        _write(workspace.compared, kept)
    return [(pair, kept[key]) for key, pair in zip(keys, pairs, strict=True)]


def _alike(places: Sequence[Place], found: Described) -> list[Pair]:
    """List the pairs of photographs that lie near each other, and of which the sketches agree."""
    with console.progress("looking for candidates", len(places)) as bar:
        candidates = nearest(found.numbers, bar.advance)
    pairs = []
    for one, other, turn in zip(*(column.tolist() for column in candidates[:3]), strict=True):
        alike, across, down = compare_sketches(found.sketches[one], turned(found.sketches[other], turn))
        if alike >= LEAST_SKETCH:
            pairs.append(Pair(one, other, turn, across, down))
    return pairs


def _compare(work: list[tuple[Place, Place, Pair]]) -> list[Outcome]:
    outcomes = []
    for place, other_place, pair in work:
        one, other = _view(place), _view(other_place)
        agreement = agree(one, other.turned(pair.turn), pair.across, pair.down)
        outcomes.append(Outcome(one.seen, other.seen, agreement))
    return outcomes


@lru_cache(SEEN)
def _view(place: Place) -> View:
    return view_of(read_image(place.path, place.checksum))


def _kept(path: Path) -> dict[Key, Outcome]:
    """Read what an earlier audit compared in the same way."""
    if not path.exists() or not is_current(path, recipe(RECIPE)):
        return {}
    rows = read_columns(path, COMPARED).to_pylist()
    return {
        (row["checksum"], row["other_checksum"], row["turn"]): Outcome(
            row["seen"], row["other_seen"], Agreement(*(row[name] for name in Agreement._fields))
        )
        for row in rows
    }


def _write(path: Path, outcomes: Mapping[Key, Outcome]) -> None:
    columns = [
        (*key, outcome.seen, outcome.other_seen, *outcome.agreement) for key, outcome in sorted(outcomes.items())
    ]
    frame = pd.DataFrame(columns, columns=COMPARED.names)
    write_parquet(path, COMPARED.table(frame), recipe(RECIPE))
