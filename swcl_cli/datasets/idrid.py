"""Read IDRiD's disease grading: 516 photographs with grades of retinopathy and of macular oedema (FACTS 3)."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.catalogue.labels import DME_GRADE, DR_GRADE, OEDEMA, RETINOPATHY
from swcl_cli.datasets.download import Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in
from swcl_cli.datasets.tables import read_table, require_unique

PUBLISHED = {"train": 413, "test": 103}
IMAGES = "1. Original Images"
LABELS = "2. Groundtruths"
PARTS = {  # split: folder of images, label file
    "train": ("a. Training Set", "a. IDRiD_Disease Grading_Training Labels.csv"),
    "test": ("b. Testing Set", "b. IDRiD_Disease Grading_Testing Labels.csv"),
}
EXPECTED = f"{IMAGES}/{PARTS['train'][0]}/IDRiD_001.jpg with {LABELS}/{PARTS['train'][1]}"
IMAGE = "Image name"
GRADES = {DR_GRADE: "Retinopathy grade", DME_GRADE: "Risk of macular edema"}  # label: column


def read(source: Path) -> Download:
    """Find photographs and grades in SOURCE: the folder `B. Disease Grading`, or the folder above it.

    One part may be absent, photographs and labels. Patients are not published, so each image counts as a patient. Stems
    repeat between the two parts, so `image_id` begins with the split. Raises SwclError on bad labels.
    """
    check_source(source)
    table = find(source, [f"{LABELS}/{labels}" for _, labels in PARTS.values()], depth=2)
    images = table.parent.parent / IMAGES if table else find(source, [IMAGES], depth=2)
    if images is None:
        raise wrong_layout(source, "IDRiD (B. Disease Grading)", EXPECTED)
    download = Download(source, PUBLISHED, draw_validation=True)
    for split, (folder, labels) in PARTS.items():
        part, table = images / folder, images.parent / LABELS / labels
        if part.is_dir() or table.is_file():
            _add(download, split, photographs_in(download, part), table)
    return download


def _add(download: Download, split: str, folder: Path, labels: Path) -> None:
    rows = read_table(download.labels(labels), (IMAGE, *GRADES.values()))
    rows.remark(download.remarks, download.unused)
    require_unique(rows, IMAGE)
    images = Images(download, folder)
    for row in rows:
        name = row.name(IMAGE)
        grades = {label: row.label(column, label) for label, column in GRADES.items()}
        path = images.take(name)
        if path is None:
            images.missing(f"{name}.jpg", str(row))
            continue
        image_id = f"{split}_{name}"
        download.add(Photograph(image_id, image_id, split, path, labels=grades))
    images.close()


SOURCE = Source(
    name="idrid",
    title="IDRiD",
    about="IDRiD, disease grading",
    layout=EXPECTED,
    size="212 MB",
    origin="IEEE DataPort, Indian Diabetic Retinopathy Image Dataset (Porwal et al. 2018)",
    page="https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid",
    terms="CC BY 4.0",
    published=PUBLISHED,
    prepared_size=350,
    read=read,
    titles={DR_GRADE: RETINOPATHY, DME_GRADE: OEDEMA},
)
