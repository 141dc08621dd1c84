"""Read OIA-ODIR: both eyes of 5,000 patients, with keywords for each eye (FACTS 3; labels FACTS A2, A3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from swcl_cli.catalogue.labels import ABNORMAL, JOINT, PATIENT, SEVERAL, Label
from swcl_cli.datasets.download import Download, Photograph, Source, Value, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in
from swcl_cli.datasets.names import stem_of
from swcl_cli.datasets.tables import Row, Table, read_table, require_unique

PUBLISHED = {"train": 7000, "val": 1000, "test": 2000}
PARTS = {  # split: folder, label file in its folder Annotation
    "train": ("Training Set", "training annotation (English).xlsx"),
    "val": ("Off-site Test Set", "off-site test annotation (English).xlsx"),
    "test": ("On-site Test Set", "on-site test annotation (English).xlsx"),
}
KAGGLE_LABELS = ("data.xlsx", "full_df.csv")  # a row for each patient; for each eye, the patient's columns repeated
KAGGLE_IMAGES = ("Training Images", "ODIR-5K_Training_Dataset", "ODIR-5K_Training_Images", "preprocessed_images")
KAGGLE_DEPTH = 2  # the archive unpacks as ODIR-5K/ODIR-5K/data.xlsx
COLUMNS = (
    "ID",
    "Patient Age",
    "Patient Sex",
    "Left-Fundus",
    "Right-Fundus",
    "Left-Diagnostic Keywords",
    "Right-Diagnostic Keywords",
)
CATEGORIES = Label("categories", SEVERAL, "categories", of=PATIENT, names=tuple("NDGCAHMO"))  # FACTS B8b
EXPECTED = (
    f"{' / '.join(folder for folder, _ in PARTS.values())}, each with Images and Annotation; "
    f"or {' / '.join(KAGGLE_LABELS)} with {' / '.join(KAGGLE_IMAGES)}"
)
COMMAS = re.compile("[,\uff0c]")  # keywords are separated by full-width commas, but by plain ones in four cells
NAME = re.compile(r"(\d+)_(left|right)")  # of patient and eye: all 7,000 of data.xlsx are called so (run)
NORMAL = re.compile(r"\bnormal fundus\b")  # whole words: an "abnormal fundus" is none (FACTS A2)
LENS_DUST = "lens dust"
ANTERIOR = "anterior segment image"
# Keywords that describe the photograph and not the eye: the keyword rule `clean` drops them (FACTS A2).
OF_THE_PHOTOGRAPH = {
    LENS_DUST,
    "low image quality",
    "image offset",
    "no fundus image",
    "optic disk photographically invisible",
}


def read(source: Path, keywords: str = "released") -> Download:
    """Find the official three parts, or Kaggle's packaging of the training part. Raises SwclError on bad labels.

    keywords: `released` or `clean`, the rule that makes an eye abnormal (FACTS A2).
    """
    check_source(source)
    parts = {split: find(source, [folder], depth=1) for split, (folder, _) in PARTS.items()}
    if any(parts.values()):
        folders = {split: folder for split, folder in parts.items() if folder}
        download = Download(source, PUBLISHED, draw_validation="val" not in folders, own_labels=(CATEGORIES,))
        for split, folder in folders.items():
            table = download.labels(folder / "Annotation" / PARTS[split][1])
            inside = photographs_in(download, folder / "Images")
            _add(download, split, _patients(download, table), inside, keywords == "clean")
    else:
        labels = find(source, KAGGLE_LABELS, KAGGLE_DEPTH)
        images = find(source, KAGGLE_IMAGES, KAGGLE_DEPTH)
        if labels is None or images is None:
            raise wrong_layout(source, "OIA-ODIR", EXPECTED)
        published = {"train": PUBLISHED["train"]}
        download = Download(source, published, draw_validation=True, own_labels=(CATEGORIES,))
        images = photographs_in(download, images)
        _add(download, "train", _patients(download, download.labels(labels)), images, keywords == "clean")
    return download


def keywords_of(cell: str) -> list[str]:
    """Split a cell into the keywords of an eye: at both kinds of comma, in lower case, with single spaces."""
    return [word for word in (" ".join(part.split()).lower() for part in COMMAS.split(cell)) if word]


def is_abnormal(keywords: Sequence[str]) -> bool:
    """Return whether an eye is abnormal: no keyword tells of a `normal fundus`, nor is `lens dust` all (FACTS A2)."""
    return not any(NORMAL.search(keyword) for keyword in keywords) and set(keywords) != {LENS_DUST}


def _patients(download: Download, table: Path) -> Iterable[Row]:
    rows = read_table(table, COLUMNS, CATEGORIES.names)
    rows.remark(download.remarks, download.unused)
    _tell_of_categories(download, rows)
    if table.name != "full_df.csv":
        require_unique(rows, "ID")
        return rows
    patients: dict[str, Row] = {}
    for row in rows:
        first = patients.setdefault(row.text("ID"), row)
        for column in row.cells:
            if row.cells[column] != first.cells[column]:
                raise row.wrong(column, f"'{row.cells[column]}' contradicts row {first.number} of the same patient")
    return patients.values()


def _tell_of_categories(download: Download, rows: Table) -> None:
    """Remark that the table lacks categories: all eight are read, or none."""
    if lacking := [name for name in CATEGORIES.names if name not in rows.columns]:
        download.remark(f"{rows.file.name} has no column {', '.join(lacking)}: its patients have no {CATEGORIES.name}.")


def _add(download: Download, split: str, patients: Iterable[Row], folder: Path, clean: bool) -> None:
    images = Images(download, folder)
    named: set[str] = set()
    contrary: list[Row] = []  # a column that was sorted or shifted alone
    earlier = {photograph.patient_id for photograph in download.photographs}
    for row in patients:
        patient = str(row.integer("ID", 0, 10**9))
        if patient in earlier:
            raise row.wrong("ID", f"patient {patient} stands in another part already")
        person, categories = _person(row), _categories(row)
        eyes = {eye: keywords_of(row.text(f"{eye.title()}-Diagnostic Keywords")) for eye in ("left", "right")}
        for eye, keywords in eyes.items():
            name = row.name(f"{eye.title()}-Fundus")
            stem = stem_of(name)
            if stem in named:
                raise row.wrong(f"{eye.title()}-Fundus", f"'{name}' belongs to another eye already")
            named.add(stem)
            if (told := NAME.fullmatch(stem)) and told.groups() != (patient, eye):
                contrary.append(row)
            path = images.take(name)
            if path is None:
                images.missing(name, str(row))
                continue
            decisive = [word for word in keywords if word not in OF_THE_PHOTOGRAPH] if clean else keywords
            if any(ANTERIOR in words for words in eyes.values()):
                download.drop(split, path, f"patient {patient} has an {ANTERIOR}")
            elif not decisive:
                download.drop(split, path, f"its keywords tell of the photograph alone: {','.join(keywords)}")
            else:
                photograph = Photograph(
                    image_id=f"{patient}_{eye}",
                    patient_id=patient,
                    split=split,
                    path=path,
                    eye=eye,
                    labels={
                        ABNORMAL: is_abnormal(decisive),
                        "keywords": ",".join(keywords),
                        **person,
                        CATEGORIES.name: categories,
                    },
                )
                download.add(photograph)
    if contrary:
        download.remark(
            f"files whose names tell another patient or eye than their row: {len(contrary):,}, such as in "
            f"{contrary[0]}; the rows are believed."
        )
    images.close()


def _categories(row: Row) -> str | None:
    """Return the patient's categories, joined; None where the table lacks one of them, or a cell is empty."""
    if not all(map(row.optional, CATEGORIES.names)):
        return None
    return JOINT.join(name for name in CATEGORIES.names if row.truth(name))


def _person(row: Row) -> dict[str, Value]:
    """Return age and sex, where the row holds them."""
    columns = {"age": "Patient Age", "sex": "Patient Sex"}
    return {label: row.label(column, label) for label, column in columns.items() if row.optional(column)}


SOURCE = Source(
    name="odir",
    title="OIA-ODIR",
    about="OIA-ODIR",
    layout=EXPECTED,
    size="about 2 GB (Kaggle packaging)",
    origin="the ODIR-2019 challenge of Peking University (Li et al. 2021); the training part also on Kaggle as ODIR-5K",
    page="https://odir2019.grand-challenge.org",
    terms="see the site; registration",
    published=PUBLISHED,
    prepared_size=448,
    read=read,
    options=("keywords",),
    labels=(CATEGORIES,),
)
