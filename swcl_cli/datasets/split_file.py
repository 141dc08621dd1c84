"""Replace a data set's splits by people's own: a table with the columns image_id and split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swcl_cli.datasets.download import SPLIT_WORDS, Download
from swcl_cli.datasets.names import Names, ambiguous, mismatch, shortened
from swcl_cli.datasets.tables import Row, read_table, require_unique
from swcl_cli.errors import SwclError

IMAGE = "image_id"


def impose(download: Download, path: Path) -> None:
    """Give every photograph the split that the table names, by image_id or path; no validation split is drawn any more.

    Raises SwclError naming file and row where an image is unknown or stands twice or a split has another name, and
    where the table lacks an image.
    """
    rows = read_table(path, (IMAGE, "split"))
    require_unique(rows, IMAGE)
    rows.remark(download.remarks)
    paths = {photograph.path: photograph.image_id for photograph in download.photographs}
    by_id, by_path = Names(paths.values()), Names(paths)
    splits: dict[str, str] = {}
    unknown: list[Row] = []
    for row in rows:
        name = row.text(IMAGE)
        images = by_id.fitting(name) or [paths[image] for image in by_path.fitting(name)]
        if len(images) > 1:
            raise row.wrong(IMAGE, ambiguous(name, images))
        if not images:
            unknown.append(row)
        elif images[0] in splits:
            raise row.wrong(IMAGE, f"'{shortened(name)}' names {images[0]}, which has a split already")
        else:
            splits[images[0]] = row.choice("split", SPLIT_WORDS)
    unnamed = sorted({*paths.values()} - splits.keys())
    if unknown:
        names, there = [row.text(IMAGE) for row in unknown], unnamed or list(paths.values())
        absent = f"there is no image '{shortened(names[0])}' with a label in {download.source}"
        raise unknown[0].wrong(IMAGE, f"{absent}. {mismatch(names, there, path.name)}")
    if unnamed:
        raise SwclError(f"{path} names no split for {len(unnamed):,} of {len(paths):,} images, such as {unnamed[0]}.")
    for place, photograph in enumerate(download.photographs):
        download.photographs[place] = replace(photograph, split=splits[photograph.image_id])
    download.draw_validation = False
    download.own_splits = True
