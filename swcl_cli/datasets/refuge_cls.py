"""Read REFUGE for classification: glaucoma or not, 40 of 400 in each part (FACTS 3)."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.catalogue.labels import GLAUCOMA
from swcl_cli.datasets import refuge
from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, Download, Photograph, Source
from swcl_cli.errors import SwclError


def read(source: Path) -> Download:
    """Find photographs and glaucoma labels, in any packaging of REFUGE. Raises SwclError on bad or missing labels."""
    download = Download(source, refuge.PUBLISHED, draw_validation=False)
    contents = refuge.search(download)
    for letter in refuge.TABLED:
        part = [stem for stem in sorted(contents.photographs) if stem[0] == letter]
        if part and not any(stem in contents.glaucoma for stem in part):
            columns = f"{refuge.IMAGE_COLUMN} and {' or '.join(refuge.LABEL_COLUMNS)}"
            raise SwclError(f"{source} holds photographs such as {part[0]}, but no table with {columns} names them.")
    for stem, path in sorted(contents.photographs.items()):
        glaucoma = contents.glaucoma.get(stem)
        if glaucoma is None:
            download.problem(path, NO_LABEL, "no table names it")
        else:
            download.add(Photograph(stem, stem, refuge.split_of(stem), path, labels={GLAUCOMA: glaucoma}))
    for stem in sorted(contents.rows.keys() - contents.photographs.keys()):
        download.problem(f"{stem}.jpg", NO_IMAGE, contents.rows[stem])
    return download


SOURCE = Source(
    name="refuge-cls",
    title="REFUGE-cls",
    about="REFUGE, glaucoma",
    layout=refuge.EXPECTED,
    size=refuge.SIZE,
    origin=refuge.ORIGIN,
    page=refuge.PAGE,
    terms=refuge.TERMS,
    published=refuge.PUBLISHED,
    prepared_size=350,
    read=read,
)
