"""Find out which labels people's own columns hold: of what kind, and with which classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from swcl_cli.catalogue.labels import CLASSES, GRADES, JOINT, NUMBER, PATIENT, SEVERAL, Label, LabelKind
from swcl_cli.datasets.download import Value
from swcl_cli.datasets.label_cells import (
    NO_FINDING,
    Choice,
    LabelColumn,
    Unsuitable,
    is_number,
    key_of,
    quoted,
    require_name,
    spelling,
    whole_number,
    without_value,
)
from swcl_cli.datasets.names import shortened
from swcl_cli.datasets.number_columns import are_numbers, read_numbers
from swcl_cli.datasets.sheets import normal
from swcl_cli.datasets.sign_columns import are_joined, read_signs
from swcl_cli.datasets.tables import says_nothing
from swcl_cli.errors import SwclError, UsageError

NONE = "none"
CHOICES = (CLASSES, GRADES, SEVERAL, NUMBER, NONE)
NAMED = (CLASSES, GRADES, SEVERAL)  # kinds whose classes can be named
CHOICE = re.compile(r"(?P<column>.+?)=(?P<kind>[a-z]+)(?::(?P<names>.+?))?(?P<of>/patient)?", re.DOTALL)
HIGHEST_GRADE = 10  # whole numbers up to it are taken for grades
MOST_GUESSED, MOST_CLASSES = 30, 100  # classes of a column of text that is taken for a label; of one that is told to be
COLUMNS = ("label", "kind", "classes", "missing")  # of the overview
NORMAL = {"normal", "healthy", "negative", "no", "none", "nil", "control", "controls", "absent", "false"}


def read_choices(given: Sequence[str]) -> dict[str, Choice]:
    """Read NAME=KIND or NAME=KIND:CLASS,CLASS,..., with or without /patient; return them by the column's name as it is
    compared.

    Raises UsageError where one can't be read, or two are of one column.
    """
    choices: dict[str, Choice] = {}
    for text in given:
        match = CHOICE.fullmatch(text)
        if not match or match["kind"] not in CHOICES:
            raise UsageError(f"label: '{shortened(text)}' is not NAME=KIND, where KIND is one of {', '.join(CHOICES)}.")
        names = tuple(" ".join(name.split()) for name in (match["names"] or "").split(",") if name.strip())
        choice = Choice(match["column"].strip(), match["kind"], names, "patient" if match["of"] else "photograph")
        apart = len(set(map(key_of, names))) >= max(len(names), 2) and not any(JOINT in name for name in names)
        if match["names"] and (choice.kind not in NAMED or not apart):
            raise UsageError(
                f"label: '{shortened(text)}': two or more classes can be named, each once and without '{JOINT}', of "
                f"{CLASSES}, {GRADES} and {SEVERAL}."
            )
        if choices.setdefault(normal(choice.column), choice) != choice:
            raise UsageError(f"label: {choice.column} is told twice.")
    return choices


def read_column(name: str, cells: Sequence[str], choice: Choice | None) -> LabelColumn:
    """Read a column of people's own as a label. cells: of the rows that name a photograph.

    Raises Unsuitable where it is none.
    """
    require_name(name)
    counts = Counter(cells)
    if choice.kind == SEVERAL if choice else are_joined(counts):
        return read_signs(name, cells, counts, choice)
    classes = _classes(counts, choice)
    if choice.kind == NUMBER if choice else _may_be_numbers(counts, classes):
        return read_numbers(name, cells, choice)
    whole = [number for key in classes if (number := whole_number(key)) is not None]
    are_whole = len(whole) == len(classes)
    kind = _kind(choice) if choice else _guess(classes, whole if are_whole else [], sum(counts.values()))
    if choice and choice.names:
        names = _in_order_of(choice, classes, counts)
    elif kind == GRADES:
        if not are_whole:
            raise Unsuitable(f"holds words: name them in their order, --label '{name}={GRADES}:LEAST,...,WORST'")
        names = {str(number): classes.get(str(number), str(number)) for number in range(min(whole), max(whole) + 1)}
    else:
        names = dict(sorted(classes.items(), key=_place))
    if len(names) < 2:
        raise Unsuitable(f"has one class, {quoted(names.values())}" if names else _nothing(counts))
    if len(names) > MOST_CLASSES:
        raise Unsuitable(f"has {len(names):,} different values: classes are {MOST_CLASSES} at most")
    by_text = {text: names.get(key_of(text)) for text in counts}
    spelt = ", ".join(
        f"{quoted(spellings)} are one class" for key in names if len(spellings := _spellings(counts, key)) > 1
    )
    counted = [text for text in counts if by_text[text] and says_nothing(text)]
    remarks = ([f"{name}: {spelt}"] if spelt else []) + (
        [f"{name}: taken as a class, not as missing: {quoted(counted)}"]
        if counted and not (choice and choice.names)
        else []
    )
    label = Label(name, kind, name, of=choice.of if choice else "photograph", names=tuple(names.values()))
    return LabelColumn(label, [by_text[text] for text in cells], tuple(remarks), without_value(by_text))


def _may_be_numbers(counts: Mapping[str, int], classes: Mapping[str, str]) -> bool:
    """Guess whether a column is one of numbers: not of two classes, nor of grades."""
    whole = [whole_number(key) for key in classes]
    are_grades = {*whole} <= set(range(HIGHEST_GRADE + 1))
    return len(classes) > 2 and not are_grades and are_numbers(counts)


def _kind(choice: Choice) -> LabelKind:
    return GRADES if choice.kind == GRADES else CLASSES


def _classes(counts: Mapping[str, int], choice: Choice | None) -> dict[str, str]:
    """Return the classes of a column by their keys: each as it is spelt most often, whole numbers without decimals."""
    named = {key_of(name) for name in choice.names} if choice else set()
    known = {text for text in counts if not says_nothing(text) or key_of(text) in named}
    if any(not is_number(key_of(text)) for text in known) and not named:
        known |= {text for text in counts if key_of(text) in NO_FINDING}
    spelt: dict[str, Counter[str]] = {}
    for text in sorted(known):
        spelt.setdefault(key_of(text), Counter())[spelling(text)] += counts[text]
    return {key: max(sorted(of_key), key=lambda name: of_key[name]) for key, of_key in spelt.items()}


def _spellings(counts: Iterable[str], key: str) -> list[str]:
    return sorted({spelling(text) for text in counts if key_of(text) == key})


def _guess(classes: Mapping[str, str], whole: Sequence[int], rows: int) -> LabelKind:
    """Guess the kind of a column. whole: its values, where all of them are whole numbers."""
    if len(classes) > 2 and whole and {min(whole), max(whole)} <= set(range(HIGHEST_GRADE + 1)):
        return GRADES
    few = not all(map(is_number, classes)) and 2 * len(classes) > rows
    if len(classes) > MOST_GUESSED or (few and len(classes) > 1):
        raise Unsuitable(f"holds {len(classes):,} different texts in {rows:,} rows")
    return CLASSES


def _in_order_of(choice: Choice, classes: Mapping[str, str], counts: Iterable[str]) -> dict[str, str]:
    """Return the classes that people name, by their keys. Raises Unsuitable where the column holds another one."""
    names = {key_of(name): name for name in choice.names}
    for key, name in classes.items():
        if key not in names:
            cell = next(text for text in counts if key_of(text) == key)
            raise Unsuitable(f"holds {quoted([name])}, which is none of {', '.join(choice.names)}", cell)
    return names


def _place(entry: tuple[str, str]) -> tuple[bool, bool, float, str]:
    """Return the place of a class: what is normal first, then numbers in their order, then words."""
    key = entry[0]
    number = float(key) if is_number(key) else None
    return key not in NORMAL, number is None, number or 0.0, key


def _nothing(counts: Iterable[str]) -> str:
    marks = sorted(text for text in counts if text)
    return f"says nothing in any row, such as {quoted(marks[:1])}" if marks else "is empty"


def overview(label: Label, values: Sequence[Value], absent: Sequence[str] = ()) -> tuple[str, str, str, str]:
    """Return a label's row of the table that is shown before anything is written: COLUMNS.

    absent: words that were taken as missing.
    """
    counts = Counter(values)
    missing = f"{counts.pop(None, 0):,}" + (f" ({', '.join(map(shortened, absent))})" if absent else "")
    kind = f"{label.kind}, of patients" if label.is_own and label.of == PATIENT else label.kind
    if label.kind == NUMBER:
        numbers = [float(value) for value in counts if value is not None]
        span = f"{min(numbers):g} to {max(numbers):g}" if numbers else ""
        return label.name, kind, span, missing
    if label.kind == SEVERAL:
        signs = Counter(sign for value, count in counts.items() for sign in [*str(value).split(JOINT)] * count)
        named = [f"{sign} ({signs[sign]:,})" for sign in label.names]
        return label.name, kind, ", ".join([*named, f"none of them ({signs['']:,})"]), missing
    classes = label.names or sorted(counts, key=str)
    shown = (f"{int(value) if isinstance(value, bool) else value} ({counts[value]:,})" for value in classes)
    return label.name, kind, ", ".join(shown), missing


def require_apart(labels: Iterable[Label], source: object) -> None:
    """Raise SwclError where two labels, or columns of their predictions, can't be told apart by their names."""
    seen: dict[str, str] = {}
    cells: dict[str, str] = {}
    for label in labels:
        plain = re.sub(r"[\W_]+", "", label.name).casefold() or label.name
        if plain in seen:
            raise SwclError(
                f"{source}: the labels '{seen[plain]}' and '{label.name}' are hard to tell apart: rename one, or leave "
                f"it out by --label '{label.name}={NONE}'."
            )
        seen[plain] = label.name
        names = label.names or tuple(map(str, range(label.classes)))
        for cell in (label.name, *(f"{label.name}_{name}" for name in names)):
            if cell in cells:
                raise SwclError(
                    f"{source}: the labels '{cells[cell]}' and '{label.name}' would both have a column '{cell}' of "
                    "predictions: rename one, or a class of it."
                )
            cells[cell] = label.name
