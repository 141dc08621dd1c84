"""Read what people say of their photographs: in a table with any columns, or by a folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import takewhile, zip_longest
from pathlib import Path, PurePosixPath

from swcl_cli.catalogue.labels import CLASSES, JOINT, PATIENT, SEVERAL, TABLED, Label
from swcl_cli.datasets.download import NO_LABEL, SPLIT_WORDS, Download, LabelRow
from swcl_cli.datasets.folder_words import unclear, words_of
from swcl_cli.datasets.label_cells import Choice, LabelColumn, Unsuitable
from swcl_cli.datasets.label_columns import NONE, overview, read_choices, read_column, require_apart
from swcl_cli.datasets.mask_folders import meant
from swcl_cli.datasets.names import Names, shortened
from swcl_cli.datasets.sheets import normal
from swcl_cli.datasets.sign_columns import read_together
from swcl_cli.datasets.tables import WHOLE_AS_TEXT, Row, Table, read_table, require_unique
from swcl_cli.errors import SwclError, UsageError

IMAGE = "image"
FOLDERS = "folders"  # in place of a table: a folder is a class
CLASS = "class"  # the label that folders tell
PLACES = ("patient", "eye", "split")  # columns with a meaning of their own
KNOWN = {label.name: label for label in TABLED}
NEAR = 0.8  # likeness from which a column counts as misspelt: patient_id for patient
NAMED = 6  # folders in a remark
ROWS_NAMED = 5  # in an error


@dataclass(frozen=True)
class Labelled:
    """Hold what is said of photographs: rows of a table by their paths, and labels of people's own.

    places: by path, where the values of a label column stand; rows: where the row of the table stands.
    """

    table: Table | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    columns: Sequence[LabelColumn] = ()
    places: Mapping[str, int] = field(default_factory=dict)

    def row(self, path: str) -> Row | None:
        """Return the photograph's row of the table; None where there is none."""
        return self.table.row(self.rows[path]) if self.table and path in self.rows else None

    def own(self, path: str) -> dict[str, str | float | None]:
        """Return the photograph's labels of people's own, None where one is missing."""
        return {column.label.name: column.values[self.places[path]] for column in self.columns}

    @property
    def labels(self) -> tuple[Label, ...]:
        """List the labels of people's own."""
        return tuple(column.label for column in self.columns)


def read_labelled(
    download: Download,
    paths: Sequence[str],
    names: Names,
    labels: Path | None,
    image_column: str | None,
    label: Sequence[str],
) -> Labelled:
    """Read the table `labels`, or take folders for classes, of the photographs at these paths.

    Raises UsageError where settings don't go together, SwclError on bad tables and folders.
    """
    choices = read_choices(label)
    if labels is None or labels == Path(FOLDERS):
        if image_column:
            raise UsageError("image_column: it is about --labels TABLE.")
        if choices.keys() - ({CLASS} if labels else set()):
            raise UsageError(f"label: it is about --labels; the label that {FOLDERS} tell is called '{CLASS}'.")
        return _of_folders(download, paths, choices) if labels else Labelled()
    table = _read(labels, image_column or IMAGE)
    rows = _by_path(download, table, names, image_column or IMAGE)
    columns = _columns(table, [*rows.values()], choices, image_column or IMAGE)
    table.remark(download.remarks)
    download.remarks += [f"{table.file.name}: {remark}." for column in columns for remark in column.remarks]
    require_apart(
        [*(known for known in TABLED if known.name in table.columns), *(each.label for each in columns)], labels
    )
    return Labelled(table, rows, columns, dict(zip(rows, range(len(rows)), strict=True)))


def _read(labels: Path, image: str) -> Table:
    """Read a table with all of its columns. Raises SwclError where one's name is nearly that of another meaning."""
    known = [name for name in (*PLACES, *(label.name for label in TABLED)) if normal(name) != normal(image)]
    return read_table(labels, (image,), known, every=True, advice="; --image-column NAME tells another one")


def _by_path(download: Download, table: Table, names: Names, image: str) -> dict[str, int]:
    """Return the places of the rows by the paths of their images."""
    require_unique(table, image)
    are_numbers = all(map(WHOLE_AS_TEXT.fullmatch, table.columns[image]))  # and so 7.0 is 7
    rows: dict[str, int] = {}
    for place, row in enumerate(table):
        name = row.path(image)
        path = meant(download, names, row.identifier(image) if are_numbers and not names.fitting(name) else name, row)
        if path in rows:
            raise row.wrong(
                image, f"'{shortened(row.cells[image])}' names the image of row {table.numbers[rows[path]]} again"
            )
        if path:
            rows[path] = place
    return rows


