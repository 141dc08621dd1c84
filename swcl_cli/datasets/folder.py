"""Read people's own data: any folder of photographs, with or without a table of labels and a folder of masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from swcl_cli.datasets.folder_labels import (
    FOLDERS,
    IMAGE,
    PLACES,
    Labelled,
    of_patients,
    read_labelled,
    tell_of_folders,
    tell_of_labels,
)
from swcl_cli.datasets.folder_words import mask_folder, plain_stems, split_of, unclear
from swcl_cli.datasets.mask_classes import read_classes
from swcl_cli.datasets.mask_folders import MaskFolders, images_in, mask_folders, match_masks
from swcl_cli.datasets.names import Names, composed, photograph_of, stem_of
from swcl_cli.datasets.tables import says_nothing
from swcl_cli.errors import SwclError, UsageError

PUBLISHED: dict[str, int] = {}
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
EXPECTED = (
    f"photographs in folders of any names; --labels TABLE with the column {IMAGE}, any of {', '.join(PLACES)}, and "
    "labels; or a folder for each class, with --labels folders"
)


def read(
    source: Path,
    labels: Path | None = None,
    masks: Sequence[Path] = (),
    name_pattern: str | None = None,
    mask_classes: Path | None = None,
    mask_edges: str = "exact",
    without_mask: str = "unknown",
    image_column: str | None = None,
    label: Sequence[str] = (),
) -> Download:
    """Find all images below SOURCE, or only those that the table `labels` names, by paths with or without suffix.

    labels: a table, or `folders`, where each class has one; image_column, label: see `read_labelled`.

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
    tabled = labels is not None and labels != Path(FOLDERS)
    paths = images_in(download, source, {labels.name} if labels and tabled else set(), folders.all)
    found = match_masks(download, folders, paths, without_mask == "empty")
    if masks:
        paths = _without_masks(download, paths, found.files)
    _require_no_masks(source, paths, found.photographs)
    labelled = read_labelled(download, paths, Names(paths), labels, image_column, label)
    splits = {path: split for path in paths if (split := split_of(path))}
    stems = Counter(map(stem_of, paths))
    for path in paths:
        if labels and path not in labelled.places:
            if tabled:
                download.problem(path, NO_LABEL, f"{labels.name} does not name it")
            continue
        alone = stems[stem_of(path)] == 1
        of_folder = splits.get(path, ("train", ""))[0]
        download.add(_photograph(path, alone, labelled, pattern, found.of(path), of_folder))
        if missing := found.missing(path):
            download.problem(path, NO_MASK, missing)
    _require_unique(download)
    labelled = of_patients(download, labelled)
    download.own_labels = labelled.labels
    tell_of_labels(download, labelled)
    split_rows = {path for path in labelled.rows if (row := labelled.row(path)) and row.optional("split")}
    download.own_splits = bool(splits or split_rows)
    download.draw_validation = not any(photograph.split == "val" for photograph in download.photographs)
    _tell_of_splits(download, splits, split_rows)
    _tell_of_patients(download, labelled, pattern)
    if not (labels or name_pattern):
        tell_of_folders(download, [photograph.path for photograph in download.photographs])
    return download


def _tell_of_splits(download: Download, folders: Mapping[str, tuple[str, str]], rows: Collection[str]) -> None:
    """Remark which folders are splits by their names, which may be, but are not taken so, and what has no split.

    rows: the photographs of which a table tells the split.
    """
    told_by = {*folders, *rows}
    if folders:
        counts = Counter(photograph.split for photograph in download.photographs if photograph.path in folders)
        told = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
        names = ", ".join(sorted({folder for _, folder in folders.values()})[:MOST_NAMED])
        download.remark(f"folders of SOURCE are splits by their names ({names}): {told}; --split-file names others.")
    untold = [photograph.path for photograph in download.photographs if photograph.path not in told_by]
    if told_by and untold:
        download.remark(
            f"photographs that neither table nor folder gives a split are train: {len(untold):,}, such as {untold[0]}."
        )
    if names := ", ".join(unclear(untold)[:MOST_NAMED]):
        download.remark(f"folders that may be a split, but are taken as train: {names}; --split-file names others.")


def _tell_of_patients(download: Download, labelled: Labelled, pattern: re.Pattern[str] | None) -> None:
    """Remark which photographs have no patient, where others have one."""
    untold = [
        photograph.path
        for photograph in download.photographs
        if not ((row := labelled.row(photograph.path)) and _is_known(row.cells.get("patient", "")))
        and "patient_id" not in _from_name(composed(photograph.path), pattern)
    ]
    if 0 < len(untold) < len(download.photographs):
        download.remark(
            f"photographs without a patient: {len(untold):,}, such as {untold[0]}; each counts as a patient of its "
            "own, so that splits and folds may divide one."
        )


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


def _photograph(
    path: str, alone: bool, labelled: Labelled, pattern: re.Pattern[str] | None, masks: Mapping[str, Any], split: str
) -> Photograph:
    """Describe a photograph. alone: no other one has its stem; otherwise its suffix belongs to its `image_id`. split:
    that of its folder, unless the table tells another. masks: fields of its masks.

    Without a patient its stem is the patient, so that files of equal stems stay together.
    """
    stem = stem_of(path).replace("/", "_")
    image_id = stem if alone else composed(path).replace("/", "_")
    values: dict[str, Any] = {"patient_id": stem, "split": split, **masks, **_from_name(composed(path), pattern)}
    if row := labelled.row(path):
        for column, words in (("split", SPLIT_WORDS), ("eye", EYE_WORDS)):
            if row.optional(column):
                values[column] = row.choice(column, words)
        if _is_known(row.cells.get("patient", "")):
            values["patient_id"] = row.identifier("patient")
        known = [label.name for label in TABLED if row.optional(label.name)]
        values["labels"] = {name: row.label(name, name) for name in known}
    values["labels"] = {**values.get("labels", {}), **labelled.own(path)}
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
    options=(
        *("name", "labels", "image_column", "label"),
        *("masks", "mask_classes", "mask_edges", "without_mask", "name_pattern"),
    ),
)
