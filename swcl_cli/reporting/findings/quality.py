"""Find the photographs of the lowest quality, and those about which one may be of two minds."""

from __future__ import annotations

import pandas as pd

from swcl_cli.audit.quality import DOUBTFUL, PARTS
from swcl_cli.reporting.evidence.contents import Contents


def qualities(contents: Contents) -> pd.DataFrame:
    """Return the quality of the prepared photographs that were measured: rows of QUALITY with data set, id and split.

    `reason` is the worst part.
    """
    tables = []
    for name, rows in contents.quality.items():
        images = contents.datasets[name].images[["image_id", "split", "path"]]
        tables.append(images.merge(rows, on="path").assign(dataset=name))
    if not tables:
        return pd.DataFrame(columns=["dataset", "image_id", "split", "path", "quality", "reason", *PARTS])
    found = pd.concat(tables, ignore_index=True)
    return found.assign(reason=found[list(PARTS)].astype(float).idxmin(axis=1))


def worst(found: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows of the lowest quality, the worst first."""
    return found.sort_values(["quality", "path"]).head(number)


def borderline(found: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows whose quality is nearest to DOUBTFUL, the lower first."""
    apart = (found["quality"] - DOUBTFUL).abs()
    nearest = found.assign(apart=apart).sort_values(["apart", "path"]).head(number)
    return nearest.sort_values(["quality", "path"])