def _columns(table: Table, rows: Sequence[int], choices: Mapping[str, Choice], image: str) -> list[LabelColumn]:
    """Read the columns that are labels of people's own, and note among the unused ones why others are none.

    Known labels that people leave out are removed from the table. rows: places of those that name a photograph.
    """
    together = [_together(table, rows, choice, image) for choice in choices.values() if _are_columns(table, choice)]
    left = {name: choice for name, choice in choices.items() if not _are_columns(table, choice)}
    for name in {name for column in together for name in column.label.names}:
        del table.columns[name]
    columns = []
    for name in [name for name in table.columns if name not in (image, *PLACES)]:
        choice = left.pop(normal(name), None)
        if name in KNOWN and choice and choice.kind not in (NONE, KNOWN[name].kind):
            raise UsageError(f"label: {name} is known, as {KNOWN[name].kind}: rename the column to learn it otherwise.")
        if choice and choice.kind == NONE:
            del table.columns[name]
            table.unused.append(f"'{shortened(name)}' (left out)")
            continue
        if name in KNOWN:
            continue
        _require_not_misspelt(table, name, choice)
        try:
            columns.append(read_column(name, [table.columns[name][place] for place in rows], choice))
        except Unsuitable as reason:
            if choice:
                raise SwclError(f"{_where(table, name, rows, reason)} {reason}.") from None
            table.unused.append(f"'{shortened(name)}' ({reason}{_in_rows(table, name, rows, reason)})")
    for choice in left.values():
        names = ", ".join(f"'{shortened(name)}'" for name in table.columns if name not in (image, *PLACES))
        told = "has a meaning of its own" if normal(choice.column) in (normal(image), *PLACES) else "is no column"
        told = "is there more than once" if table.header.count(normal(choice.column)) > 1 else told
        raise SwclError(f"{table.file}: --label {choice.column}: it {told}; labels can be {names or 'none'}.")
    return [*columns, *together]


def _are_columns(table: Table, choice: Choice) -> bool:
    """Return whether a choice names columns that are a label together: NAME=several:A,B where NAME is no column."""
    return choice.kind == SEVERAL and bool(choice.names) and normal(choice.column) not in map(normal, table.columns)


def _together(table: Table, rows: Sequence[int], choice: Choice, image: str) -> LabelColumn:
    """Read columns of 0 and 1 as signs that may be there at once. Raises SwclError."""
    names = {normal(name): name for name in table.columns if name not in (image, *PLACES)}
    if foreign := [name for name in choice.names if normal(name) not in names]:
        held = ", ".join(f"'{shortened(name)}'" for name in names.values()) or "none"
        raise SwclError(f"{table.file}: --label {choice.column}: '{foreign[0]}' is no column; there are {held}.")
    signs = [names[normal(name)] for name in choice.names]
    try:
        return read_together(choice, {name: [table.columns[name][place] for place in rows] for name in signs})
    except Unsuitable as reason:
        number = next(
            (
                table.numbers[place]
                for place in rows
                if any(table.columns[name][place] in reason.cells for name in signs)
            ),
            None,
        )
        row = "" if number is None else f", row {number}"
        raise SwclError(f"{table.file}{row}: --label {choice.column}: {reason}.") from None


def _require_not_misspelt(table: Table, name: str, choice: Choice | None) -> None:
    """Raise SwclError where a column's name is nearly one with a meaning of its own, and nobody says what it is."""
    absent = [place for place in (*PLACES, *KNOWN) if place not in table.columns]
    similar = get_close_matches(normal(name), absent, 1, NEAR) if choice is None else []
    if similar:
        raise SwclError(
            f"{table.file}, row {table.header_row}: column '{name}': call it '{similar[0]}' if it is that, or say what "
            f"it is by --label '{name}=KIND', or '{name}={NONE}'."
        )


def _where(table: Table, name: str, rows: Sequence[int], reason: Unsuitable) -> str:
    """Name the table and the column, and the rows of the cells that a reason is about."""
    told = _in_rows(table, name, rows, reason).replace(" in row", ", row", 1)
    return f"{table.file}{told}: column '{shortened(name)}'"


def _in_rows(table: Table, name: str, rows: Sequence[int], reason: Unsuitable) -> str:
    """Name the rows of the cells that a reason is about, of many the first: ` in rows 5, 9 and 17`."""
    numbers = [str(table.numbers[place]) for place in rows if table.columns[name][place] in reason.cells]
    if len(numbers) < 2:
        return "".join(f" in row {number}" for number in numbers)
    more = len(numbers) - ROWS_NAMED
    *first, last = numbers[:ROWS_NAMED] + ([f"{more:,} more"] if more > 0 else [])
    return f" in rows {', '.join(first)} and {last}"


