"""Find out which labels people's own columns hold: of what kind, and with which classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from swcl_cli.catalogue.labels import CLASSES, GRADES, JOINT, PATIENT, SEVERAL, Label, LabelKind
from swcl_cli.datasets.download import Value
from swcl_cli.datasets.names import shortened
from swcl_cli.datasets.sheets import normal
from swcl_cli.datasets.tables import LONGEST_NUMBER, TRUTH, WHOLE_NUMBER, says_nothing
from swcl_cli.errors import SwclError, UsageError

NONE = "none"
CHOICES = (CLASSES, GRADES, SEVERAL, NONE)
CHOICE = re.compile(r"(?P<column>.+?)=(?P<kind>[a-z]+)(?::(?P<names>.+?))?(?P<of>/patient)?", re.DOTALL)
DECIMAL = re.compile(r"[+-]?\d*(?:[.]\d+|,(?!\d{3}$)\d+)")
BETWEEN, TOLD_BETWEEN = re.compile("[;|]"), re.compile("[;|,]")  # signs of a cell, where people say that it has several
YES_OR_NO = {**TRUTH, "1": True, "0": False, "yes": True, "no": False}
HIGHEST_GRADE = 10  # whole numbers up to it are taken for grades
MOST_GUESSED, MOST_CLASSES = 30, 100  # classes of a column of text that is taken for a label; of one that is told to be
LONGEST_NAME = 60  # letters
COLUMNS = ("label", "kind", "classes", "missing")  # of the overview
NO_FINDING = {"none", "nil"}  # a class beside other words, and nothing beside numbers
NORMAL = {"normal", "healthy", "negative", "no", "none", "nil", "control", "controls", "absent", "false"}
OF_MANIFESTS = {  # columns of a prepared set
    *("dataset", "split", "image_id", "patient_id", "group_id", "eye", "path", "width", "height", "checksum"),
    *("mask_path", "fov_path", "lesion_mask_path", "source_path", "source_hash", "mask", "image", "keywords"),
}


class Unsuitable(Exception):
    """Say why a column is no label; a phrase that fits behind its name. cell: one that it is about."""

    def __init__(self, reason: str, cell: str | None = None) -> None:
        super().__init__(reason)
        self.cell = cell


@dataclass(frozen=True)
class Choice:
    """Hold what people say of a column: its kind, its classes in their order where they name them, and whose it is."""

    column: str
    kind: str
    names: tuple[str, ...] = ()
    of: Literal["photograph", "patient"] = "photograph"


@dataclass(frozen=True)
class LabelColumn:
    """Hold a label of people's own, its value in each row, None where it is missing, and remarks on spellings.

    absent: words that were taken as missing.
    """

    label: Label
    values: Sequence[str | None]
    remarks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


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
        apart = len(set(map(_key, names))) >= max(len(names), 2) and not any(JOINT in name for name in names)
        if match["names"] and (choice.kind == NONE or not apart):
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
    _require_name(name)
    counts = Counter(cells)
    if choice.kind == SEVERAL if choice else _are_joined(counts):
        return _read_signs(name, cells, counts, choice)
    classes = _classes(counts, choice)
    whole = [number for key in classes if (number := _whole(key)) is not None]
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
        raise Unsuitable(f"has one class, {_quoted(names.values())}" if names else _nothing(counts))
    if len(names) > MOST_CLASSES:
        raise Unsuitable(f"has {len(names):,} different values: classes are {MOST_CLASSES} at most")
    by_text = {text: names.get(_key(text)) for text in counts}
    spelt = ", ".join(
        f"{_quoted(spellings)} are one class" for key in names if len(spellings := _spellings(counts, key)) > 1
    )
    counted = [text for text in counts if by_text[text] and says_nothing(text)]
    remarks = ([f"{name}: {spelt}"] if spelt else []) + (
        [f"{name}: taken as a class, not as missing: {_quoted(counted)}"]
        if counted and not (choice and choice.names)
        else []
    )
    label = Label(name, kind, name, of=choice.of if choice else "photograph", names=tuple(names.values()))
    return LabelColumn(label, [by_text[text] for text in cells], tuple(remarks), _words(by_text))


def _kind(choice: Choice) -> LabelKind:
    return GRADES if choice.kind == GRADES else CLASSES


def _require_name(name: str) -> None:
    """Raise Unsuitable where a label can't have the column's name."""
    if normal(name) in OF_MANIFESTS:
        raise Unsuitable("has a name with a meaning of its own: rename it to learn it")
    if not name.isprintable() or len(name) > LONGEST_NAME or "," in name:
        raise Unsuitable(f"has a name that no label can have: at most {LONGEST_NAME} letters, no comma")


def _key(text: str) -> str:
    """Return what is equal of two spellings of a class: 1, 1.0, 01 and 1,0, or dr and DR."""
    number = WHOLE_NUMBER.fullmatch(text)
    if number and len(number[1]) <= LONGEST_NUMBER:
        return str(int(number[1]))
    return repr(float(text.replace(",", "."))) if DECIMAL.fullmatch(text) else normal(text)


def _whole(key: str) -> int | None:
    return int(key) if re.fullmatch(r"-?\d{1,18}", key) else None


def _is_number(key: str) -> bool:
    return _whole(key) is not None or bool(DECIMAL.fullmatch(key))


def _classes(counts: Mapping[str, int], choice: Choice | None) -> dict[str, str]:
    """Return the classes of a column by their keys: each as it is spelt most often, whole numbers without decimals."""
    named = {_key(name) for name in choice.names} if choice else set()
    known = {text for text in counts if not says_nothing(text) or _key(text) in named}
    if any(not _is_number(_key(text)) for text in known) and not named:
        known |= {text for text in counts if _key(text) in NO_FINDING}
    spelt: dict[str, Counter[str]] = {}
    for text in sorted(known):
        spelt.setdefault(_key(text), Counter())[_spelling(text)] += counts[text]
    return {key: max(sorted(of_key), key=lambda name: of_key[name]) for key, of_key in spelt.items()}


def _spelling(text: str) -> str:
    number = WHOLE_NUMBER.fullmatch(text)
    return number[1] if number else " ".join(text.split())


def _spellings(counts: Iterable[str], key: str) -> list[str]:
    return sorted({_spelling(text) for text in counts if _key(text) == key})


def _guess(classes: Mapping[str, str], whole: Sequence[int], rows: int) -> LabelKind:
    """Guess the kind of a column. whole: its values, where all of them are whole numbers."""
    if all(map(_is_number, classes)) and len(classes) > 2:
        if whole and {min(whole), max(whole)} <= set(range(HIGHEST_GRADE + 1)):
            return GRADES
        raise Unsuitable("holds numbers, which are not learnt yet")
    few = not all(map(_is_number, classes)) and 2 * len(classes) > rows
    if len(classes) > MOST_GUESSED or (few and len(classes) > 1):
        raise Unsuitable(f"holds {len(classes):,} different texts in {rows:,} rows")
    return CLASSES


def _in_order_of(choice: Choice, classes: Mapping[str, str], counts: Iterable[str]) -> dict[str, str]:
    """Return the classes that people name, by their keys. Raises Unsuitable where the column holds another one."""
    names = {_key(name): name for name in choice.names}
    for key, name in classes.items():
        if key not in names:
            cell = next(text for text in counts if _key(text) == key)
            raise Unsuitable(f"holds {_quoted([name])}, which is none of {', '.join(choice.names)}", cell)
    return names


def _tokens(text: str, between: re.Pattern[str]) -> list[str]:
    """Return the signs of a cell; none where it says that there are none."""
    tokens = (_spelling(token.strip()) for token in between.split(text))
    return [token for token in tokens if not says_nothing(token)]


def _are_joined(counts: Mapping[str, int]) -> bool:
    """Guess whether cells hold several signs at once: some are joined, and each occurs twice on average."""
    if not any(BETWEEN.search(text) for text in counts):
        return False
    signs = Counter[str]()
    for text, count in counts.items():
        signs.update({_key(token): count for token in _tokens(text, BETWEEN)})
    return 1 < len(signs) <= MOST_GUESSED and sum(signs.values()) >= 2 * len(signs)


def _read_signs(name: str, cells: Sequence[str], counts: Mapping[str, int], choice: Choice | None) -> LabelColumn:
    """Read a column of which each cell holds several signs at once, as `DR;AMD`; see `read_column`."""
    of_cells = {text: _tokens(text, TOLD_BETWEEN if choice else BETWEEN) for text in counts}
    spelt: dict[str, Counter[str]] = {}
    for text, tokens in of_cells.items():
        for token in tokens:
            spelt.setdefault(_key(token), Counter())[token] += counts[text]
    signs = {key: max(sorted(of_key), key=lambda sign: of_key[sign]) for key, of_key in spelt.items()}
    names = {_key(sign): sign for sign in choice.names} if choice and choice.names else dict(sorted(signs.items()))
    for text, tokens in of_cells.items():
        if foreign := [token for token in tokens if _key(token) not in names]:
            raise Unsuitable(f"holds {_quoted(foreign[:1])}, which is none of {', '.join(names.values())}", text)
    if not 1 < len(names) <= MOST_CLASSES:
        raise Unsuitable(f"has {len(names):,} signs: several are 2 to {MOST_CLASSES}")
    values: dict[str, str | None] = {}
    for text, tokens in of_cells.items():
        there = {_key(token) for token in tokens}
        joined = JOINT.join(sign for key, sign in names.items() if key in there)
        values[text] = joined if there or _key(text) in NO_FINDING else None
    told = ", ".join(f"{_quoted(sorted(of_key))} are one sign" for of_key in spelt.values() if len(of_key) > 1)
    label = Label(name, SEVERAL, name, of=choice.of if choice else "photograph", names=tuple(names.values()))
    return LabelColumn(label, [values[text] for text in cells], (f"{name}: {told}",) if told else (), _words(values))


def read_together(choice: Choice, columns: Mapping[str, Sequence[str]]) -> LabelColumn:
    """Read columns of 0 and 1 as signs that may be there at once, in their order. columns: cells by the sign's name.

    A row that lacks one of them lacks the label. Raises Unsuitable where the label's name can't be one, or a cell is
    neither, of which the reason begins with the column's name.
    """
    _require_name(name := choice.column)
    read: list[list[bool | None]] = []
    for sign, cells in columns.items():
        values: dict[str, bool | None] = {}
        for text in {*cells}:
            values[text] = None if says_nothing(text) else YES_OR_NO.get(_key(text))
            if values[text] is None and not says_nothing(text):
                raise Unsuitable(f"'{sign}' holds {_quoted([text])}, which is neither 0 nor 1", text)
        read.append([values[text] for text in cells])
    words = {text for cells in columns.values() for text in cells if text and says_nothing(text)}
    joined = [
        None if None in row else JOINT.join(sign for sign, there in zip(columns, row, strict=True) if there)
        for row in zip(*read, strict=True)
    ]
    label = Label(name, SEVERAL, name, of=choice.of, names=tuple(columns))
    return LabelColumn(label, joined, (), tuple(sorted(words)))


def _place(entry: tuple[str, str]) -> tuple[bool, bool, float, str]:
    """Return the place of a class: what is normal first, then numbers in their order, then words."""
    key = entry[0]
    number = float(key) if _is_number(key) else None
    return key not in NORMAL, number is None, number or 0.0, key


def _words(values: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the words that are no value, beside empty cells."""
    return tuple(sorted(text for text, value in values.items() if text and value is None))


def _nothing(counts: Iterable[str]) -> str:
    marks = sorted(text for text in counts if text)
    return f"says nothing in any row, such as {_quoted(marks[:1])}" if marks else "is empty"


def _quoted(texts: Iterable[str]) -> str:
    return " and ".join(f"'{shortened(text)}'" for text in texts)


def overview(label: Label, values: Sequence[Value], absent: Sequence[str] = ()) -> tuple[str, str, str, str]:
    """Return a label's row of the table that is shown before anything is written: COLUMNS.

    absent: words that were taken as missing.
    """
    counts = Counter(values)
    missing = f"{counts.pop(None, 0):,}" + (f" ({', '.join(map(shortened, absent))})" if absent else "")
    kind = f"{label.kind}, of patients" if label.is_own and label.of == PATIENT else label.kind
    if label.kind == "number" and counts:
        numbers = [int(value) for value in counts if value is not None]
        return label.name, label.kind, f"{min(numbers)} to {max(numbers)}", missing
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
