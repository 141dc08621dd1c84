"""Read people's own data: any folder of photographs, with or without a table of labels and a folder of masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from swcl_cli.catalogue.labels import TABLED
from swcl_cli.catalogue.structures import Structures
from swcl_cli.datasets.download import (
    NO_IMAGE,
    NO_LABEL,
    NO_MASK,
    SPLIT_WORDS,
    SPLITS,
    Download,
    Photograph,
    Source,
    check_source,
)
from swcl_cli.datasets.folder_words import mask_folder, plain_stems, split_of, unclear
from swcl_cli.datasets.mask_classes import read_classes
from swcl_cli.datasets.mask_folders import MaskFolders, images_in, mask_folders, match_masks, meant
from swcl_cli.datasets.names import Names, composed, photograph_of, shortened, stem_of
from swcl_cli.datasets.tables import WHOLE_AS_TEXT, Row, Table, read_table, require_unique, says_nothing
from swcl_cli.errors import SwclError, UsageError

PUBLISHED: dict[str, int] = {}
IMAGE = "image"
EYE_WORDS = {
    "left": "left",
    "l": "left",
    "os": "left",
    "right": "right",
    "r": "right",
    "od": "right",
    "unknown": "unknown",
}
MOST_NAMED = 6  # folders in a remark
NEAR = 0.8  # likeness from which a column counts as misspelt: patient_id for patient
COLUMNS = ("patient", "eye", "split", *(label.name for label in TABLED))
EXPECTED = (
    f"photographs in folders of any names; --labels TABLE with the columns {IMAGE} and any of {', '.join(COLUMNS)}"
)


def read(
    source: Path,
    labels: Path | None = None,
    masks: Sequence[Path] = (),
    name_pattern: str | None = None,
    mask_classes: Path | None = None,
    mask_edges: str = "exact",
    without_mask: str = "unknown",
) -> Download:
    """Find all images below SOURCE, or only those that the table `labels` names, by paths with or without suffix.

    masks: folders laid out as SOURCE, see `mask_folders`; mask_classes: a table, see `read_classes`; mask_edges,
    without_mask: see the settings of `prep`. name_pattern: a regular expression with the groups `patient` and `eye`,
    either or both, searched for in an image's path; the table's columns come first. Raises SwclError on bad labels;
    names that fit several images become `stops` of the download.
    """
    check_source(source)
    folders = mask_folders(masks)
    pattern = _compiled(name_pattern)
    download = Download(source, PUBLISHED, draw_validation=True, mask_kind="mask", nearest=mask_edges == "nearest")
    download.structures = _structures(download, folders, mask_classes, mask_edges, without_mask)
    paths = images_in(download, source, {labels.name} if labels else set(), folders.all)
    found = match_masks(download, folders, paths, without_mask == "empty")
    if masks:
        paths = _without_masks(download, paths, found.files)
    _require_no_masks(source, paths, found.photographs)
    names = Names(paths)
    rows = _rows(download, labels, names)
    splits = {path: split for path in paths if (split := split_of(path))}
    stems = Counter(map(stem_of, paths))
    for path in paths:
        row = rows.get(path)
        if labels and row is None:
            download.problem(path, NO_LABEL, f"{labels.name} does not name it")
            continue
        alone = stems[stem_of(path)] == 1
        download.add(_photograph(path, alone, row, pattern, found.of(path), splits.get(path, ("train", ""))[0]))
        if missing := found.missing(path):
            download.problem(path, NO_MASK, missing)
    _require_unique(download)
    download.own_splits = bool(splits) or any(row.optional("split") for row in rows.values())
    download.draw_validation = not any(photograph.split == "val" for photograph in download.photographs)
    _tell_of_splits(download, splits, rows)
    return download


def _tell_of_splits(download: Download, folders: Mapping[str, tuple[str, str]], rows: Mapping[str, Row]) -> None:
    """Remark which folders are splits by their names, and which may be, but are not taken so."""
    if folders:
        counts = Counter(photograph.split for photograph in download.photographs if photograph.path in folders)
        told = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
        names = ", ".join(sorted({folder for _, folder in folders.values()})[:MOST_NAMED])
        download.remark(f"folders of SOURCE are splits by their names ({names}): {told}; --split-file names others.")
    told_by = folders.keys() | {path for path, row in rows.items() if row.optional("split")}
    untold = (photograph.path for photograph in download.photographs if photograph.path not in told_by)
    if names := ", ".join(unclear(untold)[:MOST_NAMED]):
        download.remark(f"folders that may be a split, but are taken as train: {names}; --split-file names others.")


def _structures(
    download: Download, folders: MaskFolders, mask_classes: Path | None, mask_edges: str, without_mask: str
) -> Structures | None:
    """Return what masks of several structures show; None where masks have to tell it, or there are none.

    Raises UsageError where settings are about masks of another form.
    """
    masked = bool(folders.all)
    for name, chosen, fitting, needs in (
        ("mask_classes", mask_classes, folders.plain, "--masks DIR, a folder of masks with several values"),
        ("mask_edges", mask_edges != "exact", masked, "--masks"),
        ("without_mask", without_mask != "unknown", folders.named, "--masks NAME=DIR, a folder for each structure"),
    ):
        if chosen and not fitting:
            raise UsageError(f"{name}: it is about {needs}.")
    if mask_classes:
        return read_classes(mask_classes, download.remarks)
    return Structures.layered(tuple(folders.named)) if folders.named else None


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


def _rows(download: Download, labels: Path | None, names: Names) -> dict[str, Row]:
    """Read the table's rows, by the paths of their images."""
    if labels is None:
        return {}
    rows = read_table(labels, (IMAGE,), COLUMNS)
    _check_columns(rows)
    require_unique(rows, IMAGE)
    rows.remark(download.remarks)
    are_numbers = all(map(WHOLE_AS_TEXT.fullmatch, rows.columns[IMAGE]))  # and so 7.0 is 7
    rows_by_path: dict[str, Row] = {}
    for row in rows:
        name = row.path(IMAGE)
        path = meant(download, names, row.identifier(IMAGE) if are_numbers and not names.fitting(name) else name, row)
        if path in rows_by_path:
            raise row.wrong(
                IMAGE, f"'{shortened(row.cells[IMAGE])}' names the image of row {rows_by_path[path].number} again"
            )
        if path:
            rows_by_path[path] = row
    return rows_by_path


