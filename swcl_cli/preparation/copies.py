"""Keep one photograph of each group of copies, by a stated rule (`prep --drop-copies`; FACTS 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from swcl_cli.data.columns import SPLITS
from swcl_cli.data.splits import joined
from swcl_cli.datasets.download import Photograph, Problem
from swcl_cli.preparation.decoding import open_image, read_content

COPY = "copy"  # the problem of a photograph that is dropped
KEPT_FIRST = tuple(reversed(SPLITS))  # no tested photograph is lost to one that trains


class Twins(NamedTuple):
    """Hold the ids of two photographs that are the same one, and in words how the other differs."""

    one: str
    other: str
    change: str


def dropped(photographs: Sequence[Photograph], twins: Sequence[Twins], source: Path) -> dict[str, Problem]:
    """Choose the photographs to drop, by id, and say of which they are copies.

    twins: pairs, of which those that hold a photograph that is not among these are left out. Of each group of copies
    the one is kept that is tested, else that validates, else that trains; of these the one of most pixels in the
    source; of these the first by name. Copies of copies are one group.
    """
    by_id = {photograph.image_id: photograph for photograph in photographs}
    here = [pair for pair in twins if pair.one in by_id and pair.other in by_id]
    changes = {frozenset(pair[:2]): pair.change for pair in here}
    roots = joined([(pair.one, pair.other) for pair in here])
    groups: dict[str, list[Photograph]] = defaultdict(list)
    for image_id in sorted(roots):
        groups[roots[image_id]].append(by_id[image_id])
    problems = {}
    for group in groups.values():
        kept, *others = sorted(group, key=lambda photograph: _rank(photograph, source))
        for other in others:
            change = changes.get(frozenset((kept.image_id, other.image_id)), "by way of another copy")
            problems[other.image_id] = Problem(other.path, COPY, _words(kept, other, change))
    return problems


def _rank(photograph: Photograph, source: Path) -> tuple[int, int, str]:
    width, height = open_image(read_content(source / photograph.path)).size
    return KEPT_FIRST.index(photograph.split), -width * height, photograph.image_id


def _words(kept: Photograph, other: Photograph, change: str) -> str:
    splits = f"in {kept.split}, this one in {other.split}" if kept.split != other.split else f"in {kept.split}"
    text = f"the same photograph as {kept.path} ({change}), which is kept {splits}"
    unlike = _unlike(kept.labels, other.labels)
    return f"{text}; their labels differ: {unlike}" if unlike else text


def _unlike(kept: Mapping[str, object], other: Mapping[str, object]) -> str:
    """List the labels that both have and that differ, `dr_grade 3 and 0`."""
    return ", ".join(
        f"{name} {value} and {other[name]}"
        for name, value in kept.items()
        if value is not None and other.get(name) is not None and other[name] != value
    )
