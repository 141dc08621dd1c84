"""Read people's own data: any folder of photographs, with or without a table of labels and a folder of masks."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from swcl_cli.catalogue.labels import TABLED
from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, Download, Photograph, Source, check_source
from swcl_cli.datasets.folders import Images, split_name, walk
from swcl_cli.datasets.tables import Row, read_header, read_table, require_unique
from swcl_cli.errors import SwclError, UsageError

PUBLISHED: dict[str, int] = {}
IMAGE = "image"
SPLIT_WORDS = {"train": "train", "val": "val", "test": "test"}
EYE_WORDS = {
    "left": "left",
    "l": "left",
    "os": "left",
    "right": "right",
    "r": "right",
    "od": "right",
    "unknown": "unknown",
}
NEAR = 0.8  # likeness from which a column counts as misspelt: patient_id for patient
COLUMNS = ("patient", "eye", "split", *(label.name for label in TABLED))
EXPECTED = (
    f"photographs in folders of any names; --labels TABLE with the columns {IMAGE} and any of {', '.join(COLUMNS)}"
)


def read(
    source: Path, labels: Path | None = None, masks: Path | None = None, name_pattern: str | None = None
) -> Download:
    """Find all images below SOURCE, or only those that the table `labels` names, by paths with or without suffix.

    masks: a folder laid out as SOURCE. name_pattern: a regular expression with the groups `patient` and `eye`, either
    or both, searched for in an image's path; the table's columns come first. Raises SwclError on bad labels.
    """
    check_source(source)
    if masks and not masks.is_dir():
        raise UsageError(f"masks: {masks} is not a folder.")
    pattern = _compiled(name_pattern)
    download = Download(source, PUBLISHED, draw_validation=True, mask_kind="mask")
    paths = _images(download, source, {labels.name} if labels else set())
    rows = _rows(labels, paths)
    mask_paths = _images(Download(masks, PUBLISHED, False), masks) if masks else {}
    for key, path in paths.items():
        row = rows.get(key)
        if labels and row is None:
            download.problem(path, NO_LABEL, f"{labels.name} does not name it")
        else:
            mask = str((masks / mask_paths[key]).absolute()) if masks and key in mask_paths else None
            download.add(_photograph(key, path, row, pattern, mask))
    for key in rows.keys() - paths.keys():
        download.problem(rows[key].cells[IMAGE], NO_IMAGE, str(rows[key]))
    for key in mask_paths.keys() - paths.keys():
        download.problem(mask_paths[key], NO_IMAGE, "a mask")
    _require_unique(download)
    download.draw_validation = not any(photograph.split == "val" for photograph in download.photographs)
    return download


def _compiled(name_pattern: str | None) -> re.Pattern[str] | None:
    if name_pattern is None:
        return None
    try:
        pattern = re.compile(name_pattern)
    except re.error as error:
        raise UsageError(f"name_pattern: '{name_pattern}' is not a regular expression: {error}.") from error
    if not pattern.groupindex.keys() & {"patient", "eye"}:
        raise UsageError(f"name_pattern: '{name_pattern}' has neither a group (?P<patient>...) nor (?P<eye>...).")
    return pattern


def _images(download: Download, folder: Path, ignored: Collection[str] = ()) -> dict[str, str]:
    """Return the images' paths relative to the folder, sorted; a key is the path without its suffix."""
    paths = [path for subfolder in walk(download) for path in Images(download, subfolder, ignored).paths.values()]
    return {_key(path): path for path in sorted(paths)}


def _key(path: str) -> str:
    return path.removesuffix(Path(path).name) + split_name(Path(path).name)[0]


def _rows(labels: Path | None, paths: dict[str, str]) -> dict[str, Row]:
    """Read the table's rows, by the keys of their images; a name without suffix is a key already."""
    if labels is None:
        return {}
    _check_columns(labels)
    rows = read_table(labels, (IMAGE,), COLUMNS)
    require_unique(rows, IMAGE)
    rows_by_key: dict[str, Row] = {}
    for row in rows:
        text = row.path(IMAGE)
        key = text if text in paths else _key(text)
        if key in rows_by_key:
            raise row.wrong(IMAGE, f"'{text}' names the image of row {rows_by_key[key].number} again")
        rows_by_key[key] = row
    return rows_by_key


def _check_columns(labels: Path) -> None:
    """Check that no column would be ignored because its name is misspelt. Raises SwclError."""
    header = read_header(labels)
    absent = [column for column in COLUMNS if column not in header]
    for column in header:
        similar = get_close_matches(column, absent, 1, NEAR) if column not in (IMAGE, *COLUMNS) else []
        if similar:
            raise SwclError(
                f"{labels}, row 1: column '{column}' is not read: call it '{similar[0]}', or quite differently."
            )


def _photograph(key: str, path: str, row: Row | None, pattern: re.Pattern[str] | None, mask: str | None) -> Photograph:
    image_id = key.replace("/", "_")
    values: dict[str, Any] = {"patient_id": image_id, "split": "train", "mask": mask, **_from_name(path, pattern)}
    if row is not None:
        for column, words in (("split", SPLIT_WORDS), ("eye", EYE_WORDS)):
            if row.optional(column):
                values[column] = row.choice(column, words)
        if row.optional("patient"):
            values["patient_id"] = row.text("patient")
        values["labels"] = {
            label.name: row.label(label.name, label.name) for label in TABLED if row.optional(label.name)
        }
    return Photograph(image_id=image_id, path=path, **values)


def _from_name(path: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
    if pattern is None:
        return {}
    match = pattern.search(path)
    groups = {name: text for name, text in match.groupdict().items() if text} if match else {}
    if not groups:
        raise SwclError(f"{path}: --name-pattern '{pattern.pattern}' finds neither a patient nor an eye in it.")
    values = {"patient_id": groups["patient"]} if "patient" in groups else {}
    if "eye" in groups:
        if groups["eye"].lower() not in EYE_WORDS:
            raise SwclError(f"{path}: --name-pattern finds the eye '{groups['eye']}': none of {', '.join(EYE_WORDS)}.")
        values["eye"] = EYE_WORDS[groups["eye"].lower()]
    return values


def _require_unique(download: Download) -> None:
    paths: dict[str, str] = {}
    for photograph in download.photographs:
        other = paths.setdefault(photograph.image_id, photograph.path)
        if other != photograph.path:
            raise SwclError(f"{other} and {photograph.path} would both be called {photograph.image_id}: rename one.")


SOURCE = Source(
    name="folder",
    title="folder",
    about="photographs of your own",
    layout=EXPECTED,
    size="any",
    origin="anywhere",
    terms="yours",
    published=PUBLISHED,
    prepared_size=448,
    read=read,
    options=("name", "labels", "masks", "name_pattern"),
)
