"""Read Messidor: 1,200 photographs of three hospitals with grades of retinopathy and risk of oedema (FACTS 3)."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.catalogue.labels import DME_GRADE, DR_GRADE, OEDEMA
from swcl_cli.datasets.download import CORRECTED, Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in
from swcl_cli.datasets.names import stem_of
from swcl_cli.datasets.tables import Row, read_table, require_unique
from swcl_cli.errors import SwclError

PUBLISHED = {"train": 1196}  # of 1,200; four are left out, see `read`
BASES = tuple(f"Base{hospital}{part}" for hospital in (1, 2, 3) for part in (1, 2, 3, 4))
LABELS = ("Annotation_{base}.xls", "Annotation {base}.xls", "Annotation_{base}.xlsx", "Annotation {base}.xlsx")
IMAGE, GRADES, RISK = "Image name", "Retinopathy grade", "Risk of macular edema"
ERRATA = {  # (base, stem): the grade that the site's errata give
    ("Base11", "20051020_63045_0100_PP"): 0,
    ("Base11", "20051020_64007_0100_PP"): 3,
    ("Base11", "20051020_63936_0100_PP"): 1,
    ("Base13", "20060523_48477_0100_PP"): 3,
}
EXPECTED = f"{BASES[0]}/20051019_38557_0100_PP.tif ... {BASES[-1]}/, {LABELS[0].format(base=BASES[0])} in or beside it"


def read(source: Path) -> Download:
    """Find photographs and grades in SOURCE, which holds the twelve base folders or some of them.

    Patients are not published, so each image counts as a patient. The published errata are applied where the tables
    lack them, and listed. Photographs with equal pixels and different grades are left out (four in Base33). No split is
    published: all photographs stand in `train`, which fine-tuning divides into folds.
    """
    check_source(source)
    bases = {base: folder for base in BASES if (folder := find(source, [base], depth=1))}
    if not bases:
        raise wrong_layout(source, "Messidor", EXPECTED)
    download = Download(source, PUBLISHED, draw_validation=False, drop_disagreeing=True)
    for base, folder in bases.items():
        _add(download, base, folder)
    return download


def _add(download: Download, base: str, folder: Path) -> None:
    names = [name.format(base=base) for name in LABELS]
    inside = photographs_in(download, folder)
    candidates = [place / name for place in (inside, folder, folder.parent) for name in names]
    tables = [table for table in candidates if table.is_file()]
    if not tables:
        raise SwclError(f"The label file {folder.parent / names[0]} is missing; it may lie in {base} as well.")
    labels = download.labels(tables[0])
    rows = read_table(labels, (IMAGE, GRADES, RISK))
    rows.remark(download.remarks, download.unused)
    require_unique(rows, IMAGE)
    images = Images(download, inside, ignored={table.name for table in tables})
    for row in rows:
        name = row.name(IMAGE)
        stem = stem_of(name)
        grade, oedema = row.integer(GRADES, 0, 3), row.label(RISK, DME_GRADE)
        path = images.take(name)
        if path is None:
            images.missing(name, str(row))
            continue
        grade = _corrected(download, row, (base, stem), path, grade)
        image_id = f"{base}_{stem}"
        download.add(Photograph(image_id, image_id, "train", path, labels={DR_GRADE: grade, DME_GRADE: oedema}))
    images.close()


def _corrected(download: Download, row: Row, image: tuple[str, str], path: str, grade: int) -> int:
    right = ERRATA.get(image, grade)
    if right != grade:
        download.problem(path, CORRECTED, f"{row}: grade {grade} is {right} by the published errata")
    return right


SOURCE = Source(
    name="messidor",
    title="Messidor",
    about="Messidor",
    layout=EXPECTED,
    size="several GB",
    origin="the Messidor page of ADCIS (Decenciere et al. 2014)",
    page="https://www.adcis.net/en/third-party/messidor/",
    terms="research and education alone, no redistribution; a form to fill in",
    published=PUBLISHED,
    prepared_size=350,
    read=read,
    titles={DME_GRADE: OEDEMA},
)
