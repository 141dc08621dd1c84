"""Read Kaggle EyePACS: both eyes of 44,351 patients, with a grade of diabetic retinopathy of each eye (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.catalogue.labels import DR_GRADE, RETINOPATHY
from swcl_cli.datasets.download import Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in
from swcl_cli.datasets.tables import read_table, require_unique

PUBLISHED = {"train": 35126, "test": 53576}
NEARLY_EMPTY = ("492_right", "25313_right", "27096_right")  # of both parts (FACTS 3)
LABELS = {"train": "trainLabels.csv", "test": "retinopathy_solution.csv"}  # each beside the folder of its split's name
EXPECTED = "train/10_left.jpeg with trainLabels.csv, test/1_left.jpeg with retinopathy_solution.csv"
NAME = re.compile(r"(\d+)_(left|right)")


def read(source: Path) -> Download:
    """Find any subset of the images, of either part; `abnormal` stays unknown. Raises SwclError on bad labels.

    A part without its table is listed and left out where the other part has one.
    """
    check_source(source)
    download = Download(source, PUBLISHED, draw_validation=False)
    folders = {split: find(source, [split], depth=1) for split in LABELS}
    tables = {split: find(source, [labels], depth=1) for split, labels in LABELS.items()}
    if not any(folders.values()):
        raise wrong_layout(source, "EyePACS", EXPECTED)
    for split, labels in LABELS.items():
        folder, table = folders[split], tables[split]
        if folder is None and table is None:
            continue
        images = Images(download, photographs_in(download, folder or source / split))
        if table is None and any(tables.values()):
            download.remark(f"{labels} is missing: the photographs of {split} are left out.")
            images.close(detail=f"{labels} is missing")
            continue
        earlier = {photograph.image_id for photograph in download.photographs}
        rows = read_table(download.labels(table or source / labels), ("image", "level"))
        rows.remark(download.remarks, download.unused)
        require_unique(rows, "image")
        for row in rows:
            name = row.name("image")
            parts = NAME.fullmatch(name)
            if parts is None:
                raise row.wrong("image", f"'{name}' is not of the form 10_left")
            if name in earlier:
                raise row.wrong("image", f"'{name}' stands in {LABELS['train']} already")
            grade = row.label("level", DR_GRADE)
            path = images.take(name)
            if path is None:
                images.missing(f"{name}.jpeg", str(row))
                continue
            patient, eye = parts.groups()
            download.add(Photograph(name, patient, split, path, eye, labels={DR_GRADE: grade}))
        images.close()
    return download


SOURCE = Source(
    name="eyepacs",
    title="Kaggle EyePACS",
    about="Kaggle EyePACS",
    layout=EXPECTED,
    size="about 88 GB",
    origin="the Kaggle competition Diabetic Retinopathy Detection (2015)",
    page="https://www.kaggle.com/c/diabetic-retinopathy-detection",
    terms="the competition's rules; no redistribution",
    published=PUBLISHED,
    prepared_size=448,
    read=read,
    titles={DR_GRADE: RETINOPATHY},
)