def _of_folders(download: Download, paths: Sequence[str], choices: Mapping[str, Choice]) -> Labelled:
    """Take for each photograph's class the one folder in which it lies beside those of splits, and of all."""
    classes = {path: name for path, name in classes_of(paths).items() if name}
    for path in paths:
        if path not in classes:
            download.problem(path, NO_LABEL, "it lies in no folder of a class")
    choice = choices.get(CLASS, Choice(CLASS, CLASSES))
    if choice.kind == NONE:
        raise UsageError(f"label: without {CLASS} nothing remains of --labels {FOLDERS}: leave both out.")
    if not classes:
        raise SwclError(f"{download.source} holds no folders of classes, which --labels {FOLDERS} takes for labels.")
    try:
        column = read_column(CLASS, [*classes.values()], choice)
    except Unsuitable as reason:
        raise SwclError(f"{download.source}: --labels {FOLDERS}: the label {reason}.") from None
    return Labelled(None, {}, [column], dict(zip(classes, range(len(classes)), strict=True)))


def classes_of(paths: Sequence[str]) -> dict[str, str]:
    """Return the folder that is each photograph's class; '' where it lies in none.

    Folders of splits, and those that hold all photographs, are no classes. Raises SwclError where a photograph lies in
    several others.
    """
    folders = {path: PurePosixPath(path).parts[:-1] for path in paths}
    shared = sum(1 for _ in takewhile(lambda names: len({*names}) == 1, zip_longest(*folders.values())))
    classes = {}
    for path, parts in folders.items():
        own = [folder for folder in parts[shared:] if not words_of(folder) & SPLIT_WORDS.keys()]
        if len(own) > 1:
            raise SwclError(
                f"{path} lies in several folders, {'/'.join(own)}: --labels {FOLDERS} takes one folder for a class, "
                "with or without train, val and test above it."
            )
        classes[path] = own[0] if own else ""
    return classes


def of_patients(download: Download, labelled: Labelled) -> Labelled:
    """Give all photographs of a patient the labels of patients. Raises SwclError where they differ."""
    columns = []
    for column in labelled.columns:
        first: dict[str, tuple[str | float, str]] = {}  # by patient, the value and the photograph that has it
        values = list(column.values)
        for photograph in download.photographs if column.label.of == PATIENT else ():
            value = values[labelled.places[photograph.path]]
            if value is None:
                continue
            told, other = first.setdefault(photograph.patient_id, (value, photograph.path))
            if told != value:
                raise SwclError(
                    f"label {column.label.name} is of patients, but of {photograph.patient_id} {other} has '{told}' "
                    f"and {photograph.path} '{value}': put the table right, or leave /patient out."
                )
        for photograph in download.photographs if first else ():
            values[labelled.places[photograph.path]] = first.get(photograph.patient_id, (None, ""))[0]
        columns.append(replace(column, values=values))
    shared = replace(labelled, columns=columns)
    if shared_by := [column.label.name for column in columns if column.label.of == PATIENT]:
        if len({photograph.patient_id for photograph in download.photographs}) == len(download.photographs):
            download.remark(
                f"label {shared_by[0]} is of patients, but no patient has two photographs: the column patient of the "
                "table, or --name-pattern, says who they are."
            )
        download.photographs = [
            replace(each, labels=LabelRow(tuple(each.labels), tuple({**each.labels, **shared.own(each.path)}.values())))
            for each in download.photographs
        ]
    return shared


def tell_of_folders(download: Download, paths: Sequence[str]) -> None:
    """Remark that folders say nothing as long as nobody says what they mean."""
    try:
        names = {*classes_of(paths).values()} - {"", *unclear(paths)}
    except SwclError:
        return
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:NAMED]) + (", ..." if len(names) > NAMED else "")
        download.remark(
            f"folders of SOURCE ({shown}) are taken for neither classes nor patients: --labels {FOLDERS} makes classes "
            "of them, --name-pattern '(?P<patient>[^/]+)/[^/]+$' patients."
        )


def tell_of_labels(download: Download, labelled: Labelled) -> None:
    """List the labels with their classes for the terminal, and remark which classes are of one patient alone."""
    known = [label for label in TABLED if label.name in download.held]
    for label in known:
        download.overview.append(overview(label, [each.labels.get(label.name) for each in download.photographs]))
    patients: dict[tuple[str, str], str] = {}
    several = {label.name for label in labelled.labels if label.kind == SEVERAL}
    for photograph in download.photographs:
        for name, value in labelled.own(photograph.path).items():
            for part in () if value is None else str(value).split(JOINT) if name in several else (str(value),):
                if patients.setdefault((name, part), photograph.patient_id) != photograph.patient_id:
                    patients[name, part] = ""
    for column in labelled.columns:
        download.overview.append(overview(column.label, column.values, column.absent))
        if alone := [name for name in column.label.names if patients.get((column.label.name, name))]:
            shown = " and ".join(f"'{shortened(name)}'" for name in alone)
            download.remark(
                f"label {column.label.name}: all photographs of {shown} are of one patient, who can't be learnt and "
                "tested both: join or leave out such classes."
            )
