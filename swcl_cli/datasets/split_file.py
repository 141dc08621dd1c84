"""Replace a data set's splits by people's own: a table with the columns image_id and split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swcl_cli.datasets.download import Download
from swcl_cli.datasets.tables import read_table, require_unique
from swcl_cli.errors import SwclError

WORDS = {"train": "train", "val": "val", "test": "test"}


def impose(download: Download, path: Path) -> None:
    """Give every photograph the split that the table names; no validation split is drawn any more.

    Raises SwclError naming file and row where an image is unknown or stands twice or a split has another name, and
    where the table lacks an image.
    """
    rows = read_table(path, ("image_id", "split"))
    require_unique(rows, "image_id")
    ids = {photograph.image_id for photograph in download.photographs}
    splits = {}
    for row in rows:
        image_id = row.text("image_id")
        if image_id not in ids:
            raise row.wrong("image_id", f"there is no image '{image_id}' with a label in {download.source}")
        splits[image_id] = row.choice("split", WORDS)
    unnamed = sorted(ids - splits.keys())
    if unnamed:
        raise SwclError(f"{path} names no split for {len(unnamed):,} of {len(ids):,} images, such as {unnamed[0]}.")
    for place, photograph in enumerate(download.photographs):
        download.photographs[place] = replace(photograph, split=splits[photograph.image_id])
    download.draw_validation = False