def _without_masks(download: Download, images: list[str], masks: set[str]) -> list[str]:
    """Return the images that are no masks, neither of a photograph nor listed as masks of none."""
    listed = {problem.source_path for problem in download.problems if problem.problem == NO_IMAGE}
    return [path for path in images if path not in listed and str((download.source / path).absolute()) not in masks]


def _require_no_masks(source: Path, images: list[str], masked: Collection[str]) -> None:
    """Raise SwclError where images seem to be masks, which would become photographs. masked: those that have one."""
    names, photographs = Names(images), plain_stems(images)
    for path in images:
        if path in masked:
            continue
        folder, plain = mask_folder(path, photographs), photograph_of(path)
        if folder:
            raise SwclError(
                f"{source / path} seems to be a mask: take --masks {source / folder}, or move that folder away."
            )
        if plain and names.fitting(plain):
            raise SwclError(
                f"{source / path} seems to be the mask of {names.fitting(plain)[0]}: take --masks {source}, or move "
                "the masks away."
            )


def _check_columns(table: Table) -> None:
    """Check that no column would be ignored because its name is misspelt. Raises SwclError."""
    absent = [column for column in COLUMNS if column not in table.header]
    for column in table.header:
        similar = get_close_matches(column, absent, 1, NEAR) if column not in (IMAGE, *COLUMNS) else []
        if similar:
            raise SwclError(
                f"{table.file}, row {table.header_row}: column '{column}' is not read: call it '{similar[0]}', "
                "or quite differently."
            )


def _photograph(
    path: str, alone: bool, row: Row | None, pattern: re.Pattern[str] | None, masks: Mapping[str, Any], split: str
) -> Photograph:
    """Describe a photograph. alone: no other one has its stem; otherwise its suffix belongs to its `image_id`. split:
    that of its folder, unless the table tells another. masks: fields of its masks.

    Without a patient its stem is the patient, so that files of equal stems stay together.
    """
    stem = stem_of(path).replace("/", "_")
    image_id = stem if alone else composed(path).replace("/", "_")
    values: dict[str, Any] = {"patient_id": stem, "split": split, **masks, **_from_name(composed(path), pattern)}
    if row is not None:
        for column, words in (("split", SPLIT_WORDS), ("eye", EYE_WORDS)):
            if row.optional(column):
                values[column] = row.choice(column, words)
        if _is_known(row.cells.get("patient", "")):
            values["patient_id"] = row.identifier("patient")
        known = [label.name for label in TABLED if row.optional(label.name)]
        values["labels"] = {name: row.label(name, name) for name in known}
    return Photograph(image_id=image_id, path=path, **values)


def _is_known(patient: str) -> bool:
    """Return whether a text names a patient. One of marks alone, such as `?`, would make one patient of many."""
    return any(map(str.isalnum, patient)) and not says_nothing(patient)


def _from_name(path: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
    if pattern is None:
        return {}
    match = pattern.search(path)
    groups = {name: text for name, text in match.groupdict().items() if text} if match else {}
    if not groups:
        raise SwclError(f"{path}: --name-pattern '{pattern.pattern}' finds neither a patient nor an eye in it.")
    values = {"patient_id": groups["patient"]} if _is_known(groups.get("patient", "")) else {}
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
    options=("name", "labels", "masks", "mask_classes", "mask_edges", "without_mask", "name_pattern"),
)
