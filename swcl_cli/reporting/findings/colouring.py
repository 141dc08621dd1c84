"""Divide photographs into groups that a figure can colour: by each label, or by data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.questions import titles_of

MOST_GROUPS = 6  # colours that can be told apart
MOST_COLOURINGS = 4
REST, UNKNOWN = "others", "not known"


@dataclass(frozen=True)
class Colouring:
    """Hold what photographs are divided by, and the members (N,) of each group, by its name; UNKNOWN is last."""

    name: str
    groups: dict[str, NDArray[np.bool_]]


def colourings(rows: pd.DataFrame, labels: Sequence[Label]) -> list[Colouring]:
    """List the ways to colour photographs: by each label of which two values are known, and by several data sets.

    Of more values than MOST_GROUPS the most frequent have groups of their own. Ages and words are no groups.
    """
    listed = [label for label in labels if label.kind not in ("number", "text") or label.words]
    listed.sort(key=lambda label: label.kind == "text")
    datasets = sorted(map(str, rows["dataset"].unique()))
    ways = [_by_label(rows[label.name], label, datasets) for label in listed]
    if rows["dataset"].nunique() > 1:
        ways.append(_by(rows["dataset"], "data set", ()))
    return [way for way in ways if way is not None][:MOST_COLOURINGS]


def _by_label(column: pd.Series, label: Label, datasets: Sequence[str]) -> Colouring | None:
    """Divide by a label, with the names of its classes where these data sets have them."""
    titles = () if label.names else titles_of(label.name, datasets)
    if not titles:
        return _by(column, title(label.name), label.names)
    named = column.astype(object).map(dict(enumerate(titles)), na_action="ignore")
    return _by(named.where(named.notna(), column.astype(object)), title(label.name), titles)


def _by(column: pd.Series, name: str, order: Sequence[str]) -> Colouring | None:
    """Divide by a column; None where it has fewer than two values. order: of its values, where there is one."""
    known = column.notna().to_numpy(dtype=bool)
    words = column.astype(object).map(_word, na_action="ignore").to_numpy()
    counts = pd.Series(words[known]).value_counts()
    if len(counts) < 2:
        return None
    places = {value: place for place, value in enumerate(order)}
    by_order = sorted(counts.index, key=lambda value: (places.get(value, len(places)), value))
    kept = by_order if len(counts) <= MOST_GROUPS else sorted(counts.index[: MOST_GROUPS - 1], key=by_order.index)
    groups = {value: known & (words == value) for value in kept}
    if len(kept) < len(counts):
        groups[REST] = known & ~np.logical_or.reduce([*groups.values()])
    return Colouring(name, groups | ({} if known.all() else {UNKNOWN: ~known}))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"
