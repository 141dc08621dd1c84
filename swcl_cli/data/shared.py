"""Tell which photographs two prepared data sets share, as far as their descriptions know of some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from swcl_cli.data import manifest
from swcl_cli.data.columns import SPLITS
from swcl_cli.datasets import DATASETS
from swcl_cli.workspace import Workspace

RULE = "what learnt or was chosen on the one must not be scored on these in the other"


@dataclass(frozen=True)
class Overlap:
    """Hold the photographs that two data sets share: `own`, the ids in the first one, by their split in the other."""

    dataset: str
    other: str
    own: Mapping[str, tuple[str, ...]]

    def words(self, dataset: str, other: str) -> str:
        """Say how many they share, and name those that the other tests on. dataset, other: what the two are called."""
        parts = [f"{len(ids):,} in its {split} split" for split, ids in self.own.items()]
        tested = f" ({', '.join(self.own['test'])})" if "test" in self.own else ""
        every = sum(map(len, self.own.values()))
        return f"{every:,} photographs of {dataset} are photographs, or of eyes, of {other}: {', '.join(parts)}{tested}"


def overlaps(splits: Mapping[str, pd.Series]) -> list[Overlap]:
    """List the overlaps of these data sets. splits: by name, the split of each photograph, by its id."""
    found = []
    for name in splits:
        for other, of_split in (DATASETS[name].shared if name in DATASETS else {}).items():
            pairs = {own: theirs for ids in of_split.values() for own, theirs in ids.items()}
            if other in splits:
                held = {own: splits[other].get(theirs) for own, theirs in pairs.items() if own in splits[name].index}
                own = {split: tuple(id for id, of in sorted(held.items()) if of == split) for split in SPLITS}
                if any(own.values()):
                    found.append(Overlap(name, other, {split: ids for split, ids in own.items() if ids}))
    return found


def sentences(workspace: Workspace, name: str) -> list[str]:
    """Say in a sentence each what this data set shares with others that are prepared."""
    partners = {other for each, source in DATASETS.items() for other in (each, *source.shared) if source.shared}
    prepared = sorted(other for other in partners if workspace.manifest(other).exists()) if name in partners else []
    splits = {}
    for other in prepared:
        table = manifest.read(workspace.manifest(other), columns=["image_id", "split"])
        splits[other] = pd.Series(table["split"].to_numpy(dtype=object), table["image_id"].to_numpy(dtype=object))
    of_name = (overlap for overlap in overlaps(splits) if name in (overlap.dataset, overlap.other))
    return [f"{overlap.words(overlap.dataset, overlap.other)}; {RULE}." for overlap in of_name]
