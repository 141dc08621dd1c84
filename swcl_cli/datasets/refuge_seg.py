"""Read REFUGE for segmentation: optic disc and cup (FACTS 3). Photographs become squares, masks keep their own size."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.catalogue.labels import GLAUCOMA
from swcl_cli.datasets import refuge
from swcl_cli.datasets.download import NO_IMAGE, Download, Photograph, Source


def read(source: Path) -> Download:
    """Find photographs and masks, in any packaging of REFUGE. Only a test image may lack its mask.

    Prepared masks hold 0 cup, 128 rim, 255 background.
    """
    download = Download(source, refuge.PUBLISHED, draw_validation=False, mask_kind="disc_and_cup", square=True)
    contents = refuge.search(download)
    for stem, path in sorted(contents.photographs.items()):
        split, mask = refuge.split_of(stem), contents.masks.get(stem)
        if mask or download.without_mask(split, path, f"{stem}.bmp"):
            labels = {GLAUCOMA: contents.glaucoma[stem]} if stem in contents.glaucoma else {}
            download.add(Photograph(stem, stem, split, path, mask=mask, labels=labels))
    for stem in sorted(contents.masks.keys() - contents.photographs.keys()):
        download.problem(contents.masks[stem], NO_IMAGE, "a mask")
    return download


SOURCE = Source(
    name="refuge-seg",
    title="REFUGE-seg",
    about="REFUGE, disc and cup",
    layout=refuge.EXPECTED,
    size=refuge.SIZE,
    origin=refuge.ORIGIN,
    page=refuge.PAGE,
    terms=refuge.TERMS,
    published=refuge.PUBLISHED,
    prepared_size=514,
    read=read,
)
